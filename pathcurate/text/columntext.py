"""One column of a report: its sections, and what is found in it."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple

from pathcurate.text.assertion import Assertions
from pathcurate.text.coding import Coder
from pathcurate.text.coding_line import Coding, Term
from pathcurate.text.diagnosislines import Line
from pathcurate.text.folding import fold
from pathcurate.text.found import Found
from pathcurate.text.sections import sections
from pathcurate.text.sizes import size_values
from pathcurate.text.tumour import tumour_values

SECTION_OF: Final = {
    "clinical_diagnosis": "clinical", "gross": "gross", "microscopy": "microscopy", "diagnosis": "diagnosis", "ihc": "ihc",
    "molecular": "molecular", "comment": "comment", "text_raw": "",
}  # fmt: skip
"""Column of a report to the section that it is; empty where it may be any."""
CODED: Final = frozenset({"diagnosis", "frozen"})
"""Sections whose lines are diagnoses."""
# What can stand between two specimens of a diagnosis, and where the next of them begins: counted on, or in brackets.
_LISTED = frozenset({"ihc", "molecular", "comment"})
_COUNTED = re.compile(r"(?:(?<=[\n。;:\]])|(?<=^)|(?<=[.;。] ))\s*\(?([0-9]{1,2}|[a-z])[、.):](?![0-9])")
_BEGINNING = re.compile(r"(?:(?<=[\n。;])|(?<=[.;。] ))\s*(?:\(?([0-9]{1,2}|[a-z])[、.):](?![0-9])\s*|(?=\())")
_NAMED_WITHIN = 60
"""Characters within which a specimen says what it is of and what was found."""
# Words that name what was taken, if only in a bracket.
_REGIONS = frozenset({"organ", "topography", "place", "laterality"})
# Without one of these, no head of a section can be there.
_HEADED = re.compile(r"[:\]>\n]")
# A full stop that is none: after these a phrase goes on, and before these.
_BROKEN_CUE = re.compile(r"(?<=negative)\. for(?= )")
_BROKEN = re.compile(
    r"\b(?:of|for|no|or|nor|and|the|with|without|to|by|from|any|definite|metastatic|malignant|residual|either)\. (?=[a-z])"
    r"|[a-z]\. (?=(?:or|nor|and) )"
)


class Segment(NamedTuple):
    """A stretch of one column that belongs to one section."""

    section: str
    start: int
    end: int


class ColumnText:
    """One column of a report, and what is found in it; every kind of thing is looked for once."""

    def __init__(self, column: str, text: str, coder: Coder) -> None:
        self.column = column
        self.folded = _unbroken(fold(text))
        self._coder = coder
        self.segments = _segments(column, self.folded)
        self.is_resumed = False
        if len(self.segments) > 1:
            self.segments = list(self._resumed())

    @cached_property
    def assertions(self) -> Assertions:
        """Judges what is mentioned in it."""
        return Assertions(self.folded)

    @cached_property
    def terms(self) -> list[Term]:
        """Words of the vocabularies."""
        return self._coder.terms(self.folded)

    @cached_property
    def sites(self) -> list[int]:
        """Where words for parts of the body begin."""
        return [term.start for term in self.terms if term.kind in {"organ", "topography"}]

    @cached_property
    def regions(self) -> list[int]:
        """Where words stand that can name what was taken, if only in a bracket: (左底)."""
        return [term.start for term in self.terms if term.kind in _REGIONS]

    @cached_property
    def values(self) -> list[Found]:
        """Values of a tumour, in order."""
        return tumour_values(self.folded)

    @cached_property
    def sizes(self) -> list[Found]:
        """Sizes of tumours alone."""
        return list(size_values(self.folded))

    def _resumed(self) -> Iterator[Segment]:
        """The segments, each list of stains only as far as the diagnosis goes on with its next specimen."""
        diagnosis: Segment | None = None
        for segment in self.segments:
            if segment.section in CODED:
                diagnosis = segment
            elif diagnosis is not None and segment.section in _LISTED:
                begin = self._next_specimen(diagnosis, segment)
                if begin is not None:
                    self.is_resumed = True
                    yield segment._replace(end=begin)
                    diagnosis = Segment(diagnosis.section, begin, segment.end)
                    yield diagnosis
                    continue
            yield segment

    def _next_specimen(self, diagnosis: Segment, segment: Segment) -> int | None:
        """Where the specimen begins that is counted next after those of a diagnosis, or one that is bracketed like them."""
        counted = [match[1] for match in _COUNTED.finditer(self.folded, diagnosis.start, diagnosis.end)]
        following = _following(counted[-1]) if counted else None
        for match in _BEGINNING.finditer(self.folded, segment.start, segment.end):
            if match[1] != following:
                continue
            line = self.folded.find("\n", match.end(), match.end() + _NAMED_WITHIN)
            stop = min(line if line >= 0 else match.end() + _NAMED_WITHIN, segment.end)
            terms = [term for term in self.terms if match.end() <= term.start < stop]
            if any(term.kind in _REGIONS for term in terms[:2]) and any(term.kind == "morphology" for term in terms):
                return match.start()
        return None

    def line(self, line: Line, organ: str | None) -> Coding:
        """A diagnosis line, coded; `organ` is what its specimen is of."""
        return self._coder.code_line(self.folded, line.start, line.end, self.assertions, self.terms, organ)

    def section_at(self, place: int) -> str:
        """The section in which a place lies; empty for none."""
        if len(self.segments) == 1:
            return self.segments[0].section
        at = bisect_left(self.segments, place + 1, key=lambda segment: segment.start) - 1
        return self.segments[at].section if at >= 0 and place < self.segments[at].end else ""


def _following(label: str) -> str:
    return chr(ord(label) + 1) if label.isalpha() else str(int(label) + 1)


def _unbroken(folded: str) -> str:
    """A text without full stops that a scanner put at the ends of lines in the middle of a phrase; as long as it was."""
    if ". " not in folded:
        return folded
    folded = _BROKEN_CUE.sub(" for ", folded)
    return _BROKEN.sub(lambda match: match[0][:-2] + "  ", folded)


def _segments(column: str, folded: str) -> list[Segment]:
    """The sections of a column; a text without heads, or what stands before the first, is of the column's own kind."""
    parts = sections(folded) if _HEADED.search(folded) else []
    own = SECTION_OF[column]
    if not own:
        # A report in one text: what no head announces is the diagnosis if no other part is.
        own = "" if any(part.section == "diagnosis" for part in parts) else "diagnosis"
        if own:
            # Synoptic reports head each part of theirs with the specimen.
            parts = [part._replace(section=own) if part.section == "specimens" else part for part in parts]
    begin = parts[0].start if parts else len(folded)
    first = [Segment(own, 0, begin)] if begin > 0 else []
    return first + [Segment(part.section, part.body_start, part.end) for part in parts]
