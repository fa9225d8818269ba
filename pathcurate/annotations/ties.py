"""Which slide an annotation file belongs to: by name, and by folders where several slides have that name."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.readers import SLIDE_EXTENSIONS
from pathcurate.storage import path_text
from pathcurate.tables import column_values

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/*")
_ENDINGS: Final = frozenset({"dcm", "ome", *(extension.removeprefix(".") for extension in SLIDE_EXTENSIONS)})
_NO_SLIDE: Final = frozenset({"gone", "not_a_slide"})
NAME_COLUMNS: Final = ("slide_id", "site", "archive", "relpath", "status", "duplicate_of", "scan_group")
"""Columns of ``slides`` that :func:`find_ties` looks at."""

_MOST_ALIKE: Final = 100
"""Slides of one name among which a name alone may decide; a slide called 1.svs is one of thousands."""

Score = tuple[int, int, bool]
"""How many folders agree: those of the path in the file, those of the file itself; and whether names agree with their
extensions."""


class Hint(NamedTuple):
    """What says which slide a shape lies on; all shapes with one hint lie on one slide.

    Attributes:
        site: code of the site.
        slide_raw: what the file says of its slide.
        source_file: the file.
    """

    site: str
    slide_raw: str
    source_file: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A name and the folders above it, as they are compared."""

    name: str
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Slide:
    slide_id: str
    place: _Place
    is_copy: bool
    scan_group: str | None


@dataclass(slots=True)
class _Alike:
    """The slides of one name, by their innermost folder; without those of other folders if there are too many."""

    by_id: dict[str, _Slide] = field(default_factory=dict)
    by_folder: dict[str, list[_Slide]] = field(default_factory=dict)
    is_cut: bool = False

    def add(self, slide: _Slide, *, is_wanted: bool) -> None:
        if is_wanted or len(self.by_id) < _MOST_ALIKE:
            self.by_id[slide.slide_id] = slide
            self.by_folder.setdefault(slide.place.folders[-1], []).append(slide)
        else:
            self.is_cut = True

    def candidates(self, *folders: Sequence[str]) -> list[_Slide]:
        """The slides of which one may be meant: those in a folder of the same name; without any, all."""
        near = [slide for above in folders for slide in self.by_folder.get(above[-1] if above else "", ())]
        is_any = not near and not self.is_cut and len(self.by_id) <= _MOST_ALIKE
        return list(self.by_id.values()) if is_any else near


@dataclass(frozen=True, slots=True)
class Ties:
    """Which slides hints lead to.

    Attributes:
        slides: hint to slide_id.
        ambiguous: hints of which several slides, or several files, have the name.
    """

    slides: Mapping[Hint, str]
    ambiguous: frozenset[Hint]


def find_ties(slides: pa.Table, hints: Iterable[Hint], earlier: Mapping[Hint, str]) -> Ties:
    """Tie hints to slides that are there.

    A slide is found by its file's name without extension, within the site, after NFC and case folding. Of several, the one
    whose folders agree best; several with the same pixels are one. Of several files that claim a slide, those whose folders
    agree best have it. What was tied stays, although the slide is renamed or gone; only a slide of the name whose folders
    agree better takes its place.

    Args:
        slides: the slides of the hints' sites.
        hints: what to tie.
        earlier: slides that hints were tied to.
    """
    by_name: dict[tuple[str, str], list[Hint]] = defaultdict(list)
    for hint in hints:
        by_name[hint.site, name_key(_said(hint.slide_raw).name)].append(hint)
    alike = _slides(slides, by_name, frozenset(earlier.values()))
    tied: dict[Hint, str] = {}
    ambiguous: set[Hint] = set()
    for key, named in by_name.items():
        claims = {hint: _claim(hint, alike[key], earlier.get(hint)) for hint in named}
        best = _best_files(claims)
        for hint, claim in claims.items():
            if claim is not None and hint.source_file in best[claim[0]]:
                tied[hint] = claim[0]
            elif alike[key].by_id:
                ambiguous.add(hint)
    return Ties(tied, frozenset(ambiguous))


def name_key(name: str) -> str:
    """A file's name as it is compared: without the extensions of slides, NFC, case folded."""
    key = _folded(name)
    stem, _, ending = key.rpartition(".")
    while stem and ending in _ENDINGS:
        key = stem
        stem, _, ending = key.rpartition(".")
    return key


@lru_cache(maxsize=1024)
def identity_name(slide_raw: str) -> str:
    """What of a slide's name makes a shape this one: not where its file lies, nor its extension."""
    return name_key(_said(slide_raw).name)


@lru_cache(maxsize=1024)
def folders_of(source_file: str) -> tuple[str, ...]:
    """The folders above a source file, as they are compared."""
    return tuple(_folded(part) for part in PurePosixPath(source_file).parts[:-1] if part not in {"..", "."})


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _said(slide_raw: str) -> _Place:
    """A name, or a path or address as other systems write it."""
    address = _SCHEME.match(slide_raw)
    text = unquote(slide_raw[address.end() :]) if address and address[0].endswith("/") else slide_raw
    parts = [_folded(part) for part in re.split(r"[/\\]+", text) if part]
    return _Place(parts[-1] if parts else "", tuple(parts[:-1]))


def _claim(hint: Hint, alike: _Alike, earlier: str | None) -> tuple[str, Score] | None:
    """The slide that a hint leads to, and how well it agrees."""
    if earlier is not None and earlier not in alike.by_id:
        return earlier, (0, 0, False)
    said, folders = _said(hint.slide_raw), folders_of(hint.source_file)
    scores = {slide.slide_id: _score(slide, said, folders) for slide in alike.candidates(*_above(hint))}
    best = max(scores.values(), default=None)
    chosen = [alike.by_id[slide_id] for slide_id, score in scores.items() if score == best]
    if len(chosen) > 1 and len({slide.scan_group or slide.slide_id for slide in chosen}) == 1:
        chosen = sorted(chosen, key=lambda slide: (slide.is_copy, slide.slide_id))[:1]
    if best is not None and len(chosen) == 1:
        return chosen[0].slide_id, best
    return (earlier, _score(alike.by_id[earlier], said, folders)) if earlier is not None else None


def _best_files(claims: Mapping[Hint, tuple[str, Score] | None]) -> dict[str, set[str]]:
    """For each slide that is claimed, the files whose folders agree best with its own."""
    folders: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for hint, claim in claims.items():
        if claim is not None:
            slide_id, (*agreeing, _) = claim
            of_files = folders[slide_id]
            of_files[hint.source_file] = max(tuple(agreeing), of_files.get(hint.source_file, ()))
    most = {slide_id: max(of_files.values()) for slide_id, of_files in folders.items()}
    return {
        slide_id: {file for file, agreeing in of_files.items() if agreeing == most[slide_id]}
        for slide_id, of_files in folders.items()
    }


def _score(slide: _Slide, said: _Place, folders: Sequence[str]) -> Score:
    above = slide.place.folders
    return _agreeing(above, said.folders), _agreeing(above, folders), slide.place.name == said.name


def _agreeing(one: Sequence[str], other: Sequence[str]) -> int:
    """How many folders agree, from the innermost outwards."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count


def _slides(
    slides: pa.Table, hints: Mapping[tuple[str, str], Sequence[Hint]], known: frozenset[str]
) -> dict[tuple[str, str], _Alike]:
    """The slides of each site and name."""
    found = {key: _Alike() for key in hints}
    above = [folders for named in hints.values() for hint in named for folders in _above(hint)]
    wanted = {folders[-1] for folders in above if folders}
    for batch in slides.select(NAME_COLUMNS).to_batches(max_chunksize=1 << 16):
        names = zip(column_values(batch, "site"), column_values(batch, "relpath"), strict=True)
        places = [number for number, name in enumerate(names) if _key_of(*name) in found]
        for row in batch.take(pa.array(places, pa.int64())).to_pylist():
            if row["status"] not in _NO_SLIDE:
                # Part by part: Windows may have named the file, and another system its folder.
                parts = [_folded(path_text(part)) for part in row["relpath"].split(b"/")]
                place = _Place(parts[-1], (_folded(row["archive"]), *parts[:-1]))
                slide = _Slide(row["slide_id"], place, row["duplicate_of"] is not None, row["scan_group"])
                is_wanted = place.folders[-1] in wanted or slide.slide_id in known
                found[row["site"], name_key(parts[-1])].add(slide, is_wanted=is_wanted)
    return found


def _above(hint: Hint) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The folders of the path in the file, and those of the file itself."""
    return _said(hint.slide_raw).folders, folders_of(hint.source_file)


def _key_of(site: str, relpath: bytes) -> tuple[str, str]:
    name = relpath[relpath.rfind(b"/") + 1 :]
    return site, name_key(name.decode() if name.isascii() else path_text(name))


# --- Hints of rows -----------------------------------------------------------------------------------------------


def row_hints(rows: pa.Table) -> "tuple[list[Hint], pa.Array[Any]]":
    """The hints of annotation rows, each once, and for each row the place of its hint."""
    join: Any = pc.binary_join_element_wise
    coded: Any = join(rows["site"], rows["slide_raw"], rows["source_file"], "\0").dictionary_encode().combine_chunks()
    return [Hint(*text.split("\0")) for text in coded.dictionary.to_pylist()], coded.indices


def tied_rows(rows: pa.Table) -> Iterator[tuple[Hint, str]]:
    """The ties that rows have, each once."""
    known = rows.filter(pc.is_valid(rows["slide_id"]))
    groups = known.group_by(["site", "slide_raw", "source_file"], use_threads=False).aggregate([("slide_id", "min")])
    for row in groups.to_pylist():
        yield Hint(row["site"], row["slide_raw"], row["source_file"]), row["slide_id_min"]
