"""A delivery is checked, decrypted and unpacked at its recipient's, who signs that it has come whole."""

import contextlib
import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyrage
from pydantic import BaseModel, ConfigDict

from pathcurate.checksums import parse_checksums, verify_checksums
from pathcurate.delivering.names import BESIDE, DOCUMENTS, RECEIPT_FILE, is_volume
from pathcurate.delivering.targets import Target
from pathcurate.digests import file_sha256, sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError, VaultError
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.agreement import AGREEMENT_FILE, AGREEMENT_POLICY, Agreement
from pathcurate.model.attestation import DELIVERY_RECEIPT, Envelope, Statement, Subject
from pathcurate.model.delivery import (
    CONTENTS_LIST,
    DELIVERY_FILE,
    DELIVERY_SIGNED,
    VOLUME_LIST,
    DeliveryDocument,
    VolumeEntry,
)
from pathcurate.model.trust import LANGUAGE, Trust
from pathcurate.receiving.archive import Unpacker, read_list
from pathcurate.receiving.withdrawn import DELIVERED_LIST, PURGED_FILE, demand_signed, read_copy
from pathcurate.recipientkeys import Identity
from pathcurate.signing import Signer, sign
from pathcurate.storage import locked, sync_tree, write_bytes

_MOST_DOCUMENT = 16 << 20
_HINT = "Ask whoever has sent it to send it again, and tell them; nothing was unpacked."
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery that has come.

    Attributes:
        directory: that it was unpacked to.
        document: what it says of itself.
        files: how many were unpacked.
        bytes: of them.
        receipt: the signed receipt's file; None if nobody signed.
        is_by_own_agreement: whether it was checked with an agreement of the recipient's own, not the copy that came along.
        is_new: False if it had been unpacked before.
    """

    directory: Path
    document: DeliveryDocument
    files: int
    bytes: int
    receipt: Path | None
    is_by_own_agreement: bool
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Sent:
    """What lies beside the volumes, once it is known to be signed."""

    documents: Mapping[str, bytes]
    document: DeliveryDocument
    agreement: Agreement
    is_by_own_agreement: bool


class _State(BaseModel):
    """How far an unpacking has come: volumes by digest to the files that they held."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document: str
    volumes: Mapping[str, tuple[str, ...]] = {}


def receive(
    source: Target, out: Path, identity: Identity | None, signer: Signer | None, agreement: bytes | None, *, now: datetime,
    progress: Progress = lambda done, total: None,
) -> Received:  # fmt: skip
    """Check, decrypt and unpack a delivery; a run that was cut off goes on, and again changes nothing.

    Args:
        source: where the volumes lie.
        out: directory to be made; it appears once all in it is right. Work lies beside it until then.
        identity: that opens the volumes; None for plain ones.
        signer: signs the receipt; None for none.
        agreement: content of ``agreement.json`` as the recipient has kept it; None to trust the copy beside the volumes,
            which shows that nothing was damaged, but not who has sent it.
        now: the present, with time zone.
        progress: is told how many bytes of volumes were read, and how many there are.

    Raises:
        DigestMismatchError: something is not what was signed.
        VaultError: it was encrypted for another key, or the receipt's key is not the one of the agreement.
        InputOutputError: something cannot be read or written; the same call goes on.
        UsageError: there is something else at ``out``, or no identity for what is encrypted.
    """
    with _reading(source):
        sent = _documents(source, agreement)
    _demand_keys(sent, identity, signer)
    stage = out.parent / f".{out.name}.receiving"
    if out.exists() or out.is_symlink():
        shutil.rmtree(stage, ignore_errors=True)
        return _again(sent, out, signer, now)
    with _writing(out):
        stage.mkdir(mode=0o700, exist_ok=True)
        with locked(stage, "product receive"):
            files, size = _unpacked(source, sent, stage, identity, progress)
            content = stage / "content"
            for name in DOCUMENTS:
                write_bytes(content / name, sent.documents[name])
            read_copy(content)
            receipt = _receipt(sent, content, signer, files, size, now)
            sync_tree(content)
            content.rename(out)
            shutil.rmtree(stage)
    return Received(
        out, sent.document, files, size, out / receipt.name if receipt else None, sent.is_by_own_agreement, is_new=True
    )


def verify_received(out: Path, agreement: bytes | None = None) -> DeliveryDocument:
    """Check every file of what was received; what `product purge` has deleted since is no fault.

    Args:
        out: the directory.
        agreement: as for :func:`receive`.

    Raises:
        DigestMismatchError: a file was changed, is missing, or is none of the delivery's.
        InputOutputError: it is no received delivery, or cannot be read.
    """
    trust = _trust(_agreement(agreement)) if agreement is not None else None
    copy = read_copy(out, trust)
    if agreement is not None and sha256_text(agreement) != copy.document.agreement:
        raise DigestMismatchError("the delivery is under another agreement", "Give the one that it is under.")
    own = [*DOCUMENTS, CONTENTS_LIST, DELIVERED_LIST, PURGED_FILE, RECEIPT_FILE]
    own += [one.name for one in out.glob("deletion.*.json")]
    problems = verify_checksums(out, copy.listed, own)
    if problems:
        raise DigestMismatchError(
            f"{len(problems):,} files of delivery {copy.document.delivery} are not what was delivered, such as "
            f"{problems[0][0]!a} ({problems[0][1]})",
            "Receive the delivery again into another directory.",
        )
    return copy.document


# --- What lies beside the volumes --------------------------------------------------------------------------------


def _documents(source: Target, agreement: bytes | None) -> _Sent:
    names = source.names()
    listed = parse_checksums(_small(source, names, VOLUME_LIST))
    if not {*DOCUMENTS} <= listed.keys() or any(not is_volume(name) and name not in BESIDE for name in listed):
        raise DigestMismatchError(f"{VOLUME_LIST} is not the list of a delivery", _HINT)
    content = {name: _small(source, names, name) for name in DOCUMENTS}
    for name, one in content.items():
        if sha256_text(one) != listed[name]:
            raise DigestMismatchError(f"{name} is not what {VOLUME_LIST} says", _HINT)
    own = agreement if agreement is not None else content[AGREEMENT_FILE]
    try:
        document = DeliveryDocument.model_validate_json(content[DELIVERY_FILE])
    except ValueError:
        raise InputOutputError(f"{DELIVERY_FILE} is not of its form", _HINT) from None
    terms = _agreement(own)
    is_of_it = (terms.contract, terms.recipient) == (document.contract, document.recipient)
    if sha256_text(own) != document.agreement or not is_of_it:
        raise DigestMismatchError("the delivery is under another agreement", "Give the one that it is under.")
    if content[AGREEMENT_FILE] != own or sha256_text(content[AGREEMENT_POLICY]) != terms.policy_sha256:
        raise DigestMismatchError(f"{AGREEMENT_FILE} or {AGREEMENT_POLICY} beside the volumes is not what was agreed", _HINT)
    demand_signed(content[DELIVERY_SIGNED], content[DELIVERY_FILE], _trust(terms))
    _demand_volumes(document, listed, names)
    return _Sent(content, document, terms, agreement is not None)


def _demand_volumes(document: DeliveryDocument, listed: Mapping[str, str], names: Mapping[str, int]) -> None:
    volumes = {volume.name: f"sha256:{volume.sha256}" for volume in document.volumes}
    if len(volumes) < len(document.volumes) or volumes != {name: one for name, one in listed.items() if is_volume(name)}:
        raise DigestMismatchError(f"{VOLUME_LIST} lists other volumes than {DELIVERY_FILE}", _HINT)
    missing = [name for name in volumes if name not in names]
    if missing:
        raise InputOutputError(
            f"{len(missing):,} of {len(volumes):,} volumes are missing, such as {missing[0]}",
            "Copy them all into one directory, with what lies beside them.",
        )
    for volume in document.volumes:
        if names[volume.name] != volume.bytes:
            raise DigestMismatchError(
                f"{volume.name} has {names[volume.name]:,} bytes, not {volume.bytes:,}", "Copy it again from where it came."
            )


def _small(source: Target, names: Mapping[str, int], name: str) -> bytes:
    if not 0 <= names.get(name, -1) <= _MOST_DOCUMENT:
        raise InputOutputError(f"{name} is missing, or is no file of a delivery", "Name the directory of the volumes.")
    content = b""
    for piece in source.pieces(name):
        content += piece
        if len(content) > _MOST_DOCUMENT:
            raise InputOutputError(f"{name} is no file of a delivery", "Name the directory of the volumes.")
    return content


def _agreement(content: bytes) -> Agreement:
    try:
        return Agreement.model_validate_json(content)
    except ValueError:
        raise InputOutputError(f"{AGREEMENT_FILE} is not of its form", "Give the one that you have accepted.") from None


def _trust(agreement: Agreement) -> Trust:
    return Trust(trust=LANGUAGE, signers=agreement.holder_keys)


def _demand_keys(sent: _Sent, identity: Identity | None, signer: Signer | None) -> None:
    if sent.document.encryption is not None and identity is None:
        raise UsageError("the delivery is encrypted", "Give --identity with the key that it was encrypted for.")
    if sent.document.encryption and identity and str(identity.to_public()) != sent.agreement.keys.encryption:
        raise VaultError(
            "the delivery was encrypted for another key than this identity",
            "Give the identity whose public half the application named.",
        )
    if signer is not None and hashlib.sha256(sent.agreement.keys.spki).hexdigest() != signer.keyid:
        raise VaultError(
            "the key is not the one of the agreement, so that no receipt of it would count", "Give the recipient's own key."
        )


# --- Volumes -----------------------------------------------------------------------------------------------------


def _unpacked(source: Target, sent: _Sent, stage: Path, identity: Identity | None, progress: Progress) -> tuple[int, int]:
    """Unpack what is not unpacked yet; how many files there are, and how many bytes."""
    document, content = sent.document, stage / "content"
    state = _state(stage, sent)
    done = {path for files in state.volumes.values() for path in files}
    _sweep(content, done)
    left = sum(volume.bytes for volume in document.volumes if volume.sha256 not in state.volumes)
    if shutil.disk_usage(stage).free < left:
        raise OSError(errno.ENOSPC, "full")
    listed: Mapping[str, str] | None = read_list(content, document.contents_sha256) if done else None
    total, before = sum(volume.bytes for volume in document.volumes), 0
    for volume in document.volumes:
        if volume.sha256 not in state.volumes:
            unpacker = Unpacker(content, document.contents_sha256, volume.bytes, listed, done)
            _open(source, volume, unpacker, identity if document.encryption else None,
                  lambda read, start=before: progress(start + read, total))  # type: ignore[misc]  # fmt: skip
            if len(unpacker.files) != volume.files:
                raise DigestMismatchError(f"{volume.name} holds another number of files than was signed", _HINT)
            listed = unpacker.listed
            state = state.model_copy(update={"volumes": {**state.volumes, volume.sha256: tuple(unpacker.files)}})
            write_bytes(stage / "state.json", json_text(state.model_dump(mode="json")).encode(), mode=0o600)
        before += volume.bytes
        progress(before, total)
    return _whole(document, content, listed or {}, done)


def _state(stage: Path, sent: _Sent) -> _State:
    """How far an earlier run has come with just this delivery."""
    digest = sha256_text(sent.documents[DELIVERY_FILE])
    try:
        state = _State.model_validate_json((stage / "state.json").read_bytes())
    except (OSError, ValueError):
        state = _State(document="")
    if state.document != digest:
        shutil.rmtree(stage / "content", ignore_errors=True)
        state = _State(document=digest)
    (stage / "content").mkdir(mode=0o755, exist_ok=True)
    return state


def _sweep(content: Path, done: set[str]) -> None:
    """Remove what a killed run left of a volume that it had not finished."""
    for path in sorted(content.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.rmdir()
        elif path.relative_to(content).as_posix() not in done:
            path.unlink()


def _open(
    source: Target, volume: VolumeEntry, unpacker: Unpacker, identity: Identity | None, progress: Callable[[int], None]
) -> None:
    """Decrypt a volume into an unpacker, and check that it is the one that was signed."""
    stream = _Stream(source.pieces(volume.name), progress)
    try:
        if identity is None:
            while piece := stream.read(1 << 20):
                unpacker.write(piece)
        else:
            pyrage.decrypt_io(stream, unpacker, [identity])
        unpacker.end()
    except Exception:
        # The library wraps what was raised into its own classes.
        if stream.fault is not None:
            raise InputOutputError(
                f"{volume.name} cannot be read ({type(stream.fault).__name__})",
                "Plug it in again; the same command goes on.",
            ) from None
        if isinstance(unpacker.fault, OSError):
            raise unpacker.fault from None
        # Whatever else is wrong is told of the volume as it lies there, if it is not the one that was sent.
        _demand_digest(stream, volume)
        if unpacker.fault is not None:
            raise unpacker.fault from None
        if identity is not None:
            raise VaultError(
                f"{volume.name} cannot be opened with this identity", "Give the one that it was encrypted for."
            ) from None
        raise
    finally:
        unpacker.close()
    _demand_digest(stream, volume)


def _demand_digest(stream: "_Stream", volume: VolumeEntry) -> None:
    try:
        while stream.read(1 << 20):
            pass
    except OSError as error:
        raise InputOutputError(
            f"{volume.name} cannot be read ({type(error).__name__})", "Plug it in again; the same command goes on."
        ) from None
    if stream.digest.hexdigest() != volume.sha256:
        raise DigestMismatchError(
            f"{volume.name} is not the volume that was sent: it was damaged or changed on its way",
            "Copy it again from where it came, or ask for it again; the same command goes on.",
        )


class _Stream:
    """The bytes of a volume, read as of a file, with their digest."""

    def __init__(self, pieces: Iterator[bytes], progress: Callable[[int], None]) -> None:
        self.fault: Exception | None = None
        self.digest = hashlib.sha256()
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._progress = progress
        self._read = 0

    def read(self, length: int = -1) -> bytes:
        """Up to so many bytes; none at the end."""
        try:
            while not self._piece:
                piece = next(self._pieces)
                self.digest.update(piece)
                self._read += len(piece)
                self._progress(self._read)
                self._piece = memoryview(piece)
        except StopIteration:
            return b""
        except Exception as error:
            self.fault = error
            raise
        found, self._piece = self._piece[:length], self._piece[length:]
        return bytes(found)


def _whole(document: DeliveryDocument, content: Path, listed: Mapping[str, str], done: set[str]) -> tuple[int, int]:
    missing = listed.keys() - done
    if missing or not listed:
        raise DigestMismatchError(f"{len(missing):,} files that the list names are in no volume", _HINT)
    for name, table in document.tables.items():
        if listed.get(table.path) != table.sha256:
            raise DigestMismatchError(f"table {name} is not the one that {DELIVERY_FILE} names", _HINT)
    return len(listed), sum((content / path).stat().st_size for path in listed)


# --- Receipt -----------------------------------------------------------------------------------------------------


def _again(sent: _Sent, out: Path, signer: Signer | None, now: datetime) -> Received:
    """What was received before, if it is just this and whole; signed now if it was not signed then."""
    try:
        is_it = file_sha256(out / DELIVERY_FILE) == sha256_text(sent.documents[DELIVERY_FILE])
    except OSError:
        is_it = False
    if not is_it:
        raise UsageError("there is something else in the place of --to", "Name a directory that is still to be made.")
    verify_received(out)
    listed = parse_checksums((out / CONTENTS_LIST).read_bytes())
    size = sum((out / path).stat().st_size for path in listed)
    receipt: Path | None = out / RECEIPT_FILE
    if not (out / RECEIPT_FILE).exists():
        is_whole = sha256_text((out / CONTENTS_LIST).read_bytes()) == sent.document.contents_sha256
        with _writing(out):
            receipt = _receipt(sent, out, signer if is_whole else None, len(listed), size, now)
    return Received(out, sent.document, len(listed), size, receipt, sent.is_by_own_agreement, is_new=False)


def _receipt(sent: _Sent, directory: Path, signer: Signer | None, files: int, size: int, now: datetime) -> Path | None:
    if signer is None:
        return None
    document = sent.document
    predicate = {
        "delivery": document.delivery, "contract": document.contract, "recipient": document.recipient,
        "product": document.product, "version": document.version, "derivedFrom": document.derived_from,
        "document": sha256_text(sent.documents[DELIVERY_FILE]), "contents": document.contents_sha256,
        "files": files, "bytes": size, "at": now.astimezone(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    subject = Subject(CONTENTS_LIST, document.contents_sha256.removeprefix("sha256:"))
    envelope: Envelope = sign(Statement((subject,), DELIVERY_RECEIPT, predicate), [signer])
    write_bytes(directory / RECEIPT_FILE, envelope.as_bytes())
    return directory / RECEIPT_FILE


# --- What goes wrong ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _reading(source: Target) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputOutputError(
            f"{source} cannot be read ({errno.errorcode.get(error.errno or 0, 'error')})",
            "Check that the disk is plugged in, or who may read there.",
        ) from None


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = "is full" if error.errno == errno.ENOSPC else "cannot be written to"
        raise InputOutputError(
            f"the place of {out.name} {what} ({errno.errorcode.get(error.errno or 0, 'error')})",
            "Make room there or check who may write; the same command goes on where it stopped.",
        ) from None
