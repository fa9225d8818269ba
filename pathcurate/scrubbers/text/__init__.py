"""Text scrubber: where a report's texts hold what identifies somebody.

Six passes: the values that the report's own columns hold, what stands behind a label, what looks like an identifier
wherever it stands, the names found by a label wherever else they stand in the report, the site's own words, and the short
words that are left on lines on which people sign. What the passes find may overlap; it is made one, named after what is
most specific.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.casenumbers import CaseNumbers
from pathcurate.scrubbers.text.hancontexts import find_listed_by_sound, placed_patterns
from pathcurate.scrubbers.text.hanshort import short_patterns
from pathcurate.scrubbers.text.known import KnownSearch
from pathcurate.scrubbers.text.learned import LEARNED, doubtful_names, find_learned_names, is_sure_alone, seek_names
from pathcurate.scrubbers.text.merging import freed, merged, occurrences
from pathcurate.scrubbers.text.names import StaffList, find_names, find_staff, repeated
from pathcurate.scrubbers.text.shaped import find_shaped
from pathcurate.scrubbers.text.signatures import surname_patterns
from pathcurate.scrubbers.text.signeddays import find_signed_days
from pathcurate.scrubbers.text.signertokens import LEARNED_SIGNER, doubtful_signers, find_learned_signers
from pathcurate.scrubbers.text.spelling import simplified
from pathcurate.scrubbers.text.staffforms import StaffForms, find_brief_staff, staff_forms
from pathcurate.scrubbers.text.values import KnownValues, ReportTexts, SiteRules
from pathcurate.text import accession, beginnings, dateforms, folding, identities
from pathcurate.text.beginnings import prepare
from pathcurate.text.dateforms import find_dates
from pathcurate.text.folding import half_width

__all__ = ["KnownValues", "ReportTexts", "SiteRules", "TextScrubber", "detect", "rules_digest"]

_BRACKETS = "⟦⟧"
# What this toolkit itself writes into a text: placeholders, pseudonyms with what follows a case number, tags.
_WRITTEN = re.compile(
    r"⟦[^⟦⟧\n]{0,120}⟧|(?<![0-9A-Za-z])[A-Z]-[0-9A-HJKMNP-TV-Z]{16}(?![0-9A-Za-z])(?:-[0-9A-Z]{1,3}(?:-[0-9]{1,3})?(?![0-9A-Za-z]))?"
    r"|\[[A-Z][A-Z ]{0,30}\]|\[[\u4e00-\u9fff]{1,8}\]"
)
_ERA = "民國"
"""Is not simplified: a year of the era is written again as it was."""
_WALL = "\ue000"
"""Stands for what was written by this toolkit: no pattern goes through it."""


@dataclass(slots=True)
class _Sought:
    """A text while it is gone through, and what was found in it: by what is known, of names, and in all."""

    report: ReportTexts
    search: KnownSearch
    text: str
    normal: str
    known: list[Removal] = field(default_factory=list)
    names: list[Removal] = field(default_factory=list)
    found: list[Removal] = field(default_factory=list)


class TextScrubber:
    """One site's scrubber; made once, used for many reports.

    Args:
        rules: what the site adds to the rules of the package.
    """

    def __init__(self, rules: SiteRules) -> None:
        self._rules = rules
        self._cases = CaseNumbers(rules.accession_patterns)
        self._staff = StaffList(rules.staff)
        self._brief_staff = staff_forms(rules.staff)
        self._hospitals = sorted(map(_plain, rules.hospitals), key=len, reverse=True)
        self._remove = tuple(map(_plain, rules.remove))
        self._keep = tuple(map(_plain, rules.keep))

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
        return self.removals_of([ReportTexts(texts, known, language, year)])[0]

    def removals_of(self, reports: Sequence[ReportTexts]) -> list[list[list[Removal]]]:
        """What must be taken out of the texts of each of several reports.

        Every pass goes through all texts before the next one begins: its patterns and lists stay at hand, and a report takes
        two thirds of the time that it takes alone.
        """
        searches = [KnownSearch(report.known) for report in reports]
        sought = [
            [_Sought(report, search, text, _plain(text)) for text in report.texts if text]
            for report, search in zip(reports, searches, strict=True)
        ]
        every = [one for texts in sought for one in texts]
        go_through([one.normal for one in every])
        for one in every:
            one.known = one.search.find(one.normal)
        for one in every:
            one.names = find_names(one.normal, one.report.language)
        seek_names([one.normal for one in every])
        for one in every:
            # Where a name ends is known better by whoever was told, or has a word for what stands behind it; where it
            # begins is known better by what has seen more surnames than there are (库尔班医师).
            one.names.extend(find_learned_names(one.normal, one.known, one.names))
            if any(name.rule != LEARNED for name in one.names):
                one.names.extend([*find_listed_by_sound(one.normal, one.names)])
        for texts in sought:
            _add_repeated(texts)
        for one in every:
            one.found.extend(self._cases.known(one.normal, one.report.known.cases))
        for one in every:
            one.found.extend(self._of_site(one.normal))
        for one in every:
            one.found.extend(_dates(one.normal, one.report.year))
            one.found.extend(find_signed_days(one.normal, [*one.known, *one.names], one.report.year))
        for one in every:
            one.found.extend(find_shaped(one.normal))
        for one in every:
            # Last: a short word is told by what the rules have found around it.
            one.found.extend(find_learned_signers(one.normal, one.found, self._brief_staff))
        for texts in sought:
            _drop_lonely(texts, self._brief_staff)
        merged_ones = iter([self._merged(one.text, one.normal, one.found) for one in every])
        return [[next(merged_ones) if text else [] for text in report.texts] for report in reports]

    def suspects(self, scrubbed: Sequence[str]) -> list[bool]:
        """Of each scrubbed text whether it still looks as if it identified somebody, by more than the words kept here."""
        normals = [_without_written(text) for text in scrubbed]
        go_through(normals)
        named = [find_names(normal, None) for normal in normals]
        return [bool(_detected(normal, names, self._keep)) for normal, names in zip(normals, named, strict=True)]

    def doubts(self, text: str, removals: Sequence[Removal]) -> bool:
        """Whether a text may hold a name that none of its removals takes out and no word kept here explains."""
        normal = _plain(text)
        # What was sure but stood alone was not removed.
        doubtful = [Removal(*place, Kind.PERSON, LEARNED) for place in doubtful_names(normal)]
        signers = doubtful_signers(normal, removals, self._brief_staff)
        doubtful += [Removal(*place, Kind.STAFF, LEARNED_SIGNER) for place in signers]
        return bool(_apart(freed(normal, [*find_learned_names(normal), *doubtful], self._keep), removals))

    def _of_site(self, normal: str) -> Iterator[Removal]:
        """What only this site's rules find."""
        for word in self._remove:
            for start in occurrences(normal, word):
                yield Removal(start, start + len(word), Kind.OTHER, "site.remove")
        for name in self._hospitals:
            for start in occurrences(normal, name):
                yield Removal(start, start + len(name), Kind.HOSPITAL, "site.hospital", self._rules.site)
        yield from find_staff(normal, self._staff)
        yield from find_brief_staff(normal, self._brief_staff)

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
        return [self._cases.valued(one, normal) if one.kind is Kind.CASE and not one.value else one for one in removals]


def _add_repeated(texts: Sequence[_Sought]) -> None:
    """Gather what was found in the texts of a report, and where its names stand again."""
    # What is known already is found by the search.
    names = [name for one in texts for name in one.names if name.value not in one.search.names]
    for one, more in zip(texts, repeated([one.normal for one in texts], names), strict=True):
        one.found = [*one.known, *one.names, *more]


def _drop_lonely(texts: Sequence[_Sought], staff: StaffForms) -> None:
    """Take back the learned names of a report in which nothing else identifies anybody, but for the surest."""
    every = [(one.normal, found) for one in texts for found in one.found]
    if any(not _is_learned(found) or staff.tells(normal[found.start : found.end]) for normal, found in every):
        return
    sure = {found.value for normal, found in every if found.rule == LEARNED and is_sure_alone(normal, found)}
    for one in texts:
        one.found = [found for found in one.found if found.value in sure]


def _is_learned(found: Removal) -> bool:
    """Whether a name was learned, or is one that stands again."""
    return found.rule == LEARNED or found.rule.startswith("again.")


def _apart(some: Iterable[Removal], others: Sequence[Removal]) -> list[Removal]:
    """Those of some that overlap none of the others."""
    return [one for one in some if all(one.end <= other.start or one.start >= other.end for other in others)]


def go_through(normals: Sequence[str]) -> None:
    """Find out for several texts at once where a pattern may match at all; texts that were gone through are not again."""
    # Patterns that are made of lists are made first: a pattern that comes later lets all be laid out anew.
    placed_patterns()
    short_patterns()
    surname_patterns()
    prepare(normals)


def detect(text: str, keep: Sequence[str] = ()) -> list[Removal]:
    """What still looks like an identifier in a text that was scrubbed: by labels and shapes, with nothing known.

    Placeholders, codes and tags are passed over, and dates: those that were moved look like any others.

    Args:
        text: the text.
        keep: words in half width that reviewers have declared harmless.
    """
    normal = _without_written(text)
    go_through([normal])
    return _detected(normal, find_names(normal, None), keep)


def _plain(text: str) -> str:
    """A text as the rules see it, of the same length: in half width and simplified characters, without brackets of ours."""
    plain = _ERA.join(map(simplified, half_width(text).split(_ERA)))
    # Hardly any text has one: `translate` looks each character up.
    return plain.replace(_BRACKETS[0], " ").replace(_BRACKETS[1], " ")


def _without_written(text: str) -> str:
    """A text in half width with a wall in the place of what this toolkit has written."""
    return _plain(_WRITTEN.sub(lambda written: _WALL * len(written[0]), half_width(text)))


def _detected(normal: str, names: Sequence[Removal], keep: Sequence[str]) -> list[Removal]:
    found = merged([*names, *repeated([normal], names)[0], *find_shaped(normal)])
    return list(freed(normal, found, keep)) if keep else found


def rules_digest(rules: SiteRules) -> str:
    """Digest that changes with every rule of the package and of the site: what was scrubbed under another is done again."""
    parts: list[object] = [_package_digest(), *(getattr(rules, one.name) for one in fields(rules))]
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _package_digest() -> str:
    """Of the source of all rules, patterns and lists: a rule that changes cannot be forgotten."""
    directories = (Path(__file__).parent, Path(dateforms.__file__).parent)
    modules = [Path(str(module.__file__)) for module in (accession, beginnings, folding, identities)]
    paths = sorted(path for directory in directories for path in directory.iterdir() if path.is_file())
    digest = hashlib.sha256()
    for path in (*modules, *paths):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _dates(normal: str, year: int | None) -> Iterator[Removal]:
    for found in find_dates(normal, year):
        yield Removal(found.start, found.end, Kind.DATE, found.rule, found.day.isoformat(), found.form)
