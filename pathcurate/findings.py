"""Findings in the catalog: each stage replaces its own and leaves the others'."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.finding import FINDINGS, Finding, Severity
from pathcurate.tables import Catalog, from_rows


def record_findings(
    catalog: Catalog, stage: str, findings: Iterable[Finding], *, sites: Iterable[str] | None = None
) -> None:
    """Make these the findings of a stage.

    Args:
        catalog: the workspace's catalog.
        stage: the stage; its earlier findings go, so that what was mended disappears.
        findings: what it found now.
        sites: replace only the findings of these sites (and those of no site), because only they were looked at.
    """
    current = catalog.read(FINDINGS)
    stale = pc.equal(current["stage"], pa.scalar(stage))
    if sites is not None:
        looked_at = pc.or_(pc.is_in(current["site"], pa.array(list(sites), pa.string())), pc.is_null(current["site"]))
        stale = pc.and_(stale, looked_at)
    rows = from_rows(FINDINGS, ({**finding.as_dict(), "stage": stage} for finding in findings))
    kept = current.filter(pc.invert(stale))
    catalog.replace(FINDINGS, pa.concat_tables([kept, rows]).sort_by([(name, "ascending") for name in FINDINGS.key]))


def read_findings(catalog: Catalog, stage: str | None = None) -> list[Finding]:
    """Findings of all stages, or of one."""
    rows = catalog.read(FINDINGS).to_pylist()
    return [
        Finding(**{**row, "severity": Severity(row["severity"])}) for row in rows if stage is None or row["stage"] == stage
    ]
