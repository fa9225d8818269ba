"""What may be shown at all: whether the permission lists that a cohort rests on are there, imported and young enough."""

import json
from datetime import UTC, datetime, timedelta

from pathcurate.digests import file_sha256
from pathcurate.errors import DisclosureRefusedError
from pathcurate.storage import write_bytes
from pathcurate.workspace import PermissionSource, Workspace

_IMPORT = "Put the current list there and run `pathcurate permissions import`."


def record_permission_lists(workspace: Workspace) -> None:
    """Remember which bytes of each configured list were imported."""
    digests = {str(source.path): file_sha256(source.path) for source in workspace.permissions}
    record = workspace.catalog / "permissions" / "lists.json"
    write_bytes(record, json.dumps(digests, ensure_ascii=False, sort_keys=True).encode(), mode=0o600)


def check_permission_lists(workspace: Workspace, now: datetime) -> None:
    """Refuse to go on with a permission list that is missing, changed since its import, or too old.

    Args:
        workspace: the workspace.
        now: the present, with time zone. Permissions are always today's, also when data is read as of an earlier day.

    Raises:
        DisclosureRefusedError: a configured list cannot be relied on.
    """
    record = workspace.catalog / "permissions" / "lists.json"
    imported = json.loads(record.read_bytes()) if record.is_file() else {}
    for source in workspace.permissions:
        _check_list(source, imported.get(str(source.path)), now)


def _check_list(source: PermissionSource, imported: str | None, now: datetime) -> None:
    path = source.path
    if not path.is_file():
        raise DisclosureRefusedError(f"permission list {path.name} is missing", _IMPORT)
    if imported is None:
        raise DisclosureRefusedError(
            f"permission list {path.name} was never imported", "Run `pathcurate permissions import`."
        )
    if file_sha256(path) != imported:
        raise DisclosureRefusedError(
            f"permission list {path.name} has changed since it was imported",
            "Run `pathcurate permissions import`, then `pathcurate deid apply`.",
        )
    if source.max_age_days is None:
        return
    age = now - datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if age > timedelta(days=source.max_age_days):
        raise DisclosureRefusedError(
            f"permission list {path.name} is {age.days} days old; pathcurate.yaml allows {source.max_age_days}", _IMPORT
        )
