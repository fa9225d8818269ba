"""Stage: the catalog's tables become the de-identified tables of ``deid/`` and the criterion-only values of the vault."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pathcurate import __version__
from pathcurate.deid.build import Built, build_files
from pathcurate.deid.explained import explain, plan, planned_tables, unruled
from pathcurate.deid.faults import find_faults, find_text_faults, known
from pathcurate.deid.originals import record_originals
from pathcurate.deid.siterules import site_rules
from pathcurate.deid.texts import TextScrubbing, TextSummary, remember_wanted, wanted_cohorts
from pathcurate.engines import Engine
from pathcurate.errors import PlanIncompleteError
from pathcurate.findings import record_findings
from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.link import LINKS
from pathcurate.model.slide import SLIDES
from pathcurate.profiles import load_profile
from pathcurate.pseudonyms import internal
from pathcurate.storage import private_directory
from pathcurate.tables import Catalog, read_metadata
from pathcurate.vault import append_event, create_vault, open_vault
from pathcurate.verification import (
    break_seal,
    break_text_seal,
    demand_seal,
    drop_texts,
    input_states,
    read_text_seal,
    text_files,
    text_inputs,
    write_seal,
    write_text_seal,
)
from pathcurate.workspace import Workspace

__all__ = ["DeidSummary", "apply", "explain", "plan", "planned_tables", "verify"]


@dataclass(frozen=True, slots=True)
class DeidSummary:
    """What ``apply`` or ``verify`` did.

    Attributes:
        rows: rows of each de-identified table.
        left_out: values left out because they were outside their column's closed set, by ``table.column``.
        rows_left_out: rows left out because it is not known whose they are, by table.
        faults: what verification found wrong; none if it passed.
        texts: what became of the texts, None if none are wanted.
    """

    rows: Mapping[str, int]
    left_out: Mapping[str, int]
    rows_left_out: Mapping[str, int]
    faults: tuple[str, ...]
    texts: TextSummary | None = None


def apply(
    workspace: Workspace,
    *,
    actor: str,
    engine: Engine | None = None,
    texts: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> DeidSummary:
    """De-identify the catalog's tables, and the texts that are wanted, and verify the result.

    Tables that are up to date are not made again if texts are asked for. Texts that were asked for before are brought up to
    date with the tables.

    Args:
        workspace: the workspace.
        actor: who runs it, for the audit trail.
        engine: scrubs the texts; without one there are none.
        texts: a cohort whose texts are wanted from now on, ``*`` for those of the archive.
        progress: called with the number of reports whose texts were looked at, and of all.

    Raises:
        PlanIncompleteError: a column has no rule, or there is no such cohort; nothing was done.
        VaultError: the key cannot be used.
    """
    cohorts = wanted_cohorts(workspace, texts)
    summary = _tables_as_they_are(workspace) if texts is not None else None
    identifiers = None
    if summary is None:
        summary, identifiers = _apply_tables(workspace, actor)
    # Before any text is touched: a run that is killed from here on leaves the wish.
    if texts is not None:
        remember_wanted(workspace, cohorts)
    if not cohorts:
        drop_texts(workspace)
    if engine is None or not cohorts or summary.faults:
        return summary
    done, faults = _apply_texts(workspace, engine, cohorts, actor, progress, identifiers or known(workspace))
    return replace(summary, texts=done, faults=(*summary.faults, *faults))


def _tables_as_they_are(workspace: Workspace) -> DeidSummary | None:
    """Their rows, None if they are missing or out of date."""
    try:
        demand_seal(workspace)
    except PlanIncompleteError:
        return None
    return DeidSummary(_rows(workspace), {}, {}, ())


def _apply_tables(workspace: Workspace, actor: str) -> tuple[DeidSummary, Identifiers]:
    """Make and verify the tables; what was done, and the identifiers that they were searched for."""
    catalog = Catalog(workspace.catalog)
    if catalog.snapshot(LINKS) is None:
        # A workspace without slides has reports and events to link, too.
        missing = "scan" if catalog.snapshot(SLIDES) is None else "link"
        raise PlanIncompleteError("there is nothing to de-identify yet", f"Run `pathcurate {missing}` first.")
    if strange := unruled(catalog):
        raise PlanIncompleteError(
            f"no rule says what to do with {', '.join(strange)}",
            "Columns of a former version go with `pathcurate catalog compact`; of a newer one, upgrade pathcurate.",
        )
    vault = create_vault(workspace.vault)
    # From here until the new seal stands, nothing vouches for what is in deid/.
    break_seal(workspace)
    inputs = input_states(workspace)
    layer = internal(vault.key)
    # First: no code is shown anywhere that does not lead back.
    record_originals(catalog, layer.codes, vault)
    private_directory(vault.criteria)
    built = build_files(Catalog(workspace.catalog), layer, load_profile(workspace), workspace.deid, vault.criteria)
    record_findings(Catalog(workspace.catalog), "deid", _findings(built))
    identifiers = known(workspace)
    faults = find_faults(workspace, identifiers)
    append_event(
        workspace.vault, actor, "deid apply",
        {**built.rows, "faults": len(faults), "key": vault.fingerprint, "version": __version__},
    )  # fmt: skip
    # Last: what the seal allows has been audited.
    write_seal(workspace, inputs, vault.fingerprint, faults)
    summary = DeidSummary(built.rows, built.left_out, built.rows_left_out, tuple(faults))
    return summary, identifiers


def _apply_texts(
    workspace: Workspace,
    engine: Engine,
    cohorts: Sequence[str],
    actor: str,
    progress: Callable[[int, int], None],
    identifiers: Identifiers,
) -> tuple[TextSummary, tuple[str, ...]]:
    vault = open_vault(workspace.vault)
    catalog = Catalog(workspace.catalog)
    rules = site_rules(workspace, catalog)
    break_text_seal(workspace)
    inputs = text_inputs(workspace)
    scrubbing = TextScrubbing(workspace, engine, internal(vault.key), vault.fingerprint, rules, identifiers)
    summary = scrubbing.run(cohorts, progress)
    record_findings(catalog, "deid_texts", scrubbing.findings)
    faults = find_text_faults(workspace, identifiers)
    facts = {
        "reports": summary.reports, "scrubbed": summary.scrubbed, "texts": summary.texts, "failed": summary.failed,
        "withheld": summary.withheld, "removals": sum(summary.removals.values()), "faults": len(faults),
    }  # fmt: skip
    append_event(workspace.vault, actor, "deid texts", {**facts, "key": vault.fingerprint, "version": __version__})
    write_text_seal(workspace, inputs, vault.fingerprint, faults, cohorts)
    return summary, tuple(faults)


def verify(workspace: Workspace, *, actor: str) -> DeidSummary:
    """Check the de-identified tables and texts again, from their files and from the catalog as it is now.

    A seal is broken if what it vouches for does not pass: no later stage uses that then.

    Raises:
        PlanIncompleteError: there are no de-identified tables.
        VaultError: the key cannot be used.
    """
    if not all((workspace.deid / f"{name}.parquet").is_file() for name in DEID_TABLES):
        raise PlanIncompleteError("the workspace has no de-identified tables", "Run `pathcurate deid apply`.")
    open_vault(workspace.vault)
    identifiers = known(workspace)
    faults = find_faults(workspace, identifiers)
    if faults:
        break_seal(workspace)
    # Without a seal too: what a run left that was killed, or did not pass, lies there all the same.
    has_texts = any(path.is_file() for path in text_files(workspace).values()) or read_text_seal(workspace) is not None
    text_faults = find_text_faults(workspace, identifiers) if has_texts else []
    if text_faults:
        break_text_seal(workspace)
    both = (*faults, *text_faults)
    append_event(workspace.vault, actor, "deid verify", {"faults": len(both), "version": __version__})
    return DeidSummary(_rows(workspace), {}, {}, both)


def _rows(workspace: Workspace) -> dict[str, int]:
    return {name: read_metadata(workspace.deid / f"{name}.parquet").num_rows for name in DEID_TABLES}


_FOR_CRITERIA_ONLY = {
    "events.code": (
        "deid.code_for_criteria_only",
        "codes of events have no form that their code system is known for; criteria can name them, and nothing shows them",
    ),
    "annotations.label": (
        "deid.label_left_out",
        "labels of annotations are more than letters, signs and four digits; criteria cannot name them",
    ),
}
"""Columns whose closed form is of another kind than a list of words: rule and message."""
_ROWS_LEFT_OUT = {
    "reports": (
        "deid.case_without_person", Severity.ERROR, None,
        "reports were left out because their case has no one patient",
    ),
    "events": (
        "deid.event_without_person", Severity.WARNING, "patient_id",
        "events were left out because no one person of the reports has their number",
    ),
    "series": (
        "deid.series_without_person", Severity.WARNING, "patient_id",
        "series were left out because they are of no one person of the reports",
    ),
    "annotations": (
        "deid.annotation_without_slide", Severity.WARNING, "slide_id",
        "annotations were left out because it is not known which slide they are of",
    ),
    "materials": (
        "deid.material_without_case", Severity.WARNING, "accession",
        "blocks and glass slides were left out because no case with one patient has their number",
    ),
}  # fmt: skip
"""Rule, severity, column and message for rows of a table of the catalog that have no place in ``deid/``."""


def _findings(built: Built) -> list[Finding]:
    return [*_values_left_out(built), *_rows_left_out(built)]


def _values_left_out(built: Built) -> Iterator[Finding]:
    for name, count in built.left_out.items():
        table, _, column = name.partition(".")
        rule, severity = "deid.outside_closed_set", Severity.WARNING
        message = f"values of {name} are in no closed set and were left out; a vocabulary may lack a word"
        if name in _FOR_CRITERIA_ONLY:
            (rule, message), severity = _FOR_CRITERIA_ONLY[name], Severity.INFO
        yield Finding(rule, severity, f"{count} {message}", stage="deid", table=table, column=column, count=count)


def _rows_left_out(built: Built) -> Iterator[Finding]:
    for table, count in built.rows_left_out.items():
        rule, severity, column, message = _ROWS_LEFT_OUT[table]
        yield Finding(rule, severity, f"{count} {message}", stage="deid", table=table, column=column, count=count)
