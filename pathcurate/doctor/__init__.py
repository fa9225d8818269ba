"""Stage: what works here and what does not: installation, machine and workspace. It changes nothing."""

import contextlib
import fcntl
import json
import os
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from pathcurate import __version__
from pathcurate.disclosure.lists import check_permission_lists
from pathcurate.doctor.check import Check, failed
from pathcurate.doctor.installation import clock, free_space, look_at_installation
from pathcurate.doctor.spaces import look_at_spaces
from pathcurate.engines.spark import Connect
from pathcurate.errors import InputOutputError, PathcurateError, PlanIncompleteError, VaultError
from pathcurate.forgotten import is_unfinished
from pathcurate.mapping import load_mapping
from pathcurate.model.event import EVENTS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import MERGES
from pathcurate.objectstore import S3Root
from pathcurate.registries.sql import look_at_registry
from pathcurate.registryaddress import RegistryAddress
from pathcurate.roles import is_curator, role_faults
from pathcurate.roots import root_of
from pathcurate.tables import Catalog
from pathcurate.text import reportrow
from pathcurate.vault import Vault, broken_event, open_vault
from pathcurate.vault.crosswalk import check_crosswalk
from pathcurate.vault.people import read_people
from pathcurate.vault.rotation import retired_keys
from pathcurate.vault.shares import read_backups
from pathcurate.verification import INPUTS, demand_seal, read_seal
from pathcurate.workspace import (
    EMBEDDED,
    Archive,
    EventSource,
    FilePattern,
    MergeSource,
    ReportSource,
    Roles,
    Site,
    TableSource,
    Workspace,
    load_workspace,
)

_ANSWER_SECONDS = 5.0


def examine(file: Path | None, now: datetime, environment: Mapping[str, str] = MappingProxyType({})) -> list[Check]:
    """Look at the installation and, if there is one, at a workspace.

    Args:
        file: the workspace file, None to look at the installation only.
        now: the present, with time zone.
        environment: where passwords may be that the workspace file refers to.
    """
    checks = [*look_at_installation(), clock(now)]
    if file is None:
        hint = "Make one with `pathcurate init DIR`, or name one with --workspace DIR."
        return [*checks, Check("workspace", "ok", "none here: only the installation was looked at", hint)]
    checks.append(free_space("disk of the workspace", file.parent))
    try:
        workspace = load_workspace(file)
    except PathcurateError as error:
        return [*checks, failed("workspace file", error)]
    return [*checks, *_workspace(workspace, now, environment)]


# --- Workspace ---------------------------------------------------------------------------------------------------


def _workspace(workspace: Workspace, now: datetime, environment: Mapping[str, str]) -> Iterator[Check]:
    yield Check(
        "workspace file", "ok", f"{workspace.name}; sites: {', '.join(site.code for site in workspace.sites) or 'none'}"
    )
    yield _lock(workspace)
    if workspace.settings.engine != EMBEDDED:
        yield _cluster(workspace)
    for site in workspace.sites:
        yield from (_archive(site, archive) for archive in site.archives)
        for number, reports in enumerate(site.reports, start=1):
            yield _source(f"report source {number} of site {site.code}", reports, reportrow.COLUMNS)
        for number, events in enumerate(site.events, start=1):
            yield _source(f"event source {number} of site {site.code}", events, EVENTS.names)
        for number, materials in enumerate(site.materials, start=1):
            yield _source(f"material source {number} of site {site.code}", materials, MATERIALS.names)
        for number, index in enumerate(site.index, start=1):
            yield _source(f"index source {number} of site {site.code}", index, SCANNER_INDEX.names)
        for number, annotations in enumerate(site.annotations, start=1):
            yield _files(f"annotation source {number} of site {site.code}", annotations.path)
    for number, merges in enumerate(workspace.settings.identities, start=1):
        yield _merge_list(workspace, f"merge list {number}", merges)
    yield from _roles(workspace)
    if is_curator(workspace):
        if is_unfinished(workspace.vault):
            yield Check("erasure", "error", "that of a patient was interrupted", "Run `pathcurate forget --patient -`.")
        yield _permissions(workspace, now)
        yield from _vault(workspace, now)
        yield from _tables(workspace)
    yield from _registry(workspace, environment)
    yield from look_at_spaces(workspace, environment)


def _cluster(workspace: Workspace) -> Check:
    """Whether the Spark Connect server that the workspace names answers."""
    address = workspace.settings.engine
    try:
        with tempfile.TemporaryDirectory() as spill, Connect(address, temp_directory=Path(spill)) as engine:
            engine.check_workers()
    except PathcurateError as error:
        return failed("engine of the workspace", error)
    return Check("engine of the workspace", "ok", f"{address} answers, and its workers have pathcurate {__version__}")


def _roles(workspace: Workspace) -> Iterator[Check]:
    if not is_curator(workspace):
        yield Check("role", "ok", "catalog/ and vault/ are closed to this user and were not looked at")
    if workspace.settings.roles == Roles():
        return
    faults = list(role_faults(workspace))
    for fault in faults:
        yield Check("roles", "error" if fault.is_leak else "warning", fault.message, fault.hint)
    if not faults:
        yield Check("roles", "ok", "owners, groups and bits are those of the roles")


def _lock(workspace: Workspace) -> Check:
    path = workspace.root / ".lock"
    try:
        with path.open("rb") as file:
            # Shared and let go at once: a run that begins right now is not kept out.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        pass
    except BlockingIOError:
        return Check("lock", "warning", f"the workspace is in use by {_holder(path)}", "Wait until it ends.")
    except OSError as error:
        return Check("lock", "error", f".lock cannot be read ({type(error).__name__})", "Check who owns the workspace.")
    return Check("lock", "ok", "nobody holds the workspace")


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_bytes())
        return f"`pathcurate {note['command']}` (process {note['pid']}, since {note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"


def _archive(site: Site, archive: Archive) -> Check:
    name = f"archive {archive.name} of site {site.code}"
    fault = _within(_ANSWER_SECONDS, lambda: _listing_fault(archive))
    if fault is None:
        return Check(
            name, "error", f"its root does not answer within {_ANSWER_SECONDS:.0f} s", "Check the file server and the mount."
        )
    if fault:
        return Check(
            name, "error", f"its root cannot be listed ({fault})",
            "Check that the path in pathcurate.yaml is right, mounted, and readable by this user.",
        )  # fmt: skip
    return Check(name, "ok", "its root can be listed")


def _listing_fault(archive: Archive) -> str:
    root = root_of(archive)
    try:
        if isinstance(root, S3Root):
            root.check()
        else:
            os.scandir(root.path).close()
    except OSError as error:
        return type(error).__name__
    except InputOutputError as error:
        return error.message
    return ""


def _within(seconds: float, ask: Callable[[], str]) -> str | None:
    """The answer; None if there is none in time. A call that hangs in the kernel cannot be ended, only left alone."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None


def _merge_list(workspace: Workspace, name: str, source: MergeSource) -> Check:
    try:
        if source.site is not None:
            workspace.site(source.site)
    except PathcurateError as error:
        return failed(name, error)
    return _source(name, source, MERGES.names)


def _source(name: str, source: ReportSource | EventSource | TableSource | MergeSource, columns: Collection[str]) -> Check:
    return _mapping_fault(name, source.mapping, columns) or _files(name, source.path)


def _files(name: str, pattern: FilePattern) -> Check:
    files = pattern.files()
    if not files:
        return Check(name, "error", "matches no file", "Put the export there, or correct `path` in pathcurate.yaml.")
    closed = sum(not os.access(file, os.R_OK) for file in files)
    if closed:
        return Check(name, "error", f"{closed} of {len(files)} files cannot be read", "Check who owns them.")
    return Check(name, "ok", f"{len(files)} {'file' if len(files) == 1 else 'files'}")


def _mapping_fault(name: str, mapping: Path | None, columns: Collection[str]) -> Check | None:
    try:
        if mapping is not None:
            load_mapping(mapping, columns)
    except PathcurateError as error:
        return failed(f"mapping of {name}", error)
    return None


def _permissions(workspace: Workspace, now: datetime) -> Check:
    name = "permission lists"
    if not workspace.permissions:
        return Check(
            name, "warning", "none is configured, so nothing says that patients' data may be used",
            "Add `permissions:` to pathcurate.yaml; without any, releases need --no-permissions.",
        )  # fmt: skip
    for number, source in enumerate(workspace.permissions, start=1):
        fault = _mapping_fault(f"permission list {number}", source.mapping, PERMISSIONS.names)
        if fault is not None:
            return fault
    missing = sum(not source.path.is_file() for source in workspace.permissions)
    if missing:
        return Check(
            name, "error", f"{missing} of {len(workspace.permissions)} are missing", "Correct `path`, or put them there."
        )
    if not (workspace.catalog / "permissions" / "lists.json").exists():
        return Check(name, "warning", "there, and not imported yet", "Run `pathcurate permissions import`.")
    try:
        check_permission_lists(workspace, now)
    except PathcurateError as error:
        return failed(name, error)
    return Check(name, "ok", f"{len(workspace.permissions)}, imported as they are and young enough")


def _vault(workspace: Workspace, now: datetime) -> Iterator[Check]:
    if _is_open(workspace.catalog):
        yield Check(
            "catalog", "error", "its identified tables can be read by other users",
            "Run `chmod 700 catalog`, and find out who could have read it.",
        )  # fmt: skip
    if not workspace.vault.exists():
        yield Check("vault", "ok", "none yet; `pathcurate deid apply` makes it")
        return
    yield from _key(workspace)
    try:
        broken = broken_event(workspace.vault)
    except OSError as error:
        yield Check("audit trail", "error", f"cannot be read ({type(error).__name__})", "Check who owns vault/.")
        return
    if broken is None:
        yield Check("audit trail", "ok", "its chain is whole")
    else:
        yield Check(
            "audit trail", "error", f"line {broken} of vault/audit.jsonl does not continue the chain",
            "Somebody changed the trail. Compare it with a backup.",
        )  # fmt: skip
    last = workspace.vault / "audit.jsonl"
    if last.exists() and datetime.fromtimestamp(last.stat().st_mtime, UTC) > now + timedelta(minutes=5):
        yield Check("clock", "warning", "the last audit event lies in the future", "Set the clock.")


def _is_open(directory: Path) -> bool:
    return directory.exists() and bool(stat.S_IMODE(directory.stat().st_mode) & 0o077)


def _key(workspace: Workspace) -> Iterator[Check]:
    try:
        vault = open_vault(workspace.vault)
    except PathcurateError as error:
        yield failed("vault key", error)
        return
    yield Check("vault key", "ok", "there, and only its owner can read it")
    yield _key_backup(vault)
    yield from _vault_content(vault)
    yield _in_git(workspace)


def _key_backup(vault: Vault) -> Check:
    backups = read_backups(vault.directory)
    of_key = [backup for backup in backups if backup.key == vault.fingerprint]
    if of_key:
        last = of_key[-1]
        return Check("key backup", "ok", f"of {last.made_on}: {last.shares} shares, any {last.threshold} are enough")
    message = "the backups that were made are of keys before this one" if backups else "there is none of the vault key"
    return Check(
        "key backup", "warning", message,
        "Run `pathcurate vault backup`, and give the shares to different people: without the key, no pseudonym and no "
        "shifted date can be made again.",
    )  # fmt: skip


def _vault_content(vault: Vault) -> Iterator[Check]:
    """What lies beside the key."""
    is_open = sum(bool(stat.S_IMODE(path.stat().st_mode) & 0o077) for path in vault.directory.rglob("*") if path.is_file())
    if is_open:
        yield Check(
            "vault", "error", f"{is_open} of its files can be read by other users",
            "Run `chmod -R go= vault`, and find out who could have read them.",
        )  # fmt: skip
    try:
        people = read_people(vault.directory)
        state, retired = check_crosswalk(vault), retired_keys(vault)
    except PathcurateError as error:
        yield failed("vault", error)
        return
    if people:
        approvers = sum(person.role == "approver" for person in people)
        yield Check("people of the vault", "ok", f"{len(people)}, of whom {approvers} may approve")
    else:
        yield Check(
            "people of the vault", "warning", "nobody may ask for or approve re-identification",
            "Run `pathcurate vault people add` for those who may.",
        )  # fmt: skip
    if state is None:
        yield Check(
            "crosswalk", "warning", "there is none, so no code can be led back to its patient",
            "Run `pathcurate deid apply`.",
        )  # fmt: skip
    else:
        yield Check("crosswalk", "ok", f"{state.rows:,} rows, all there")
    if retired:
        yield Check("retired keys", "ok", f"{len(retired)}, sealed under the present one")


def _in_git(workspace: Workspace) -> Check:
    """Whether a git work tree would take the vault in."""
    inside = any((folder / ".git").exists() for folder in (workspace.root.resolve(), *workspace.root.resolve().parents))
    if not inside:
        return Check("vault in git", "ok", "the workspace is in no work tree of git")
    try:
        asked = subprocess.run(
            ["git", "check-ignore", "-q", "vault/key"], cwd=workspace.root, capture_output=True, timeout=_ANSWER_SECONDS,
            check=False,
        )  # fmt: skip
        is_ignored = asked.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        is_ignored = False
    if is_ignored:
        return Check("vault in git", "ok", "the work tree of git around the workspace ignores it")
    return Check(
        "vault in git", "warning", "the workspace is in a work tree of git that does not ignore vault/",
        "Add `vault/` and `catalog/` to .gitignore, and see that neither was committed.",
    )  # fmt: skip


def _tables(workspace: Workspace) -> Iterator[Check]:
    catalog = Catalog(workspace.catalog)
    try:
        known = [table.name for table in INPUTS if catalog.snapshot(table) is not None]
    except PathcurateError as error:
        yield failed("catalog", error)
        return
    yield Check("catalog", "ok", f"tables: {', '.join(known)}" if known else "empty; `pathcurate scan` fills it")
    if not known:
        return
    try:
        seal = read_seal(workspace)
        if seal is None:
            yield Check(
                "de-identified tables", "warning", "there are none that were verified", "Run `pathcurate deid apply`."
            )
        else:
            demand_seal(workspace)
            yield Check("de-identified tables", "ok", "verified, and as new as the catalog")
    except (PlanIncompleteError, VaultError) as error:  # the key has a check of its own
        yield failed("de-identified tables", error, "warning")
    except PathcurateError as error:
        yield failed("de-identified tables", error)


def _registry(workspace: Workspace, environment: Mapping[str, str]) -> Iterator[Check]:
    place = workspace.registry
    try:
        with contextlib.ExitStack() as stack:
            password = place.password.read(environment) if isinstance(place, RegistryAddress) and place.password else None
            registry = stack.enter_context(look_at_registry(place, password))
            if registry is None:
                yield Check("registry", "ok", "none yet; `pathcurate product register` makes it")
            elif faults := registry.verify():
                yield Check(
                    "registry", "error", f"was changed outside of pathcurate: {faults[0]}", "Restore it from a copy."
                )
            else:
                yield Check("registry", "ok", f"its chain is whole; versions registered: {len(registry.list())}")
    except PathcurateError as error:
        yield failed("registry", error)
    if isinstance(place, RegistryAddress) and not place.is_authentic:
        yield Check(
            "registry's connection", "warning", "the server's certificate is not checked, so another could stand in for it",
            "Add `?sslmode=verify-full&sslrootcert=FILE` to `registry` in pathcurate.yaml.",
        )  # fmt: skip
