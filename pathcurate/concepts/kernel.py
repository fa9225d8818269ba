"""Where the concepts stand in the texts: a kernel over record batches of reports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import pyarrow as pa
import re2

from pathcurate.engines import LossReason
from pathcurate.model.concept import Concept
from pathcurate.model.diagnosis import SECTIONS
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.tables import column_values
from pathcurate.text import patterns
from pathcurate.text.assertion import Assertions
from pathcurate.text.folding import fold
from pathcurate.text.sections import Part, sections

_SEPARATOR = "。\0"
"""Between the columns of a report: ends every sentence, and no pattern asks for it."""
_MENTION: Final = pa.struct(
    [
        pa.field("concept", pa.int32()), pa.field("assertion", pa.string()), pa.field("section", pa.string()),
        pa.field("text_column", pa.string()), pa.field("start", pa.int64()), pa.field("end", pa.int64()),
        pa.field("trigger", pa.string()),
    ]
)  # fmt: skip
MENTIONS: Final[pa.Schema] = pa.schema(
    [
        pa.field("report_id", pa.string()), pa.field("site", pa.string()), pa.field("error", pa.string()),
        pa.field("mentions", pa.list_(_MENTION)),
    ]
)  # fmt: skip
"""What the kernel gives for each report; ``concept`` is an index into :attr:`Search.concepts`."""


@dataclass(frozen=True, slots=True)
class Search:
    """What the kernel looks for."""

    concepts: tuple[Concept, ...]


_Mention = tuple[int, str, str | None, str, int, int, str | None]


def find_mentions(batch: pa.RecordBatch, spec: Search) -> pa.RecordBatch:
    """Every mention of every concept in each report; a report that cannot be searched has ``error`` and no mentions."""
    searcher = _searcher(spec)
    languages = column_values(batch, "language")
    texts = [column_values(batch, name) for name in TEXT_COLUMNS]
    errors: list[str | None] = []
    counts = [0]
    flat: list[_Mention] = []
    for row, language in enumerate(languages):
        error = None
        try:
            flat += searcher.mentions([column[row] for column in texts], language)
        except Exception as failure:  # noqa: BLE001  one report must not end the run for all others
            error = type(failure).__name__
        errors.append(error)
        counts.append(len(flat))
    columns = list(zip(*flat, strict=True)) if flat else [()] * _MENTION.num_fields
    fields = [_MENTION.field(index) for index in range(_MENTION.num_fields)]
    arrays = [pa.array(list(values), field.type) for values, field in zip(columns, fields, strict=True)]
    mentions = pa.ListArray.from_arrays(pa.array(counts, pa.int32()), pa.StructArray.from_arrays(arrays, fields=fields))
    return pa.RecordBatch.from_arrays(
        [batch["report_id"], batch["site"], pa.array(errors, pa.string()), mentions], schema=MENTIONS
    )


def lost_report(row: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    """The row of a report whose search killed its process or did not end."""
    report = row.to_pylist()[0]
    return pa.RecordBatch.from_pylist(
        [{"report_id": report["report_id"], "site": report["site"], "error": reason, "mentions": []}], schema=MENTIONS
    )


@lru_cache(maxsize=4)
def _searcher(spec: Search) -> "_Searcher":
    return _Searcher(spec)


class _Place(NamedTuple):
    """A column in the joined text: where its bytes and its characters begin, its name, and where its bytes end."""

    byte_start: int
    start: int
    column: str
    byte_end: int


class _Searcher:
    """All concepts, compiled: one set that says at once which of them a report mentions, and each by itself."""

    def __init__(self, spec: Search) -> None:
        self._any = [patterns.compile_any(concept.any) for concept in spec.concepts]
        self._unless = [patterns.compile_any(one.unless) if one.unless else None for one in spec.concepts]
        self._sections = [frozenset(concept.sections) for concept in spec.concepts]
        self._languages = [frozenset(concept.lang) for concept in spec.concepts]
        # A pattern that asks for the begin or the end of the text must see each column by itself.
        self._anchored = [any(map(patterns.has_anchor, (*one.any, *one.unless))) for one in spec.concepts]
        self._always = [index for index, is_anchored in enumerate(self._anchored) if is_anchored]
        self._set = re2.Set.SearchSet(patterns.options())
        for concept in spec.concepts:
            self._set.Add(patterns.joined(concept.any))
        self._set.Compile()

    def mentions(self, texts: Sequence[str | None], language: str | None) -> list[_Mention]:
        """All mentions in a report.

        Args:
            texts: its texts, in the order of ``TEXT_COLUMNS``.
            language: its language, None if that is not known.
        """
        given = [(name, text) for name, text in zip(TEXT_COLUMNS, texts, strict=True) if text]
        text = _SEPARATOR.join([text for _, text in given])
        folded = fold(text)
        data = folded.encode()
        hits = self._set.Match(data) or []
        if self._always:
            hits = sorted({*hits, *self._always})
        found: list[_Mention] = []
        if not hits:
            return found
        report = _Report(text, folded, data, given)
        for index in hits:
            wanted = self._languages[index]
            if not wanted or language in wanted or language not in {"zh", "en"}:
                found += self._of_concept(index, report)
        return found

    def _of_concept(self, index: int, report: "_Report") -> Iterator[_Mention]:
        spans = report.spans(self._any[index], by_column=self._anchored[index])
        unless = self._unless[index]
        if spans and unless is not None:
            others = report.spans(unless, by_column=self._anchored[index])
            spans = [span for span in spans if not any(span[0] < end and start < span[1] for start, end in others)]
        for start, end in spans:
            place, first, last = report.characters(start, end)
            section, is_known = report.section(place, first)
            if self._sections[index] and is_known and section not in self._sections[index]:
                continue
            assertion, trigger = report.assertion(first, last)
            yield index, assertion, section, place.column, first - place.start, last - place.start, trigger


class _Report:
    """The texts of one report as one folded text, and its UTF-8, in which RE2 searches."""

    def __init__(self, text: str, folded: str, data: bytes, given: Sequence[tuple[str, str]]) -> None:
        self._text = text
        self._folded = folded
        self._data = data
        self._assertions: Assertions | None = None
        self._parts: list[Part] | None = None
        self.places: list[_Place] = []
        start = byte_start = 0
        for column, own in given:
            byte_end = byte_start + len(folded[start : start + len(own)].encode())
            self.places.append(_Place(byte_start, start, column, byte_end))
            start += len(own) + len(_SEPARATOR)
            byte_start = byte_end + len(_SEPARATOR.encode())

    def spans(self, pattern: "re2._Regexp", *, by_column: bool) -> list[tuple[int, int]]:
        """Bytes of all matches, none of which reaches from one column into another."""
        if not by_column:
            found = [match.span() for match in pattern.finditer(self._data)]
            if all(self._place(start).byte_end >= end for start, end in found):
                return [span for span in found if span[0] < span[1]]
        return [
            (place.byte_start + start, place.byte_start + end)
            for place in self.places
            for start, end in (match.span() for match in pattern.finditer(self._data[place.byte_start : place.byte_end]))
            if start < end
        ]

    def characters(self, start: int, end: int) -> tuple[_Place, int, int]:
        """Column and characters of a span of bytes."""
        place = self._place(start)
        first = place.start + len(self._data[place.byte_start : start].decode())
        return place, first, first + len(self._data[start:end].decode())

    def _place(self, start: int) -> _Place:
        places = self.places
        index = len(places) - 1
        while index and places[index].byte_start > start:
            index -= 1
        return places[index]

    def section(self, place: _Place, start: int) -> tuple[str | None, bool]:
        """Section of a character, and whether it is known: a text without any head may be of any section."""
        if place.column != "text_raw":
            return ("clinical" if place.column == "clinical_diagnosis" else place.column), True
        if self._parts is None:
            self._parts = sections(self._folded[place.start :])
        at = start - place.start
        part = next((part for part in reversed(self._parts) if part.start <= at), None)
        return (part.section if part and part.section in SECTIONS else None), bool(self._parts)

    def assertion(self, start: int, end: int) -> tuple[str, str | None]:
        """What the text says of a mention, and the cue as it is written."""
        if self._assertions is None:
            self._assertions = Assertions(self._folded)
        judgement = self._assertions.of(start, end)
        return judgement.assertion, self._text[judgement.start : judgement.end] if judgement.start >= 0 else None
