"""What becomes of each value by the rules, and the account of it: changes, unknown names, values that must not be left."""

import base64
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from pathcurate.model.filerule import FileRule, folded
from pathcurate.model.filescrub import Change, Deed, OwnValue, Unknown
from pathcurate.scrubbers.tiff.forms import Forms, is_of_words, words_of
from pathcurate.slidefiles import ScrubJob

_DATE_FORMS: Final = (
    "%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%f", "%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S", "%Y/%m/%d", "%Y-%m-%d", "%Y%m%d",
    "%m/%d/%y", "%m/%d/%Y",
)  # fmt: skip
"""How scanners write days, tried in this order where a rule says ``auto``."""
_LEAST_BYTES: Final = 5
"""A shorter text stands in every large file by chance: four given bytes in every fourth gigabyte."""
_LEAST_KNOWN: Final = 4
_MOST: Final = 1000
"""A longer text is a document or a picture; what identifies in it stands there as a value of its own."""
_ONLY_NUMBER: Final = re.compile(r"[\d\s.,:+/-]*")
_KINDS: Final = (
    ("file", ("file", "path", "basename")), ("uid", ("uid", "uuid", "guid")),
    ("device", ("serial", "scanner", "scanscope", "s/n", "65442", "unitnumber")),
    ("barcode", ("barcode", "6546", "6547")),
    ("name", ("user", "operator", "patient", "first_name", "last_name", "315", "artist")),
)  # fmt: skip


class Judge:
    """Applies the rules of one job to values, and keeps account.

    Args:
        job: the slide.

    Raises:
        UsageError: an option of the rules is not what it must be.
    """

    def __init__(self, job: ScrubJob) -> None:
        self.job = job
        # Each once: an XML may say the same of a hundred thousand tiles.
        self._changes: dict[Change, None] = {}
        self._unknown: dict[Unknown, None] = {}
        self._forms = Forms(job.rules)
        self._plain = words_of(job.rules, "plain")
        self._stock = self._forms.words | words_of(job.rules, "words") | words_of(job.rules, "jpeg_texts")
        self._own: dict[str, str] = {}
        self._known = tuple(folded(item.value) for item in job.known if len(item.value.strip()) >= _LEAST_KNOWN)
        self._is_muted = False

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is done, in the order of the file."""
        return tuple(self._changes)

    @property
    def unknown(self) -> tuple[Unknown, ...]:
        """Names without a rule."""
        return tuple(self._unknown)

    def own(self, kept: Iterable[bytes]) -> tuple[OwnValue, ...]:
        """Values that went and that identify; a number that a kept text holds too (a width, a power) tells nothing.

        Args:
            kept: all texts of the copy.
        """
        texts = b"\n".join(kept)
        return tuple(
            OwnValue(kind, value)
            for value, kind in self._own.items()
            if not (value.isascii() and value.isdigit() and value.encode() in texts)
        )

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Within, values that go are remembered, but no change and no unknown name: the whole directory goes."""
        before, self._is_muted = self._is_muted, True
        try:
            yield
        finally:
            self._is_muted = before

    def note(self, place: str, deed: Deed, table: str, rule: str) -> None:
        """Something that is done."""
        if not self._is_muted:
            self._changes[Change(place, deed, f"{self.job.format}, {table}, {rule}")] = None

    def find(self, table: str, name: str, place: str) -> FileRule | None:
        """The rule for a name; an unknown one is taken down."""
        rule = self.job.rules.find(table, name)
        if rule is None and not self._is_muted:
            self._unknown[Unknown(table, name, place)] = None
        return rule

    def value(self, rule: FileRule, table: str, text: str, place: str) -> str | None:
        """What takes the place of a text; None if it goes.

        Args:
            rule: what is done; one that cleans is the caller's.
            table: which table the rule is of.
            text: as it stands.
            place: where, in words of the file's structure.
        """
        made = self._made(rule, table, text)
        if made == text:
            return made
        deed = rule.deed if made is not None or rule.deed is Deed.EMPTY else Deed.REMOVE
        self.note(place, deed, table, rule.name)
        self.gone(rule.name, text)
        return made

    def gone(self, name: str, text: str) -> None:
        """A value that goes is remembered if it can identify."""
        value = text.strip("\0 \t\r\n")
        if len(value) <= _MOST and (packed := _from_base64(value)):
            self.gone(name, packed)
        if len(value) > _MOST or len(value.encode()) < _LEAST_BYTES or folded(name) in self._plain:
            return
        if is_of_words(value, self._stock):
            return
        if _ONLY_NUMBER.fullmatch(value) and sum(map(str.isdigit, value)) < _LEAST_BYTES:
            return
        # A colour profile is no file.
        key = folded(name).replace("profile", "")
        kind = next((kind for kind, words in _KINDS if any(word in key for word in words)), "label")
        self._own.setdefault(value, kind)

    def holds_known(self, text: str) -> bool:
        """Whether a text holds something that the catalog knows to identify the slide."""
        key = folded(text)
        return any(value in key for value in self._known)

    def keeps(self, rule: FileRule, table: str, text: str) -> bool:
        """Whether a text under a rule that keeps is what it may be."""
        return self._forms.fits(table, rule.name, text) and not self.holds_known(text)

    def _made(self, rule: FileRule, table: str, text: str) -> str | None:
        match rule.deed:
            case Deed.KEEP:
                return text if not text.strip() or self.keeps(rule, table, text.strip()) else None
            case Deed.EMPTY:
                return ""
            case Deed.SHIFT:
                return self._shifted(text, rule.about or "auto")
            case Deed.PSEUDONYM:
                codes = {"slide": self.job.code, "case": self.job.case, "patient": self.job.patient}
                return codes.get(rule.about or "slide")
            case Deed.UID:
                return self.job.codes.uid(text.strip().removeprefix("urn:uuid:")) if text.strip() else text
            case _:
                return None

    def _shifted(self, text: str, form: str) -> str | None:
        """The day moved, its time of day at midnight; None if it is no day of the form."""
        for one in _DATE_FORMS if form == "auto" else (form,):
            try:
                found = datetime.strptime(text.strip().strip('"'), one)  # noqa: DTZ007 -- scanners' clocks know no zone
            except ValueError:
                continue
            moved = self.job.moved(found.date())
            return None if moved is None else datetime(moved.year, moved.month, moved.day).strftime(one)  # noqa: DTZ001
        return None


def _from_base64(text: str) -> str | None:
    """What a text says in Base64, as barcodes are often written; None if it is none."""
    if len(text) < 8 or len(text) % 4 or text.isdigit():
        return None
    try:
        found = base64.b64decode(text, validate=True).decode("utf-8").strip("\0 \t\r\n")
    except ValueError:
        return None
    return found if found.isprintable() and found != text else None
