"""New report files beside many that are as they were: only the reports of the same cases are looked at, without their texts.

The texts of an old report are read where its place in its case has changed, since its row is then written again.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.findings import read_findings
from pathcurate.model.finding import Finding
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.reports.changes import CHANGED_LABEL, changed_labels_of
from pathcurate.reports.order import SAME_NUMBER, same_numbers_of, with_order
from pathcurate.reports.reading import Reader
from pathcurate.sources.appending import Added, Flags, Pairs, chosen_rows, flags, repeats_found, scanned
from pathcurate.tables import Catalog, column_values

_PLACING = ("case_order", "is_current", "replaces")
_WITHOUT_TEXTS = tuple(name for name in REPORTS.names if name not in TEXT_COLUMNS)


def append_reports(
    catalog: Catalog, reader: Reader, added: Added, carried_over: Callable[[pa.Table, pa.Table], pa.Table]
) -> list[Finding] | None:
    """Add the reports of new files, with their place in their cases, and what their texts say.

    Args:
        catalog: the catalog.
        reader: reads their texts.
        added: what the new files add.
        carried_over: gives reports what was read in their texts before.

    Returns:
        Findings about the table as a whole. None, with nothing written, if an old report has to be read again.
    """
    found = read_findings(catalog, REPORTS.name)
    pairs = _pairs(finding for finding in found if finding.rule == _REPEATED)
    scan = _Scan(reader, added.rows)
    of_cases = scanned(catalog, REPORTS, ("report_id", "site", "accession", "rules_digest"), scan.is_wanted)
    if pairs is None or scan.has_stale:
        return None
    before = scan.of_same_cases(chosen_rows(catalog, REPORTS, _WITHOUT_TEXTS, of_cases))
    is_new = pa.array(added.is_new, pa.bool_())
    # A report that a file gives too which now is the first of its files.
    moved = carried_over(added.rows.filter(pc.invert(is_new)), before)
    pairs_read = zip(column_values(moved, "site"), column_values(moved, "rules_digest"), strict=True)
    if not all(reader.has_read(site, digest) for site, digest in pairs_read):
        return None
    new = reader.read_more(added.rows.filter(is_new))
    kept = before.filter(pc.invert(pc.is_in(before["report_id"], value_set=_identifiers(moved))))
    tables = [kept, moved.select(_WITHOUT_TEXTS), new.select(_WITHOUT_TEXTS)]
    ordered = with_order(pa.concat_tables([table.cast(kept.schema) for table in tables]))
    changed = _changed(catalog, of_cases, kept, ordered)
    catalog.upsert(REPORTS, _placed(pa.concat_tables([changed, moved.cast(changed.schema)]), ordered))
    catalog.upsert(REPORTS, _placed(new, ordered), only_adds=True)
    pairs.update(added.repeats)
    seen = set(column_values(ordered, "report_id"))
    stands = [one for one in found if one.rule in {SAME_NUMBER, CHANGED_LABEL} and one.subject not in seen]
    about_cases = [*stands, *same_numbers_of(ordered), *changed_labels_of(ordered)]
    return [*about_cases, *repeats_found(REPORTS, +pairs), *reader.findings()]


_REPEATED = f"{REPORTS.name}.repeated_in_file"


def _pairs(findings: Iterable[Finding]) -> Pairs | None:
    """The files that share rows, from the findings about them; None if a file's name leaves open which these are."""
    pairs: Pairs = Counter()
    for finding in findings:
        files = (finding.subject or "").split(" and ")
        if len(files) != 2 or finding.count is None:
            return None
        pairs[finding.site or "", files[0], files[1]] = finding.count
    return pairs


class _Scan:
    """Looks for reports of the same cases among all.

    Attributes:
        has_stale: whether a report was met that has to be read again.
    """

    def __init__(self, reader: Reader, rows: pa.Table) -> None:
        self._reader = reader
        self._accessions = pc.unique(rows["accession"])
        self._cases = set(_cases(rows))
        self.has_stale = False

    def is_wanted(self, piece: pa.Table) -> Flags:
        read = piece.group_by(["site", "rules_digest"]).aggregate([])
        met = zip(column_values(read, "site"), column_values(read, "rules_digest"), strict=True)
        self.has_stale |= not all(self._reader.has_read(site, digest) for site, digest in met)
        return flags(pc.is_in(piece["accession"], value_set=self._accessions))

    def of_same_cases(self, rows: pa.Table) -> pa.Table:
        """Of reports with the same numbers, those of the same sites."""
        return rows.filter(pa.array([case in self._cases for case in _cases(rows)], pa.bool_()))


def _cases(rows: pa.Table) -> Iterable[tuple[str, str]]:
    return zip(column_values(rows, "site"), column_values(rows, "accession"), strict=True)


def _identifiers(rows: pa.Table) -> "pa.Array[Any]":
    return rows["report_id"].combine_chunks()


def _placed(rows: pa.Table, ordered: pa.Table) -> pa.Table:
    """Reports with their places in their cases."""
    place = pc.index_in(rows["report_id"], value_set=_identifiers(ordered))
    for name in _PLACING:
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), ordered[name].take(place))
    return rows


def _changed(catalog: Catalog, of_cases: Flags, kept: pa.Table, ordered: pa.Table) -> pa.Table:
    """Old reports, with their texts, whose places in their cases have changed."""
    placed = _placed(kept, ordered)
    pairs = zip(kept.select(_PLACING).to_pylist(), placed.select(_PLACING).to_pylist(), strict=True)
    is_other = [one != other for one, other in pairs]
    others = _identifiers(kept.filter(pa.array(is_other, pa.bool_())))
    pieces = catalog.pieces(REPORTS, len(of_cases) or 1, ("report_id",), of_cases) if is_other else iter(())
    wanted = [flags(pc.is_in(piece["report_id"], value_set=others)) for piece in pieces]
    chosen = np.zeros(len(of_cases), np.bool_)
    chosen[np.flatnonzero(of_cases)[np.concatenate([np.zeros(0, np.bool_), *wanted])] if wanted else []] = True
    return chosen_rows(catalog, REPORTS, REPORTS.names, chosen)
