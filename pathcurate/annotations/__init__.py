"""Stage: files of annotation tools become the ``annotations`` table, one row for each shape, tied to slides by name."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import __version__
from pathcurate.annotations import asap, geojson
from pathcurate.annotations.kept import KeptName, KeptPlan, kept_name, kept_plan, relative_name
from pathcurate.annotations.shapes import DamagedError, Flaw, Shape
from pathcurate.annotations.textfile import AnnotationText, source_name
from pathcurate.annotations.ties import (
    NAME_COLUMNS,
    Hint,
    Ties,
    find_ties,
    folders_of,
    identity_name,
    row_hints,
    tied_rows,
)
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.findings import read_findings, record_findings
from pathcurate.forgotten import NOBODY, Forgotten, read_forgotten
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.slide import SLIDES
from pathcurate.model.source import SOURCES
from pathcurate.sources import (
    FileKey,
    ImportSummary,
    Intake,
    SourceFile,
    SourceRow,
    choose,
    digest,
    files_of,
    framed,
    import_files,
    repeated_in_files,
)
from pathcurate.sources.forgetting import forget_files
from pathcurate.storage import path_text
from pathcurate.tables import Catalog, column_values
from pathcurate.workspace import Workspace

_VERSION: Final = 1
"""Raised when files are read otherwise than before, so that they are read again."""
_FLAWS: Final = {
    "unknown_type": (Severity.WARNING, "shapes without a geometry, or of a type that is not known, not imported"),
    "bad_coordinates": (Severity.ERROR, "shapes whose coordinates are no numbers of pixels, not imported"),
    "too_few_points": (Severity.ERROR, "shapes with too few points, or without an area, not imported"),
    "self_intersecting": (Severity.ERROR, "shapes whose outline crosses itself, not imported"),
    "too_tangled": (Severity.ERROR, "shapes whose outline is too tangled to be checked, not imported"),
    "no_class": (Severity.WARNING, "shapes without a class"),
    "nucleus_left_out": (Severity.INFO, "cells whose nucleus is drawn too; only the cell was imported"),
    "spline_as_polygon": (Severity.INFO, "splines, imported as the polygons of their points"),
    "returned_outside": (Severity.ERROR, "shapes that reach beyond their slide, refused"),
    "returned_class": (Severity.WARNING, "shapes whose class may name a person or a place; they were imported without it"),
}
_HINT: Final = ("site", "slide_id", "slide_raw", "source_file")
_LOOKED_AT: Final = (*_HINT, "source_row", "digest", "x_min", "y_min", "x_max", "y_max")
_NOT_TIED: Final = "annotations.no_slide"
_AMBIGUOUS: Final = "annotations.ambiguous_slide"
_OUTSIDE: Final = "annotations.outside_slide"
_REPEATED: Final = "annotations.repeated_shape"
_ABOUT_TABLE: Final = {
    _NOT_TIED: (Severity.WARNING, "shapes of no slide that is known", "scan the slide, or name the file as its slide"),
    _AMBIGUOUS: (
        Severity.WARNING, "shapes of several slides or files of one name", "put the file into folders named as the slide's",
    ),
    _OUTSIDE: (Severity.WARNING, "shapes that reach beyond their slide", "check that it is the right slide, at level 0"),
    _REPEATED: (Severity.WARNING, "shapes that another file draws on the same slide", "take one of the copies out"),
}  # fmt: skip

_LOOKED_FOR: Final = frozenset({*_ABOUT_TABLE, "annotations.repeated_in_file"})


def import_annotations(
    workspace: Workspace,
    *,
    only: Sequence[Path] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Bring ``annotations`` up to date with the configured sources and with the slides that are known now.

    A file that has not changed is not read again. All shapes are tied to slides anew, those of unchanged files among them,
    because their slides may have been scanned since.

    Args:
        workspace: the workspace; the caller holds its lock.
        only: import only these files; each must be covered by a configured source.
        progress: called with the number of files done and of files to do.

    Raises:
        InputOutputError: a source is missing or cannot be read.
        UsageError: a file is no annotation file, or damaged; the others are imported.
    """
    return _imported(workspace, only, progress, {})


def import_kept(
    workspace: Workspace,
    copies: Mapping[KeptName, tuple[str, str]],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Bring ``annotations`` up to date with kept copies of what recipients sent back; see :func:`import_annotations`.

    Args:
        workspace: the workspace; the caller holds its lock.
        copies: each with the site and the slide_id of the original.
        progress: called with the number of files done and of files to do.
    """
    return _imported(workspace, [workspace.root / name.source_file for name in copies], progress, copies)


def _imported(
    workspace: Workspace,
    only: Sequence[Path],
    progress: Callable[[int, int], None],
    copies: Mapping[KeptName, tuple[str, str]],
) -> ImportSummary:
    catalog = Catalog(workspace.catalog)
    kept = {plan.file.key: plan for plan in _kept_plans(workspace, catalog, copies)}
    plans: dict[FileKey, _Plan | KeptPlan] = {**_plans(workspace), **kept}
    configured = [plan.file for plan in plans.values()]
    known = {plan.file.source_file: plan.slide_id for plan in kept.values()}
    tie = _Tie(catalog, {file.key: file.shown for file in configured}, known)
    intake = _intake(tie, lambda file: _rows(plans[file.key]), read_forgotten(workspace.vault))
    chosen = choose(configured, only, "annotation") if only else None
    try:
        return import_files(catalog, intake, configured, chosen, progress=progress)
    except (InputOutputError, UsageError) as error:
        if not tie.is_done:
            tie.alone()
        raise type(error)(_nameless(error.message, configured), error.hint) from None


def forget_annotations(workspace: Workspace, files: Collection[FileKey]) -> int:
    """Undo the import of files; returns and errors as of :func:`~pathcurate.sources.forgetting.forget_files`."""
    catalog = Catalog(workspace.catalog)
    return forget_files(catalog, _intake(_Tie(catalog, {}, {}), lambda _: (), NOBODY), files)


def _intake(
    tie: "_Tie", read: Callable[[SourceFile], Iterable[SourceRow | Finding]], forgotten: Forgotten
) -> Intake:  # fmt: skip
    return Intake(ANNOTATIONS, "A", read, tie.carried_over, tie.look, _LOOKED_FOR, forgotten=forgotten)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A file and its format, as ``pathcurate.yaml`` names it."""

    file: SourceFile
    format: str

    def shapes(self) -> Iterator[Shape | Flaw]:
        """What the file draws; see :func:`import_annotations` for what it raises."""
        source = AnnotationText(self.file)
        found = source.format()
        if self.format not in {"auto", found}:
            raise UsageError(f"{self.file.shown} is not {self.format}", "Correct or remove `format` in pathcurate.yaml.")
        try:
            with source.opened() as text, source.opened() as again:
                yield from geojson.read_shapes(text) if found == "geojson" else asap.read_shapes(text, again)
        except DamagedError as damage:
            raise UsageError(f"{self.file.shown} {damage}", "Export it again from the annotation tool.") from None


def _rows(plan: _Plan | KeptPlan) -> Iterator[SourceRow | Finding]:
    """Shapes and findings of a file."""
    flaws: Counter[str] = Counter()
    first: dict[str, int] = {}
    for shape in plan.shapes() if isinstance(plan, _Plan) else plan.shapes(flaws):
        rule = shape.rule if isinstance(shape, Flaw) else None if shape.label else "no_class"
        if rule is not None:
            flaws[rule] += 1
            first.setdefault(rule, shape.number)
        if isinstance(shape, Shape):
            yield _source_row(plan.file, shape)
    for rule, count in flaws.items():
        if rule not in _FLAWS:
            continue
        severity, what = _FLAWS[rule]
        where = f", the first is shape {first[rule]:,} of " if rule in first else " in "
        yield Finding(
            f"annotations.{rule}", severity, f"{what}: {count:,}{where}{plan.file.shown}",
            stage="annotations", site=plan.file.site, table="annotations", subject=plan.file.source_file, count=count,
        )  # fmt: skip


def _kept_plans(
    workspace: Workspace, catalog: Catalog, copies: Mapping[KeptName, tuple[str, str]]
) -> Iterator[KeptPlan]:  # fmt: skip
    """How kept copies are read: those that are new, and those that were imported and are still there."""
    files = catalog.read(SOURCES, columns=("site", "table", "source_file"))
    files = files.filter(pc.equal(files["table"], pa.scalar(ANNOTATIONS.name)))
    pairs = zip(column_values(files, "site"), column_values(files, "source_file"), strict=True)
    sites = {name: site for site, file in pairs if (name := kept_name(file)) is not None}
    tied: dict[str, str] = {}
    if sites:
        rows = catalog.read(ANNOTATIONS, columns=("source_file", "slide_id")).drop_null()
        found = rows.group_by(["source_file"], use_threads=False).aggregate([("slide_id", "min")])
        tied = dict(zip(column_values(found, "source_file"), column_values(found, "slide_id_min"), strict=True))
    for name in sorted({*sites, *copies}, key=lambda one: one.source_file):
        site, slide_id = copies.get(name) or (sites[name], tied.get(name.source_file))
        if name in copies or (workspace.root / name.source_file).is_file():
            yield kept_plan(workspace, name, site, slide_id)


def _plans(workspace: Workspace) -> dict[FileKey, _Plan]:
    plans: dict[FileKey, _Plan] = {}
    for site in workspace.sites:
        for source in site.annotations:
            read_as = digest([__version__, str(_VERSION), source.format]).hex()
            for number, path in enumerate(files_of(source.path, "annotation", site.code), start=1):
                if relative_name(workspace, path) is not None:
                    continue
                # A file is named as its slide is, which is often the case's number or the patient's name.
                shown = f"file {number} of {source.path.text}"
                parts = os.fsencode(os.path.relpath(path, workspace.root)).split(b"/")
                source_file = "/".join(map(path_text, parts))
                file = SourceFile(site.code, path, source_file, read_as, shown)
                plans.setdefault(file.key, _Plan(file, source.format))
    return plans


def _nameless(message: str, files: Iterable[SourceFile]) -> str:
    """A message without the names of files."""
    hidden = {file.path.name: file.shown for file in files}
    # 1.json ends 11.json too.
    for name in sorted(hidden, key=len, reverse=True):
        message = message.replace(name, hidden[name])
    return message


def _source_row(file: SourceFile, shape: Shape) -> SourceRow:
    """A shape with its digests.

    Which shape it is, its slide's name says, its class and its outline; so a slide or a file that moves to another folder
    keeps its shapes. Two slides of one name in two folders may have the same shape, so the folders belong to its content.
    """
    drawn, said = shape.geometry, shape.slide_raw
    name = said if said and identity_name(said) else source_name(file.source_file.rpartition("/")[2])
    what = (drawn.kind, shape.label, drawn.text)
    identity = digest([file.site, identity_name(name), *what])
    others = (shape.tool, shape.colour, shape.annotator, shape.version)
    x_min, y_min, x_max, y_max = drawn.bounds
    row = {
        "site": file.site, "slide_raw": name, "kind": drawn.kind, "label": shape.label, "colour": shape.colour,
        "geometry": drawn.text, "coordinate_level": 0, "x_min": x_min, "y_min": y_min, "x_max": x_max, "y_max": y_max,
        "area_px": drawn.area, "annotator": shape.annotator, "tool": shape.tool, "version": shape.version,
        "digest": "sha256:" + hashlib.sha256(framed(what)).hexdigest(), "source_row": shape.number,
    }  # fmt: skip
    return SourceRow(identity, digest([identity.hex(), name, *others, *folders_of(file.source_file)]), row)


# --- Slides ------------------------------------------------------------------------------------------------------


class _Tie:
    """Ties the rows of the table to slides, once in a run."""

    def __init__(self, catalog: Catalog, shown: Mapping[FileKey, str], kept: Mapping[str, str | None]) -> None:
        self._catalog = catalog
        self._shown = shown
        self._kept = kept
        self.is_done = False

    def carried_over(self, rows: pa.Table, _before: pa.Table) -> pa.Table:
        """The rows with the slides that their shapes, or others of their files, were tied to: a file may be read again."""
        before = self._catalog.read(ANNOTATIONS, columns=("annotation_id", *_HINT))
        place: Any = pc.index_in(rows["annotation_id"], before["annotation_id"].combine_chunks())
        known = dict(tied_rows(_with_slides(rows, before["slide_id"].combine_chunks().take(place))))
        return _tied(rows, {**known, **dict(tied_rows(before)), **self._returned(row_hints(rows)[0])})

    def look(self, catalog: Catalog) -> list[Finding]:
        """Tie all rows to the slides that are there now, and say what is wrong with the table as a whole."""
        return [*self._again(), *_repeated_in_files(catalog)]

    def alone(self) -> None:
        """Tie the rows although nothing could be imported, so that the import's memory of the table's state stays right."""
        before = self._catalog.state(ANNOTATIONS)
        stands = [finding for finding in read_findings(self._catalog, "annotations") if finding.rule not in _LOOKED_FOR]
        record_findings(self._catalog, "annotations", [*stands, *self.look(self._catalog)])
        now = self._catalog.state(ANNOTATIONS)
        if now != before:
            rows = self._catalog.read(SOURCES)
            is_mine = pc.and_(
                pc.equal(rows["table"], pa.scalar(ANNOTATIONS.name)), pc.equal(rows["state"], pa.scalar(before))
            )
            at = rows.schema.get_field_index("state")
            states = pc.if_else(is_mine, pa.scalar(now), rows["state"])
            self._catalog.replace(SOURCES, rows.set_column(at, rows.schema.field(at), states))

    def _again(self) -> list[Finding]:
        self.is_done = True
        rows = self._catalog.read(ANNOTATIONS, columns=_LOOKED_AT)
        slides = self._catalog.read(SLIDES, columns=(*NAME_COLUMNS, "width", "height"))
        slides = slides.filter(pc.is_in(slides["site"], value_set=pc.unique(rows["site"])))
        hints, _ = row_hints(rows)
        earlier = dict(tied_rows(rows))
        # A recipient's code leads to one slide, whatever files have that name: copies that were scanned, for one.
        returned = {hint: earlier[hint] for hint in hints if hint in earlier and kept_name(hint.source_file)}
        found = find_ties(slides, [hint for hint in hints if not kept_name(hint.source_file)], earlier)
        ties = Ties({**found.slides, **returned, **self._returned(hints)}, found.ambiguous)
        tied = _tied(rows, ties.slides)
        if not tied["slide_id"].equals(rows["slide_id"]):
            self._catalog.replace(ANNOTATIONS, _with_slides(self._catalog.read(ANNOTATIONS), tied["slide_id"]))
        return list(_about_table(tied, ties, slides, self._shown))

    def _returned(self, hints: Iterable[Hint]) -> dict[Hint, str]:
        """The slides of kept copies that are known."""
        known = ((hint, self._kept.get(hint.source_file)) for hint in hints)
        return {hint: slide_id for hint, slide_id in known if slide_id is not None}


def _tied(rows: pa.Table, slides: Mapping[Hint, str]) -> pa.Table:
    hints, places = row_hints(rows)
    return _with_slides(rows, pa.array([slides.get(hint) for hint in hints], pa.string()).take(places))


def _with_slides(rows: pa.Table, slides: Any) -> pa.Table:
    at = rows.schema.get_field_index("slide_id")
    return rows.set_column(at, rows.schema.field(at), slides)


def _about_table(rows: pa.Table, ties: Ties, slides: pa.Table, shown: Mapping[FileKey, str]) -> Iterator[Finding]:
    hints, places = row_hints(rows)
    is_ambiguous = pa.array([hint in ties.ambiguous for hint in hints], pa.bool_()).take(places)
    is_free = pc.is_null(rows["slide_id"])
    masks = {
        _NOT_TIED: pc.and_(is_free, pc.invert(is_ambiguous)), _AMBIGUOUS: pc.and_(is_free, is_ambiguous),
        _OUTSIDE: _outside(rows, slides), _REPEATED: _repeated(rows),
    }  # fmt: skip
    for rule, mask in masks.items():
        severity, what, advice = _ABOUT_TABLE[rule]
        counted = rows.filter(mask).group_by(["site", "source_file"], use_threads=False).aggregate([("source_row", "count")])
        for group in counted.sort_by([("site", "ascending"), ("source_file", "ascending")]).to_pylist():
            site, file, count = group["site"], group["source_file"], group["source_row_count"]
            where = shown.get((site, file), "a file")
            yield Finding(
                rule, severity, f"{what}: {count:,} in {where}; {advice}", stage="annotations", site=site,
                table="annotations", column="geometry" if rule == _OUTSIDE else "slide_id", subject=file, count=count,
            )  # fmt: skip


def _outside(rows: pa.Table, slides: pa.Table) -> "pa.Array[Any]":
    """Shapes that are not within their slide; a slide whose size is not known has no edge."""
    place: Any = pc.index_in(rows["slide_id"], slides["slide_id"].combine_chunks())
    is_out = np.zeros(rows.num_rows, np.bool_)
    for low, high, side in (("x_min", "x_max", "width"), ("y_min", "y_max", "height")):
        # What is not known is no number, and nothing is beyond that.
        edge = slides[side].cast(pa.float64()).combine_chunks().take(place).to_numpy(zero_copy_only=False)
        is_out |= (rows[low].to_numpy() < 0) | (rows[high].to_numpy() > edge)
    return pc.and_(pa.array(is_out), pc.is_valid(rows["slide_id"]))


def _repeated(rows: pa.Table) -> Any:
    """Shapes that an earlier row has on the same slide; what recipients send back may be what was sent to them."""
    files: Any = rows["source_file"].dictionary_encode().combine_chunks()
    is_own = pa.array([kept_name(file) is None for file in files.dictionary.to_pylist()], pa.bool_()).take(files.indices)
    numbered = rows.select(["slide_id", "digest"]).append_column("place", pa.array(np.arange(rows.num_rows)))
    own = numbered.filter(is_own)
    first = own.group_by(["slide_id", "digest"], use_threads=False).aggregate([("place", "min")])["place_min"]
    is_later = is_own.to_numpy(zero_copy_only=False).copy()
    is_later[first.to_numpy()] = False
    return pc.and_(pa.array(is_later), pc.is_valid(rows["slide_id"]))


def _repeated_in_files(catalog: Catalog) -> list[Finding]:
    what = "shapes that two files of a source give alike, imported once"
    found = repeated_in_files(catalog, ANNOTATIONS)
    return [replace(finding, message=f"{what}: {finding.count:,}") for finding in found]
