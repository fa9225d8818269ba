"""What a site's numbers look like on its slides and in its laboratory system, and patterns that would read more of them.

Only shapes leave this module, never a value: a shape of fewer than 5 values is counted with the rest, and letters are shown
as they are only where they are the same in nearly all of at least 20 values (a prefix, such as S).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pathcurate.engines import Engine
from pathcurate.link.alignment import Reading, Row, best_reading, likeness, parts, pattern_of, readings
from pathcurate.model.material import SCANNER_INDEX
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.relations import relation
from pathcurate.storage import path_text
from pathcurate.tables import Catalog
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.shapes import LETTER, shapes, shown

FEWEST_VALUES: Final = 5
"""A shape of fewer values is shown only in the sum of the rest: a rare shape can identify."""
FEWEST_FOR_LETTERS: Final = 20
"""Letters are shown where nearly all of so many values have the same."""
SAMPLE: Final = 100
"""Values of a shape, chosen by their hash, that are read by the patterns; shares are of these."""

_NEARLY_ALL: Final = 0.95
_MOST_LETTERS: Final = 3
_MOST_SHAPES: Final = 60
_MOST_PROPOSALS: Final = 5
_WELL_FOUND: Final = 0.8
_WORTH_SHARE: Final = 0.5
_WORTH_GAIN: Final = 0.001
_DISTINCT: Final = 0.999
_LIS: Final = "lis"

Is = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shape:
    """Texts of one shape.

    Attributes:
        shape: as :func:`pathcurate.text.shapes.shown` writes it, with letters in <> that nearly all of them have.
        values: different texts.
        slides: slides that have one; of the laboratory's numbers, reports.
        read: share in which today's patterns find a number.
        found: share in which they find one that the laboratory system has; None for its own numbers.
    """

    shape: str
    values: int
    slides: int
    read: float
    found: float | None


@dataclass(frozen=True, slots=True)
class SourceShapes:
    """The texts of one source.

    Attributes:
        source: barcode, label, metadata, file_name, folder, index_barcode, index_number or lis.
        shapes: most frequent first.
        other_shapes: shapes that are rare or beyond the limit.
        other_values: texts of those shapes.
        other_slides: slides that have one of these.
    """

    source: str
    shapes: tuple[Shape, ...]
    other_shapes: int
    other_values: int
    other_slides: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pattern to add.

    Attributes:
        pattern: RE2 with named groups.
        shapes: of the texts for which it was made.
        gained: share of the texts looked at in which it finds a known number and the patterns before it did not; None for
            a pattern that reads the laboratory's own numbers.
        chance: see :class:`~pathcurate.link.alignment.Rated`; None likewise.
    """

    pattern: str
    shapes: tuple[str, ...]
    gained: float | None
    chance: float | None


@dataclass(frozen=True, slots=True)
class PatternReport:
    """What a site's numbers look like.

    Attributes:
        site: its code.
        numbers: different accession numbers that its reports have.
        sources: by source, the laboratory's own last.
        proposals: patterns that would find more, in the order in which they were found.
        patterns: all patterns together, as they should stand in the workspace file; empty if nothing is proposed.
        found_today: share of the texts looked at, each shape by its slides, in which today's patterns find a number of the
            laboratory.
        found_then: share by the patterns proposed.
        lost: share that today's patterns find and those proposed do not.
        drops_prefix: whether the proposal leaves the prefix out of all numbers, since the slides have none.
    """

    site: str
    numbers: int
    sources: tuple[SourceShapes, ...]
    proposals: tuple[Proposal, ...]
    patterns: tuple[str, ...]
    found_today: float
    found_then: float
    lost: float
    drops_prefix: bool


class _Sample(NamedTuple):
    """Some texts of one shape: their source and shape, how many slides it stands for, the texts."""

    source: str
    shape: str
    slides: int
    texts: tuple[str, ...]


def look_at_patterns(engine: Engine, catalog: Catalog, site: str, patterns: Sequence[str], limit: int = 20) -> PatternReport:
    """The shapes of a site's numbers, and better patterns if there are any.

    Args:
        engine: for SQL.
        catalog: with slides and, to compare with, reports.
        site: its code.
        patterns: its patterns of today.
        limit: the most shapes to show of each source.
    """
    today = AccessionPatterns(patterns)
    laboratory = _Laboratory.read(engine, catalog, site)
    sources, samples = [], list[_Sample]()
    for name, texts, slides in _texts(engine, catalog, site):
        source, looked_at = _source(name, texts, slides, today, laboratory, limit)
        sources.append(source)
        samples += looked_at
    own, own_samples = _source(_LIS, laboratory.raw, laboratory.reports, today, None, limit)
    return _proposed(site, tuple(patterns), (*sources, own), _Trial(samples, own_samples, laboratory), laboratory)


# --- Texts ---------------------------------------------------------------------------------------------------------


def _texts(engine: Engine, catalog: Catalog, site: str) -> Iterator[tuple[str, pa.StringArray, NDArray[np.int64]]]:
    """The different texts of each source and how many slides have them."""
    columns = ("site", "status", "relpath", "barcode", "label_text", "metadata_texts")
    slides = f"{relation(engine, catalog, SLIDES, columns)} WHERE site = ? AND status <> 'gone'"
    for name, text in (
        ("barcode", "barcode"), ("label", "label_text"), ("metadata", "unnest(metadata_texts)"),
    ):  # fmt: skip
        yield name, *_grouped(engine, f"SELECT {text} AS text FROM {slides}", site)
    paths = engine.table(f"SELECT relpath FROM {slides}", (site,))["relpath"]
    yield from _of_paths(paths.combine_chunks())
    index = f"{relation(engine, catalog, SCANNER_INDEX, ('site', 'barcode', 'accession_raw'))} WHERE site = ?"
    for name, text in (("index_barcode", "barcode"), ("index_number", "accession_raw")):
        yield name, *_grouped(engine, f"SELECT {text} AS text FROM {index}", site)


def _grouped(engine: Engine, sql: str, site: str) -> tuple[pa.StringArray, NDArray[np.int64]]:
    told = engine.table(f"SELECT text, count(*) AS n FROM ({sql}) AS t WHERE text <> '' GROUP BY text", (site,))
    return _strings(told["text"]), told["n"].to_numpy().astype(np.int64)


def _strings(column: "pa.ChunkedArray[Any]") -> pa.StringArray:
    whole: Any = pa.concat_arrays([chunk.cast(pa.string()) for chunk in column.chunks] or [pa.array([], pa.string())])
    strings: pa.StringArray = whole
    return strings


def _of_paths(paths: Any) -> Iterator[tuple[str, pa.StringArray, NDArray[np.int64]]]:
    """File names without extension, and the names of folders, each with the slides below it."""
    text = _path_texts(paths)
    name = pc.replace_substring_regex(text, r"(?s)^.*/", "")
    yield "file_name", *_counted(pc.replace_substring_regex(name, r"\.[^.]*$", ""))
    directories, slides = _counted(pc.replace_substring_regex(text, r"/?[^/]*$", ""))
    folders = Counter[str]()
    for directory, count in zip(_listed(directories), slides.tolist(), strict=True):
        for folder in filter(None, set(directory.split("/"))):
            folders[folder] += count
    yield "folder", pa.array(folders, pa.string()), np.array(list(folders.values()), np.int64)


def _path_texts(paths: Any) -> pa.StringArray:
    try:
        text: pa.StringArray = paths.cast(pa.string())
    except pa.ArrowInvalid:
        text = pa.array([path_text(path) for path in paths.to_pylist()], pa.string())
    return text


def _listed(texts: Any) -> list[str]:
    listed: list[str] = texts.to_pylist()
    return listed


def _counted(texts: pa.StringArray) -> tuple[pa.StringArray, NDArray[np.int64]]:
    counts: Any = pc.value_counts(texts)
    return counts.field("values"), np.asarray(counts.field("counts").to_numpy(), np.int64)


# --- Shapes --------------------------------------------------------------------------------------------------------


def _source(
    name: str,
    texts: pa.StringArray,
    slides: NDArray[np.int64],
    today: AccessionPatterns,
    laboratory: "_Laboratory | None",
    limit: int,
) -> tuple[SourceShapes, list[_Sample]]:
    """The shapes of a source, and of the most frequent some texts."""
    encoded: Any = shapes(texts).dictionary_encode()
    codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)
    names = encoded.dictionary.to_pylist()
    values = np.bincount(codes, minlength=len(names))
    having = np.bincount(codes, slides, minlength=len(names)).astype(np.int64)
    order = sorted(range(len(names)), key=lambda at: (-having[at], names[at]))
    common = [at for at in order if values[at] >= FEWEST_VALUES][: max(limit, _MOST_SHAPES)]
    samples = [
        _Sample(name, names[at], int(having[at]), _chosen(texts, np.flatnonzero(codes == at))) for at in common
    ]  # fmt: skip
    said = []
    for at, sample in zip(common[:limit], samples, strict=False):
        read, found = _shares(sample.texts, today, laboratory)
        said.append(Shape(_with_letters(sample), int(values[at]), sample.slides, read, found))
    rest = np.setdiff1d(np.arange(len(names)), common[:limit])
    return SourceShapes(name, tuple(said), len(rest), int(values[rest].sum()), int(having[rest].sum())), samples


def _chosen(texts: pa.StringArray, members: NDArray[np.int64]) -> tuple[str, ...]:
    """Up to :data:`SAMPLE` texts, always the same, whatever their order."""
    chosen = _listed(texts.take(pa.array(members, pa.int64())))
    if len(chosen) > SAMPLE:
        hashes = pd.util.hash_array(np.array(chosen, dtype=object), categorize=False)
        chosen = [chosen[at] for at in np.argpartition(hashes, SAMPLE)[:SAMPLE]]
    return tuple(sorted(chosen))


def _shares(texts: Sequence[str], today: AccessionPatterns, laboratory: "_Laboratory | None") -> tuple[float, float | None]:
    keys = [today.find(text) for text in texts]
    read = sum(map(bool, keys)) / len(texts)
    if laboratory is None:
        return read, None
    return read, sum(any(one.key in laboratory.keys for one in found) for found in keys) / len(texts)


def _with_letters(sample: _Sample) -> str:
    """A shape, with letters that are the same in nearly all of enough texts: runs of at most 3, so that no name is shown."""
    if len(sample.texts) < FEWEST_FOR_LETTERS:
        return shown(sample.shape)
    pieces, position = [], 0
    for run in re.finditer(rf"{LETTER}+", sample.shape):
        letters, count = Counter(text[run.start() : run.end()].upper() for text in sample.texts).most_common(1)[0]
        if len(run[0]) <= _MOST_LETTERS and letters.isascii() and count >= _NEARLY_ALL * len(sample.texts):
            pieces += [shown(sample.shape[position : run.start()]), f"<{letters}>"]
            position = run.end()
    return "".join((*pieces, shown(sample.shape[position:])))


# --- The laboratory ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Laboratory:
    """A site's own numbers.

    Attributes:
        raw: as exported.
        reports: reports that have each.
        keys: normal form by today's patterns to one spelling of it.
    """

    raw: pa.StringArray
    reports: NDArray[np.int64]
    keys: Mapping[str, str]

    @classmethod
    def read(cls, engine: Engine, catalog: Catalog, site: str) -> "_Laboratory":
        source = relation(engine, catalog, REPORTS, ("site", "accession", "accession_raw"))
        told = engine.table(
            f"SELECT coalesce(accession_raw, accession) AS raw, min(accession) AS key, count(*) AS n FROM {source} "
            "WHERE site = ? GROUP BY 1 ORDER BY 1",
            (site,),
        )
        raw = _strings(told["raw"])
        return cls(raw, told["n"].to_numpy().astype(np.int64), dict(zip(_listed(told["key"]), _listed(raw), strict=True)))

    @cached_property
    def alike(self) -> Mapping[tuple[str, ...], Sequence[tuple[Row, str]]]:
        """All its numbers in parts, by what alike ones share."""
        groups: dict[tuple[str, ...], list[tuple[Row, str]]] = defaultdict(list)
        for raw in _listed(self.raw):
            row = parts(raw)
            groups[likeness(row)].append((row, raw))
        return groups

    @property
    def widths(self) -> tuple[int, ...]:
        """Digits that its numbers end with, the most frequent counts first."""
        counts: Any = pc.value_counts(
            pc.utf8_length(pc.replace_substring_regex(self.raw.slice(0, 10_000), r"^.*[^0-9]", ""))
        )
        pairs = zip(counts.field("counts").to_pylist(), counts.field("values").to_pylist(), strict=True)
        return tuple(width for _, width in sorted(pairs, reverse=True) if width)


# --- Proposals -----------------------------------------------------------------------------------------------------


class _Trial:
    """Lists of patterns, tried on samples of slides' texts; only what the laboratory's numbers become by them counts."""

    def __init__(self, samples: Sequence[_Sample], own: Sequence[_Sample], laboratory: _Laboratory) -> None:
        self.samples = samples
        self.own = own
        self._spelt: dict[str, str] = dict(laboratory.keys)

    def learn(self, keys: Mapping[str, str]) -> None:
        """Numbers that other patterns make of the laboratory's: normal form to one spelling of it."""
        self._spelt.update({key: raw for key, raw in keys.items() if key not in self._spelt})

    def is_known(self, key: str) -> bool:
        """Whether any patterns considered make this of one of the laboratory's numbers."""
        return key in self._spelt

    def hits(self, patterns: Sequence[str], samples: Sequence[_Sample] | None = None) -> list[Is]:
        """For each sample, in which texts these patterns find a number that they also make of one of the laboratory's."""
        reader = AccessionPatterns(patterns)
        mine: dict[str, bool] = {}

        def is_hit(text: str) -> bool:
            for key in {found.key for found in reader.find(text)} & self._spelt.keys():
                if mine.setdefault(key, reader.normalise(self._spelt[key]) == key):
                    return True
            return False

        return [np.array([is_hit(text) for text in sample.texts], np.bool_) for sample in samples or self.samples]

    def share(self, hits: Iterable[Is]) -> float:
        """Share of texts, each sample counting as many as the slides that it stands for."""
        total = sum(sample.slides for sample in self.samples)
        return sum(sample.slides * float(hit.mean()) for sample, hit in zip(self.samples, hits, strict=True)) / (total or 1)


def _proposed(
    site: str, today: tuple[str, ...], sources: tuple[SourceShapes, ...], trial: _Trial, laboratory: _Laboratory
) -> PatternReport:
    before = trial.hits(today)
    found_today = trial.share(before)
    own = _own_patterns(today, trial, laboratory)
    best = _extended(today, own, trial, laboratory)
    without = tuple(pattern.replace("(?P<prefix>", "(?:") for pattern in today)
    drops_prefix = False
    if trial.share(best[2]) < _WELL_FOUND and _stay_apart(without, trial, laboratory):
        other = _extended(without, own, trial, laboratory)
        drops_prefix = trial.share(other[2]) > trial.share(best[2]) + _WORTH_GAIN
        best = other if drops_prefix else best
    proposals, patterns, after = best
    is_better = trial.share(after) > found_today + _WORTH_GAIN
    then = after if is_better else before
    return PatternReport(
        site, len(laboratory.keys), sources, tuple(proposals) if is_better else (), patterns if is_better else (),
        found_today, trial.share(then), trial.share([was & ~now for was, now in zip(before, then, strict=True)]),
        drops_prefix and is_better,
    )  # fmt: skip


def _stay_apart(patterns: Sequence[str], trial: _Trial, laboratory: _Laboratory) -> bool:
    """Whether the laboratory's numbers are still different without their prefixes; if so, they are learnt."""
    bare = {re.sub(r"^[A-Z]+(?=\d\d-)", "", key): raw for key, raw in laboratory.keys.items()}
    if len(bare) < _DISTINCT * len(laboratory.keys):
        return False
    trial.learn(bare)
    return True


def _own_patterns(today: Sequence[str], trial: _Trial, laboratory: _Laboratory) -> list[Proposal]:
    """Patterns for the laboratory's numbers that today's do not read; what they make of them is learnt."""
    reader = AccessionPatterns(today)
    own = []
    for shaped in _alike(trial.own).values():
        texts = [text for sample in shaped for text in sample.texts]
        if sum(bool(reader.find(text)) for text in texts) >= _WORTH_SHARE * len(texts) or len(texts) < FEWEST_FOR_LETTERS:
            continue
        rows = [parts(text) for text in texts]
        mine = laboratory.alike[likeness(rows[0])]
        for reading in sorted(readings(rows, ()), key=_fullness, reverse=True):
            keys = {reading.key(row): raw for row, raw in mine}
            if len(keys) >= _DISTINCT * len(mine):
                trial.learn(keys)
                own.append(
                    Proposal(pattern_of(rows, reading, is_whole=True), tuple(shown(s.shape) for s in shaped), None, None)
                )
                break
    return own


def _fullness(reading: Reading) -> tuple[bool, bool, int]:
    return reading.prefix is not None, reading.year is not None, reading.year_width


def _extended(
    base: tuple[str, ...], own: Sequence[Proposal], trial: _Trial, laboratory: _Laboratory
) -> tuple[list[Proposal], tuple[str, ...], list[Is]]:
    """Patterns with what makes them find more; what they find then."""
    patterns = (*(one.pattern for one in own), *base)
    hits = trial.hits(patterns)
    proposals: list[Proposal] = list(own)
    groups = _alike(trial.samples)
    for shaped in sorted(groups.values(), key=lambda group: -sum(sample.slides for sample in group)):
        if len(proposals) - len(own) >= _MOST_PROPOSALS:
            break
        found = [hits[trial.samples.index(sample)] for sample in shaped]
        texts = _in_proportion(shaped)
        if len(texts) < FEWEST_FOR_LETTERS or np.concatenate(found).mean() >= _WELL_FOUND:
            continue
        rows = [parts(text) for text in texts]
        best = best_reading(rows, laboratory.widths, trial.is_known)
        if best is None or best.share < _WORTH_SHARE:
            continue
        more = pattern_of(rows, best.reading, is_whole=False)
        tried = [((*patterns, more), trial.hits((*patterns, more))), ((more, *patterns), trial.hits((more, *patterns)))]
        longer, then = max(tried, key=lambda one: round(trial.share(one[1]), 4))
        gained = trial.share(then) - trial.share(hits)
        if gained >= _WORTH_GAIN:
            proposals.append(Proposal(more, tuple(shown(sample.shape) for sample in shaped), gained, best.chance))
            patterns, hits = longer, then
    return proposals, patterns, hits


def _in_proportion(samples: Sequence[_Sample]) -> list[str]:
    """Texts of several samples, of each as many as its share of the slides."""
    most = max(sample.slides for sample in samples)
    return [text for sample in samples for text in sample.texts[: -(-SAMPLE * sample.slides // most)]]


def _alike(samples: Sequence[_Sample]) -> dict[tuple[str, ...], list[_Sample]]:
    """Samples of one source whose texts have the same parts."""
    groups: dict[tuple[str, ...], list[_Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.source, *likeness(parts(sample.texts[0]))].append(sample)
    return groups
