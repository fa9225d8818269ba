"""Stage: the laboratory system's own table of blocks and slides becomes the ``materials`` table: what glass exists."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import UsageError
from pathcurate.glassrow import GLASS_RULES, first_word, read_case, read_part, read_stain
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.material import MATERIALS
from pathcurate.rowtable import (
    Line,
    RowKind,
    RowSource,
    Trouble,
    all_cells,
    all_values,
    forget_rows,
    import_rows,
    is_usable,
    source_row,
)
from pathcurate.sources import FileKey, ImportSummary, SourceRow, repeated_in_files
from pathcurate.tables import Catalog
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.values import parse_datetime
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import Workspace

COLUMNS = ("accession", "specimen", "block", "glass_id", "stain", "preparation", "organ", "made_date", "kind")
"""Canonical names that a mapping may give heads or constants for."""
_SAYS = ("specimen", "block", "glass_id", "stain", "made_date")
_OF_ORGANS = ("organ", "specimen", "block")
_OF_A_SLIDE = ("glass_id", "stain", "made_date")
_IDENTITY = ("site", "kind", "accession", "specimen", "block", "glass_id")
_TWO_WAYS = "materials.described_twice"
_RULES: Mapping[str, tuple[Severity, str]] = {
    **GLASS_RULES,
    "no_accession": (Severity.ERROR, "rows without a usable accession number, not imported"),
    "empty_row": (Severity.INFO, "rows that name no specimen, block, glass, stain or day, so are no material"),
}


def import_materials(
    workspace: Workspace,
    *,
    only: Sequence[Path] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Bring ``materials`` up to date with the configured tables of blocks and slides.

    A row with a glass's number, a stain or the day it was made is a slide, any other a block, unless a column says which. A
    glass that several rows describe alike is there once.

    Args:
        workspace: the workspace; the caller holds its lock.
        only: import only these files; each must be covered by a configured source.
        progress: called with the number of files done and of files to do.

    Raises:
        InputOutputError: a source is missing or cannot be read.
        UsageError: a source cannot be decoded, or its mapping does not fit, or nothing says of which case its rows are.
    """
    listed = (
        RowSource(
            site.code, source.path, source.mapping, _demand,
            functools.partial(_read, site.code, AccessionPatterns(site.accession.patterns)), site.accession.patterns,
        )
        for site in workspace.sites
        for source in site.materials
    )  # fmt: skip
    return import_rows(workspace, _KIND, listed, only=only, progress=progress)


def forget_materials(workspace: Workspace, files: Collection[FileKey]) -> int:
    """Undo the import of files; how many rows went, and errors, as of :func:`~pathcurate.rowtable.forget_rows`."""
    return forget_rows(workspace, _KIND, files)


def _demand(named: Collection[str], by_heads: Collection[str], name: str) -> None:
    if "accession" not in by_heads:
        raise UsageError(
            f"{name}: no column is recognised as the accession number (病理号)",
            "Write a mapping file with `columns: {accession: …}` and name it in pathcurate.yaml.",
        )
    if not set(_SAYS) & set(named):
        raise UsageError(
            f"{name}: no column is recognised as block, glass, stain or day (蜡块号, 切片号, 染色, 切片日期)",
            "Write a mapping file with `columns: {block: …, glass_id: …, stain: …}` and name it in pathcurate.yaml.",
        )


def _read(site: str, patterns: AccessionPatterns, line: Line, trouble: Trouble) -> SourceRow | None:
    texts = line.texts
    if not is_usable(texts.get("accession")):
        trouble.add("no_accession", line.number)
        return None
    if not any(line.given.get(name) for name in _SAYS):
        trouble.add("empty_row", line.number)
        return None
    glass = trouble.number(line, "glass_id")
    case = read_case(line, trouble, patterns, glass)
    material = {
        "site": site,
        "kind": trouble.value(line, "kind", vocabulary("material_kinds").exact)
        or ("slide" if any(texts.get(name) for name in _OF_A_SLIDE) else "block"),
        "accession": case.accession,
        "accession_raw": case.accession_raw,
        "glass_id": glass,
        "made_date": trouble.value(line, "made_date", lambda text: parse_datetime(text, line.epoch)),
        "preparation": trouble.value(line, "preparation", functools.partial(first_word, "preparations"))
        or first_word("preparations", texts.get("stain")),
        "organ": next((organ for name in _OF_ORGANS if (organ := first_word("organs", texts.get(name)))), None),
        "source_row": line.number,
        **read_part(line, trouble, patterns, case),
        **read_stain(line, trouble),
    }
    # Without a number, two glasses may differ only in a cell that has no column here.
    cells = () if glass else all_cells(line)
    identity = (material.get(name) for name in _IDENTITY)
    return source_row(identity, material, (*all_values(MATERIALS, material), *cells))


def _look(catalog: Catalog) -> list[Finding]:
    return [*_described_twice(catalog), *repeated_in_files(catalog, MATERIALS)]


def _described_twice(catalog: Catalog) -> list[Finding]:
    """Glass that several rows describe differently, counted by site; all of them stay."""
    rows = catalog.read(MATERIALS, columns=_IDENTITY)
    rows = rows.filter(pc.is_valid(rows["glass_id"]))
    groups = rows.group_by(list(_IDENTITY), use_threads=False).aggregate([([], "count_all")])
    several = groups.filter(pc.greater(groups["count_all"], pa.scalar(1))).group_by("site", use_threads=False)
    counted = several.aggregate([([], "count_all")]).sort_by("site").to_pylist()
    return [
        Finding(
            _TWO_WAYS, Severity.WARNING,
            f"glass numbers of site {row['site']} that several rows describe differently: {row['count_all']}; take the "
            "older export out of the source, or correct it",
            stage="materials", site=row["site"], table="materials", column="glass_id", count=row["count_all"],
        )
        for row in counted
    ]  # fmt: skip


_KIND = RowKind(
    MATERIALS, "M", "material", "`materials:` of its site", COLUMNS, _RULES, _look,
    frozenset({_TWO_WAYS, "materials.repeated_in_file"}),
)  # fmt: skip
