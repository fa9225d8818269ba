"""Which releases hold rows of whom."""

from pathcurate.errors import DigestMismatchError, PlanIncompleteError
from pathcurate.model.product import Entry, State
from pathcurate.product.desk import Desk
from pathcurate.rights.sources import read_sources


def holding(desk: Desk, site: str) -> list[Entry]:
    """Releases that hold rows of a site, or may: of one whose record is missing or damaged, nobody knows."""
    return [entry for entry in desk.registry.list() if entry.state != State.WITHDRAWN and _may_hold(desk, entry, site)]


def _may_hold(desk: Desk, entry: Entry, site: str) -> bool:
    try:
        sources = read_sources(desk.workspace, entry.product, entry.version, entry.release_digest)
    except (DigestMismatchError, PlanIncompleteError):
        return True
    return site in sources.sites and any(sources.sites[site].counts.values())
