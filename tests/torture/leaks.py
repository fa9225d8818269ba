"""Search of everything outside the identified places for every identifier that the made-up hospital holds."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ahocorasick_rs import BytesAhoCorasick

from tests import bytesearch, canaries
from tests.torture.house import House

IDENTIFIED = {("w", "catalog"), ("w", "vault"), ("w", "hospital"), ("beside", "withdrawn.txt"), ("beside", "forgotten.txt")}
"""The places that may hold identifiers: those of the workspace, the hospital's own files, and what a person typed in."""
_CERTAIN = 12
"""Characters from which on a value stands in other signs by chance no more."""
_SHORT = 7
_LETTER, _JOINED = re.compile(rb"[0-9A-Za-z]"), re.compile(rb"[0-9A-Za-z._\-]")


class Search(canaries.Search):
    """As :class:`tests.canaries.Search`, for a thousand values at once, and remembering which files it has seen.

    A short value of letters and digits counts only where no letter or digit stands beside it: a digest has six digits of
    any kind somewhere. A form of few bytes, as of a name of two characters, counts in texts and not in what is packed or
    encrypted, where any four bytes stand somewhere.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self._forms = list({(form, name) for name, value in values.items() for form in _forms(value)})
        self._automaton = BytesAhoCorasick([form for form, _ in self._forms])
        self._bounds = [_bound(form) for form, _ in self._forms]
        self._seen: dict[tuple[str, int, int], frozenset[str]] = {}

    def in_text(self, text: str) -> set[str]:
        """Values in a text, also behind escapes of HTML and JSON."""
        forms = {text, html.unescape(text), canaries._unescaped(text)}
        return {name for form in forms for name in self._found(form.encode("utf-8", "replace"), is_text=True)}

    def in_bytes(self, data: bytes) -> set[str]:
        """Values in bytes, in every usual encoding."""
        return set(self._found(data, is_text=b"\0" not in data[:4096]))

    def _found(self, data: bytes, *, is_text: bool) -> Iterator[str]:
        for number, start, end in self._automaton.find_matches_as_indexes(data, overlapping=True):
            bound = self._bounds[number]
            beside = data[max(0, start - 1) : start], data[end : end + 1]
            if bound is not None and any(bound.match(byte) for byte in beside):
                continue
            if is_text or end - start >= 6:
                yield self._forms[number][1]

    def below(self, house: House) -> dict[str, frozenset[str]]:
        """What stands where it must not: file to names of values."""
        found = {}
        for path in sorted(house.here.rglob("*")):
            parts = path.relative_to(house.here).parts
            if parts[:2] in IDENTIFIED or path.is_symlink() or not path.is_file():
                continue
            state = path.stat()
            known = str(path), state.st_size, state.st_mtime_ns
            if known not in self._seen:
                self._seen[known] = frozenset(self.in_text("/".join(parts)) | self._in_file(path))
            if self._seen[known]:
                found["/".join(parts)] = self._seen[known]
        return found

    def _in_file(self, path: Path) -> set[str]:
        data = path.read_bytes()
        try:
            return self.in_file(path.name, data)
        except Exception:  # noqa: BLE001  what a killed run left may be no whole file of its kind
            return self.in_bytes(data) | self.in_text(data.decode("utf-8", "replace"))


def planted(root: Path) -> dict[str, str]:
    """Name to value of all that the made-up hospital's answer key calls an identifier.

    Dates are left out: a shifted day is some other patient's true one.
    """
    kinds = json.loads((root / "hospital" / "answers.json").read_bytes())["planted"]
    return {f"{kind}[{number}]": value for kind, values in kinds.items() if kind != "dates"
            for number, value in enumerate(values)}  # fmt: skip


def _forms(value: str) -> set[bytes]:
    forms = {form for form in bytesearch.forms(value) if len(form) >= 4}
    packed = {value.encode().hex().encode(), value.encode("unicode_escape")}
    return forms | {form for form in packed if len(form) >= _CERTAIN}


def _bound(form: bytes) -> re.Pattern[bytes] | None:
    if len(form) >= _CERTAIN or not form.isascii():
        return None
    return _JOINED if len(form) < _SHORT else _LETTER
