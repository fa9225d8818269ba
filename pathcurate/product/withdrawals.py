"""Somebody withdraws: they go into no release any more, and whoever has copies is told, in the codes of their own copies."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathcurate import __version__
from pathcurate.errors import PathcurateError, UsageError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.feed import Reason, Scope
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Entry, Subject
from pathcurate.model.registration import Lack
from pathcurate.model.trust import LANGUAGE, Trust
from pathcurate.product.desk import Desk
from pathcurate.product.signatures import role_of, trusted
from pathcurate.pseudonyms import Pseudonyms, product, recipient
from pathcurate.releases import Release, read_release
from pathcurate.roles import shared_directory
from pathcurate.signing import Signer, lacking, verify
from pathcurate.tables import read_parquet, read_schema
from pathcurate.trustfile import load_trust
from pathcurate.vault import Vault, append_event, open_vault
from pathcurate.vault.crosswalk import cross, internal_codes
from pathcurate.vault.rotation import retired_keys
from pathcurate.withdrawals.feed import (
    CODE_COLUMNS,
    Feed,
    append_line,
    contract_feed,
    key_columns,
    product_feed,
    read_feed,
    sign_head,
    signed_head,
    uncovered,
)
from pathcurate.withdrawals.resolving import codes_in, find_codes, find_meant
from pathcurate.withdrawals.subjects import Subject as WithdrawnSubject
from pathcurate.withdrawals.subjects import Withdrawn, add_withdrawn, read_withdrawn, withdrawn_head

_ENDED = frozenset({"destroyed"})
_UNDER_WAY = frozenset({"prepared", "started", "suspended"})
Codes = Mapping[str, Collection[str]]
"""Column to codes, see :data:`~pathcurate.withdrawals.feed.CODE_COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Affected:
    """A release that holds what was withdrawn.

    Attributes:
        entry: of it.
        keys: by which key of the vault, the rows' internal codes in it; both by column.
        is_read: False if its tables cannot be read, so that all that was withdrawn may be in it.
    """

    entry: Entry
    keys: Sequence[tuple[Vault, Codes]]
    is_read: bool = True

    def product_codes(self) -> dict[str, set[str]]:
        """The rows' codes in the release."""
        return _layered(self.keys, lambda vault: product(vault.key, self.entry.product).codes)

    def recipient_codes(self, name: str) -> dict[str, set[str]]:
        """The rows' codes in what a recipient has got of it."""
        return _layered(self.keys, lambda vault: recipient(vault.key, self.entry.product, name).codes)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a withdrawal does, or would do.

    Attributes:
        scope: of whom or what.
        subjects: how many persons, cases, slides, series were withdrawn.
        releases: affected releases.
        unread: those of them whose tables cannot be read.
        products: products whose feed says so, each with the number of its last line.
        contracts: contracts whose recipients are told, likewise.
        deliveries: deliveries that hold what was withdrawn.
        is_new: False if everything was done before.
        lacks: what is still needed before the feeds count.
    """

    scope: Scope
    subjects: Mapping[str, int]
    releases: Sequence[str]
    unread: Sequence[str]
    products: Mapping[str, int]
    contracts: Mapping[str, int]
    deliveries: Sequence[str]
    is_new: bool
    lacks: Sequence[Lack] = ()


def withdraw_rows(
    desk: Desk,
    scope: Scope,
    numbers: Sequence[tuple[int, str]],
    reason: Reason,
    signer: Signer | None,
    *,
    site: str | None = None,
    dry_run: bool = False,
) -> Taken:
    """Withdraw patients, cases or slides by their original numbers. Nothing takes it back; again changes nothing.

    From the first thing that is written on, nothing of theirs is selected, built or delivered. A run that was killed is
    completed by the same call.

    Args:
        desk: whose releases, contracts and deliveries are looked through; it holds the lock on the workspace.
        scope: what the numbers are of.
        numbers: each with the number of its line.
        reason: why; the recipients are told.
        signer: a steward's key, by which the feeds are signed; None only for a dry run.
        site: whose the numbers are; None if that does not matter.
        dry_run: only say what would be affected.

    Raises:
        UsageError: a number is unknown or of several; the line is named, never the number.
        PlanIncompleteError: the de-identified tables are missing.
        VaultError: the key does not count, or the vault is damaged.
        DigestMismatchError: a feed is damaged.
        InputOutputError: something cannot be read or written; what was done so far stands, and the same call goes on.
    """
    trust = load_trust(desk.trust_file) if desk.trust_file.exists() else Trust(trust=LANGUAGE)
    if not dry_run:
        if signer is None:
            raise UsageError("a withdrawal is signed", "Give the key of a steward, or ask for a dry run.")
        role_of(trusted(desk, trust, signer), None, tuple(trust.needs("withdraw")) or ("steward",))
    meant = find_meant(desk.workspace, scope, numbers, site)
    vault = open_vault(desk.workspace.vault)
    subjects = meant.subjects(vault.key)
    affected = list(_affected(desk, vault, find_codes(desk.workspace, subjects)))
    since = _known_since(read_withdrawn(vault.directory), subjects)
    told = _told(desk, affected, since)
    is_new = since is None
    lacks: tuple[Lack, ...] = ()
    if not dry_run and signer is not None:
        is_new |= add_withdrawn(vault, subjects, scope=scope, reason=reason, actor=desk.actor, at=desk.at)
        feeds = _Feeds(desk, scope, reason, signer, trust)
        feeds.write(affected, told)
        is_new |= feeds.is_changed
        is_new |= _move(desk, affected, told)
        lacks = feeds.lacks(affected, told)
        if is_new:
            _, head = withdrawn_head(vault.directory)
            facts: dict[str, str | int] = {
                "scope": str(scope),
                "subjects": len(subjects),
                "head": head,
                "version": __version__,
            }
            append_event(vault.directory, desk.actor, "product withdraw", facts)
    return Taken(
        scope=scope,
        subjects={"persons": len(meant.persons), "cases": len(meant.cases), "slides": len(meant.slides),
                  "series": len(meant.series)},
        releases=[one.entry.id for one in affected],
        unread=[one.entry.id for one in affected if not one.is_read],
        products={one.entry.product: read_feed(product_feed(desk.workspace, one.entry.product)).seq for one in affected},
        contracts={one.id: read_feed(contract_feed(desk.workspace, one.id)).seq for one, _, _ in told},
        deliveries=[one.id for _, _, made in told for one in made],
        is_new=is_new,
        lacks=lacks,
    )  # fmt: skip


# --- Who holds it ------------------------------------------------------------------------------------------------


def _affected(desk: Desk, vault: Vault, codes: Codes) -> Iterator[Affected]:
    """Releases in any state that hold one of some rows, whichever key of the vault their codes were made with."""
    known = [(vault, codes), *_of_retired(vault, codes)]
    for entry in desk.registry.list():
        try:
            release = read_release(desk.workspace.releases / entry.product / entry.version)
            keys = [(one, held) for one, mine in known if (held := _held(release, one, mine))]
        except PathcurateError:
            yield Affected(entry, known, is_read=False)
            continue
        if keys:
            yield Affected(entry, keys)


def _of_retired(vault: Vault, codes: Codes) -> Iterator[tuple[Vault, Codes]]:
    """The same rows under the keys that the vault had before."""
    for old in retired_keys(vault):
        found = {}
        for name, wanted in codes.items():
            bridge = cross(vault, old.fingerprint, list(internal_codes(vault, CODE_COLUMNS[name], old.fingerprint)))
            found[name] = {former for former, present in bridge.items() if present in wanted}
        yield old, {name: mine for name, mine in found.items() if mine}


def _held(release: Release, vault: Vault, codes: Codes) -> dict[str, set[str]]:
    """Internal codes of the rows that a release holds."""
    layer = product(vault.key, release.name).codes
    back = {name: {layer.code(CODE_COLUMNS[name], one): one for one in mine} for name, mine in codes.items()}
    tables = (
        read_parquet(path, columns)
        for table in release.tables for path in release.paths(table) if (columns := key_columns(read_schema(path).names))
    )  # fmt: skip
    return {name: {back[name][one] for one in found} for name, found in codes_in(tables, back).items()}


def _layered(keys: Sequence[tuple[Vault, Codes]], layer_of: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for vault, codes in keys:
        layer: Pseudonyms = layer_of(vault)
        for name, mine in codes.items():
            found.setdefault(name, set()).update(layer.code(CODE_COLUMNS[name], one) for one in mine)
    return found


_Told = tuple[Subject, Affected, list[Subject]]


def _known_since(lines: Sequence[Withdrawn], subjects: Collection[WithdrawnSubject]) -> str | None:
    """When the last of some subjects was withdrawn; None if one of them was not yet."""
    times = [line.at for line in lines if not line.subjects.isdisjoint(subjects)]
    is_known = frozenset(subjects) <= frozenset(one for line in lines for one in line.subjects)
    return max(times, default=None) if is_known else None


def _told(desk: Desk, affected: Sequence[Affected], since: str | None) -> list[_Told]:
    """Contracts with deliveries of which the recipient is to be told: not destroyed, and begun before the withdrawal.

    Args:
        desk: whose contracts they are.
        affected: releases that hold what is withdrawn.
        since: when it was; what was begun later is without it. None for now.
    """
    found = []
    for one in affected:
        for contract in desk.registry.subjects(Machine.CONTRACT, parent=one.entry.id):
            made = desk.registry.subjects(Machine.DELIVERY, parent=contract.id)
            lasting = [held for held in made if held.state not in _ENDED and (since is None or held.opened_at <= since)]
            if lasting:
                found.append((contract, one, lasting))
    return found


# --- The feeds ---------------------------------------------------------------------------------------------------


class _Feeds:
    """The feeds of one withdrawal."""

    def __init__(self, desk: Desk, scope: Scope, reason: Reason, signer: Signer, trust: Trust) -> None:
        self._desk, self._scope, self._reason, self._signer, self._trust = desk, scope, reason, signer, trust
        self.is_changed = False

    def write(self, affected: Sequence[Affected], told: Sequence[_Told]) -> None:
        """Add what is missing to every feed, and sign where it ends."""
        workspace = self._desk.workspace
        for name in dict.fromkeys(one.entry.product for one in affected):
            mine = {one.entry.id: one.product_codes() for one in affected if one.entry.product == name}
            self._feed(product_feed(workspace, name), name, None, mine)
        for contract, one, _ in told:
            mine = {one.entry.id: one.recipient_codes(str(contract.facts["recipient"]))}
            self._feed(contract_feed(workspace, contract.id), contract.product, contract.id, mine)

    def _feed(self, path: Path, name: str, contract: str | None, wanted: Mapping[str, Codes]) -> None:
        feed = read_feed(path)
        missing = {release: left for release, codes in wanted.items() if (left := uncovered(feed, release, codes))}
        if missing:
            shared_directory(path.parent)
            codes: dict[str, set[str]] = {}
            for left in missing.values():
                for column, found in left.items():
                    codes.setdefault(column, set()).update(found)
            feed = append_line(path, feed, at=self._desk.at, scope=self._scope, reason=self._reason, codes=codes,
                               affects=missing)  # fmt: skip
            self.is_changed = True
        events, head = self._desk.registry.head()
        says = {"product": name, "contract": contract, "at": self._desk.at, "registry": {"events": events, "head": head}}
        if feed.lines:
            sign_head(path, feed, says, self._signer)

    def lacks(self, affected: Sequence[Affected], told: Sequence[_Told]) -> tuple[Lack, ...]:
        """Signatures that are still to be given before the feeds count."""
        workspace = self._desk.workspace
        paths = [product_feed(workspace, one.entry.product) for one in affected]
        paths += [contract_feed(workspace, contract.id) for contract, _, _ in told]
        missing: dict[str, int] = {}
        for path in dict.fromkeys(paths):
            envelope = signed_head(path)
            found = verify(envelope, self._trust) if envelope is not None else ()
            for role, number in lacking(found, self._trust.needs("withdraw")).items():
                missing[role] = max(number, missing.get(role, 0))
        return tuple(
            Lack("signatures", f"{number} more signature(s) by another {role}", "Give the same command with their key.", 13)
            for role, number in missing.items()
        )


# --- What the registry is told -----------------------------------------------------------------------------------


def _move(desk: Desk, affected: Sequence[Affected], told: Sequence[_Told]) -> bool:
    """Tell the registry, once for each end of a feed; whether that was new."""
    is_new = False
    for one in affected:
        feed = read_feed(product_feed(desk.workspace, one.entry.product))
        subject = desk.registry.subject(Machine.RELEASE, one.entry.id)
        if subject is not None:
            is_new |= _notified(desk, subject, "take_out", feed, one.entry.id)
    for contract, one, made in told:
        feed = read_feed(contract_feed(desk.workspace, contract.id))
        for subject in (contract, *made):
            is_new |= _notified(desk, subject, "notify", feed, one.entry.id)
    return is_new


def _notified(desk: Desk, subject: Subject, command: str, feed: Feed, release: str) -> bool:
    lines = [line for line in feed.lines if release in line.affects]
    if not lines or lifecycle().table(subject.machine).target(command, subject.state) is None:
        return False
    last = lines[-1]
    if subject.facts.get("withdrawals", 0) >= last.seq:
        return False
    sets: dict[str, Any] = {"withdrawals": last.seq}
    if subject.machine is Machine.DELIVERY and subject.state not in _UNDER_WAY:
        # What is under way honours the line that it is prepared anew with; what was delivered, the one that it was.
        sets["honoured"] = subject.facts.get("honoured", subject.facts.get("withdrawals", 0))
    says = {"feed": {"seq": last.seq, "head": last.digest}, "scope": str(last.scope), "reason": str(last.reason)}
    moved = Command(subject.machine, subject.id, command, desk.actor, desk.at, sets=sets, says=says)
    return desk.registry.transition(moved).is_new
