"""Texts with marked identifiers, and how much of what is marked a scrubber removes.

``deid_texts/*.jsonl`` were written one by one by authors who had not seen the scrubber's rules. A line holds ``id``;
``marked``, a text in which every identifier stands as ``⟪kind|value⟫``; and ``known``, what the report's columns would hold.
Sets of one hospital have a ``*.staff.json`` beside them: whom the columns of its doctors name, in all its reports.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pathcurate.scrubbers.text import KnownValues

CORPUS = Path(__file__).with_name("deid_texts")
DIRECT = ("patient", "staff", "person", "case", "number", "id", "phone", "email", "url", "account", "address")
QUASI = ("date", "bed", "hospital", "unit", "age", "place")
PLANTED = ("patient", "staff", "person", "case", "number", "id", "account", "date", "phone")
"""Names, numbers, dates and phones."""
FREE = "free"
"""Kind of a place that may be removed or left: what others mark and no rule here is about, as titles and countries."""
_MARK = re.compile(r"⟪([a-z]+)\|([^⟪⟫|]+)⟫")
_TIME = re.compile(r"[ T]?[0-9]{1,2}[:：][0-9]{2}(?:[:：][0-9]{2})?(?![0-9])")
Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Mark:
    """One identifier: its first character, the one behind its last, and what it is."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One text with what is to be removed from it, and what is known of it beforehand."""

    sample_id: str
    text: str
    marks: tuple[Mark, ...]
    known: KnownValues = field(default_factory=KnownValues)

    @property
    def is_clean(self) -> bool:
        """Whether it holds no identifier."""
        return all(mark.kind == FREE for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over many texts.

    Attributes:
        marks: identifiers of each kind.
        full: of those, how many were removed to their last character, as whatever kind.
        touched: how many lost a character at least.
        removed: characters removed, free ones not counted.
        inside: how many of them stood inside a mark.
        clean: texts without an identifier.
        hits: removals in them.
    """

    marks: Counter[str]
    full: Counter[str]
    touched: Counter[str]
    removed: int
    inside: int
    clean: int
    hits: int

    def recall(self, kinds: Collection[str]) -> float | None:
        """Share of the marks of these kinds that were removed in full; None if there are none."""
        return self._share(self.full, kinds)

    def touched_share(self, kinds: Collection[str]) -> float | None:
        """Share of the marks of these kinds that lost a character at least; None if there are none."""
        return self._share(self.touched, kinds)

    @property
    def precision(self) -> float | None:
        """Share of the removed characters that stood inside a mark; None if nothing was removed."""
        return self.inside / self.removed if self.removed else None

    @property
    def hits_per_1000(self) -> float | None:
        """Removals in a thousand texts without identifiers; None if there are no such texts."""
        return 1000 * self.hits / self.clean if self.clean else None

    def _share(self, counted: Counter[str], kinds: Collection[str]) -> float | None:
        there = sum(self.marks[kind] for kind in kinds)
        return sum(counted[kind] for kind in kinds) / there if there else None


def parse_marked(marked: str) -> tuple[str, tuple[Mark, ...]]:
    """The text without its marks, and where they stood.

    Raises:
        ValueError: a mark is not closed, is empty or has a kind that is none.
    """
    parts, marks, length, behind = [], [], 0, 0
    for match in _MARK.finditer(marked):
        parts += [marked[behind : match.start()], match[2]]
        start = length + match.start() - behind
        length, behind = start + len(match[2]), match.end()
        if match[1] not in (*DIRECT, *QUASI):
            raise ValueError(f"no such kind at character {match.start()}")
        marks.append(Mark(start, length, match[1]))
    text = "".join((*parts, marked[behind:]))
    if "⟪" in text or "⟫" in text:
        raise ValueError("a mark is not closed, empty or inside another")
    return text, tuple(marks)


def read_corpus(*names: str) -> list[Sample]:
    """All texts of these files of the corpus, in their order."""
    return [sample for name in names for sample in _read(CORPUS / f"{name}.jsonl")]


def read_staff(name: str) -> tuple[str, ...]:
    """Whom the columns of a set's hospital name; nobody for a set that is of many."""
    file = CORPUS / f"{name}.staff.json"
    return tuple(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else ()


def score(samples: Sequence[Sample], found: Sequence[Spans]) -> Score:
    """Compare the places that a scrubber removes from each text with the marks.

    Args:
        samples: the texts.
        found: for each text the places, which may overlap.
    """
    marks, full, touched = Counter[str](), Counter[str](), Counter[str]()
    removed = inside = clean = hits = 0
    for sample, spans in zip(samples, found, strict=True):
        gone = {at for start, end in spans for at in range(start, end)}
        wanted: set[int] = set()
        free: set[int] = set()
        for mark in sample.marks:
            places = range(mark.start, mark.end)
            (free if mark.kind == FREE else wanted).update(places)
            left = sum(at not in gone for at in places)
            marks[mark.kind] += 1
            full[mark.kind] += not left
            touched[mark.kind] += left < len(places)
        removed += len(gone - (free - wanted))
        inside += len(gone & wanted)
        if sample.is_clean:
            clean += 1
            hits += sum(any(at not in free for at in range(*span)) for span in spans)
    return Score(marks, full, touched, removed, inside, clean, hits)


def _read(path: Path) -> Iterator[Sample]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text, marks = parse_marked(row["marked"])
        known = {name: tuple(values) for name, values in row["known"].items() if name != "birth"}
        birth = row["known"].get("birth")
        marks = (*marks, *_times(text, marks))
        yield Sample(row["id"], text, marks, KnownValues(**known, birth=date.fromisoformat(birth) if birth else None))


def _times(text: str, marks: Sequence[Mark]) -> Iterator[Mark]:
    """The time of day beside a marked day: some authors mark it with the day, and others leave it."""
    for mark in marks:
        time = _TIME.match(text, mark.end) if mark.kind == "date" else None
        if time:
            yield Mark(*time.span(), FREE)
