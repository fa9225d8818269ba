"""Rights per site: whose rows may be selected and built in today."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path

from pathcurate.digests import file_sha256, sha256_text
from pathcurate.model.rights import Standing, Withdrawal
from pathcurate.rights.withdrawn import read_withdrawals
from pathcurate.workspace import WORKSPACE_FILE, Site, Workspace

_NOTHING = sha256_text(b"")


def has_rights(workspace: Workspace) -> bool:
    """Whether rights decide what may be built in: a site names some, or one was withdrawn.

    Raises:
        InputOutputError: the list of withdrawn sites is damaged.
    """
    return _are_named(workspace) or bool(read_withdrawals(workspace))


def _are_named(workspace: Workspace) -> bool:
    return any(site.rights is not None for site in workspace.sites)


def standings(workspace: Workspace, today: date) -> dict[str, Standing]:
    """How the rights in each site's data stand, by code: sites of ``pathcurate.yaml`` in its order, then withdrawn ones.

    If no site names ``rights``, they are not asked for, and only a withdrawn site has a fault. If one does, every site needs
    them, with an authorisation whose document is there (a regular file that is not empty) and whose last day is not over.

    Args:
        workspace: the workspace.
        today: the day.

    Raises:
        InputOutputError: the list of withdrawn sites is damaged.
    """
    withdrawn = {one.site: one for one in read_withdrawals(workspace)}
    is_asked_for = _are_named(workspace)
    found = {
        site.code: _standing(site, today, withdrawn.get(site.code), is_asked_for=is_asked_for) for site in workspace.sites
    }
    gone = {code: _withdrawn(one) for code, one in sorted(withdrawn.items()) if code not in found}
    return found | {code: Standing(code, fault=fault, is_withdrawn=True) for code, fault in gone.items()}


def unauthorised(workspace: Workspace, today: date, sites: Iterable[str]) -> dict[str, str]:
    """Which of these sites have no valid authorisation, and why; sorted by code.

    Args:
        workspace: the workspace.
        today: the day.
        sites: codes of sites that rows are of; ``pathcurate.yaml`` may not name them any more.

    Raises:
        InputOutputError: the list of withdrawn sites is damaged.
    """
    known, is_asked_for = standings(workspace, today), _are_named(workspace)
    unknown = f"{WORKSPACE_FILE} names no such site" if is_asked_for else None
    faults = {code: known[code].fault if code in known else unknown for code in sorted(set(sites))}
    return {code: fault for code, fault in faults.items() if fault is not None}


def _standing(site: Site, today: date, withdrawn: Withdrawal | None, *, is_asked_for: bool) -> Standing:
    rights = site.rights
    if rights is None:
        fault = f"{WORKSPACE_FILE} names no rights in its data" if is_asked_for else None
        return Standing(site.code, fault=_withdrawn(withdrawn) or fault, is_withdrawn=withdrawn is not None)
    digest, fault = None, "no document authorises the use of its data"
    if rights.authorisation is not None:
        digest, fault = _document(rights.authorisation)
    if fault is None and rights.valid_until is not None and rights.valid_until < today:
        fault = f"its authorisation was valid until {rights.valid_until}"
    # As it is written: the float 0.1 itself is a little more than a tenth.
    share = Decimal(repr(rights.share)) if rights.share is not None else None
    return Standing(
        site.code, rights.holder, digest, rights.valid_until, share, _withdrawn(withdrawn) or fault, withdrawn is not None
    )


def _document(path: Path) -> tuple[str | None, str | None]:
    """Digest of an authorisation, or why it is none."""
    try:
        digest = file_sha256(path)
    except OSError:
        return None, f"its authorisation {path.name} is not there, or no regular file that can be read"
    return (None, f"its authorisation {path.name} is empty") if digest == _NOTHING else (digest, None)


def _withdrawn(one: Withdrawal | None) -> str | None:
    return f"it was withdrawn on {one.at[:10]}" if one is not None else None
