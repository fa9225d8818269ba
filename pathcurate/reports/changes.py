"""What a later version of a report says otherwise than the one that it replaces."""

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.tables import Catalog

CHANGED_LABEL = "reports.changed_label"
_LABELS = (
    "organ", "laterality", "icd10", "icdo3_topography", "icdo3_morphology", "grade", "pt", "pn", "pm", "stage",
    "nodes_positive", "nodes_examined", "margin", "lvi", "pni",
)  # fmt: skip


def changed_labels(catalog: Catalog) -> list[Finding]:
    """Reports that stand in the place of another and say something else in a column that may be a label.

    A release made before them has the earlier value, and its next version the later: this says where. What only one of the
    two says is no change.
    """
    return changed_labels_of(catalog.read(REPORTS, columns=("report_id", "site", "replaces", *_LABELS)))


def changed_labels_of(rows: pa.Table) -> list[Finding]:
    """The same of some reports, among which are those that they replace."""
    later = rows.filter(pc.is_valid(rows["replaces"]))
    if not later.num_rows:
        return []
    earlier = rows.filter(pc.is_in(rows["report_id"], value_set=pc.unique(later["replaces"]).cast(pa.string())))
    before = {row["report_id"]: row for row in earlier.to_pylist()}
    found = []
    for row in later.to_pylist():
        old = before.get(row["replaces"], {})
        changed = [name for name in _LABELS if None not in (row[name], old.get(name)) and row[name] != old[name]]
        if changed:
            message = f"a report says otherwise than the one that it replaces: {', '.join(changed)}; see its `replaces`"
            found.append(
                Finding(
                    CHANGED_LABEL, Severity.INFO, message,
                    stage="reports", site=row["site"], table="reports", subject=row["report_id"],
                )
            )  # fmt: skip
    return found
