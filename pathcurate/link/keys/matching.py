"""Which slide an entry of a scanner's table is, and which glass of the laboratory system's table a slide shows."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate.engines import Engine
from pathcurate.link.keys.forms import path_forms, relpath_forms
from pathcurate.model.column import Table
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.slide import KEY_SOURCES, SLIDES
from pathcurate.pseudonyms import canonical_numbers
from pathcurate.relations import relation
from pathcurate.tables import Catalog
from pathcurate.text.manynumbers import pc

_FORMS: Final = {
    "path": path_forms, "relpath": relpath_forms, "barcode": canonical_numbers, "glass_id": canonical_numbers,
    "patient_id": canonical_numbers,
}  # fmt: skip
"""How columns are turned into the form in which they compare."""


def match_tables(catalog: Catalog, engine: Engine, directory: Path) -> list[Finding] | None:
    """Find the slides of which the scanner's and the laboratory system's tables speak.

    An entry of the scanner's table is the slide of its site (and archive, if it names one) whose path it has: the same, or
    the longer of both ends with the shorter, by whole folders; the entry may lack the extension. Else it is the slide with
    its barcode. It must be one slide only, and all entries of a slide must name one case; else they say nothing. An entry
    whose case was read from its barcode is no witness beside the barcode.

    Args:
        catalog: the catalog.
        engine: joins.
        directory: where the tables are put meanwhile.

    Returns:
        Findings on entries that say nothing; ``told`` is a relation of the engine now, with ``slide_id``, ``told``,
        ``told_patients`` and ``glass`` of the slides that are spoken of. None, and no relation, if there are no such tables.
    """
    if not (catalog.row_count(SCANNER_INDEX) or catalog.row_count(MATERIALS)):
        return None
    entry_columns = (
        "entry_id", "site", "archive", "path", "barcode", "accession", "accession_raw", "patient_id", "specimen", "block",
    )  # fmt: skip
    glass_columns = ("site", "glass_id", "accession", "specimen", "block")
    put = _Put(catalog, engine, directory)
    put.table("entries", SCANNER_INDEX, entry_columns, "TRUE")
    put.table("glasses", MATERIALS, glass_columns, "kind = 'slide' AND glass_id IS NOT NULL")
    here = "status <> 'gone' AND site IN (SELECT site FROM entries UNION SELECT site FROM glasses)"
    put.table("places", SLIDES, ("slide_id", "site", "archive", "relpath", "barcode"), here)
    put.query("entry_forms", _ENTRY_FORMS)
    put.query("place_forms", _PLACE_FORMS)
    put.query("fits", _FITS)
    put.query("told", _TOLD)
    return list(_findings(engine.rows(_COUNTS)))


class _Put:
    """Tables in Parquet files that bear their names in SQL."""

    def __init__(self, catalog: Catalog, engine: Engine, directory: Path) -> None:
        self._catalog = catalog
        self._engine = engine
        self._directory = directory

    def table(self, name: str, table: Table, columns: Sequence[str], where: str) -> None:
        """Rows of a catalog table, in the form in which they compare."""
        needed = tuple(dict.fromkeys((*columns, *(one for one in ("status", "kind") if one in where))))
        rows = relation(self._engine, self._catalog, table, needed)
        chosen = ", ".join(f'"{column}"' for column in columns)
        self._write(name, f"SELECT {chosen} FROM {rows} t WHERE {where}", _compared)

    def query(self, name: str, sql: str) -> None:
        """What a query gives."""
        self._write(name, sql, lambda batch: batch)

    def _write(self, name: str, sql: str, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> None:
        path = self._directory / f"{name}.parquet"
        empty = self._engine.table(f"SELECT * FROM ({sql}) WHERE FALSE").schema
        schema = change(pa.RecordBatch.from_pylist([], schema=empty)).schema
        with pq.ParquetWriter(path, schema, compression="lz4") as writer:
            for batch in self._engine.batches(sql):
                writer.write_batch(change(batch).cast(schema))
        self._engine.view(name, [path])


def _compared(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays: list[pa.Array[Any]] = []
    for name in batch.schema.names:
        column = batch[name]
        if name in _FORMS:
            column = _FORMS[name](column)
            column = pc.if_else(pc.equal(column, ""), None, column)
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


# An entry's path, and its ends that are as long as the path of any slide.
_ENTRY_FORMS: Final = """
SELECT e.entry_id, e.site, e.archive, e.first, e.depth - e.first + 1 AS depth,
       array_to_string(list_slice(e.parts, e.first, e.depth), '/') AS form
FROM (SELECT w.entry_id, w.site, w.archive, w.parts, len(w.parts) AS depth, unnest(range(1, len(w.parts) + 1)) AS first
      FROM (SELECT entry_id, site, archive, string_split(path, '/') AS parts FROM entries WHERE path IS NOT NULL) w) e
WHERE e.first = 1 OR (e.depth - e.first + 1) IN (SELECT DISTINCT len(string_split(relpath, '/')) FROM places)
"""

# Paths of slides, with and without extension, and their ends that are as long as an entry's path; only those that an entry
# has. How many slides of an archive have one, and the first of them.
_PLACE_FORMS: Final = """
WITH named AS (
    SELECT slide_id, site, archive, relpath AS form, TRUE AS is_path FROM places
    UNION ALL
    SELECT slide_id, site, archive, regexp_replace(relpath, '([^/])\\.[^./]*$', '\\1') AS form, FALSE AS is_path
    FROM places WHERE regexp_matches(relpath, '[^/]\\.[^./]*$')
)
SELECT g.site, g.archive, g.form, g.is_whole, g.is_path, count(*) AS slides, min(g.slide_id) AS slide_id
FROM (
    SELECT n.slide_id, n.site, n.archive, n.form, TRUE AS is_whole, n.is_path FROM named n
    UNION ALL
    SELECT s.slide_id, s.site, s.archive,
           array_to_string(list_slice(s.parts, len(s.parts) - d.depth + 1, len(s.parts)), '/'), FALSE, s.is_path
    FROM (SELECT n.slide_id, n.site, n.archive, n.is_path, string_split(n.form, '/') AS parts FROM named n) s
    JOIN (SELECT DISTINCT depth FROM entry_forms WHERE first = 1) d ON d.depth < len(s.parts)
) g
SEMI JOIN entry_forms f ON f.site = g.site AND f.form = g.form
GROUP BY g.site, g.archive, g.form, g.is_whole, g.is_path
"""

# How many slides each entry may be: of the same path, else of one that ends like it, else of the same barcode.
_FITS: Final = """
WITH paths AS (
    SELECT f.entry_id, f.first = 1 AND p.is_path AND p.is_whole AS is_same, p.slides, p.slide_id
    FROM entry_forms f
    JOIN place_forms p ON p.site = f.site AND p.form = f.form AND (p.is_whole OR f.first = 1)
    WHERE f.archive IS NULL OR f.archive = p.archive
),
by_path AS (
    SELECT c.entry_id, coalesce(c.same, c.alike) AS slides, coalesce(c.same_slide, c.alike_slide) AS slide_id
    FROM (SELECT entry_id,
                 sum(slides) FILTER (WHERE is_same) AS same, min(slide_id) FILTER (WHERE is_same) AS same_slide,
                 sum(slides) FILTER (WHERE NOT is_same) AS alike, min(slide_id) FILTER (WHERE NOT is_same) AS alike_slide
          FROM paths GROUP BY entry_id) c
),
barcodes AS (
    SELECT site, archive, barcode, count(*) AS slides, min(slide_id) AS slide_id
    FROM places WHERE barcode IS NOT NULL GROUP BY site, archive, barcode
),
by_barcode AS (
    SELECT e.entry_id, sum(b.slides) AS slides, min(b.slide_id) AS slide_id
    FROM entries e
    JOIN barcodes b ON b.site = e.site AND b.barcode = e.barcode AND (e.archive IS NULL OR e.archive = b.archive)
    GROUP BY e.entry_id
),
chosen AS (
    SELECT e.entry_id, e.site, e.accession, e.barcode IS NOT NULL AND e.accession_raw IS NULL AS is_of_barcode,
           e.patient_id, e.specimen, e.block,
           CASE WHEN p.slides = 1 OR b.slides IS NULL THEN p.slides ELSE b.slides END AS slides,
           CASE WHEN p.slides = 1 OR b.slides IS NULL THEN p.slide_id ELSE b.slide_id END AS slide_id
    FROM entries e
    LEFT JOIN by_path p ON p.entry_id = e.entry_id
    LEFT JOIN by_barcode b ON b.entry_id = e.entry_id
),
cases AS (
    SELECT slide_id, count(DISTINCT accession) AS cases FROM chosen WHERE slides = 1 GROUP BY slide_id
)
SELECT c.entry_id, c.site, c.accession, c.is_of_barcode, c.patient_id, c.specimen, c.block, c.slide_id,
       CASE WHEN c.slides IS NULL THEN 'no_slide' WHEN c.slides > 1 THEN 'several_slides'
            WHEN k.cases > 1 THEN 'several_cases' END AS fault
FROM chosen c LEFT JOIN cases k ON k.slide_id = c.slide_id AND c.slides = 1
"""

_TOLD: Final = f"""
WITH glass AS (
    SELECT p.slide_id, p.barcode AS glass, g.accession, g.specimen, g.block
    FROM places p JOIN (
        SELECT site, glass_id, min(accession) AS accession, CASE WHEN count(*) = 1 THEN min(specimen) END AS specimen,
               CASE WHEN count(*) = 1 THEN min(block) END AS block
        FROM glasses GROUP BY site, glass_id HAVING count(DISTINCT accession) = 1
    ) g ON g.site = p.site AND g.glass_id = p.barcode
),
said AS (
    SELECT slide_id, accession AS "key",
           CASE WHEN is_of_barcode THEN {KEY_SOURCES.index("barcode")} ELSE {KEY_SOURCES.index("index")} END AS source,
           specimen, block
    FROM fits WHERE fault IS NULL AND accession IS NOT NULL
    UNION ALL
    SELECT slide_id, accession, {KEY_SOURCES.index("barcode")}, specimen, block FROM glass
),
numbers AS (
    SELECT slide_id, list(struct_pack("key" := "key", source := source, specimen := specimen, block := block)
                          ORDER BY "key", source, specimen, block) AS told
    FROM said GROUP BY slide_id
),
patients AS (
    SELECT slide_id, list(patient_id ORDER BY patient_id) AS told_patients
    FROM fits WHERE fault IS NULL AND patient_id IS NOT NULL GROUP BY slide_id
)
SELECT s.slide_id, n.told, p.told_patients, g.glass
FROM (SELECT slide_id FROM numbers UNION SELECT slide_id FROM patients) s
LEFT JOIN numbers n ON n.slide_id = s.slide_id
LEFT JOIN patients p ON p.slide_id = s.slide_id
LEFT JOIN glass g ON g.slide_id = s.slide_id
"""

_COUNTS: Final = "SELECT site, fault, count(*) FROM fits WHERE fault IS NOT NULL GROUP BY site, fault ORDER BY site, fault"
_FAULTS: Final = {
    "no_slide": ("link.index_no_slide", Severity.INFO, "fit no slide that was found, by path or barcode"),
    "several_slides": (
        "link.index_several_slides", Severity.WARNING, "fit several slides each, so that they say nothing of any of them",
    ),
    "several_cases": (
        "link.index_several_cases", Severity.WARNING, "name several cases for one slide, so that they say nothing of it",
    ),
}  # fmt: skip


def _findings(counts: Sequence[tuple[str, str, int]]) -> Iterator[Finding]:
    for site, fault, count in counts:
        rule, severity, what = _FAULTS[fault]
        yield Finding(
            rule, severity, f"entries of the scanner's table that {what}: {count}",
            stage="link", site=site, table="scanner_index", column="path", count=count,
        )  # fmt: skip
