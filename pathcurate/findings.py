"""Findings in the catalog: each stage replaces its own and leaves the others'; grouped for people, and waived by them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import UsageError
from pathcurate.model.finding import FINDINGS, Finding, Severity, advice
from pathcurate.model.slide import SLIDES
from pathcurate.model.waiver import DIMENSIONS, WAIVERS, Waiver, is_plain
from pathcurate.storage import path_text
from pathcurate.tables import Catalog, Snapshot, arrow_schema, from_rows
from pathcurate.yamlsource import did_you_mean

_ORIGIN = {"scanner": "scanner_model", "format": "format", "archive": "archive"}
"""Dimension to the column of ``slides`` that gives it."""
_MOST_NAMED = 8
_BUNDLE_ROWS = 500_000


class Origin(NamedTuple):
    """Where the slide comes from that a finding is about."""

    scanner: str | None = None
    format: str | None = None
    archive: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which findings to look at; an empty part selects all.

    Attributes:
        rules: of these rules.
        sites: of these sites.
        stages: of these stages.
        least: at least this grave.
    """

    rules: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    least: Severity = Severity.INFO


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings that a person can deal with together.

    Attributes:
        by: what they agree in, dimension to value; None where it is not known.
        severity: the gravest of them.
        findings: how many there are.
        rows: how many rows of data they speak of.
        sites: of which sites they are, up to 8.
        scanners: of which scanner models their slides are, up to 8.
        example: the message of one of them.
        advice: what to do next.
        waiver_id: the waiver that covers them, None if they count.
    """

    by: Mapping[str, str | None]
    severity: Severity
    findings: int
    rows: int
    sites: tuple[str, ...]
    scanners: tuple[str, ...]
    example: str
    advice: str
    waiver_id: str | None = None


@dataclass(frozen=True, slots=True)
class WaiverState:
    """A waiver, whether it applies today, and how many of the findings looked at it fits."""

    waiver: Waiver
    state: str
    findings: int


@dataclass(frozen=True, slots=True)
class FindingsOverview:
    """The findings of a catalog, grouped.

    Attributes:
        findings: how many were looked at, waived or not.
        active: groups of those that count, gravest and largest first.
        waived: groups of those that a waiver covers.
        waivers: every waiver of the catalog.
    """

    findings: int
    active: tuple[FindingGroup, ...]
    waived: tuple[FindingGroup, ...]
    waivers: tuple[WaiverState, ...]


# --- Recording ---------------------------------------------------------------------------------------------------


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


# --- Grouping ----------------------------------------------------------------------------------------------------


def group_findings(
    catalog: Catalog, selection: Selection, *, today: date, by: Collection[str] = ("rule",)
) -> FindingsOverview:
    """The findings in groups that a person can act on; always by rule, and by the dimensions given.

    Args:
        catalog: the workspace's catalog.
        selection: which findings.
        today: the day on which waivers must apply.
        by: further dimensions of :data:`DIMENSIONS`.
    """
    names = tuple(name for name in DIMENSIONS if name == "rule" or name in by)
    snapshot = catalog.snapshot(FINDINGS)
    data = _with_origins(catalog, _selected(catalog, selection, snapshot))
    waivers = read_waivers(catalog)
    owners, fits = _covering(data, waivers, today)
    data = data.append_column("waiver_id", owners).drop_columns(["subject"])
    active = _grouped(data.filter(pc.is_null(owners)) if owners.null_count < len(owners) else data, names)
    covered = _grouped(data.filter(pc.is_valid(owners)), (*names, "waiver_id"))
    # Texts are by far the most of the table, so they are read alone, and only those of the examples stay.
    places = pa.array([row["_at_min"] for row in (*active, *covered)], pa.int64())
    examples = _read(catalog, ("message",), snapshot)["message"].take(places).to_pylist()
    groups = [_group(row, names, example or "") for row, example in zip((*active, *covered), examples, strict=True)]
    return FindingsOverview(
        data.num_rows,
        tuple(groups[: len(active)]),
        tuple(groups[len(active) :]),
        tuple(WaiverState(waiver, waiver.state(today), fits[waiver.waiver_id]) for waiver in waivers),
    )


def _read(catalog: Catalog, columns: Sequence[str], snapshot: Snapshot | None) -> pa.Table:
    """Columns of all findings. They are replaced as a whole, so every row of a state counts."""
    empty = arrow_schema(FINDINGS.select(columns)).empty_table()
    return pa.concat_tables([empty, *(part for _, part in catalog.parts(FINDINGS, columns, snapshot))])


def _selected(catalog: Catalog, selection: Selection, snapshot: Snapshot | None) -> pa.Table:
    """The selected findings without their texts; ``_at`` is the place of each in the table."""
    data = _read(catalog, ("rule", "severity", "site", "subject", "count", "stage"), snapshot)
    grave = tuple(str(severity) for severity in Severity if severity.rank >= selection.least.rank)
    wanted = {"rule": selection.rules, "site": selection.sites, "stage": selection.stages, "severity": grave}
    mask = np.ones(data.num_rows, np.bool_)
    for name, values in wanted.items():
        if values:
            mask &= pc.is_in(data[name], pa.array(values, pa.string())).to_numpy()
    numbered = data.drop_columns(["stage"]).append_column("_at", pa.array(np.arange(data.num_rows)))
    return numbered if mask.all() else numbered.filter(pa.array(mask))


def _with_origins(catalog: Catalog, data: pa.Table) -> pa.Table:
    """The findings with scanner, format and archive of the slide that each is about, null for those about no slide."""
    slides = _slides_of(catalog, data["subject"], ("slide_id", *_ORIGIN.values()))
    place = pc.index_in(data["subject"], slides["slide_id"])
    for dimension, column in _ORIGIN.items():
        data = data.append_column(dimension, slides[column].take(place))
    return data


def _slides_of(catalog: Catalog, subjects: "pa.ChunkedArray[Any]", columns: Sequence[str]) -> pa.Table:
    """These columns, slide_id among them, of the slides that findings are about: of an archive of millions few have any.

    The newest row of a slide comes first, which is the one that counts.
    """
    wanted = subjects.combine_chunks()
    parts = (part for _, part in catalog.parts(SLIDES, columns)) if len(wanted) else ()
    pieces = [bundle.filter(pc.is_in(bundle["slide_id"], wanted)) for bundle in _bundled(parts)]
    rows = pa.concat_tables([arrow_schema(SLIDES.select(columns)).empty_table(), *pieces])
    return rows.take(np.arange(rows.num_rows)[::-1])


def _bundled(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Small parts together, because what is sought is prepared anew for each bundle."""
    bundle: list[pa.Table] = []
    for part in parts:
        bundle.append(part)
        if sum(piece.num_rows for piece in bundle) >= _BUNDLE_ROWS:
            yield pa.concat_tables(bundle)
            bundle = []
    if bundle:
        yield pa.concat_tables(bundle)


def _covering(data: pa.Table, waivers: Sequence[Waiver], today: date) -> tuple["pa.Array[Any]", dict[str, int]]:
    """The waiver that covers each finding, the earliest of several; and how many findings each fits, in force or not."""
    owner = np.full(data.num_rows, -1)
    fits = {}
    for number, waiver in enumerate(waivers):
        mask = np.ones(data.num_rows, dtype=bool)
        for name, value in waiver.by.items():
            mask &= pc.equal(data[name], pa.scalar(value)).fill_null(False).to_numpy()
        fits[waiver.waiver_id] = int(mask.sum())
        if waiver.state(today) == "active":
            owner[mask & (owner < 0)] = number
    identifiers = pa.array([waiver.waiver_id for waiver in waivers], pa.string())
    return identifiers.take(pa.array(owner, mask=owner < 0)), fits


def _grouped(data: pa.Table, names: Sequence[str]) -> list[dict[str, Any]]:
    """Measures of each combination of values, gravest first, then the largest."""
    ranks = pc.index_in(data["severity"], pa.array([str(severity) for severity in Severity]))
    rows: list[dict[str, Any]] = (
        data.append_column("_rank", ranks)
        .group_by(list(names), use_threads=False)
        .aggregate(
            [
                ("_at", "min"),
                ("_at", "count"),
                ("_rank", "max"),
                ("count", "sum"),
                ("site", "distinct"),
                ("scanner", "distinct"),
            ]
        )
        .to_pylist()
    )
    return sorted(rows, key=lambda row: (-row["_rank_max"], -row["_at_count"], *(row[name] or "" for name in names)))


def _group(row: Mapping[str, Any], names: Sequence[str], example: str) -> FindingGroup:
    return FindingGroup(
        by={name: row[name] for name in names},
        severity=list(Severity)[row["_rank_max"]],
        findings=row["_at_count"],
        rows=row["count_sum"] or row["_at_count"],
        sites=_named(row["site_distinct"]),
        scanners=_named(row["scanner_distinct"]),
        example=example,
        advice=advice(row["rule"]),
        waiver_id=row.get("waiver_id"),
    )


def _named(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted(value for value in values if value is not None)[:_MOST_NAMED])


@dataclass(frozen=True, slots=True)
class IdentifiedFinding:
    """One finding with the place of the file that it is about: identified, for people who mend it.

    Attributes:
        rule: its rule.
        severity: its severity.
        site: its site.
        subject: identifier of the row that it is about.
        archive: archive root of the slide that it is about, None if it is about none.
        path: of the slide below that root, as text.
        message: what was found.
        waiver_id: the waiver that covers it.
    """

    rule: str
    severity: str
    site: str | None
    subject: str | None
    archive: str | None
    path: str | None
    message: str
    waiver_id: str | None


def identify_findings(catalog: Catalog, selection: Selection, *, today: date) -> Iterator[IdentifiedFinding]:
    """Each finding with the file that it is about. What this gives may be shown on terminals and review pages only.

    Args:
        catalog: the workspace's catalog.
        selection: which findings.
        today: the day on which waivers must apply.
    """
    snapshot = catalog.snapshot(FINDINGS)
    data = _with_origins(catalog, _selected(catalog, selection, snapshot))
    owners, _ = _covering(data, read_waivers(catalog), today)
    data = data.append_column("message", _read(catalog, ("message",), snapshot)["message"].take(data["_at"]))
    slides = _slides_of(catalog, data["subject"], ("slide_id", "relpath"))
    paths = slides["relpath"].take(pc.index_in(data["subject"], slides["slide_id"]))
    data = data.append_column("path", paths).append_column("waiver_id", owners)
    names = list(IdentifiedFinding.__dataclass_fields__)
    for batch in data.select(names).to_batches(max_chunksize=1 << 13):
        for row in batch.to_pylist():
            yield IdentifiedFinding(**{**row, "path": None if row["path"] is None else path_text(row["path"])})


# --- Waivers -----------------------------------------------------------------------------------------------------


def read_waivers(catalog: Catalog) -> list[Waiver]:
    """Every waiver of the catalog, in force or not, the earliest first."""
    return sorted((Waiver(**row) for row in catalog.read(WAIVERS).to_pylist()), key=lambda waiver: int(waiver.waiver_id[1:]))


def add_waiver(
    catalog: Catalog,
    by: Mapping[str, str],
    *,
    reason: str,
    owner: str,
    until: date,
    actor: str,
    today: date,
) -> WaiverState:
    """Enter a waiver.

    Args:
        catalog: the workspace's catalog, held by this run.
        by: dimension to the value that findings must have; ``rule`` is among them.
        reason: why the findings will not be mended, one line.
        owner: who answers for that, one line.
        until: the last day on which it applies, at most a year from today.
        actor: operating system user.
        today: the local day.

    Raises:
        UsageError: something of this is missing or wrong, or no finding fits.
    """
    _check(by, reason, owner, until, today)
    data = _with_origins(catalog, _selected(catalog, Selection(), catalog.snapshot(FINDINGS)))
    waivers = read_waivers(catalog)
    number = max((int(waiver.waiver_id[1:]) for waiver in waivers), default=0) + 1
    entered: dict[str, Any] = {**by, "reason": reason.strip(), "owner": owner.strip(), "until": until, "made_by": actor}
    waiver = Waiver(waiver_id=f"W{number}", made_at=_now(), **entered)
    _, fits = _covering(data, [waiver], today)
    if not fits[waiver.waiver_id]:
        raise UsageError(_why_none(data, by), "`pathcurate findings list --by rule,site,scanner` shows what there is.")
    _keep(catalog, waiver)
    return WaiverState(waiver, waiver.state(today), fits[waiver.waiver_id])


def withdraw_waiver(catalog: Catalog, waiver_id: str, *, actor: str, today: date) -> WaiverState:
    """Withdraw a waiver, so that its findings count again; it stays on record.

    Raises:
        UsageError: there is no such waiver, or it was withdrawn already.
    """
    waivers = {waiver.waiver_id: waiver for waiver in read_waivers(catalog)}
    waiver = waivers.get(waiver_id)
    if waiver is None or waiver.withdrawn_at is not None:
        trouble = "has no waiver of that number" if waiver is None else "has withdrawn this waiver already"
        standing = [name for name, item in waivers.items() if item.withdrawn_at is None]
        there = f"Those that stand are {', '.join(standing)}." if standing else "There is none that stands."
        raise UsageError(f"the catalog {trouble}", f"{there} `pathcurate findings list --waived` shows every waiver.")
    waiver = replace(waiver, withdrawn_by=actor, withdrawn_at=_now())
    _keep(catalog, waiver)
    _, fits = _covering(_with_origins(catalog, _selected(catalog, Selection(), catalog.snapshot(FINDINGS))), [waiver], today)
    return WaiverState(waiver, waiver.state(today), fits[waiver_id])


def apply_waivers(
    findings: Iterable[Finding], waivers: Iterable[Waiver], slides: Mapping[str, Origin], today: date
) -> tuple[list[Finding], list[Finding]]:
    """Findings that count, and those that a waiver in force covers; none is lost.

    Args:
        findings: what was found.
        waivers: as :func:`read_waivers` gives them.
        slides: slide_id to where it comes from, as :func:`read_origins` gives it.
        today: the local day.
    """
    by_rule: dict[str, list[Waiver]] = {}
    for waiver in waivers:
        if waiver.state(today) == "active":
            by_rule.setdefault(waiver.rule, []).append(waiver)
    active: list[Finding] = []
    waived: list[Finding] = []
    for finding in findings:
        possible = by_rule.get(finding.rule, ())
        (waived if any(_covers(waiver, finding, slides) for waiver in possible) else active).append(finding)
    return active, waived


def read_origins(catalog: Catalog, findings: Iterable[Finding]) -> dict[str, Origin]:
    """Where the slides come from that findings are about, for :func:`apply_waivers`."""
    subjects = pa.chunked_array([pa.array({finding.subject for finding in findings}, pa.string())])
    slides = _slides_of(catalog, subjects, ("slide_id", *_ORIGIN.values()))
    return {row["slide_id"]: Origin(*(row[name] for name in _ORIGIN.values())) for row in reversed(slides.to_pylist())}


def _covers(waiver: Waiver, finding: Finding, slides: Mapping[str, Origin]) -> bool:
    origin = slides.get(finding.subject or "", Origin())
    values = {"rule": finding.rule, "site": finding.site, "severity": str(finding.severity), **origin._asdict()}
    return all(values[name] == value for name, value in waiver.by.items())


def _check(by: Mapping[str, str], reason: str, owner: str, until: date, today: date) -> None:
    """Refuse what is no waiver.

    Raises:
        UsageError: see :func:`add_waiver`.
    """
    unknown = next((name for name in by if name not in DIMENSIONS), None)
    if unknown is not None:
        raise UsageError(
            f"findings have no dimension `{unknown}`{did_you_mean(unknown, DIMENSIONS)}", f"Give {', '.join(DIMENSIONS)}."
        )
    if "rule" not in by:
        raise UsageError("a waiver needs the rule whose findings it covers", "Add rule=... to --by.")
    for name, text in (("reason", reason), ("owner", owner)):
        if not is_plain(text):
            raise UsageError(f"the {name} must be one line of text, up to 500 characters", "It is shown with the findings.")
    if not today <= until <= _in_a_year(today):
        raise UsageError(
            "a waiver ends between today and a year from now",
            "Give --until a day within a year, as 90d; it can be renewed when somebody has looked again.",
        )


def _in_a_year(day: date) -> date:
    return day.replace(year=day.year + 1) if (day.month, day.day) != (2, 29) else date(day.year + 1, 2, 28)


def _why_none(data: pa.Table, by: Mapping[str, str]) -> str:
    """Which part of a waiver no finding fits."""
    for name, value in by.items():
        known = [item for item in pc.unique(data[name]).to_pylist() if item is not None]
        if value not in known:
            return f"no finding has this {name}{did_you_mean(value, known)}"
    return "no finding fits all parts of --by"


def _keep(catalog: Catalog, waiver: Waiver) -> None:
    row = {name: getattr(waiver, name) for name in WAIVERS.names}
    catalog.upsert(WAIVERS, from_rows(WAIVERS, [row]))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def waiver_facts(state: WaiverState) -> dict[str, Any]:
    """A waiver for the audit trail and for JSON."""
    waiver = state.waiver
    facts = {name: getattr(waiver, name) for name in WAIVERS.names}
    shown = {name: value.isoformat() if isinstance(value, date) else value for name, value in facts.items() if value}
    return {**shown, "state": state.state, "findings": state.findings}
