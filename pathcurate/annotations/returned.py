"""Stage: annotations that a recipient sends back of a delivery land on the original slides, and without their author.

Each file is of one slide, which its name or what it says of its image names by the recipient's code. Of it a copy is kept
that holds shapes, classes and colours and nothing else (:mod:`pathcurate.annotations.kept`); these copies are a source of
``annotations`` from then on. Annotators are numbered by who they are to the recipient: a folder's name, or a label that is
given. Of that name a keyed code is kept, by which the same annotator has the same number next time.
"""

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.annotations import asap, geojson, import_kept
from pathcurate.annotations.agreement import WITHIN_UM, Agreement, Drawn, agreement
from pathcurate.annotations.kept import (
    CODE,
    MOST_ANNOTATORS,
    KeptName,
    feature_text,
    kept_name,
    returned_directory,
    write_kept,
)
from pathcurate.annotations.said import Said
from pathcurate.annotations.shapes import DamagedError, Flaw, Shape
from pathcurate.annotations.textfile import AnnotationText
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.filerule import folded
from pathcurate.model.slide import SLIDES
from pathcurate.model.source import SOURCES
from pathcurate.pseudonyms import Pseudonyms
from pathcurate.sources import ImportSummary, SourceFile
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import Catalog, column_values
from pathcurate.workspace import Workspace

AGREEMENT_FILE: Final = "agreement.json"
ANNOTATORS_FILE: Final = "annotators.json"
_NAMED: Final = re.compile(rf"(?<![0-9A-Za-z]){CODE}(?![0-9A-Za-z])", re.IGNORECASE)
_ROWS_AT_ONCE: Final = 20_000
_FARTHEST_UM: Final = 1000.0
_IN_MEMORY: Final = 16 << 20
_LONGEST_CLASS: Final = 64
_NOT_A_CLASS: Final = re.compile(r"[@\\]|://|^[/~]|/.*/|\d{5}")
"""An address, a path or a number: none is a class."""
_TITLE: Final = re.compile(r"\b(?:dr|prof)\b|医生|医师|主任|教授|老师", re.IGNORECASE)
_LEAST_LATIN: Final = 3
_LEAST_OTHER: Final = 2


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back.

    Attributes:
        delivery: the id of the delivery.
        files: how many files were taken.
        changed: of how many slides and annotators something is new.
        annotators: numbers of those whose files these are.
        new: those among them who sent nothing before.
        refused: of each file that was not taken, which one and why.
        summary: what the import did; None if no file was taken.
        agreement: of all that has come back of the delivery so far.
    """

    delivery: str
    files: int
    changed: int
    annotators: tuple[int, ...]
    new: tuple[int, ...]
    refused: tuple[str, ...]
    summary: ImportSummary | None
    agreement: Agreement


def import_returned(
    workspace: Workspace,
    delivery: str,
    files: Sequence[Path],
    originals: Mapping[str, str],
    codes: Pseudonyms,
    *,
    annotator: str | None = None,
    within_um: float = WITHIN_UM,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Returned:
    """Take annotations of a delivery back.

    A file that is refused keeps no other out. One that comes again changes nothing; another of the same annotator for the
    same slide takes the place of the earlier one.

    Args:
        workspace: the workspace; the caller holds its lock.
        delivery: the id of the delivery, which has arrived.
        files: GeoJSON (QuPath and others) or ASAP's XML.
        originals: recipient's code of a slide to slide_id; see :func:`~pathcurate.annotations.origins.originals_of`.
        codes: the recipient's layer.
        annotator: who drew all of them; None for the name of the folder that each lies in.
        within_um: distance in µm up to which two points are one, for the agreement.
        progress: called with the number of files done and of files to do.

    Raises:
        InputOutputError: the catalog or a copy cannot be written.
        UsageError: no file is given, or there are more annotators than can be numbered.
    """
    if not 0 < within_um <= _FARTHEST_UM:
        raise UsageError(f"no distance of {_FARTHEST_UM:g} µm or less is given", "Give one above 0, as in 7.5.")
    if not files:
        raise UsageError("no file is given", "Name the files that came back, or their folder as FOLDER/*.geojson.")
    edges = _edges(Catalog(workspace.catalog), originals.values())
    known = {code: slide_id for code, slide_id in originals.items() if slide_id in edges}
    taken, refused = _looked_at(files, known, annotator)
    numbers, new = _numbered(workspace, delivery, [one.label for one in taken], codes)
    taken, again = _once(taken, numbers)
    refused += again
    copies: dict[KeptName, tuple[str, str]] = {}
    changed = 0
    for done, one in enumerate(taken, start=1):
        name = KeptName(delivery, numbers[one.label], one.code)
        slide = edges[known[one.code]]
        try:
            changed += _keep(workspace, one, name, slide)
        except UsageError as error:
            refused.append((one.number, error.message.removeprefix(f"{one.file.shown} ")))
            continue
        except OSError as error:
            raise _not_written("a copy of what came back", error) from None
        copies[name] = (slide.site, slide.slide_id)
        progress(done, len(taken))
    summary = import_kept(workspace, copies) if copies else None
    found = _agreement(workspace, delivery, {code: edges[slide_id] for code, slide_id in known.items()}, within_um)
    if summary is not None:
        _write_json(returned_directory(workspace, delivery) / AGREEMENT_FILE, {"delivery": delivery, **found.as_dict()})
    people = sorted({name.annotator for name in copies})
    return Returned(
        delivery, len(copies), changed, tuple(people), tuple(one for one in people if one in new),
        tuple(f"file {number}: {why}" for number, why in sorted(refused)), summary, found,
    )  # fmt: skip


# --- Files -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Looked:
    """A file that names one slide of the delivery.

    Attributes:
        number: its place among those given, from 1.
        file: the file.
        label: who drew it, as the recipient calls them.
        code: of the slide.
        tool: program that wrote it.
        said: what it says beside its shapes.
    """

    number: int
    file: SourceFile
    label: str
    code: str
    tool: str
    said: Said = field(repr=False)


def _looked_at(
    files: Sequence[Path], originals: Mapping[str, str], annotator: str | None
) -> tuple[list[_Looked], list[tuple[int, str]]]:
    taken: list[_Looked] = []
    refused: list[tuple[int, str]] = []
    for number, path in enumerate(files, start=1):
        # A recipient may have named a file after whoever drew it.
        file = SourceFile("", path, "", "", f"file {number}")
        try:
            label = unicodedata.normalize("NFKC", annotator if annotator is not None else path.resolve().parent.name)
            said, tool = _heard(file)
            code = _slide_of(path.name, said)
            if code not in originals:
                raise UsageError("names a slide that is not of this delivery", "Ask the recipient which delivery it is of.")
            # Folders are named after whoever drew what is in them.
            said.people.add(annotator if annotator is not None else path.resolve().parent.name)
            taken.append(_Looked(number, file, label.strip().casefold(), code, tool, said))
        except (InputOutputError, UsageError) as error:
            refused.append((number, error.message.removeprefix(f"{file.shown} ")))
    return taken, refused


def _heard(file: SourceFile) -> tuple[Said, str]:
    """What a file says beside its shapes, and the program that wrote it."""
    if not file.path.is_file():
        raise UsageError("is no file", "Name the files themselves.")
    said, tool = Said(), None
    for shape in _shapes(file, said):
        tool = tool or (shape.tool if isinstance(shape, Shape) else None)
    return said, tool or "geojson"


def _shapes(file: SourceFile, said: Said) -> Iterable[Shape | Flaw]:
    source = AnnotationText(file)
    form = source.format()
    try:
        with source.opened() as text, source.opened() as again:
            yield from geojson.read_shapes(text, said) if form == "geojson" else asap.read_shapes(text, again)
    except DamagedError as damage:
        raise UsageError(f"{file.shown} {damage}", "Ask the recipient to export it again.") from None


def _slide_of(name: str, said: Said) -> str:
    """The one code by which a file names its slide.

    Raises:
        UsageError: it names none, or does not name one alone.
    """
    codes: set[str] = {found.upper() for found in _NAMED.findall(name)}
    for texts in said.images:
        here = {found.upper() for text in texts for found in _NAMED.findall(unquote(text))}
        if not here:
            raise UsageError("says that its image is another one", "Ask the recipient which slide it is of.")
        codes |= here
    if not codes:
        raise UsageError("names no slide", "Name it by the slide's code, as in S-….geojson.")
    if len(codes) > 1:
        raise UsageError("names its slide in two ways", "Ask the recipient which slide it is of.")
    (code,) = codes
    return code


def _once(taken: Sequence[_Looked], numbers: Mapping[str, int]) -> tuple[list[_Looked], list[tuple[int, str]]]:
    """The files without those of one annotator for one slide."""
    count = Counter((numbers[one.label], one.code) for one in taken)
    alone = [one for one in taken if count[numbers[one.label], one.code] == 1]
    why = "another file of the same annotator is of the same slide"
    return alone, [(one.number, why) for one in taken if count[numbers[one.label], one.code] > 1]


# --- Annotators --------------------------------------------------------------------------------------------------


def _numbered(
    workspace: Workspace, delivery: str, labels: Iterable[str], codes: Pseudonyms
) -> tuple[dict[str, int], set[int]]:
    """The number of each annotator, and which of these are new; they are kept before anything is written under them."""
    path = returned_directory(workspace, delivery) / ANNOTATORS_FILE
    known = _known(path)
    # In the order of the codes, which says nothing of the names.
    coded = sorted((codes.code("A", "annotator", delivery, label), label) for label in set(labels))
    new: set[int] = set()
    for code, _ in coded:
        if code not in known:
            known[code] = max(known.values(), default=0) + 1
            new.add(known[code])
    if len(known) > MOST_ANNOTATORS:
        raise UsageError(
            f"there are more than {MOST_ANNOTATORS} annotators of one delivery",
            "Files of one annotator belong into one folder; or give --annotator.",
        )
    if new:
        _write_json(path, {"annotators": known})
    return {label: known[code] for code, label in coded}, new


def _known(path: Path) -> dict[str, int]:
    try:
        said = json.loads(path.read_bytes())["annotators"]
        known = {str(code): number for code, number in said.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        known = {"": 0}
    numbers = list(known.values())
    if not all(type(number) is int and 0 < number <= MOST_ANNOTATORS for number in numbers) or len(set(numbers)) < len(
        numbers
    ):
        raise InputOutputError(
            f"{ANNOTATORS_FILE} of the delivery cannot be read, or was changed",
            "Restore it from a copy: it says which annotator has which number.",
        )
    return known


# --- Copies ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Slide:
    slide_id: str
    site: str
    width: float | None
    height: float | None
    mpp: tuple[float, float] | None


def _edges(catalog: Catalog, wanted: Iterable[str]) -> dict[str, _Slide]:
    """The slides of a delivery with their sizes."""
    columns = ("slide_id", "site", "width", "height", "mpp_x", "mpp_y")
    rows = catalog.read(SLIDES, columns=columns)
    found = rows.filter(pc.is_in(rows["slide_id"], value_set=pa.array(sorted(set(wanted)), pa.string()))).to_pylist()
    return {
        row["slide_id"]: _Slide(
            row["slide_id"], row["site"], row["width"], row["height"],
            (row["mpp_x"], row["mpp_y"]) if row["mpp_x"] and row["mpp_y"] else None,
        )
        for row in found
    }  # fmt: skip


def _keep(workspace: Workspace, one: _Looked, name: KeptName, slide: _Slide) -> bool:
    """Write the copy of a file; False if it is there already."""
    flaws: Counter[str] = Counter()
    folder = private_directory(returned_directory(workspace, name.delivery))
    said = Said()
    with SpooledTemporaryFile(_IN_MEMORY, dir=str(folder)) as spool:
        body: IO[bytes] = spool
        before = b""
        for shape in _shapes(one.file, said):
            if isinstance(shape, Flaw):
                flaws[shape.rule] += 1
            elif not _is_within(shape, slide):
                flaws["returned_outside"] += 1
            else:
                label = _class(shape.label, one.said.people)
                flaws["returned_class"] += label is None and shape.label is not None
                body.write(before + feature_text(replace(shape, label=label)).encode())
                before = b",\n"
        if said.images != one.said.images or not said.people <= one.said.people:
            raise UsageError("it changed while it was read", "Import it again.")
        return write_kept(workspace, name, one.tool, +flaws, body)


def _is_within(shape: Shape, slide: _Slide) -> bool:
    """Whether a shape lies on its slide; one whose size is not known has no right or lower edge."""
    left, top, right, bottom = shape.geometry.bounds
    fits = (slide.width is None or right <= slide.width) and (slide.height is None or bottom <= slide.height)
    return left >= 0 and top >= 0 and fits


def _class(label: str | None, people: Iterable[str]) -> str | None:
    """A class as it is kept; None for what names somebody, or is an address, a path or a number."""
    if label is None or len(label) > _LONGEST_CLASS or _NOT_A_CLASS.search(label) or _TITLE.search(label):
        return None
    shown = folded(label)
    words = set(re.findall(r"\w+", shown))
    for person in people:
        name = folded(person)
        parts = re.findall(r"\w+", name)
        if shown == name or any(part in words for part in parts if part.isascii() and len(part) >= _LEAST_LATIN):
            return None
        if any(part in shown for part in parts if not part.isascii() and len(part) >= _LEAST_OTHER):
            return None
    return label


# --- Agreement ---------------------------------------------------------------------------------------------------


def _agreement(workspace: Workspace, delivery: str, slides: Mapping[str, _Slide], within_um: float) -> Agreement:
    """Of all that has come back of a delivery and was not forgotten, on slides by code that are still given away."""
    catalog = Catalog(workspace.catalog)
    beginning = returned_directory(workspace, delivery).relative_to(workspace.root).as_posix() + "/"
    files = catalog.read(SOURCES, columns=("table", "source_file", "forgotten_at"))
    is_here = pc.and_(pc.equal(files["table"], pa.scalar(ANNOTATIONS.name)), pc.is_null(files["forgotten_at"]))
    files = files.filter(pc.and_(is_here, pc.starts_with(files["source_file"], beginning)))
    names = {file: name for file in column_values(files, "source_file") if (name := kept_name(file)) is not None}
    names = {file: name for file, name in names.items() if name.code in slides}
    looked: dict[str, set[int]] = defaultdict(set)
    for name in names.values():
        looked[name.code].add(name.annotator)
    rows = catalog.read(ANNOTATIONS, columns=("source_file", "label", "kind", "geometry"))
    rows = rows.filter(pc.is_in(rows["source_file"], value_set=pa.array(sorted(names), pa.string())))
    drawn = (
        Drawn(name.code, name.annotator, row["label"], row["kind"], row["geometry"])
        for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE)
        for row in batch.to_pylist()
        for name in (names[row["source_file"]],)
    )
    mpp = {code: slide.mpp for code, slide in slides.items() if slide.mpp is not None}
    return agreement(drawn, looked, mpp, within_um)


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document, unless it is there already."""
    data = json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
    try:
        if path.is_file() and path.read_bytes() == data:
            return
        private_directory(path.parent)
        write_bytes(path, data, mode=0o600)
    except OSError as error:
        raise _not_written(path.name, error) from None


def _not_written(what: str, error: OSError) -> InputOutputError:
    return InputOutputError(
        f"{what} cannot be written below products/ ({type(error).__name__})",
        "Check free space and permissions there, and import again: what is there already is not written twice.",
    )
