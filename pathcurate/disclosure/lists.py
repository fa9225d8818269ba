"""Permission lists that a cohort may rest on: there, imported as they are, and young enough."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pathcurate.digests import file_sha256
from pathcurate.errors import DisclosureRefusedError, InputOutputError
from pathcurate.storage import private_directory, write_bytes
from pathcurate.workspace import PermissionSource, Workspace

_IMPORT = "Put the current list there and run `pathcurate permissions import`."


def list_digests(workspace: Workspace) -> dict[str, str]:
    """Digest of each configured list with the mapping that says what its columns mean; take them before reading the lists.

    Raises:
        InputOutputError: one of them cannot be read.
    """
    return {_name(workspace, source): _digest(source) for source in workspace.permissions}


def _name(workspace: Workspace, source: PermissionSource) -> str:
    # Relative to the workspace, which may be moved or copied with its lists.
    files = [path for path in (source.path, source.mapping) if path is not None]
    return "\n".join(os.path.relpath(path, workspace.root) for path in files)


def _digest(source: PermissionSource) -> str:
    files = [path for path in (source.path, source.mapping) if path is not None]
    try:
        # Resolved, because a list may be a link to the newest of several.
        return " ".join(file_sha256(path.resolve()) for path in files)
    except OSError as error:
        raise InputOutputError(
            f"permission list {source.path.name} or its mapping cannot be read ({type(error).__name__})",
            "Check their paths in pathcurate.yaml and their permissions.",
        ) from None


def record_permission_lists(workspace: Workspace, digests: Mapping[str, str] | None = None) -> None:
    """Remember which bytes of each configured list were imported.

    Args:
        workspace: the workspace.
        digests: what :func:`list_digests` gave before the lists were read; taken now if None.
    """
    digests = list_digests(workspace) if digests is None else digests
    record = private_directory(private_directory(workspace.catalog) / "permissions") / "lists.json"
    write_bytes(record, json.dumps(dict(digests), ensure_ascii=False, sort_keys=True).encode(), mode=0o600)


def check_permission_lists(workspace: Workspace, now: datetime) -> None:
    """Refuse to go on with a permission list that is missing, changed since its import, or too old.

    Args:
        workspace: the workspace.
        now: the present, with time zone. Permissions are always today's, also when data is read as of an earlier day.

    Raises:
        DisclosureRefusedError: a configured list cannot be relied on.
        InputOutputError: a list cannot be read.
    """
    record = workspace.catalog / "permissions" / "lists.json"
    try:
        imported = json.loads(record.read_bytes()) if record.is_file() else {}
    except ValueError:
        imported = {}
    for source in workspace.permissions:
        _check_list(source, imported.get(_name(workspace, source)), now)
    if imported.keys() - {_name(workspace, source) for source in workspace.permissions}:
        raise DisclosureRefusedError(
            "a permission list that was imported is no longer named in pathcurate.yaml",
            "Run `pathcurate permissions import`, then `pathcurate deid apply`; or name the list again.",
        )


def _check_list(source: PermissionSource, imported: str | None, now: datetime) -> None:
    path = source.path
    if not path.is_file():
        raise DisclosureRefusedError(f"permission list {path.name} is missing", _IMPORT)
    if imported is None:
        raise DisclosureRefusedError(
            f"permission list {path.name} was never imported", "Run `pathcurate permissions import`."
        )
    if _digest(source) != imported:
        raise DisclosureRefusedError(
            f"permission list {path.name} or its mapping has changed since it was imported",
            "Run `pathcurate permissions import`, then `pathcurate deid apply`.",
        )
    if source.max_age_days is None:
        return
    age = now - datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if age > timedelta(days=source.max_age_days):
        raise DisclosureRefusedError(
            f"permission list {path.name} is older than the {source.max_age_days} days that pathcurate.yaml allows", _IMPORT
        )
