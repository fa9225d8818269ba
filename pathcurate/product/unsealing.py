"""The labels of a sealed evaluation are opened for good; anybody can check then that they are those committed to."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, PlanIncompleteError, UsageError
from pathcurate.labelmatch import Match, match_labels
from pathcurate.lifecycle import lifecycle
from pathcurate.model.attestation import BENCHMARK_UNSEALED, Statement
from pathcurate.model.product import Entry
from pathcurate.model.registration import RecordedSignature
from pathcurate.product.desk import Desk
from pathcurate.product.signatures import lay, role_of, trusted, with_signature
from pathcurate.releases import Release
from pathcurate.sealedsets import SealedSet, read_sealed_set
from pathcurate.sealing import (
    KEY_NAME,
    LABELS_NAME,
    is_committed,
    labels_key,
    open_labels,
    read_key,
    read_labels,
    write_unsealed,
)
from pathcurate.signing import Signer
from pathcurate.tables import column_values
from pathcurate.trustfile import load_trust
from pathcurate.vault import append_event, open_vault, read_events
from pathcurate.wholefolder import write_whole
from pathcurate.workspace import Workspace

ACTION, COMPARED = "product unseal", "product unseal --found"
"""Of the audit trail."""
README_NAME = "README.txt"


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Labels that are open now.

    Attributes:
        sealed: of which evaluation.
        directory: where they are.
        labels: how many.
        is_new: whether the folder was written now.
        entry: as the registry has it; None of a set of questions, which is in none.
    """

    sealed: SealedSet
    directory: Path
    labels: int
    is_new: bool
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Checked:
    """Labels that are those that were committed to.

    Attributes:
        sealed: of which evaluation.
        labels: how many.
    """

    sealed: SealedSet
    labels: int


def unseal(desk: Desk, directory: Path, target: Path, reason: str, signer: Signer | None = None) -> Unsealed:
    """Write the labels and their key, for whoever bought or judged by them; again gives the same answer.

    The registry says that they are open before a file of them is written: no copy is about that it does not know of.

    Args:
        desk: whose evaluation it is; it holds the lock on the workspace.
        directory: the registered release.
        target: folder to be made.
        reason: why, in a sentence.
        signer: of a steward, who says so in a signed statement.

    Raises:
        DigestMismatchError: labels or release are not those that were committed to.
        PlanIncompleteError: the release withholds nothing, or its state is another, or the vault lacks its labels.
        UsageError: it is not registered, or something else is in the target's place.
        VaultError: the key is nobody's, or does not count any more.
    """
    release, entry = desk.entered(directory)
    sealed, labels, key = _opened(desk.workspace, directory)
    if "unsealed" not in entry.facts:
        table = lifecycle().release
        if table.target("unseal", entry.state) is None:
            needed = ", ".join(table.commands["unseal"].from_)
            raise PlanIncompleteError(
                f"{entry.product} {entry.version} is {entry.state}; its labels are unsealed when it is one of {needed}",
                f"`pathcurate product show {entry.id}` shows what comes next.",
            )
        _demand_place(target)
    sets: dict[str, Any] = {} if "unsealed" in entry.facts else {
        "unsealed": {"reason": reason, "commitment": sealed.commitment.value, "labels": labels.num_rows, "at": desk.at}
    }  # fmt: skip
    if signer is not None:
        sets |= _signed(desk, release, entry, sealed, signer, str({**entry.facts, **sets}["unsealed"]["reason"]))
    if sets:
        _tell(desk, sealed, labels, reason)
        desk.registry.transition(desk.command(entry, "unseal", sets=sets))
    is_new = _written(target, sealed, labels, key)
    return Unsealed(sealed, target, labels.num_rows, is_new, desk.registry.get(entry.product, entry.version))


def unseal_questions(desk: Desk, directory: Path, target: Path, reason: str) -> Unsealed:
    """The same for a set of questions, which is in no registry: the audit trail keeps that its answers are open.

    Raises:
        DigestMismatchError: answers or set are not those that were committed to.
        PlanIncompleteError: the vault does not have the answers.
        UsageError: something else is in the target's place.
    """
    sealed, labels, key = _opened(desk.workspace, directory)
    _demand_place(target)
    _tell(desk, sealed, labels, reason)
    return Unsealed(sealed, target, labels.num_rows, _written(target, sealed, labels, key), None)


def check_unsealed(directory: Path, folder: Path) -> Checked:
    """Whether unsealed labels are those that were committed to; needs the release, or a copy of it, and the folder alone.

    Raises:
        DigestMismatchError: key or labels are others, or a unit has two.
        InputOutputError: a file cannot be used.
    """
    sealed = read_sealed_set(directory)
    key, labels = read_key(folder / KEY_NAME), read_labels(folder / LABELS_NAME)
    if sha256_text(key) != sealed.commitment.key_sha256:
        raise DigestMismatchError(
            f"{KEY_NAME} does not hold the key that {sealed.name} committed to", "Ask the holder for the folder again."
        )
    _demand_committed(key, labels, sealed)
    codes = column_values(labels, "unit_id")
    if len(set(codes)) < len(codes):
        raise DigestMismatchError(f"a unit of {sealed.name} has two labels", "No score that rests on them says anything.")
    return Checked(sealed, labels.num_rows)


def found_labels(
    workspace: Workspace, directory: Path, file: Path, *, actor: str, purpose: str | None = None
) -> tuple[SealedSet, Match, bool]:
    """Whether a file that turned up elsewhere holds the sealed labels; the audit trail keeps that it was compared.

    Args:
        workspace: which has sealed them.
        directory: the release or set of questions.
        file: CSV, workbook, JSON lines or Parquet.
        actor: operating system user.
        purpose: why, in words.

    Returns:
        Of which evaluation, how far it holds them, and whether they were unsealed before.

    Raises:
        DigestMismatchError: the sealed labels are not those that were committed to.
        InputOutputError: the file cannot be read.
        PlanIncompleteError: the vault does not have the labels.
    """
    sealed, labels, _ = _opened(workspace, directory)
    match = match_labels(file, sealed.task, labels)
    facts: dict[str, str | int] = {"product": sealed.task.product, "version": sealed.task.version, "units": match.units}
    append_event(workspace.vault, actor, COMPARED, facts, purpose=purpose)
    wanted = (sealed.task.product, sealed.task.version)
    is_open = any(
        event.action == ACTION and (event.facts.get("product"), event.facts.get("version")) == wanted
        for event in read_events(workspace.vault)
    )
    return sealed, match, is_open


def _opened(workspace: Workspace, directory: Path) -> tuple[SealedSet, pa.Table, bytes]:
    """A sealed evaluation, its labels, which are those that it committed to, and their key."""
    sealed = read_sealed_set(directory)
    vault = open_vault(workspace.vault)
    product, version = sealed.task.product, sealed.task.version
    labels = open_labels(vault, product, version, sealed.commitment)
    return sealed, labels, labels_key(vault, product, version, sealed.commitment)


def _demand_committed(key: bytes, labels: pa.Table, sealed: SealedSet) -> None:
    if not is_committed(key, labels, sealed.commitment):
        raise DigestMismatchError(
            f"these labels are not those that {sealed.name} committed to: at least one was changed, added or taken away",
            "Ask the holder for the folder again; no score that rests on these says anything.",
        )


def _demand_place(target: Path) -> None:
    """Refuse before anything is said what could not be written."""
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target.name} is a file", "Name a folder to be made with --to.")


def _tell(desk: Desk, sealed: SealedSet, labels: pa.Table, reason: str) -> None:
    facts: dict[str, str | int] = {
        "product": sealed.task.product, "version": sealed.task.version, "release": sealed.digest, "units": labels.num_rows,
    }  # fmt: skip
    append_event(desk.workspace.vault, desk.actor, ACTION, facts, purpose=reason)


def _signed(desk: Desk, release: Release, entry: Entry, sealed: SealedSet, signer: Signer, reason: str) -> dict[str, object]:
    """The fact that a steward has said so; the statement lies beside the release."""
    if not desk.trust_file.exists():
        raise UsageError("there is no trust.yaml, so nobody's signature counts", "`pathcurate product keys new` makes one.")
    trust = load_trust(desk.trust_file)
    known = trusted(desk, trust, signer)
    role = role_of(known, None, ("steward",))
    events, head = desk.registry.head()
    predicate = {
        "product": sealed.task.product, "version": sealed.task.version, "at": desk.at, "reason": reason,
        "commitment": sealed.commitment.value, "keySha256": sealed.commitment.key_sha256, "rows": sealed.commitment.rows,
        "registry": {"events": events, "head": head},
    }  # fmt: skip
    statement = Statement((sealed.subject,), BENCHMARK_UNSEALED, predicate)
    name = f"unsealed.{signer.keyid[:8]}"
    _, digest = lay(desk, release, name, signer, lambda: statement, trust)
    record = RecordedSignature(role, known.name, signer.keyid, f"{name}.json", digest)
    if record.as_dict() in entry.facts.get("signatures", ()):
        return {}
    return dict(with_signature(entry, record))


def _written(target: Path, sealed: SealedSet, labels: pa.Table, key: bytes) -> bool:
    try:
        with TemporaryDirectory() as made:
            write_unsealed(Path(made), key, labels)
            contents = {path.name: path.read_bytes() for path in Path(made).iterdir()}
        return write_whole(target, {**contents, README_NAME: _readme(sealed)}, "folder of unsealed labels")[1]
    except OSError as error:
        raise InputOutputError(
            f"{target.name} cannot be written ({type(error).__name__})",
            "The labels count as unsealed; give the command again with another --to.",
        ) from None


def _readme(sealed: SealedSet) -> bytes:
    task = sealed.task
    text = f"""\
{task.product} {task.version}：启封的测评标签 / unsealed labels of a sealed evaluation

{LABELS_NAME}   每个测评单元及其标签（{task.rows} 行） / each unit and its label
{KEY_NAME}         承诺所用的密钥 / the key of the commitment

发布摘要 / release: {sealed.digest}
承诺 / commitment:  {sealed.commitment.value}

核验（无需本机构的任何系统） / to check, without any system of the holder:
  pathcurate product unseal RELEASE --check 本文件夹 / THIS_FOLDER
评分 / to score:
  pathcurate evaluate RELEASE PREDICTIONS --labels 本文件夹 / THIS_FOLDER
"""
    # Windows shows a file without a mark in the encoding of the place.
    return text.replace("\n", "\r\n").encode("utf-8-sig")
