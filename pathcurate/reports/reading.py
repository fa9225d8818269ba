"""Reading what reports say: `diagnoses`, `ihc_results`, and the columns of `reports` on which their lines agree.

A report is read again only when its texts or the rules have changed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.engines import Engine, LossReason
from pathcurate.findings import read_findings
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS, SOURCE_CODES, TEXT_COLUMNS, VALUES
from pathcurate.sources import gathered
from pathcurate.sources import rules_digest as shipped_digest
from pathcurate.tables import Catalog, arrow_schema, column_values, conform, from_rows
from pathcurate.text import understanding
from pathcurate.text.assertion import rules_digest as assertion_digest
from pathcurate.text.blocks import blocks_named
from pathcurate.text.coding import Coder, coder

_BATCH_ROWS: Final = 256
_FEW: Final = 400
"""Reports that are read faster here than processes can be started for them."""
_TIMEOUT_SECONDS: Final = 30.0
_INPUT: Final = ("report_id", "site", *TEXT_COLUMNS)
_KEY: Final = ("site", "report_id", "ordinal")
_UNREADABLE: Final = "unreadable"
_RULES: Final = {
    "nodes_positive_above_examined": "counts more positive lymph nodes than were examined",
    "nodes_against_words": "counts lymph nodes otherwise than its words say",
    "pn_against_nodes": "gives a pN that its node counts do not allow",
    "gleason_sum": "gives a Gleason sum that its patterns do not make",
    "stage_against_m": "gives a stage that its M does not allow",
    "stage_against_t": "gives a stage that its T does not allow",
    _UNREADABLE: "could not be read for what it says: its text made the reader fail",
}
"""What is wrong with a report of which a rule of this name speaks."""


@dataclass(frozen=True)
class ReadingSpec:
    """Rules of reading; picklable.

    Attributes:
        words: of each site that has some, the words that it adds to the vocabularies, as JSON.
    """

    words: tuple[tuple[str, str], ...] = ()


def _nested(table: Table, columns: Sequence[str]) -> "pa.DataType":
    schema = arrow_schema(table)
    return pa.list_(pa.struct([schema.field(name).with_nullable(True).remove_metadata() for name in columns]))


_DIAGNOSIS: Final = tuple(name for name in DIAGNOSES.names if name not in {"report_id", "site"})
_STAIN: Final = tuple(name for name in IHC_RESULTS.names if name not in {"report_id", "site"})
_SUMMARY: Final = ("organ", "blocks", *(column.name for column in VALUES))
OUTPUT: Final = pa.schema(
    [
        *(pa.field(name, arrow_schema(REPORTS).field(name).type) for name in _SUMMARY),
        pa.field("diagnoses", _nested(DIAGNOSES, _DIAGNOSIS)),
        pa.field("stains", _nested(IHC_RESULTS, _STAIN)),
        pa.field("faults", pa.list_(pa.field("element", pa.string()))),
    ]
)
"""What is read of a report: its summary, its rows of two tables, and names of rules that it breaks."""


def rules_digest(words: str | None) -> str:
    """Digest of all rules by which a site's reports are read; ``words`` are its own, as JSON."""
    # Markers, genes, heads of sections and stages have lists of their own, all of which the shipped digest holds.
    rules = [shipped_digest(), understanding.VERSION, _coder(words).digest, assertion_digest()]
    return sha256_text(canonical_json(rules))


def _coder(words: str | None) -> Coder:
    return coder(json.loads(words)) if words else coder()


def read_reports(batch: pa.RecordBatch, spec: ReadingSpec) -> pa.RecordBatch:
    """Kernel: what each report says; see :data:`OUTPUT`."""
    words = dict(spec.words)
    rows: list[dict[str, Any]] = []
    for row in batch.to_pylist():
        try:
            said = understanding.understand(row, _coder(words.get(row["site"])))
        except Exception:  # noqa: BLE001  one report must not cost the others; its finding says that it was not read
            rows.append({"faults": [_UNREADABLE]})
            continue
        faults = sorted({fault.rule for fault in said.faults})
        blocks = blocks_named(row[name] for name in TEXT_COLUMNS) or None
        rows.append({**said.summary, "blocks": blocks, "diagnoses": said.diagnoses, "stains": said.stains, "faults": faults})
    return pa.RecordBatch.from_pylist(rows, schema=OUTPUT)


def lost_report(row: pa.RecordBatch, _reason: LossReason) -> pa.RecordBatch:
    """The output for a report that kills or hangs its reader."""
    return pa.RecordBatch.from_pylist([{"faults": [_UNREADABLE]}] * row.num_rows, schema=OUTPUT)


class Reader:
    """Reads reports that were not read yet by today's rules.

    Attributes:
        rules: of its findings.
    """

    rules: Final = frozenset(f"reports.{rule}" for rule in _RULES)

    def __init__(self, catalog: Catalog, words: Mapping[str, str], engine: Engine | None) -> None:
        """Prepare to read.

        Args:
            catalog: the catalog.
            words: words that sites add to the vocabularies, by site, as JSON.
            engine: for many reports; None reads them in this process.
        """
        self._catalog = catalog
        self._words = words
        self._engine = engine
        before = read_findings(catalog, "reports")
        self._findings = [finding for finding in before if finding.rule in self.rules]
        self._digests: dict[str, str] = {}

    def findings(self) -> list[Finding]:
        """Reports that contradict themselves or could not be read, of all that there are."""
        return self._findings

    def read(self, reports: pa.Table) -> pa.Table:
        """The table with its derived columns; ``diagnoses`` and ``ihc_results`` are brought up to date.

        Args:
            reports: all reports; of those read before, with what was read and the digest of the rules.
        """
        sites = column_values(reports, "site")
        current = {site: rules_digest(self._words.get(site)) for site in sorted(set(sites))}
        read_by = column_values(reports, "rules_digest")
        is_stale = np.array([one != current[site] for one, site in zip(read_by, sites, strict=True)], np.bool_)
        stale, kept = reports.filter(pa.array(is_stale)), reports.filter(pa.array(~is_stale))
        outputs, read = self._understood(stale, current)
        _renew(self._catalog, DIAGNOSES, stale, outputs["diagnoses"], kept)
        _renew(self._catalog, IHC_RESULTS, stale, outputs["stains"], kept)
        known = set(column_values(kept, "report_id"))
        standing = [finding for finding in self._findings if finding.subject in known]
        self._findings = [*standing, *_findings(stale, outputs["faults"])]
        # Rows go back to where they were.
        place = np.concatenate([np.flatnonzero(~is_stale), np.flatnonzero(is_stale)])
        return gathered(pa.concat_tables([kept, read]), np.argsort(place))

    def read_more(self, reports: pa.Table) -> pa.Table:
        """New reports with their derived columns; their rows of ``diagnoses`` and ``ihc_results`` are added.

        Args:
            reports: reports of which these tables hold nothing.
        """
        current = {site: rules_digest(self._words.get(site)) for site in sorted(set(column_values(reports, "site")))}
        outputs, read = self._understood(reports, current)
        for table, name in ((DIAGNOSES, "diagnoses"), (IHC_RESULTS, "stains")):
            rows = _sorted(_of_reports(table, reports, outputs[name]), _KEY)
            self._catalog.upsert(table, rows, only_adds=True)
        self._findings = [*self._findings, *_findings(reports, outputs["faults"])]
        return read

    def has_read(self, site: str, digest: str | None) -> bool:
        """Whether a report of a site that was read by rules of this digest need not be read again."""
        if site not in self._digests:
            self._digests[site] = rules_digest(self._words.get(site))
        return digest == self._digests[site]

    def _understood(self, stale: pa.Table, current: Mapping[str, str]) -> tuple[pa.Table, pa.Table]:
        """What reports say, and the reports with it."""
        spec = ReadingSpec(tuple(sorted(self._words.items())))
        outputs = pa.Table.from_batches(_run(stale.select(list(_INPUT)), spec, self._engine), schema=OUTPUT)
        # What could not be read, perhaps for want of time, is tried again at the next import that reads anything.
        is_read = [_UNREADABLE not in (rules or ()) for rules in outputs["faults"].to_pylist()]
        by = [current[site] if done else None for site, done in zip(column_values(stale, "site"), is_read, strict=True)]
        return outputs, _completed(stale, outputs, pa.array(by, pa.string()))


def _run(rows: pa.Table, spec: ReadingSpec, engine: Engine | None) -> Iterator[pa.RecordBatch]:
    batches = rows.combine_chunks().to_batches(max_chunksize=_BATCH_ROWS)
    if engine is None or rows.num_rows <= _FEW:
        yield from (read_reports(batch, spec) for batch in batches)
        return
    yield from engine.run(read_reports, batches, spec, OUTPUT, on_crash=lost_report, timeout=_TIMEOUT_SECONDS)


def _completed(reports: pa.Table, read: pa.Table, digests: "pa.Array[Any]") -> pa.Table:
    """Reports with what was read of them; a code that the source gives stands."""
    for name in _SUMMARY:
        values: Any = read[name]
        if name in SOURCE_CODES:
            given = pa.array([name in (codes or ()) for codes in reports["source_codes"].to_pylist()], pa.bool_())
            # Of an organ that no line names, the specimen's head has been asked.
            other = pc.coalesce(values, reports[name]) if name == "organ" else values
            values = pc.if_else(given, reports[name], other)
        place = reports.schema.get_field_index(name)
        reports = reports.set_column(place, reports.schema.field(name), values)
    place = reports.schema.get_field_index("rules_digest")
    return reports.set_column(place, reports.schema.field("rules_digest"), digests)


def _renew(catalog: Catalog, table: Table, stale: pa.Table, rows: "pa.ChunkedArray[Any]", kept: pa.Table) -> None:
    """Replace the rows of reports that were read now, and leave out those of reports that are no more."""
    fresh, before = _of_reports(table, stale, rows), catalog.read(table)
    standing = before.filter(pc.is_in(before["report_id"], value_set=kept["report_id"].combine_chunks()))
    catalog.replace(table, _sorted(pa.concat_tables([standing, fresh]), _KEY))


def _of_reports(table: Table, reports: pa.Table, rows: "pa.ChunkedArray[Any]") -> pa.Table:
    """Rows of a table that were read in reports."""
    lists = rows.combine_chunks()
    parents = pc.list_parent_indices(lists)
    flat: Any = pc.list_flatten(lists)
    columns = {field.name: flat.field(position) for position, field in enumerate(flat.type)}
    columns |= {key: reports[key].combine_chunks().take(parents) for key in ("report_id", "site")}
    return conform(table, pa.table(columns)) if len(flat) else from_rows(table, ())


def _sorted(data: pa.Table, names: Sequence[str]) -> pa.Table:
    return data.sort_by([(name, "ascending") for name in names])


def _findings(reports: pa.Table, faults: "pa.ChunkedArray[Any]") -> Iterator[Finding]:
    rows = zip(column_values(reports, "report_id"), column_values(reports, "site"), faults.to_pylist(), strict=True)
    for report_id, site, rules in rows:
        for rule in rules or ():
            yield Finding(
                f"reports.{rule}", Severity.WARNING, f"a report {_RULES.get(rule, 'contradicts itself')}",
                stage="reports", site=site, table="reports", subject=report_id,
            )  # fmt: skip
