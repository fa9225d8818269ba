"""Stage: a release becomes a product: it is entered into the registry by its digest."""

from datetime import UTC, datetime
from pathlib import Path

from pathcurate.model.product import Entry, State
from pathcurate.registries import Registry
from pathcurate.releases import verify_release


def register(registry: Registry, directory: Path, *, actor: str, now: datetime) -> tuple[Entry, bool]:
    """Enter a release; again gives the same answer.

    Args:
        registry: the registry.
        directory: the release.
        actor: who registers it.
        now: the present, with time zone; it is stored in UTC.

    Returns:
        The entry, and whether it is new.

    Raises:
        DigestMismatchError: the release was changed since it was built, or its version is registered with other content.
        InputOutputError: the directory is no release.
    """
    release = verify_release(directory)
    entry = Entry(
        product=release.name,
        version=release.version,
        release_digest=release.digest,
        content_digest=str(release.manifest["content_digest"]),
        state=State.FROZEN,
        title=str(release.manifest.get("title", "")),
        counts=dict(release.manifest["counts"]),
        registered_at=now.astimezone(UTC).isoformat(timespec="seconds"),
        actor=actor,
    )
    return registry.register(entry)
