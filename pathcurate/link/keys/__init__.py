"""``slide_keys``: which numbers each slide bears, made of the texts that ``slides`` keeps and of what other systems know."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.engines import Engine
from pathcurate.findings import record_findings
from pathcurate.link.keys.matching import match_tables
from pathcurate.link.keys.reading import INPUT, OUTPUT, TOLD, KeySpec, read_keys, unread_keys
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.slide import KEY_SOURCES, SLIDE_KEYS, SLIDES
from pathcurate.relations import relation
from pathcurate.storage import private_directory
from pathcurate.tables import Catalog, arrow_schema, read_metadata
from pathcurate.text.slidenames import names_rules
from pathcurate.workspace import Accession, Workspace

_STAGE: Final = "keys"
"""Under which findings about tables of other systems are recorded: they stand until the keys are made of all again."""
_COLUMNS: Final = tuple(name for name in INPUT.names if name in SLIDES.names)
_VERSION: Final = 2
"""Raised when the same texts give other rows."""
_MOST_CHANGED: Final = 4
"""If more than one of so many slides have changed, all are read again."""
_READ_ROWS: Final = 32_000
"""So many slides' texts fit into a processor's cache."""
_FEW: Final = 2_000
"""Slides that are read faster here than processes can be started for them."""
_WRITTEN_ROWS: Final = 1 << 17


def bring_keys(workspace: Workspace, catalog: Catalog, engine: Engine) -> bool:
    """Bring ``slide_keys`` up to date: extracted anew where slides, tables of other systems or a site's patterns changed.

    Args:
        workspace: the workspace, for its sites' patterns.
        catalog: its catalog; findings about tables of other systems are recorded in it.
        engine: reads texts and sorts.

    Returns:
        Whether the table has changed.

    Raises:
        InputOutputError: a table cannot be read, or there is no room to sort.
    """
    catalog.sweep(SLIDE_KEYS)
    spill = private_directory(private_directory(workspace.catalog) / ".spill")
    for leftover in spill.glob("keys-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    spec, rules = _rules(workspace)
    made_of = " ".join([*(catalog.state(table) for table in (SLIDES, SCANNER_INDEX, MATERIALS)), rules])
    before = catalog.made_of(SLIDE_KEYS)
    if before == made_of:
        return False
    with TemporaryDirectory(dir=spill, prefix="keys-") as directory:
        making = _Making(catalog, engine, spec, Path(directory))
        parts = _known_parts(catalog, before, made_of)
        kept = making.read_all() if parts is None else making.read_changed(parts)
        return catalog.replace_streamed(SLIDE_KEYS, making.sorted(kept), made_of)


def _rules(workspace: Workspace) -> tuple[KeySpec, str]:
    """How numbers are recognised, and a digest of it."""
    sites = {site.code: (site.accession.patterns, site.accession.patients) for site in workspace.sites}
    spec = KeySpec(sites, (Accession().patterns, ()))
    said = {code: [names_rules(patterns), list(patients)] for code, (patterns, patients) in sites.items()}
    return spec, sha256_text(canonical_json([_VERSION, said, names_rules(spec.default[0])]))


def _known_parts(catalog: Catalog, before: str | None, made_of: str) -> set[str] | None:
    """Parts of ``slides`` whose slides the table holds as they are; None if it must be made of all."""
    if before is None or before.split(" ")[1:] != made_of.split(" ")[1:]:
        return None
    # Whether an entry of another system's table fits one slide only depends on all slides.
    if catalog.row_count(SCANNER_INDEX) or catalog.row_count(MATERIALS):
        return None
    snapshot, parts = catalog.snapshot(SLIDES), catalog.parts_of(SLIDES, before.split(" ")[0])
    if snapshot is None or parts is None or not parts <= set(snapshot.parts):
        return None
    paths = [path for paths in catalog.part_paths(SLIDES) for path in paths if path.name not in parts]
    changed = sum(read_metadata(path).num_rows for path in paths)
    return parts if changed * _MOST_CHANGED <= catalog.row_count(SLIDES) else None


class _Making:
    """One making of the table."""

    def __init__(self, catalog: Catalog, engine: Engine, spec: KeySpec, directory: Path) -> None:
        self._catalog = catalog
        self._engine = engine
        self._spec = spec
        self._directory = directory
        self._read = directory / "read.parquet"

    def read_all(self) -> str:
        """Read the texts of all slides; SQL of the rows that stay, none."""
        findings = match_tables(self._catalog, self._engine, self._directory)
        record_findings(self._catalog, _STAGE, findings or ())
        slides = relation(self._engine, self._catalog, SLIDES, (*_COLUMNS, "status"))
        chosen, joined = ", ".join(f's."{name}"' for name in _COLUMNS), ""
        if findings is not None:
            chosen += "".join(f', t."{name}"' for name, _ in TOLD)
            joined = "LEFT JOIN told t ON t.slide_id = s.slide_id"
        self._keep(self._engine.batches(f"SELECT {chosen} FROM {slides} s {joined} WHERE s.status <> 'gone'"))
        return ""

    def read_changed(self, parts: set[str]) -> str:
        """Read the texts of slides that were written in other parts; SQL of the rows that stay."""
        adding, replacing = self._catalog.part_paths(SLIDES)
        paths = [path for path in (*adding, *replacing) if path.name not in parts]
        rows = self._catalog.read_parts(SLIDES, paths, (*_COLUMNS, "status"))
        there = rows.filter(pc.not_equal(rows["status"], pa.scalar("gone")))
        self._keep(there.select(list(_COLUMNS)).combine_chunks().to_batches())
        self._engine.view("changed", rows.select(["slide_id"]))
        kept = relation(self._engine, self._catalog, SLIDE_KEYS)
        return f"SELECT {_NAMES} FROM {kept} k ANTI JOIN changed c ON c.slide_id = k.slide_id UNION ALL "

    def _keep(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Write what the kernel reads in slides where SQL can sort it."""
        inputs = _inputs(batches)
        if self._catalog.row_count(SLIDES) <= _FEW:
            read: Iterator[pa.RecordBatch] = (read_keys(batch, self._spec) for batch in inputs)
        else:
            read = self._engine.run(read_keys, inputs, self._spec, OUTPUT, on_crash=unread_keys)
        with pq.ParquetWriter(self._read, _FLAT, compression="lz4", use_dictionary=_REPEATED) as writer:  # type: ignore[arg-type]
            for batch in read:
                for rows in _flat(batch):
                    writer.write_batch(rows)

    def sorted(self, kept: str) -> Iterator[pa.RecordBatch]:
        """All rows in the order of the table, in batches of one size, so that equal tables are equal files."""
        self._engine.view("read_keys", [self._read])
        sql = f"{kept}SELECT {_NAMED} FROM read_keys ORDER BY site, key NULLS LAST, slide_id"
        return _rebatched(self._engine.batches(sql))


def _inputs(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for whole in batches:
        for start in range(0, whole.num_rows, _READ_ROWS):
            batch = whole.slice(start, _READ_ROWS)
            given = {name: batch[name] for name in batch.schema.names}
            columns = [given.get(field.name, pa.nulls(batch.num_rows)).cast(field.type) for field in INPUT]
            yield pa.RecordBatch.from_arrays(columns, schema=INPUT)


_FLAT: Final = pa.schema([field for field in OUTPUT if field.name != "more"])
_REPEATED: Final = ["site", "sources", "is_only", "specimen", "block", "stain", "organ", "preparation", "archive"]
_NAMES: Final = ", ".join(f'"{name}"' for name in SLIDE_KEYS.names)


def _sources() -> str:
    """SQL that turns bits into the names of sources."""
    return (
        "["
        + ", ".join(
            "'" + ",".join(source for place, source in enumerate(KEY_SOURCES) if bits >> place & 1) + "'"
            for bits in range(1, 1 << len(KEY_SOURCES))
        )
        + "][sources]"
    )


_NAMED: Final = ", ".join(f"{_sources()} AS sources" if name == "sources" else f'"{name}"' for name in SLIDE_KEYS.names)


def _flat(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The first number of each slide, and the others with what their slides say."""
    yield batch.select(_FLAT.names)
    more = batch["more"]
    slides = batch.take(pc.list_parent_indices(more)).select(_FLAT.names)
    numbers = dict(zip(more.type.value_type.names, pc.list_flatten(more).flatten(), strict=True))
    yield pa.RecordBatch.from_arrays([numbers.get(name, slides[name]) for name in _FLAT.names], schema=_FLAT)


def _rebatched(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    schema = arrow_schema(SLIDE_KEYS)
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(pa.RecordBatch.from_arrays([batch[field.name].cast(field.type) for field in schema], schema=schema))
        count += batch.num_rows
        if count >= _WRITTEN_ROWS:
            table = pa.Table.from_batches(held)
            whole = count - count % _WRITTEN_ROWS
            yield from table.slice(0, whole).combine_chunks().to_batches(max_chunksize=_WRITTEN_ROWS)
            held, count = table.slice(whole).to_batches(), count - whole
    yield from pa.Table.from_batches(held, schema=schema).combine_chunks().to_batches()
