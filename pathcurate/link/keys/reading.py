"""Kernel: the numbers that slides bear, from all their texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import re2

from pathcurate.engines import LossReason
from pathcurate.link.keys.forms import Lists, path_texts
from pathcurate.model.slide import KEY_SOURCES, SLIDES
from pathcurate.pseudonyms import canonical, canonical_numbers
from pathcurate.tables import arrow_schema
from pathcurate.text.accession import fold
from pathcurate.text.manynumbers import Mask, Numbers, Strings, find_numbers, mask_of, pc

FACTS: Final = ("archive", "specimen", "block", "stain", "organ", "preparation", "scan_datetime")
"""What a slide's row says besides, handed on."""
_SLIDES: Final = arrow_schema(SLIDES.select(("slide_id", "site", *FACTS))).remove_metadata()
_TEXTS: Final = ("relpath", "barcode", "label_text", "metadata_texts", "patient_id")
_LETTERS: Final = pa.list_(pa.field("element", pa.string()))
NUMBER: Final = pa.struct([
    ("key", pa.string()), ("sources", pa.int8()), ("specimen", pa.string()), ("block", pa.string()),
])  # fmt: skip
"""One number of a slide; ``sources`` has bit n for the n-th of ``KEY_SOURCES``."""
_TOLD: Final = pa.struct([
    ("key", pa.string()), ("source", pa.int32()), ("specimen", pa.string()), ("block", pa.string()),
])  # fmt: skip
TOLD: Final = (("told", pa.list_(pa.field("element", _TOLD))), ("told_patients", _LETTERS), ("glass", pa.string()))
"""What other systems' tables say of a slide."""
INPUT: Final = pa.schema(
    [*_SLIDES, *arrow_schema(SLIDES.select(_TEXTS)).remove_metadata(), *(pa.field(*one) for one in TOLD)]
)
"""Slides with their texts."""
OUTPUT: Final = pa.schema([
    *_SLIDES, *(field for field in NUMBER if field.name not in _SLIDES.names), pa.field("is_only", pa.bool_()),
    pa.field("patients", _LETTERS), pa.field("glass", pa.string()), pa.field("more", pa.list_(pa.field("element", NUMBER))),
])  # fmt: skip
"""A slide with its first number, or none; ``more`` has the others."""
_LIST: Final[Any] = pa.ListArray
_SOURCE: Final = {source: place for place, source in enumerate(KEY_SOURCES)}


@dataclass(frozen=True)
class KeySpec:
    """How numbers are recognised.

    Attributes:
        sites: accession patterns and patients' patterns of each site.
        default: those of a site that is not configured.
    """

    sites: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    default: tuple[tuple[str, ...], tuple[str, ...]]


def read_keys(batch: pa.RecordBatch, spec: KeySpec) -> pa.RecordBatch:
    """Kernel: the numbers of each slide of :data:`INPUT`; see :data:`OUTPUT`."""
    texts = list(_texts(batch))
    sites = batch["site"].dictionary_encode()
    rules = [spec.sites.get(str(site), spec.default) for site in sites.dictionary.to_pylist()]
    codes = sites.indices.to_numpy()
    said, patients = [_told(batch)], [*_patients(batch)]
    for rule in dict.fromkeys(rules):
        chosen = np.isin(codes, [at for at, one in enumerate(rules) if one == rule])
        for text in texts:
            here = text if chosen.all() else text.of(chosen)
            said.append(_said(_without_patients(here, rule[1]) if rule[1] else here, rule[0]))
            patients += _named_patients(here, rule[1]) if rule[1] else []
    return _output(batch, _joined(said), _lists(batch.num_rows, patients))


def unread_keys(row: pa.RecordBatch, _reason: LossReason) -> pa.RecordBatch:
    """A slide whose texts kill or hang their reader: without a number."""
    columns = {name: row[name] for name in (*_SLIDES.names, "glass")} | {"is_only": pa.array([True])}
    arrays = [columns.get(field.name, pa.nulls(1, field.type)) for field in OUTPUT]
    return pa.RecordBatch.from_arrays(arrays, schema=OUTPUT)


# --- Texts -------------------------------------------------------------------------------------------------------


class _Text(NamedTuple):
    """Texts of one source.

    Attributes:
        source: place in ``KEY_SOURCES``.
        rows: slide of each use of a text.
        at: which text each use is of.
        rank: the order of uses within one slide and source.
        texts: the texts.
    """

    source: int
    rows: Numbers
    at: Numbers
    rank: Numbers
    texts: Strings

    def of(self, chosen: Mask) -> "_Text":
        """Those of some slides."""
        kept = chosen[self.rows]
        used, at = np.unique(self.at[kept], return_inverse=True)
        return _Text(self.source, self.rows[kept], at, self.rank[kept], self.texts.take(pa.array(used)))


def _texts(batch: pa.RecordBatch) -> Iterator[_Text]:
    for name, source in (("barcode", "barcode"), ("label_text", "label")):
        yield _plain(source, np.arange(batch.num_rows), batch[name])
    lists = batch["metadata_texts"]
    yield _plain("metadata", pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists))
    paths = path_texts(batch["relpath"])
    yield _plain("file_name", np.arange(batch.num_rows), paths.stems)
    folders = paths.folders
    parents = pc.list_parent_indices(folders.lists).to_numpy()
    texts = pc.list_flatten(folders.lists)
    # Which slides lie in the folder that each of these texts is a part of.
    first = np.searchsorted(parents, np.arange(len(folders.lists)))
    count = np.bincount(parents, minlength=len(folders.lists))[folders.at]
    rows = np.repeat(np.arange(batch.num_rows), count)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    at = np.repeat(first[folders.at], count) + place
    # The nearest folder first.
    yield _Text(_SOURCE["folder"], rows, at, np.repeat(count, count) - place, texts)


def _plain(source: str, rows: Numbers, texts: Strings) -> _Text:
    """Texts that each slide has for itself, in order."""
    valid = mask_of(texts.is_valid())
    if not valid.all():
        rows, texts = rows[valid], texts.filter(pa.array(valid))
    at = np.arange(len(rows))
    return _Text(_SOURCE[source], rows, at, at, texts)


# --- Numbers of cases --------------------------------------------------------------------------------------------


class _Said(NamedTuple):
    """Numbers of slides, each use of a text by itself."""

    rows: Numbers
    sources: Numbers
    rank: Numbers
    key: Strings
    specimen: Strings
    block: Strings


def _said(text: _Text, patterns: tuple[str, ...]) -> _Said:
    """What texts of one source say."""
    found = find_numbers(text.texts, patterns)
    if len(text.at) == len(text.texts):
        uses, numbers = found.text, np.arange(len(found.text))
        if not np.array_equal(text.at, np.arange(len(text.at))):
            uses = np.argsort(text.at)[found.text]
    else:
        # A text of several slides speaks for each of them.
        order = np.argsort(text.at, kind="stable")
        first = np.searchsorted(text.at[order], found.text)
        count = np.bincount(text.at, minlength=len(text.texts))[found.text]
        numbers = np.repeat(np.arange(len(found.text)), count)
        within = np.arange(len(numbers)) - np.repeat(np.cumsum(count) - count, count)
        uses = order[np.repeat(first, count) + within]
    take = pa.array(numbers)
    return _Said(
        text.rows[uses], np.full(len(uses), text.source), text.rank[uses],
        found.key.take(take), found.specimen.take(take), found.block.take(take),
    )  # fmt: skip


def _told(batch: pa.RecordBatch) -> _Said:
    """What other systems' tables say: each with its own source."""
    lists = batch["told"]
    rows, told = pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)
    key, sources, specimen, block = told.flatten()
    return _Said(rows, sources.to_numpy().astype(np.int64), np.full(len(rows), -1), key, specimen, block)


def _joined(said: Sequence[_Said]) -> _Said:
    columns = [
        pa.concat_arrays(list(column)) if isinstance(column[0], pa.Array) else np.concatenate(column)
        for column in zip(*said, strict=True)
    ]
    return _Said(*columns)


class _Grouped(NamedTuple):
    """Numbers of slides, each once: slide, number, bits of its sources, specimen and block."""

    rows: Numbers
    numbers: Any


def _grouped(said: _Said) -> _Grouped:
    """Each number of a slide once, with its sources; specimen and block by the best source that has them."""
    codes = said.key.dictionary_encode().indices.to_numpy()
    order = np.lexsort((said.rank, said.sources, codes, said.rows))
    rows, codes = said.rows[order], codes[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (rows[1:] != rows[:-1]) | (codes[1:] != codes[:-1])
    starts = np.flatnonzero(is_first)
    if not starts.size:
        return _Grouped(starts, pa.array([], NUMBER))
    group = np.cumsum(is_first) - 1
    specimen = said.specimen.dictionary_encode().indices.fill_null(-1).to_numpy()[order]
    has_block = mask_of(said.block.is_valid())[order]
    at = np.arange(len(order))
    none = len(order)
    lettered, numbered = (np.minimum.reduceat(np.where(has, at, none), starts) for has in (specimen >= 0, has_block))
    # Laboratories that number blocks through the case name no specimen.
    named = np.where(lettered < none, lettered, numbered)
    same = specimen == np.append(specimen, -2)[named][group]
    whole = np.minimum.reduceat(np.where(same & has_block, at, none), starts)
    chosen = np.append(order, 0)[np.where(whole < none, whole, named)]
    has_part = pa.array(named < none)
    # The laboratory's tables have block 2 for 02.
    blocks = pc.replace_substring_regex(said.block, "^0+([0-9])", r"\1")
    parts = [pc.if_else(has_part, column.take(pa.array(chosen)), None) for column in (said.specimen, blocks)]
    sources = np.bitwise_or.reduceat(1 << said.sources[order], starts).astype(np.int8)
    key = said.key.take(pa.array(order[starts]))
    return _Grouped(rows[starts], pa.StructArray.from_arrays([key, pa.array(sources), *parts], fields=list(NUMBER)))


def _output(batch: pa.RecordBatch, said: _Said, patients: Lists) -> pa.RecordBatch:
    rows, numbers = _grouped(said)
    count = np.bincount(rows, minlength=batch.num_rows)
    first = np.zeros(batch.num_rows, np.int64)
    np.cumsum(count[:-1], out=first[1:])
    has_one = count > 0
    key, sources, specimen, block = numbers.take(pa.array(first, mask=~has_one)).flatten()
    # What a slide's names say of its part belongs to its only number, or to none.
    may_be_own = pa.array(count <= 1)
    own = pc.and_(may_be_own, pc.and_(specimen.is_null(), block.is_null()))
    columns = {
        "key": key,
        "sources": sources,
        "specimen": pc.if_else(own, batch["specimen"], specimen),
        "block": pc.if_else(own, batch["block"], block),
        "is_only": may_be_own,
        "patients": patients,
        "more": _rest(numbers, first, count),
    }
    arrays = [columns[field.name] if field.name in columns else batch[field.name] for field in OUTPUT]
    return pa.RecordBatch.from_arrays(arrays, schema=OUTPUT)


def _rest(numbers: Any, first: Numbers, count: Numbers) -> Lists:
    """The numbers of each slide but its first."""
    is_first = np.zeros(len(numbers), np.bool_)
    is_first[first[count > 0]] = True
    offsets = np.zeros(len(count) + 1, np.int32)
    np.cumsum(np.maximum(count - 1, 0), out=offsets[1:])
    rest = numbers.filter(pa.array(~is_first))
    made: Lists = _LIST.from_arrays(pa.array(offsets), rest, type=OUTPUT.field("more").type)
    return made


# --- Numbers of patients -----------------------------------------------------------------------------------------


_Patients = tuple[Numbers, Strings]


def _patients(batch: pa.RecordBatch) -> Iterator[_Patients]:
    """Numbers of patients that are known as such."""
    own = batch["patient_id"]
    valid = mask_of(own.is_valid())
    yield np.flatnonzero(valid), canonical_numbers(own.filter(pa.array(valid)))
    lists = batch["told_patients"]
    yield pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)


def _named_patients(text: _Text, patterns: tuple[str, ...]) -> list[_Patients]:
    """Numbers of patients in texts; header texts hold other things that look like them."""
    if text.source == _SOURCE["metadata"]:
        return []
    compiled = [re2.compile(pattern) for pattern in patterns]
    found: list[tuple[int, str]] = []
    read: dict[int, list[str]] = {}
    for row, at in zip(text.rows.tolist(), text.at.tolist(), strict=True):
        if at not in read:
            folded = fold(text.texts[at].as_py())
            matches = (match["patient"] for one in compiled for match in one.finditer(folded))
            read[at] = [number for one in matches if one and (number := canonical(one))]
        found += [(row, number) for number in read[at]]
    rows, numbers = zip(*found, strict=True) if found else ((), ())
    return [(np.array(rows, np.int64), pa.array(numbers, pa.string()))]


def _without_patients(text: _Text, patterns: tuple[str, ...]) -> _Text:
    """Texts with the numbers of patients blanked: ZY700014 would be read as a case's number too."""
    if text.source == _SOURCE["metadata"]:
        return text
    compiled = [re2.compile(pattern) for pattern in patterns]
    return text._replace(texts=pa.array([_blanked(one, compiled) for one in text.texts.to_pylist()], pa.string()))


def _blanked(text: str, compiled: Sequence[Any]) -> str:
    folded = fold(text)
    for start, end in [match.span(one.groupindex["patient"]) for one in compiled for match in one.finditer(folded)]:
        folded = folded[:start] + " " * (end - start) + folded[end:]
    return folded


def _lists(count: int, found: Sequence[_Patients]) -> Lists:
    """The numbers of each slide in order, each once; null for none."""
    rows = np.concatenate([rows for rows, _ in found])
    numbers = pa.concat_arrays([numbers for _, numbers in found])
    kept = mask_of(pc.greater(pc.binary_length(numbers), 0))
    rows, numbers = rows[kept], numbers.filter(pa.array(kept))
    each = np.bincount(rows, minlength=count)
    if each.max(initial=0) > 1:
        pairs = sorted(set(zip(rows.tolist(), numbers.to_pylist(), strict=True)))
        rows, numbers = np.array([row for row, _ in pairs]), pa.array([number for _, number in pairs], pa.string())
        each = np.bincount(rows, minlength=count)
    elif len(rows) and (np.diff(rows) < 0).any():
        order = np.argsort(rows)
        numbers = numbers.take(pa.array(order))
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(each, out=offsets[1:])
    made: Lists = _LIST.from_arrays(pa.array(offsets), numbers, type=_LETTERS, mask=pa.array(each == 0))
    return made
