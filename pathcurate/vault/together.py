"""Several events of the audit trail at once, on disk with one wait for it."""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pathcurate.storage import private_directory, write_bytes
from pathcurate.vault import MOST_TOGETHER, _continued, _ending


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be noted in the audit trail; see :func:`pathcurate.vault.append_event`.

    Attributes:
        actor: operating system user.
        action: the command.
        facts: counts, digests and versions.
        purpose: why, in the actor's words.
    """

    actor: str
    action: str
    facts: Mapping[str, str | int]
    purpose: str | None = None


def append_events(directory: Path, acts: Sequence[Act]) -> None:
    """Append events to the audit trail as :func:`pathcurate.vault.append_event` does; all are on disk before it returns.

    Args:
        directory: the vault's directory.
        acts: the events, in their order.

    More than :data:`~pathcurate.vault.MOST_TOGETHER` are written as several groups.

    Raises:
        OSError: they cannot be written; then none counts.
    """
    if not acts:
        return
    private_directory(directory)
    handle = os.open(directory / "audit.jsonl", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b") as trail:
        fcntl.flock(trail, fcntl.LOCK_EX)
        whole, ending = _ending(trail)
        trail.truncate(whole)
        trail.seek(0, os.SEEK_END)
        previous = _continued(directory, trail, ending)
        trail.seek(0, os.SEEK_END)
        for start in range(0, len(acts), MOST_TOGETHER):
            lines, newest = _chained(acts[start : start + MOST_TOGETHER], previous)
            # Wherever this is cut off, the head tells which lines were being written.
            write_bytes(directory / "audit.head", f"{previous} {newest}".encode(), mode=0o600)
            trail.write(lines)
            trail.flush()
            os.fsync(trail.fileno())
            write_bytes(directory / "audit.head", newest.encode(), mode=0o600)
            previous = newest


def _chained(acts: Sequence[Act], previous: str) -> tuple[bytes, str]:
    """Their lines, and the digest of the last."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    lines = []
    for act in acts:
        event = {
            "at": at,
            "actor": act.actor,
            "action": act.action,
            "facts": dict(act.facts),
            **({"purpose": act.purpose} if act.purpose else {}),
            "previous": previous,
        }
        line = json.dumps(event, ensure_ascii=False, sort_keys=True).encode()
        previous = hashlib.sha256(line).hexdigest()
        lines.append(line + b"\n")
    return b"".join(lines), previous
