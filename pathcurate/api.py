"""pathcurate from Python: a workspace, its stages by the names that the command line gives them, and its tables.

.. code-block:: python

    from pathcurate.api import Archive

    archive = Archive("demo-hospital")
    archive.scan()
    slides = archive.table("slides").to_pandas()

Every stage takes the workspace's lock while it runs, keeps the same audit trail and raises the same errors as its command;
:mod:`pathcurate.errors` says which exit code each would have. What a stage gives back are its own counts; tables are Arrow
tables, ``.to_pandas()`` away from pandas.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathcurate.cli.session import Session
from pathcurate.errors import ExpectationError, InputOutputError, UsageError
from pathcurate.yamlsource import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from pathcurate.cohort import CohortResult
    from pathcurate.concepts import BuildSummary
    from pathcurate.deid import DeidSummary
    from pathcurate.engines import Engine
    from pathcurate.find import Finder
    from pathcurate.find.facts import Found
    from pathcurate.link import LinkSummary
    from pathcurate.manifest import BuildResult
    from pathcurate.model.finding import Finding
    from pathcurate.model.product import Entry
    from pathcurate.model.validation import Validation
    from pathcurate.releases import Release
    from pathcurate.scan import ScanSummary
    from pathcurate.sources import ImportSummary
    from pathcurate.workspace import Workspace

Progress = Callable[[int, int], None]
"""Is told how much is done and how much there is."""
_SETTLED_NS = 2_000_000_000
"""A file that was written so short a time ago may be written again without a newer time."""


def _silent(done: int, total: int) -> None:
    """Nobody wants to know."""


class Archive:
    """A workspace.

    Args:
        directory: that holds ``pathcurate.yaml``, or lies below one that does; None for the current directory.
        workers: processes for kernels; one per core unless given.

    Raises:
        UsageError: there is no workspace, or its file is broken.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, *, workers: int | None = None) -> None:
        from pathcurate.workspace import find_workspace, load_workspace

        start = Path(directory) if directory is not None else Path.cwd()
        self._root = load_workspace(find_workspace(start.absolute())).root
        self._workers = workers
        self._opening = threading.Lock()
        self._finder: Finder | None = None
        self._read: tuple[tuple[int, int, int], Workspace] | None = None

    def __repr__(self) -> str:
        return f"Archive({str(self._root)!r})"

    @property
    def workspace(self) -> "Workspace":
        """The workspace as its file says now."""
        return self._session.workspace()

    # --- Stages, in order ------------------------------------------------------------------------------------------------

    def scan(self, *, progress: Progress = _silent) -> "ScanSummary":
        """Scan the archive roots into the slides table; see ``pathcurate scan``."""
        from pathcurate.scan import scan

        with self._engine("scan") as (workspace, engine):
            return scan(workspace, engine, progress=lambda _phase, done, total: progress(done, total))

    def import_reports(self, *files: str | os.PathLike[str], progress: Progress = _silent) -> "ImportSummary":
        """Import pathology reports: those of all configured sources, or only these files of them."""
        from pathcurate.reports import import_reports

        only = [Path(file).absolute() for file in files]
        with self._engine("reports import") as (workspace, engine):
            return import_reports(workspace, engine, only=only, progress=progress)

    def import_tables(self) -> dict[str, Any]:
        """Import what is configured beside the reports; name of each kind to its counts.

        Kinds are events, materials, index, identities, annotations and permissions, in this order; one that the workspace
        does not configure is not there.
        """
        from pathcurate.annotations import import_annotations
        from pathcurate.events import import_events
        from pathcurate.identities import import_merges
        from pathcurate.materials import import_materials
        from pathcurate.permissions import import_permissions
        from pathcurate.scanner_index import import_index

        importers: dict[str, Callable[[Workspace], Any]] = {
            "events": import_events, "materials": import_materials, "index": import_index,
            "annotations": import_annotations,
        }  # fmt: skip
        with self._session.locked("api import_tables") as workspace:
            done = {
                name: bring(workspace)
                for name, bring in importers.items() if any(getattr(site, name) for site in workspace.sites)
            }  # fmt: skip
            if workspace.settings.identities:
                done["identities"] = import_merges(workspace)
            if workspace.permissions:
                done["permissions"] = import_permissions(workspace)
        return done

    def link(self) -> "LinkSummary":
        """Link slides and series to reports; see ``pathcurate link``."""
        from pathcurate.link import link

        with self._local_engine("link") as (workspace, engine):
            return link(workspace, engine, now=self._session.now)

    def build_concepts(self) -> "BuildSummary":
        """Find the recipes' text concepts in the reports; see ``pathcurate concepts build``."""
        from pathcurate.concepts import build_concepts

        with self._engine("concepts build") as (workspace, engine):
            return build_concepts(workspace, engine)

    def deidentify(self, *, texts: str | None = None, progress: Progress = _silent) -> "DeidSummary":
        """De-identify the catalog's tables and verify that they are; see ``pathcurate deid apply``.

        Args:
            texts: a cohort whose reports' texts are scrubbed too, or ``all``.
            progress: is told of reports.
        """
        from pathcurate.deid import apply

        with self._local_engine("deid apply") as (workspace, engine):
            return apply(workspace, actor=self._session.actor, engine=engine, texts=texts, progress=progress)

    def select(
        self, recipe: str | os.PathLike[str], *, parameters: Mapping[str, str] | None = None, dry_run: bool = False
    ) -> "CohortResult":
        """Select the cohort of a recipe; ``.rows`` are its units. See ``pathcurate cohort``.

        Args:
            recipe: a file, or the name of one below the workspace's ``recipes/``.
            parameters: values for its parameters, as text.
            dry_run: only count.
        """
        from pathcurate.cohort import read_recipe, select

        source = read_recipe(self._recipe(recipe), parameters=parameters)
        with self._engine("cohort") as (workspace, engine):
            return select(workspace, engine, source, now=self._session.now, dry_run=dry_run, actor=self._session.actor)

    def build(
        self, recipe: str | os.PathLike[str], *, parameters: Mapping[str, str] | None = None, no_permissions: bool = False
    ) -> "BuildResult":
        """Build the release of a recipe's cohort, which is selected anew; see ``pathcurate manifest build``.

        Raises:
            ExpectationError: the cohort is not what the recipe expects; nothing was built.
        """
        from pathcurate.cohort import read_recipe, select
        from pathcurate.manifest import build

        source = read_recipe(self._recipe(recipe), parameters=parameters)
        session = self._session
        with self._engine("manifest build") as (workspace, engine):
            chosen = select(workspace, engine, source, now=session.now, actor=session.actor)
            if chosen.unmet:
                raise ExpectationError(
                    f"the cohort is not what the recipe expects: {'; '.join(chosen.unmet)}",
                    "See its attrition, and correct the recipe or its `expect`; nothing was built.",
                )
            with session.local_engine(workspace, self._workers) as here:
                return build(
                    workspace, source, actor=session.actor, today=session.now.date(), no_permissions=no_permissions,
                    engine=here,
                )  # fmt: skip

    def validate(self, release: str | os.PathLike[str]) -> "Validation":
        """Check a release by the rules of ``pathcurate validate``; it is named as in :meth:`release`."""
        from pathcurate.validate import Choice, validate

        choice = Choice(today=self._session.now.date(), workers=self._workers or os.cpu_count() or 1)
        return validate(self.release(release).directory, choice)

    def register(self, release: str | os.PathLike[str]) -> "Entry":
        """Enter a release into the registry by its digest; again gives the same entry."""
        from pathcurate.product import register

        directory = self.release(release).directory
        with self._session.locked("product register") as workspace, self._session.registry(workspace) as registry:
            return register(registry, directory, actor=self._session.actor, now=self._session.now)[0]

    # --- What is there ---------------------------------------------------------------------------------------------------

    def table(self, name: str, *, columns: Sequence[str] | None = None, purpose: str | None = None) -> "pa.Table":
        """A table of the catalog. It is identified data: that somebody read it, and what for, goes into the audit trail.

        Args:
            name: such as ``slides`` or ``reports``; see ``schemas/catalog/``.
            columns: only these.
            purpose: why, in your words.

        Raises:
            UsageError: there is no such table, or no such column.
        """
        from pathcurate import __version__
        from pathcurate.model.catalog import CATALOG_TABLES
        from pathcurate.tables import Catalog
        from pathcurate.vault import append_event

        known = {table.name: table for table in CATALOG_TABLES}
        declared = _known(name, known, "catalog table")
        for column in columns or ():
            _known(column, dict.fromkeys(declared.names), f"column of {name}")
        workspace = self.workspace
        data = Catalog(workspace.catalog).read(declared, columns=columns)
        facts: dict[str, str | int] = {"table": name, "rows": data.num_rows, "version": __version__}
        append_event(workspace.vault, self._session.actor, "api table", facts, purpose=purpose)
        return data

    def deidentified(self, name: str, *, columns: Sequence[str] | None = None) -> "pa.Table":
        """A table of ``deid/``, in the workspace's own codes; see ``schemas/deid/`` for names.

        Raises:
            UsageError: there is no such table.
            PlanIncompleteError: the tables were not verified, or the catalog has changed since.
        """
        from pathcurate.model.deidentified import DEID_TABLES
        from pathcurate.tables import read_parquet
        from pathcurate.verification import demand_seal

        declared = _known(name, DEID_TABLES, "de-identified table")
        for column in columns or ():
            _known(column, dict.fromkeys(declared.names), f"column of {name}")
        workspace = self.workspace
        demand_seal(workspace)
        return read_parquet(workspace.deid / f"{name}.parquet", columns)

    def find(self, text: str, *, purpose: str | None = None) -> "Found":
        """A case, slide or series by any of its numbers; see ``pathcurate find``.

        It is audited, and safe from threads: a service holds one archive for all who ask. What is read for one question
        stays open for the next, and is opened again when it has changed on disk.

        Args:
            text: the number.
            purpose: why, in their words.

        Raises:
            VaultError: the vault's key cannot be used.
            InputOutputError: the catalog cannot be read.
        """
        from pathcurate.find import Finder

        with self._opening:
            finder = self._finder = self._finder or Finder()
            workspace = self._current()
        return finder.find(workspace, text, actor=self._session.actor, purpose=purpose)

    def findings(self) -> "list[Finding]":
        """What went wrong and was not mended since, worst first."""
        from pathcurate.findings import read_findings
        from pathcurate.tables import Catalog

        found = read_findings(Catalog(self.workspace.catalog))
        return sorted(found, key=lambda one: (-one.severity.rank, one.rule))

    def describe(self, *tables: str) -> dict[str, Any]:
        """What the de-identified tables hold, small counts suppressed; see ``pathcurate describe``."""
        from pathcurate.describe import describe

        return describe(self.workspace, tables)

    def releases(self) -> "list[Release]":
        """The workspace's releases, by product and version."""
        from pathcurate.releases import list_releases, read_release

        return [read_release(path) for path in list_releases(self.workspace.releases)]

    def release(self, release: str | os.PathLike[str]) -> "Release":
        """A release: a directory, ``NAME@VERSION``, or ``NAME`` for its highest version.

        Raises:
            UsageError: there is none.
        """
        from pathcurate.releases import find_release, read_release

        return read_release(find_release(self.workspace.releases, os.fspath(release), Path.cwd()))

    # --- Inside ----------------------------------------------------------------------------------------------------------

    def _current(self) -> "Workspace":
        """The workspace as its file says now; it is read again only if it has changed."""
        from pathcurate.workspace import WORKSPACE_FILE

        try:
            state = (self._root / WORKSPACE_FILE).stat()
        except OSError:
            return self.workspace
        found = state.st_ino, state.st_mtime_ns, state.st_size
        if self._read is not None and self._read[0] == found:
            return self._read[1]
        workspace = self.workspace
        self._read = (found, workspace) if state.st_mtime_ns < time.time_ns() - _SETTLED_NS else None
        return workspace

    @property
    def _session(self) -> Session:
        return Session(self._root, as_json=False, quiet=True, verbose=False)

    @contextmanager
    def _engine(self, command: str) -> "Iterator[tuple[Workspace, Engine]]":
        session = self._session
        with session.locked(command) as workspace, session.engine(workspace, self._workers) as engine:
            yield workspace, engine

    @contextmanager
    def _local_engine(self, command: str) -> "Iterator[tuple[Workspace, Engine]]":
        session = self._session
        with session.locked(command) as workspace, session.local_engine(workspace, self._workers) as engine:
            yield workspace, engine

    def _recipe(self, recipe: str | os.PathLike[str]) -> Path:
        given = Path(recipe)
        folder = self.workspace.recipes
        for path in (given, folder / given, folder / f"{given}.yaml"):
            with contextlib.suppress(OSError):
                if path.is_file():
                    return path.absolute()
        known = sorted(path.stem for path in folder.glob("*.yaml"))
        raise UsageError(f"there is no recipe {given.name}{did_you_mean(given.stem, known)}", f"{folder} holds recipes.")


def open_table(release: "Release", name: str) -> "pa.Table":
    """A table of a release; all its parts in their order.

    Raises:
        UsageError: the release has no such table.
        InputOutputError: a file cannot be read.
    """
    import pyarrow as pa

    from pathcurate.releases import table_parts
    from pathcurate.tables import read_parquet

    entry = _known(name, release.manifest["tables"], f"table of {release.name} {release.version}")
    parts = [read_parquet(release.directory / part.path) for part in table_parts(entry)]
    if not parts:
        raise InputOutputError(f"table {name} of {release.name} has no files", "`pathcurate manifest verify` says more.")
    return pa.concat_tables(parts)


def _known(name: str, known: Mapping[str, Any], what: str) -> Any:
    if name not in known:
        raise UsageError(f"there is no {what} `{name}`{did_you_mean(name, list(known))}", f"Known: {', '.join(known)}.")
    return known[name]
