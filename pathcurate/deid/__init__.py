"""Stage: the catalog's tables become the de-identified tables of ``deid/`` and the criterion-only values of the vault."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pathcurate import __version__
from pathcurate.deid.build import Built, build
from pathcurate.deid.faults import find_faults
from pathcurate.errors import PlanIncompleteError
from pathcurate.findings import record_findings
from pathcurate.model.column import Action, Table
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.model.event import EVENTS
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.link import LINKS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import date_shift, internal_layer
from pathcurate.scrubbers import table as scrubber
from pathcurate.scrubbers.table import PlannedColumn
from pathcurate.storage import private_directory
from pathcurate.tables import Catalog, read_parquet, write_parquet
from pathcurate.vault import append_event, create_vault, open_vault
from pathcurate.verification import break_seal, input_states, write_seal
from pathcurate.workspace import Workspace

_SCRUBBED = (SLIDES, REPORTS, EVENTS)
_ALSO_TRUE = "; whatever its form, it is kept in the vault, for criteria only"


@dataclass(frozen=True, slots=True)
class DeidSummary:
    """What ``apply`` or ``verify`` did.

    Attributes:
        rows: rows of each de-identified table.
        left_out: values left out because they were outside their column's closed set, by ``table.column``.
        reports_left_out: reports left out because their case has no one patient.
        events_left_out: events left out because their patient is not known.
        faults: what verification found wrong; none if it passed.
    """

    rows: Mapping[str, int]
    left_out: Mapping[str, int]
    reports_left_out: int
    events_left_out: int
    faults: tuple[str, ...]


def explain() -> list[str]:
    """What is done to each column, one sentence each, from the declarations that do it."""
    return [
        sentence + (_ALSO_TRUE if column.name in _kept_twice(table) else "")
        for table in _SCRUBBED
        for column, sentence in zip(table.columns, scrubber.explain(table), strict=True)
    ]


def _kept_twice(table: Table) -> set[str]:
    """Columns that are kept where they have a closed form, and kept in any form for criteria."""
    twins = CRITERIA_TABLES[table.name].names[1:]
    return {column.name for column in table.columns if column.action is Action.KEEP and column.name in twins}


def plan(workspace: Workspace) -> list[PlannedColumn]:
    """What ``apply`` will do to each column of the catalog, also to columns that no rule covers."""
    catalog = Catalog(workspace.catalog)
    return [
        replace(planned, sentence=planned.sentence + _ALSO_TRUE) if planned.column in _kept_twice(table) else planned
        for table in _SCRUBBED
        for planned in scrubber.plan(table, catalog.read(table), catalog.columns(table))
    ]


def apply(workspace: Workspace, *, actor: str) -> DeidSummary:
    """De-identify the catalog's tables, without their texts, and verify the result.

    Args:
        workspace: the workspace.
        actor: who runs it, for the audit trail.

    Raises:
        PlanIncompleteError: a column has no rule; nothing was done.
        VaultError: the key cannot be used.
    """
    catalog = Catalog(workspace.catalog)
    if catalog.snapshot(LINKS) is None:
        # A workspace without slides has reports and events to link, too.
        missing = "scan" if catalog.snapshot(SLIDES) is None else "link"
        raise PlanIncompleteError("there is nothing to de-identify yet", f"Run `pathcurate {missing}` first.")
    unruled = [f"{item.table}.{item.column}" for item in plan(workspace) if item.action is None]
    if unruled:
        raise PlanIncompleteError(
            f"no rule says what to do with {', '.join(unruled)}",
            "A newer pathcurate may have written the catalog; upgrade, or scan and import again.",
        )
    vault = create_vault(workspace.vault)
    # From here until the new seal stands, nothing vouches for what is in deid/.
    break_seal(workspace)
    inputs = input_states(workspace)
    built = build(Catalog(workspace.catalog), internal_layer(vault.key), date_shift(vault.key))
    for name, data in built.tables.items():
        write_parquet(workspace.deid / f"{name}.parquet", data)
    private_directory(vault.criteria)
    for name, data in built.criteria.items():
        write_parquet(vault.criteria / f"{name}.parquet", data, mode=0o600)
    record_findings(Catalog(workspace.catalog), "deid", _findings(built))
    faults = find_faults(workspace)
    rows = {name: data.num_rows for name, data in built.tables.items()}
    append_event(
        workspace.vault, actor, "deid apply",
        {**rows, "faults": len(faults), "key": vault.fingerprint, "version": __version__},
    )  # fmt: skip
    # Last: what the seal allows has been audited.
    write_seal(workspace, inputs, vault.fingerprint, faults)
    return DeidSummary(rows, built.left_out, built.reports_left_out, built.events_left_out, tuple(faults))


def verify(workspace: Workspace, *, actor: str) -> DeidSummary:
    """Check the de-identified tables again, from their files and from the catalog as it is now.

    The seal is broken if they do not pass: no later stage uses them then.

    Raises:
        PlanIncompleteError: there are no de-identified tables.
        VaultError: the key cannot be used.
    """
    if not all((workspace.deid / f"{name}.parquet").is_file() for name in DEID_TABLES):
        raise PlanIncompleteError("the workspace has no de-identified tables", "Run `pathcurate deid apply`.")
    open_vault(workspace.vault)
    faults = find_faults(workspace)
    if faults:
        break_seal(workspace)
    append_event(workspace.vault, actor, "deid verify", {"faults": len(faults), "version": __version__})
    rows = {name: read_parquet(workspace.deid / f"{name}.parquet").num_rows for name in DEID_TABLES}
    return DeidSummary(rows, {}, 0, 0, tuple(faults))


def _findings(built: Built) -> list[Finding]:
    findings = [
        Finding(
            "deid.outside_closed_set", Severity.WARNING,
            f"{count} values of {name} are in no closed set and were left out; a vocabulary may lack a word",
            stage="deid", table=name.partition(".")[0], column=name.partition(".")[2], count=count,
        )
        for name, count in built.left_out.items()
        if name != "events.code"
    ]  # fmt: skip
    if hidden := built.left_out.get("events.code", 0):
        findings.append(
            Finding(
                "deid.code_for_criteria_only",
                Severity.INFO,
                f"{hidden} codes of events have no form that their code system is known for; criteria can name them, and "
                "nothing shows them",
                stage="deid",
                table="events",
                column="code",
                count=hidden,
            )
        )
    if built.reports_left_out:
        findings.append(
            Finding(
                "deid.case_without_person",
                Severity.ERROR,
                f"{built.reports_left_out} reports were left out because their case has no one patient",
                stage="deid",
                table="reports",
                count=built.reports_left_out,
            )
        )
    if built.events_left_out:
        findings.append(
            Finding(
                "deid.event_without_person",
                Severity.WARNING,
                f"{built.events_left_out} events were left out because no one person of the reports has their number",
                stage="deid",
                table="events",
                column="patient_id",
                count=built.events_left_out,
            )
        )
    return findings
