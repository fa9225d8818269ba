"""``pathcurate run``: all stages in order. Stages never call one another, so this is where their order stands.

A stage whose inputs and outputs are those that its last run left is skipped; only the archive is walked every time.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli import runlog
from pathcurate.cli.imported import import_line
from pathcurate.cli.parameters import parameter_option
from pathcurate.cli.progress import phases, progress
from pathcurate.cli.requests import answer_all, recipe_or_requests
from pathcurate.cli.session import Session, common_options, count_lines, counted, finding_lines

if TYPE_CHECKING:
    from pathcurate.engines import Engine
    from pathcurate.model.column import Table
    from pathcurate.model.evaluation import Evaluation
    from pathcurate.model.product import Entry
    from pathcurate.recipefile import RecipeSource
    from pathcurate.releases import Release
    from pathcurate.workspace import Workspace

Facts = Mapping[str, Any]
"""What a stage is given and leaves behind, as digests."""
Sources = Sequence[tuple[str, Sequence[Path], Path | None]]
"""Site, files and mapping of each source."""
_COHORT_FILES = ("cohort.json", "cohort.parquet", "ledger.parquet", "attrition.svg", "attrition.html")


@click.command("run")
@click.argument(
    "recipe", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path), callback=recipe_or_requests
)
@click.option("--requests", is_flag=True, is_eager=True, help="Answer the analysts' open requests instead; needs no RECIPE.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that read headers.  [default: one per core]")
@click.option("--no-permissions", is_flag=True, help="Build although no permission list is configured; the release says so.")
@parameter_option
@click.option("--fresh", is_flag=True, help="Run every stage, also those that are up to date.")
@common_options
def command(
    session: Session,
    recipe: Path | None,
    *,
    requests: bool,
    workers: int | None,
    no_permissions: bool,
    fresh: bool,
    parameters: Mapping[str, str],
) -> None:
    """Run every stage that is not up to date, for RECIPE.

    These are scan, reports, events and other tables, permissions, link, concepts, deid, cohort, manifest, validate, product
    register.

    \b
    Example:
      pathcurate run recipes/demo_he_2023.yaml
    """
    from pathcurate.cohort import read_recipe
    from pathcurate.errors import DisclosureRefusedError

    if requests or recipe is None:
        answer_all(session)
        return
    source = read_recipe(recipe, parameters=parameters)
    with (
        session.locked("run") as workspace,
        session.engine(workspace, workers) as engine,
        session.local_engine(workspace, workers) as local_engine,
    ):
        if not workspace.permissions and not no_permissions:
            raise DisclosureRefusedError(
                "no permission list is configured, so nothing says that these patients' data may be used",
                "Configure `permissions:` in pathcurate.yaml, or give --no-permissions; the release will say so.",
            )
        run = _Run(session, workspace, engine, local_engine, source, fresh=fresh)
        run.to_deid()
        release, entry = run.to_registry(no_permissions=no_permissions)
    report = release.directory / "report.html"
    document = {
        "release": str(release.directory), "release_digest": release.digest, "report": str(report),
        "counts": release.manifest["counts"], "split": release.manifest["split"], "registry": str(workspace.registry),
        "state": entry.state, "stages": run.seconds, "skipped": run.skipped, "changed": run.has_changed,
    }  # fmt: skip
    lines = [
        *([] if run.has_changed else ["Nothing has changed since the last run; nothing was done."]),
        f"{release.name} {release.version} is registered ({entry.state})",
        *count_lines(release.manifest["counts"]),
        f"  release   {release.directory}",
        f"  report    {report}",
        f"  registry  {workspace.registry}",
        f"  digest    {release.digest}",
    ]
    session.show(document, lines)


def coarser(evaluation: "Evaluation") -> str:
    """What was made coarser, and how much was left out, so that nobody stands alone: nobody has to look for it."""
    told = list(evaluation.steps)
    if evaluation.suppressed_rows:
        told.append(f"{counted(evaluation.suppressed_rows, 'row')} left out")
    return f"; for k = {evaluation.k_required}: {', '.join(told)}" if told else ""


class _Run:
    """One run of the stages for one recipe, which says what each did and how long it took."""

    def __init__(
        self,
        session: Session,
        workspace: "Workspace",
        engine: "Engine",
        local_engine: "Engine",
        source: "RecipeSource",
        *,
        fresh: bool,
    ) -> None:
        from pathcurate.stamps import Stamps
        from pathcurate.tables import Catalog

        self._session = session
        self._workspace = workspace
        self._engine = engine
        self._local_engine = local_engine
        self._source = source
        self._fresh = fresh
        self._catalog = Catalog(workspace.catalog)
        self._stamps = Stamps(workspace.catalog)
        self.seconds: dict[str, float] = {}
        self.skipped: list[str] = []
        self.has_changed = False

    def _stage(self, name: str, facts: Callable[[], Facts] | None, act: Callable[[], str]) -> None:
        """Run a stage unless its facts are those that it left; without facts it always runs."""
        start = time.monotonic()
        log, stage = runlog.current(), name.partition(" ")[0]
        if facts is not None and not self._fresh and self._stamps.is_current(name, facts()):
            self.skipped.append(name)
            if log is not None:
                log.stage(stage, "skipped")
            return
        if log is not None:
            log.stage(stage, "begin")
        if facts is not None:
            self.has_changed = True
            self._stamps.forget(name)
        said = act()
        if facts is not None:
            self._stamps.record(name, facts())
        self.seconds[name] = round(time.monotonic() - start, 2)
        if said:
            self._session.say(f"{stage:<12} {self.seconds[name]:>6.1f} s  {said}")
        if log is not None:
            log.stage(stage, "end", self.seconds[name])

    def to_deid(self) -> None:
        """From the archive to the de-identified tables."""
        from pathcurate.findings import read_findings
        from pathcurate.model.permission import PERMISSIONS
        from pathcurate.model.report import REPORTS

        sites = self._workspace.sites
        self._stage("scan", None, self._scan)
        reports = [(site.code, source.path.files(), source.mapping) for site in sites for source in site.reports]
        self._stage("reports", self._imported(reports, REPORTS), self._reports)
        self._tables()
        lists = [("", [source.path], source.mapping) for source in self._workspace.permissions]
        if lists:
            self._stage("permissions", self._imported(lists, PERMISSIONS), self._permissions)
        self._stage("link", self._linked, self._link)
        if self._source.recipe.concepts:
            self._stage("concepts", self._looked_for, self._concepts)
        self._stage("deid", self._deidentified, self._deid)
        # All that stands, also from stages that were skipped: what was not mended is not old news.
        for line in finding_lines(read_findings(self._catalog), verbose=self._session.verbose):
            self._session.say(line)

    def _tables(self) -> None:
        """The tables of other systems; those of which neither a source nor a row is there are passed over."""
        from pathcurate.model.annotation import ANNOTATIONS
        from pathcurate.model.event import EVENTS
        from pathcurate.model.material import MATERIALS, SCANNER_INDEX
        from pathcurate.model.person import MERGES
        from pathcurate.model.slide import SLIDES

        sites = self._workspace.sites
        of_sites = {
            name: [
                (site.code, source.path.files(), getattr(source, "mapping", None))
                for site in sites
                for source in getattr(site, name)
            ]
            for name in ("events", "materials", "index", "annotations")
        }
        # A list may name its sites by their names.
        names = " ".join(site.name or "" for site in sites)
        lists = [
            (source.site or names, source.path.files(), source.mapping) for source in self._workspace.settings.identities
        ]
        stages: tuple[tuple[str, Sources, Table, Callable[[], str]], ...] = (
            ("events", of_sites["events"], EVENTS, self._events),
            ("materials", of_sites["materials"], MATERIALS, self._materials),
            ("index", of_sites["index"], SCANNER_INDEX, self._index),
            ("identities", lists, MERGES, self._identities),
            ("annotations", of_sites["annotations"], ANNOTATIONS, self._annotations),
        )
        for name, sources, table, act in stages:
            if sources or self._catalog.row_count(table):
                also = (SLIDES,) if table is ANNOTATIONS else ()
                self._stage(name, self._imported(sources, table, *also), act)

    def to_registry(self, *, no_permissions: bool) -> "tuple[Release, Entry]":
        """From the de-identified tables to the registry."""
        from pathcurate.disclosure.lists import check_permission_lists, list_digests
        from pathcurate.product import register
        from pathcurate.productfile import product_path
        from pathcurate.releases import checksum_problems, read_release
        from pathcurate.rights import standings
        from pathcurate.rights.sources import sources_path
        from pathcurate.stamps import file_facts
        from pathcurate.verification import demand_seal

        seal = demand_seal(self._workspace)
        check_permission_lists(self._workspace, self._session.now)
        recipe = self._source.recipe
        directory = self._workspace.releases / recipe.name / recipe.version
        cohort = self._workspace.cohorts / recipe.name
        # Permissions hold by the day: the same recipe may select other patients tomorrow.
        base = {
            "recipe": self._source.sha256, "tables": dict(seal.tables), "day": str(self._session.now.date()),
            "no_permissions": no_permissions, "lists": list_digests(self._workspace),
            "rights": {site: one.as_dict() for site, one in standings(self._workspace, self._session.now.date()).items()},
        }  # fmt: skip

        def selected() -> Facts:
            return {**base, **file_facts(cohort / name for name in _COHORT_FILES)}

        def built() -> Facts:
            texts = self._scrubbed() if recipe.released_texts else {}
            said = product_path(self._workspace.root, recipe.name)
            sources = sources_path(self._workspace, recipe.name, recipe.version)
            return {**selected(), **texts, **file_facts([directory / "manifest-sha256.txt", said, sources])}

        def whole() -> Facts:
            return {**built(), "problems": [list(problem) for problem in checksum_problems(directory)]}

        self._stage(f"cohort {recipe.name}", selected, self._cohort)
        if recipe.released_texts:
            self._stage(f"texts {recipe.name}", lambda: {**selected(), **self._scrubbed()}, self._texts)
        self._stage(f"manifest {recipe.name}", built, lambda: self._manifest(no_permissions=no_permissions))
        self._stage(f"validate {recipe.name}", whole, lambda: self._validate(directory))
        with self._session.registry(self._workspace) as registry:
            release = read_release(directory)
            entry = registry.get(release.name, release.version)
            if entry is None or entry.release_digest != release.digest:
                self.has_changed = True
                entry, _ = register(registry, directory, actor=self._session.actor, now=self._session.now)
                self._session.say(f"{'register':<12} {'':>8}  {entry.state}")
        return release, entry

    def _imported(self, sources: Sources, *tables: "Table") -> Callable[[], Facts]:
        """Facts of an import: its files with their mappings, the sites' patterns, and its tables as they are."""
        from pathcurate.stamps import file_facts, table_facts

        files = [path for _, paths, mapping in sources for path in (*paths, *([mapping] if mapping else ()))]
        # Which file is whose, and read by which mapping, in order: exchanging two of them changes no file.
        named = [[site, [str(path) for path in paths], str(mapping or "")] for site, paths, mapping in sources]
        return lambda: {
            **file_facts(files), **table_facts(self._catalog, tables), "patterns": self._patterns, "sources": named,
        }  # fmt: skip

    @property
    def _patterns(self) -> dict[str, list[str]]:
        return {site.code: list(site.accession.patterns) for site in self._workspace.sites}

    def _looked_for(self) -> Facts:
        from pathcurate.model.diagnosis import REPORT_CONCEPTS
        from pathcurate.model.report import REPORTS
        from pathcurate.stamps import file_facts, table_facts

        files = sorted(self._workspace.recipes.glob("**/*.yaml"))
        return {**table_facts(self._catalog, (REPORTS, REPORT_CONCEPTS)), **file_facts(files)}

    def _concepts(self) -> str:
        from pathcurate.concepts import build_concepts

        built = build_concepts(self._workspace, self._engine)
        return f"{built.mentions or 0:,} mentions of {len(built.concepts):,} concepts in {built.reports:,} reports"

    def _linked(self) -> Facts:
        from pathcurate.model.event import EVENTS
        from pathcurate.model.link import LINK_DECISIONS, LINKS
        from pathcurate.model.material import MATERIALS, SCANNER_INDEX
        from pathcurate.model.person import IDENTITIES, MERGES, PERSONS
        from pathcurate.model.report import REPORTS
        from pathcurate.model.series import SERIES
        from pathcurate.model.slide import SLIDE_KEYS, SLIDES
        from pathcurate.stamps import table_facts

        given = (SLIDES, SERIES, REPORTS, EVENTS, MATERIALS, SCANNER_INDEX, MERGES, LINK_DECISIONS)
        made = (SLIDE_KEYS, PERSONS, IDENTITIES, LINKS)
        sites = self._workspace.sites
        return {
            **table_facts(self._catalog, (*given, *made)), "patterns": self._patterns,
            "patients": {site.code: list(site.accession.patients) for site in sites},
            "archives": [[site.code, archive.name] for site in sites for archive in site.archives],
            "rules": self._workspace.settings.link.model_dump(),
        }  # fmt: skip

    def _deidentified(self) -> Facts:
        from pathcurate.errors import PathcurateError
        from pathcurate.verification import demand_seal

        try:
            seal = demand_seal(self._workspace)
        except PathcurateError:
            return {"seal": "broken"}
        return {"seal": "whole", "tables": dict(seal.tables), "inputs": dict(seal.inputs), "key": seal.key}

    def _scrubbed(self) -> Facts:
        from pathcurate.errors import PathcurateError
        from pathcurate.verification import demand_texts

        try:
            seal = demand_texts(self._workspace)
        except PathcurateError:
            return {"texts": "broken"}
        return {"texts": "whole", "text_tables": dict(seal.tables), "wanted": list(seal.wanted)}

    def _scan(self) -> str:
        from pathcurate.scan import scan

        with phases("scan", "files", quiet=self._session.quiet) as advance:
            scanned = scan(self._workspace, self._engine, progress=advance)
        return f"{scanned.found:,} slides, {scanned.statuses.get('ok', 0):,} ok"

    def _reports(self) -> str:
        from pathcurate.reports import import_reports

        return import_line(import_reports(self._workspace, self._engine), "report")

    def _events(self) -> str:
        from pathcurate.events import import_events

        return import_line(import_events(self._workspace), "event")

    def _materials(self) -> str:
        from pathcurate.materials import import_materials

        return import_line(import_materials(self._workspace), "block or slide", "blocks and slides")

    def _index(self) -> str:
        from pathcurate.scanner_index import import_index

        return import_line(import_index(self._workspace), "entry", "entries")

    def _identities(self) -> str:
        from pathcurate.identities import import_merges

        return import_line(import_merges(self._workspace), "statement")

    def _annotations(self) -> str:
        from pathcurate.annotations import import_annotations

        return import_line(import_annotations(self._workspace), "shape")

    def _permissions(self) -> str:
        from pathcurate.permissions import import_permissions

        permitted = import_permissions(self._workspace)
        return f"{permitted.rows:,} statements, {permitted.opt_outs:,} opt-outs"

    def _link(self) -> str:
        from pathcurate.link import link

        linked = link(self._workspace, self._local_engine, now=self._session.now)
        conflicts, without = linked.tiers["conflict"], linked.tiers["none"]
        return (
            f"{linked.slides - conflicts - without:,} slides linked, {conflicts:,} in conflict, {without:,} without a case"
        )

    def _deid(self) -> str:
        from pathcurate.deid import apply
        from pathcurate.errors import DisclosureRefusedError, VaultError
        from pathcurate.vault import open_vault
        from pathcurate.verification import read_seal

        seal = read_seal(self._workspace)
        if seal is not None and open_vault(self._workspace.vault).fingerprint != seal.key:
            raise VaultError(
                "the vault's key is not the one that made the de-identified tables: every code and date would change",
                "Restore vault/key from its backup. After `pathcurate vault rotate`, run `pathcurate deid apply` first.",
            )
        scrubbed = apply(self._workspace, actor=self._session.actor, engine=self._local_engine)
        if scrubbed.faults:
            raise DisclosureRefusedError(
                f"the de-identified tables have {len(scrubbed.faults)} faults", "Run `pathcurate deid verify` to see them."
            )
        events = f"{scrubbed.rows['events']:,} events, " if scrubbed.rows["events"] else ""
        return f"{scrubbed.rows['slides']:,} slides, {scrubbed.rows['reports']:,} reports, {events}verified"

    def _texts(self) -> str:
        from pathcurate.deid import apply
        from pathcurate.errors import DisclosureRefusedError

        name = self._source.recipe.name
        with progress("texts", "reports", quiet=self._session.quiet) as advance:
            done = apply(self._workspace, actor=self._session.actor, engine=self._local_engine, texts=name, progress=advance)
        if done.faults or done.texts is None:
            raise DisclosureRefusedError(
                f"the scrubbed texts have {len(done.faults)} faults", "Run `pathcurate deid verify` to see them."
            )
        texts = done.texts
        return f"{texts.texts:,} texts of {texts.reports:,} reports, {texts.scrubbed:,} scrubbed now"

    def _cohort(self) -> str:
        from pathcurate.cohort import select
        from pathcurate.errors import ExpectationError
        from pathcurate.model.attrition import UNIT_LEVEL

        cohort = select(
            self._workspace, self._engine, self._source, now=self._session.now, actor=self._session.actor
        )  # fmt: skip
        kept, start, units = cohort.attrition.kept, cohort.attrition.start, UNIT_LEVEL[cohort.attrition.unit]
        of = "" if units == "patients" else f" of {kept.patients:,} patients"
        if cohort.unmet:
            raise ExpectationError(
                f"the cohort is not what the recipe expects: {'; '.join(cohort.unmet)}",
                "See its attrition, and correct the recipe or its `expect`; nothing was built.",
            )
        for site, fault in cohort.sites_left_out.items():
            self._session.say(f"warning: site {site} is left out: {fault}")
        return f"{kept.of(units):,} {units}{of} kept of {start.of(units):,}"

    def _manifest(self, *, no_permissions: bool) -> str:
        from pathcurate.cohort.preview import pictures_of
        from pathcurate.manifest import build

        with self._session.local_engine(self._workspace) as engine:
            built = build(
                self._workspace, self._source, actor=self._session.actor, today=self._session.now.date(),
                no_permissions=no_permissions, engine=engine,
                pictures=partial(pictures_of, self._workspace, engine, self._session.now),
            )  # fmt: skip
        return built.release.version + ("" if built.is_new else ", unchanged") + coarser(built.evaluation)

    def _validate(self, directory: Path) -> str:
        from pathcurate.errors import DigestMismatchError, DisclosureRefusedError, ExpiredError, PlanIncompleteError
        from pathcurate.model.finding import Severity
        from pathcurate.model.validationrules import RULES
        from pathcurate.validate import Choice, validate

        validation = validate(directory, Choice(today=self._session.now.date(), workers=os.cpu_count() or 1))
        code = validation.exit_code("error", RULES)
        if code:
            kinds = {kind.exit_code: kind for kind in (DigestMismatchError, ExpiredError, DisclosureRefusedError)}
            count = sum(finding.severity is Severity.ERROR for finding in validation.findings)
            raise kinds.get(code, PlanIncompleteError)(
                f"release {directory.parent.name} {directory.name} did not pass its validation ({count} errors)",
                f"Run `pathcurate validate {directory}` to see them.",
            )
        told = {finding.rule for finding in validation.findings}
        findings = f", {counted(len(validation.findings), 'finding')}" if told else ""
        return f"{len(set(validation.checks) - told)} rules passed{findings}"
