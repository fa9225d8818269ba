"""Text scrubber: where a report's texts hold what identifies somebody.

Five passes: the values that the report's own columns hold, what stands behind a label, what looks like an identifier
wherever it stands, the names found by a label wherever else they stand in the report, and the site's own words. What the
passes find may overlap; it is made one, named after what is most specific.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.casenumbers import CaseNumbers
from pathcurate.scrubbers.text.known import KnownSearch
from pathcurate.scrubbers.text.merging import freed, merged, occurrences
from pathcurate.scrubbers.text.names import StaffList, find_names, find_staff, repeated
from pathcurate.scrubbers.text.shaped import find_shaped
from pathcurate.scrubbers.text.values import KnownValues, SiteRules
from pathcurate.text import accession, dateforms, folding, identities
from pathcurate.text.dateforms import find_dates
from pathcurate.text.folding import half_width

__all__ = ["KnownValues", "SiteRules", "TextScrubber", "detect", "rules_digest"]

_BRACKETS = "⟦⟧"
_NO_BRACKETS = str.maketrans(_BRACKETS, "  ")
# What this toolkit itself writes into a text: placeholders, pseudonyms with what follows a case number, tags.
_WRITTEN = re.compile(
    r"⟦[^⟦⟧\n]{0,120}⟧|(?<![0-9A-Za-z])[A-Z]-[0-9A-HJKMNP-TV-Z]{16}(?![0-9A-Za-z])(?:-[0-9A-Z]{1,3}(?:-[0-9]{1,3})?(?![0-9A-Za-z]))?"
    r"|\[[A-Z][A-Z ]{0,30}\]|\[[\u4e00-\u9fff]{1,8}\]"
)
_WALL = "\ue000"
"""Stands for what was written by this toolkit: no pattern goes through it."""


class TextScrubber:
    """One site's scrubber; made once, used for many reports.

    Args:
        rules: what the site adds to the rules of the package.
    """

    def __init__(self, rules: SiteRules) -> None:
        self._rules = rules
        self._cases = CaseNumbers(rules.accession_patterns)
        self._staff = StaffList(rules.staff)
        self._hospitals = sorted(map(half_width, rules.hospitals), key=len, reverse=True)
        self._remove = tuple(map(half_width, rules.remove))
        self._keep = tuple(map(half_width, rules.keep))

    def removals(
        self, texts: Sequence[str | None], known: KnownValues, *, language: str | None, year: int | None
    ) -> list[list[Removal]]:
        """What must be taken out of the texts of one report: for each text its removals, sorted and disjoint.

        Args:
            texts: the texts as they are in the catalog.
            known: identifying values of the report and of the same person's other reports.
            language: of the report, None if that is not known.
            year: of the report, for dates without one.
        """
        normals = [half_width(text).replace("⟦", " ").replace("⟧", " ") if text else "" for text in texts]
        search = KnownSearch(known)
        named = [find_names(normal, language) for normal in normals]
        # What is known already is found by the search.
        again = repeated(normals, [name for names in named for name in names if name.value not in search.names])
        return [
            self._merged(
                text, normal,
                [*search.find(normal), *names, *more, *self._cases.known(normal, known.cases), *self._of_site(normal),
                 *_dates(normal, year), *find_shaped(normal)],
            )
            if text
            else []
            for text, normal, names, more in zip(texts, normals, named, again, strict=True)
        ]  # fmt: skip

    def suspects(self, scrubbed: str) -> bool:
        """Whether a text that was scrubbed still looks as if it identified somebody, by more than the words kept here."""
        return bool(detect(scrubbed, self._keep))

    def _of_site(self, normal: str) -> Iterator[Removal]:
        """What only this site's rules find."""
        for word in self._remove:
            for start in occurrences(normal, word):
                yield Removal(start, start + len(word), Kind.OTHER, "site.remove")
        for name in self._hospitals:
            for start in occurrences(normal, name):
                yield Removal(start, start + len(name), Kind.HOSPITAL, "site.hospital", self._rules.site)
        yield from find_staff(normal, self._staff)

    def _merged(self, text: str, normal: str, found: list[Removal]) -> list[Removal]:
        if any(bracket in text for bracket in _BRACKETS):
            found += [
                Removal(at, at + 1, Kind.BRACKET, "shape.bracket") for at, sign in enumerate(text) if sign in _BRACKETS
            ]
        removals = merged(found)
        # Site patterns are slow and know less than labels: they are asked only about what nothing else has found.
        if more := list(self._cases.by_pattern(normal, removals)):
            removals = merged([*found, *more])
        if self._keep:
            removals = list(freed(normal, removals, self._keep))
        return [self._cases.valued(removal, normal) for removal in removals]


def detect(text: str, keep: Sequence[str] = ()) -> list[Removal]:
    """What still looks like an identifier in a text that was scrubbed: by labels and shapes, with nothing known.

    Placeholders, codes and tags are passed over, and dates: those that were moved look like any others.

    Args:
        text: the text.
        keep: words in half width that reviewers have declared harmless.
    """
    normal = _WRITTEN.sub(lambda written: _WALL * len(written[0]), half_width(text)).translate(_NO_BRACKETS)
    names = find_names(normal, None)
    found = merged([*names, *repeated([normal], names)[0], *find_shaped(normal)])
    return list(freed(normal, found, keep)) if keep else found


def rules_digest(rules: SiteRules) -> str:
    """Digest that changes with every rule of the package and of the site: what was scrubbed under another is done again."""
    parts: list[object] = [_package_digest(), *(getattr(rules, field.name) for field in fields(rules))]
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _package_digest() -> str:
    """Of the source of all rules, patterns and lists: a rule that changes cannot be forgotten."""
    directories = (Path(__file__).parent, Path(dateforms.__file__).parent)
    modules = [Path(str(module.__file__)) for module in (accession, folding, identities)]
    paths = sorted(path for directory in directories for path in directory.iterdir() if path.is_file())
    digest = hashlib.sha256()
    for path in (*modules, *paths):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _dates(normal: str, year: int | None) -> Iterator[Removal]:
    for found in find_dates(normal, year):
        yield Removal(found.start, found.end, Kind.DATE, found.rule, found.day.isoformat(), found.form)
