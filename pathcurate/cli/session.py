"""What every command shares: its options, its workspace, and how it shows results."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli import runlog
from pathcurate.cli.language import language_option, said, word
from pathcurate.errors import InterruptedRunError
from pathcurate.terminaltext import padded, unobeyed, unobeyed_json, width

if TYPE_CHECKING:
    from pathcurate.engines import Engine
    from pathcurate.engines.embedded import Embedded
    from pathcurate.model.finding import Finding
    from pathcurate.registries.sql import SqlRegistry
    from pathcurate.workspace import Workspace

_MOST_FINDINGS = 20
_SQL_BYTES = 1_500_000_000
_CLUSTER_JOBS = 16


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command line.

    Attributes:
        directory: what ``--workspace`` gave.
        as_json: print one JSON document.
        quiet: no messages and no progress.
        verbose: show every finding.
    """

    directory: Path | None
    as_json: bool
    quiet: bool
    verbose: bool

    def workspace(self) -> "Workspace":
        """The workspace of ``--workspace``, ``PATHCURATE_WORKSPACE``, or the nearest parent directory."""
        from pathcurate.errors import UsageError
        from pathcurate.workspace import WORKSPACE_FILE, find_workspace, load_workspace

        if self.directory is None:
            return load_workspace(find_workspace(Path.cwd()))
        file = self.directory.absolute() / WORKSPACE_FILE
        if not file.is_file():
            raise UsageError(
                f"{self.directory} is no workspace: it holds no {WORKSPACE_FILE}",
                "Name another with --workspace, or make one with `pathcurate init`.",
            )
        return load_workspace(file)

    @contextmanager
    def locked(self, command: str) -> "Iterator[Workspace]":
        """The workspace, held by this run alone."""
        from pathcurate.errors import PlanIncompleteError
        from pathcurate.forgotten import is_unfinished
        from pathcurate.storage import locked

        workspace = self.workspace()
        with locked(workspace.root, command):
            if command != "forget --patient" and is_unfinished(workspace.vault):
                raise PlanIncompleteError(
                    "the erasure of a patient was interrupted, so the workspace still holds some of them",
                    "Run `pathcurate forget --patient -` again, which ends it first; nothing else was done.",
                )
            yield workspace

    @contextmanager
    def engine(self, workspace: "Workspace", workers: int | None = None) -> "Iterator[Engine]":
        """The workspace's engine, for kernels without key material and for SQL of the portable subset."""
        from pathcurate.workspace import EMBEDDED

        address = workspace.settings.engine
        if address == EMBEDDED:
            with self.local_engine(workspace, workers) as engine:
                yield engine
            return
        from pathcurate.engines.spark import Connect

        with Connect(address, temp_directory=_spill(workspace), jobs=workers or _CLUSTER_JOBS) as cluster:
            yield cluster

    @contextmanager
    def local_engine(self, workspace: "Workspace", workers: int | None = None) -> "Iterator[Embedded]":
        """An engine on this machine, whatever the workspace's is: for what is given keys, and for SQL of DuckDB alone.

        SQL sorts and joins more than fits into its memory on disk, so an archive of any size is linked in 3 GB in all.
        """
        from pathcurate.engines.embedded import Embedded

        with Embedded(
            workers=workers or os.cpu_count() or 1, temp_directory=_spill(workspace), memory_limit_bytes=_SQL_BYTES
        ) as engine:
            yield engine

    @contextmanager
    def registry(self, workspace: "Workspace") -> "Iterator[SqlRegistry]":
        """The workspace's registry, made if it is not there; its password is looked up where the workspace file says."""
        from pathcurate.registries.sql import open_registry
        from pathcurate.registryaddress import RegistryAddress

        place = workspace.registry
        secret = place.password if isinstance(place, RegistryAddress) else None
        with open_registry(place, None if secret is None else secret.read(os.environ)) as registry:
            yield registry

    @property
    def actor(self) -> str:
        """The operating system's user, as the system and not the environment says."""
        from pathcurate.roles import user_name

        return user_name(os.getuid())

    @property
    def now(self) -> datetime:
        """The present in the zone of this machine: the clinical day, by which permissions hold, is the local one."""
        return datetime.now(UTC).astimezone()

    def show(self, document: Mapping[str, Any], lines: Iterable[str]) -> None:
        """Print a result to standard output: the document with ``--json``, else the lines, which are translated."""
        log = runlog.current()
        if log is not None:
            log.result(document)
        if self.as_json:
            click.echo(unobeyed_json(json.dumps(document, ensure_ascii=False, indent=1, default=str)))
        else:
            for line in lines:
                click.echo(unobeyed(said(line)))

    def say(self, message: str) -> None:
        """A message on standard error, unless ``--quiet``; a line of the log with ``--log-json``."""
        log = runlog.current()
        if log is not None:
            log.message(message)
        elif not self.quiet:
            click.echo(unobeyed(said(message)), err=True)


def _spill(workspace: "Workspace") -> Path:
    """Where engines put what does not fit into memory: it is identified data, so it stays in the catalog."""
    from pathcurate.storage import private_directory

    return private_directory(workspace.catalog) / ".spill"


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that commands have; the command gets them as its first argument, a :class:`Session`."""

    @click.option(
        "-w", "--workspace", type=click.Path(path_type=Path), envvar="PATHCURATE_WORKSPACE",
        help="Workspace directory; else the nearest parent with pathcurate.yaml.",
    )  # fmt: skip
    @output_options
    @wraps(function)
    def with_workspace(session: Session, *args: Any, workspace: Path | None, **kwargs: Any) -> Any:
        return function(replace(session, directory=workspace), *args, **kwargs)

    return with_workspace


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that a command has which needs no workspace; see :func:`common_options`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.option("-q", "--quiet", is_flag=True, help="No messages and no progress.")
    @click.option("-v", "--verbose", is_flag=True, help="Show every finding.")
    @language_option
    @runlog.log_option
    @wraps(function)
    def with_session(*args: Any, as_json: bool, quiet: bool, verbose: bool, **kwargs: Any) -> Any:
        try:
            return function(Session(None, as_json, quiet, verbose), *args, **kwargs)
        except KeyboardInterrupt:
            # Click would write an empty line, which is no line of a log.
            raise InterruptedRunError("interrupted", "Finished work is kept; run the command again to go on.") from None

    return with_session


def fail_on_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--fail-on``: from which severity on findings make the exit code 1."""
    return click.option(
        "--fail-on", type=click.Choice(["info", "warning", "error", "never"]), default=default, show_default=True,
        help="Exit with 1 if there are findings of at least this severity.",
    )  # fmt: skip


def exit_code(findings: "Sequence[Finding]", fail_on: str) -> int:
    """1 if a finding is at least as bad as ``--fail-on`` says, else 0."""
    from pathcurate.model.finding import Severity, worst

    gravest = worst(findings)
    return int(fail_on != "never" and gravest is not None and gravest.rank >= Severity(fail_on).rank)


def finding_lines(findings: "Sequence[Finding]", *, verbose: bool) -> Iterator[str]:
    """Findings for people: each of them with ``--verbose``, else one line a rule, worst first."""
    if verbose:
        for finding in sorted(findings, key=lambda item: (-item.severity.rank, item.rule)):
            where = ".".join(part for part in (finding.table, finding.column) if part)
            severity = padded(word(finding.severity), 8)
            yield f"  {severity}{finding.rule:<28}{where + ': ' if where else ''}{said(finding.message)}"
        return
    groups: dict[tuple[int, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((-finding.severity.rank, finding.rule), []).append(finding)
    for (_, rule), members in sorted(groups.items())[:_MOST_FINDINGS]:
        count = sum(member.count for member in members)
        more = said(f"and {len(members) - 1} more")
        example = said(members[0].message) + ("" if len(members) == 1 else f" ({more})")
        yield f"  {padded(word(members[0].severity), 8)}{rule:<28}{count:>7}  {example}"
    if len(groups) > _MOST_FINDINGS:
        yield f"  … {len(groups) - _MOST_FINDINGS} more rules; -v shows every finding"


def counted(count: int, singular: str, plural: str = "") -> str:
    """A number and its noun: ``1 slide``, ``1,200 slides``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def count_lines(counts: Mapping[str, int | str], *, are_values: bool = False) -> Iterator[str]:
    """Names and numbers, aligned.

    Args:
        counts: by name.
        are_values: the names are values that recipes write, and stay as they are in every language.
    """
    named = [(name if are_values else word(name), count) for name, count in counts.items()]
    columns = max((width(name) for name, _ in named), default=0)
    for name, count in named:
        yield f"  {padded(name, columns)}  {f'{count:>9,}' if isinstance(count, int) else count}"
