"""Stage: what stands behind codes, for two people who answer for it. Only rows asked for are opened; every call is audited.

GB/T 39725-2020 10.2 e and g: the index of codes stays inside, and only named people inside lead back through it.
"""

import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pathcurate import __version__, pseudonyms
from pathcurate.errors import UsageError, VaultError
from pathcurate.model.crosswalk import ORIGINALS, kind_of
from pathcurate.peoplecsv import csv_for_people
from pathcurate.storage import path_text, private_directory, write_bytes
from pathcurate.vault import Vault, append_event, broken_event, open_vault
from pathcurate.vault.crosswalk import CROSSWALK_FILE, cross, held, internal_codes, look_up
from pathcurate.vault.people import demand_two
from pathcurate.vault.rotation import retired_keys
from pathcurate.workspace import Workspace

FIELDS = tuple(dict.fromkeys(name for original in ORIGINALS.values() for name in original.fields))


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants to know what, and why.

    Attributes:
        codes: pseudonyms.
        product: the product whose codes they are; None for the workspace's own.
        reason: why, in words.
        requested_by: who asks.
        approved_by: who approves, another person.
    """

    codes: tuple[str, ...]
    product: str | None
    reason: str
    requested_by: str
    approved_by: str


@dataclass(frozen=True, slots=True)
class Reidentified:
    """What stands behind codes.

    Attributes:
        rows: each known code as it was asked for, with the names and values of its kind's fields.
        unknown: how many codes are not known.
    """

    rows: Mapping[str, Mapping[str, str]]
    unknown: int

    def __repr__(self) -> str:
        # The generated one would show patients in a traceback.
        return f"Reidentified({len(self.rows)} rows, {self.unknown} unknown)"


def reidentify(workspace: Workspace, request: Request, *, actor: str) -> Reidentified:
    """Look up what stands behind codes; the audit trail notes who asked, who approved and why, but no value.

    Codes from before a rotation of the key are known too.

    Args:
        workspace: the workspace.
        request: what is asked.
        actor: who runs it.

    Raises:
        UsageError: a text is no code; it is named by its number.
        VaultError: one of the two may not, or the key or the crosswalk cannot be used.
    """
    if not request.codes:
        raise UsageError("no code was given", "Give codes, - for standard input or @FILE with one on each line.")
    for number, code in enumerate(request.codes, start=1):
        if kind_of(code) is None:
            raise UsageError(f"text {number} is no code", "Codes look like P-0123456789ABCDEF, a letter and 16 characters.")
    vault = open_vault(workspace.vault)
    if broken_event(workspace.vault) is not None:
        raise VaultError(
            "the audit trail was changed, so nobody could say later who was led back",
            "See `pathcurate audit report`, and put the trail back from a copy.",
        )
    try:
        asking, approving = demand_two(workspace.vault, request.requested_by, request.approved_by)
    except VaultError:
        refused: dict[str, str | int] = {
            "codes": len(request.codes), "requested_by": request.requested_by, "approved_by": request.approved_by,
        }  # fmt: skip
        append_event(
            workspace.vault, actor, "deid reidentify refused", {**refused, "version": __version__}, purpose=request.reason
        )
        raise
    if not (workspace.vault / CROSSWALK_FILE).exists():
        raise VaultError(
            "the vault has no crosswalk", "Run `pathcurate deid apply`, which writes it, or restore it from a copy."
        )
    codes = tuple(dict.fromkeys(request.codes))
    present = _present_codes(vault, codes, request.product)
    originals = look_up(vault, present.values())
    rows = {
        code: dict(zip(ORIGINALS[code[0]].fields, map(_shown, originals[present[code]]), strict=True))
        for code in codes
        if present.get(code) in originals
    }
    facts: dict[str, str | int] = {
        "codes": len(codes), "known": len(rows), "requested_by": asking, "approved_by": approving,
        "codes_sha256": hashlib.sha256("\n".join(sorted(codes)).encode()).hexdigest(),
        **({"product": request.product} if request.product else {}), "version": __version__,
    }  # fmt: skip
    append_event(workspace.vault, actor, "deid reidentify", facts, purpose=request.reason)
    return Reidentified(rows, len(codes) - len(rows))


def _present_codes(vault: Vault, codes: Sequence[str], product: str | None) -> dict[str, str]:
    """Each code that can be led back to one of the workspace's own under the present key, with that."""
    found: dict[str, str] = {}
    for key in (vault, *retired_keys(vault)):
        old_key = None if key is vault else key.fingerprint
        missing = [code for code in codes if code not in found]
        then = _internal_codes(vault, key, missing, product, old_key) if product else {code: code for code in missing}
        now = cross(vault, old_key, then.values()) if old_key else held(vault, then.values())
        found |= {code: now[internal] for code, internal in then.items() if internal in now}
    return found


def _internal_codes(
    vault: Vault, of_key: Vault, codes: Collection[str], product: str, old_key: str | None
) -> dict[str, str]:
    """Each code of a product that was made with a key, to the workspace's own of that time."""
    layer, asked = pseudonyms.product(of_key.key, product).codes, set(codes)
    found: dict[str, str] = {}
    for kind in sorted({code[0] for code in codes} & set(ORIGINALS)):
        internal = list(internal_codes(vault, kind, old_key))
        pairs = zip(layer.codes(kind, internal), internal, strict=True)
        found |= {code: then for code, then in pairs if code in asked}
    return found


def _shown(value: str) -> str:
    """A value as text: a path's bytes that are no UTF-8 in the archive's other encoding."""
    return path_text(value.encode("utf-8", "surrogateescape"))


def write_review(workspace: Workspace, found: Reidentified) -> Path:
    """Write what was found below ``catalog/review/``, as CSV that only the workspace's owner can read."""
    folder = private_directory(private_directory(workspace.catalog) / "review")
    path = folder / f"reidentify-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.csv"
    lines = ([code, *(row.get(name, "") for name in FIELDS)] for code, row in found.rows.items())
    write_bytes(path, csv_for_people(("code", *FIELDS), lines), mode=0o600)
    return path
