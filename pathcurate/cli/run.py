"""``pathcurate run``: all stages in order. Stages never call one another, so this is where their order stands."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.progress import progress
from pathcurate.cli.session import Session, common_options, count_lines, counted, finding_lines

if TYPE_CHECKING:
    from pathcurate.cohort import CohortResult
    from pathcurate.engines import Engine
    from pathcurate.model.product import Entry
    from pathcurate.recipefile import RecipeSource
    from pathcurate.releases import Release
    from pathcurate.workspace import Workspace


@click.command("run")
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that read headers.  [default: one per core]")
@click.option("--no-permissions", is_flag=True, help="Build although no permission list is configured; the release says so.")
@common_options
def command(session: Session, recipe: Path, *, workers: int | None, no_permissions: bool) -> None:
    """Run every stage for RECIPE, in order.

    These are scan, reports, events, permissions, link, deid, cohort, manifest, validate and product register.

    \b
    Example:
      pathcurate run recipes/demo_he_2023.yaml
    """
    from pathcurate.cohort import read_recipe
    from pathcurate.errors import DisclosureRefusedError

    source = read_recipe(recipe)
    with session.locked("run") as workspace, session.engine(workspace, workers) as engine:
        if not workspace.permissions and not no_permissions:
            raise DisclosureRefusedError(
                "no permission list is configured, so nothing says that these patients' data may be used",
                "Configure `permissions:` in pathcurate.yaml, or give --no-permissions; the release will say so.",
            )
        stages = _Stages(session)
        _prepare(session, workspace, engine, stages)
        cohort, release, entry = _produce(session, workspace, engine, source, stages, no_permissions=no_permissions)
    report = release.directory / "report.html"
    document = {
        "release": str(release.directory), "release_digest": release.digest, "report": str(report),
        "counts": release.manifest["counts"], "split": dict(cohort.split), "registry": str(workspace.registry_path),
        "state": entry.state, "stages": stages.seconds,
    }  # fmt: skip
    lines = [
        f"{release.name} {release.version} is registered ({entry.state})",
        *count_lines(release.manifest["counts"]),
        f"  release   {release.directory}",
        f"  report    {report}",
        f"  registry  {workspace.registry_path}",
        f"  digest    {release.digest}",
    ]
    session.show(document, lines)


class _Stages:
    """Says what each stage did and how long it took."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a stage; call the result with what it did."""
        start = time.monotonic()
        said: list[str] = []
        yield said.append
        self.seconds[name] = round(time.monotonic() - start, 2)
        self._session.say(f"{name:<12} {self.seconds[name]:>6.1f} s  {' '.join(said)}")


def _prepare(session: Session, workspace: "Workspace", engine: "Engine", stages: _Stages) -> None:
    """From the archive to the de-identified tables."""
    from pathcurate.deid import apply
    from pathcurate.errors import DisclosureRefusedError
    from pathcurate.events import import_events
    from pathcurate.link import link
    from pathcurate.permissions import import_permissions
    from pathcurate.reports import import_reports
    from pathcurate.scan import scan

    findings: list[Any] = []
    with stages.stage("scan") as say, progress("scan", "files", quiet=session.quiet) as advance:
        scanned = scan(workspace, engine, progress=advance)
        findings += scanned.findings
        say(f"{scanned.found:,} slides, {scanned.statuses.get('ok', 0):,} ok")
    with stages.stage("reports") as say:
        reported = import_reports(workspace)
        findings += reported.findings
        say(f"{reported.rows:,} reports from {reported.files:,} files")
    if any(site.events for site in workspace.sites):
        with stages.stage("events") as say:
            happened = import_events(workspace)
            findings += happened.findings
            say(f"{happened.rows:,} events from {counted(happened.files, 'file')}")
    if workspace.permissions:
        with stages.stage("permissions") as say:
            permitted = import_permissions(workspace)
            findings += permitted.findings
            say(f"{permitted.rows:,} statements, {permitted.opt_outs:,} opt-outs")
    with stages.stage("link") as say:
        linked = link(workspace)
        findings += linked.findings
        conflicts, without = linked.tiers["conflict"], linked.tiers["none"]
        say(f"{linked.slides - conflicts - without:,} slides linked, {conflicts:,} in conflict, {without:,} without a case")
    with stages.stage("deid") as say:
        scrubbed = apply(workspace, actor=session.actor)
        if scrubbed.faults:
            raise DisclosureRefusedError(
                f"the de-identified tables have {len(scrubbed.faults)} faults", "Run `pathcurate deid verify` to see them."
            )
        events = f"{scrubbed.rows['events']:,} events, " if scrubbed.rows["events"] else ""
        say(f"{scrubbed.rows['slides']:,} slides, {scrubbed.rows['reports']:,} reports, {events}verified")
    for line in finding_lines(findings, verbose=session.verbose):
        session.say(line)


def _produce(
    session: Session,
    workspace: "Workspace",
    engine: "Engine",
    source: "RecipeSource",
    stages: _Stages,
    *,
    no_permissions: bool,
) -> "tuple[CohortResult, Release, Entry]":
    """From the de-identified tables to the registry."""
    from pathcurate.cohort import select
    from pathcurate.errors import DigestMismatchError, PlanIncompleteError
    from pathcurate.manifest import build
    from pathcurate.model.finding import Severity
    from pathcurate.product import register
    from pathcurate.registries.sql import open_registry
    from pathcurate.validate import validate

    with stages.stage("cohort") as say:
        cohort = select(workspace, engine, source, now=session.now)
        kept = cohort.attrition.kept
        say(f"{kept.slides:,} slides of {kept.patients:,} patients kept of {cohort.attrition.start.slides:,}")
    with stages.stage("manifest") as say:
        built = build(workspace, source, actor=session.actor, no_permissions=no_permissions)
        say(f"{built.release.version}" + ("" if built.is_new else ", unchanged"))
    with stages.stage("validate") as say:
        validation = validate(built.release.directory)
        errors = [finding for finding in validation.findings if finding.severity is Severity.ERROR]
        if errors:
            is_changed = any(finding.rule.startswith("PC-DIG") for finding in errors)
            raise (DigestMismatchError if is_changed else PlanIncompleteError)(
                f"release {built.release.name} {built.release.version} did not pass its validation ({len(errors)} errors)",
                f"Run `pathcurate validate {built.release.directory}` to see them.",
            )
        say(f"{len(validation.checks)} rules passed")
    with stages.stage("register") as say, open_registry(workspace.registry_path) as registry:
        entry, is_new = register(registry, built.release.directory, actor=session.actor, now=session.now)
        say(str(entry.state) + ("" if is_new else ", as before"))
    return cohort, built.release, entry
