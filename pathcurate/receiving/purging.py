"""What was withdrawn is deleted from a recipient's copy, and a signed statement says so."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.compute as pc

from pathcurate.digests import file_sha256, sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.attestation import DELETION, Envelope, Statement, Subject
from pathcurate.model.delivery import CONTENTS_LIST
from pathcurate.model.feed import FIRST_PREVIOUS
from pathcurate.model.trust import Trust
from pathcurate.receiving.withdrawn import (
    DELIVERED_LIST,
    HINT,
    PURGED_FILE,
    READY,
    STAGE,
    Copy,
    parsed_list,
    read_copy,
    read_feed_of,
    read_file,
)
from pathcurate.signing import Signer, sign
from pathcurate.storage import sync_tree, write_bytes
from pathcurate.tables import read_parquet, write_parquet
from pathcurate.withdrawals.feed import codes_after, demand_following
from pathcurate.withdrawals.stale import Codes, Stale, find_stale, mask_of


@dataclass(frozen=True, slots=True)
class Purged:
    """What was deleted.

    Attributes:
        rows: by table, of all that were delivered.
        files: how many of all that were delivered.
        statement: the signed statement's file.
        is_new: False if everything was done before.
    """

    rows: Mapping[str, int]
    files: int
    statement: Path
    is_new: bool


def purge(
    directory: Path, feed: Path | None, signer: Signer, *, now: datetime, whole: bool = False, trust: Trust | None = None
) -> Purged:
    """Delete what was withdrawn from a copy, keep its lists true, and sign that it was done; again changes nothing.

    Tables are written anew beside the old ones before anything is deleted; a run that was killed is finished by the next.

    Args:
        directory: the copy.
        feed: see :func:`read_feed_of`; None only if all is deleted.
        signer: the recipient's key.
        now: the present, with time zone.
        whole: delete every delivered file.
        trust: see :func:`read_copy`.

    Raises:
        DigestMismatchError: the copy or the feed is not what was signed; nothing was deleted.
        InputOutputError: something cannot be read, written or deleted; the same call goes on.
        UsageError: there is no feed, and not all is to be deleted.
    """
    if feed is None and not whole:
        raise UsageError(
            "without a feed of withdrawals it is not known what to delete", "Give --withdrawals FEED, or --all."
        )
    copy = read_copy(directory, trust)
    read = read_feed_of(copy, feed) if feed is not None else None
    if (directory / STAGE).exists():
        _finish(directory)
        copy = read_copy(directory, trust)
        if read is not None:
            demand_following(read, copy.seq, copy.head)
    seq, head = (read.seq, read.head) if read is not None else (copy.seq, copy.head or _first(copy.seq))
    stale = find_stale(directory, copy.delivered, read) if read is not None else None
    is_done = not stale and (copy.is_destroyed or (not whole and (copy.seq, copy.head) == (seq, head)))
    if read is not None and stale is not None and not is_done and not whole:
        _stage(copy, stale, codes_after(read))
        _finish(directory)
    elif not is_done:
        _stage_whole(copy, seq, head)
        _finish(directory)
    after = read_copy(directory, trust)
    rows = {} if after.is_destroyed else _rows_gone(after)
    if after.is_destroyed:
        rows = {name: entry.rows for name, entry in after.document.tables.items() if entry.rows}
    files = len(after.delivered) - len(after.listed)
    statement, is_new = _attest(after, rows, files, signer, now)
    return Purged(rows, files, statement, is_new or not is_done)


def _first(seq: int) -> str | None:
    return FIRST_PREVIOUS if seq == 0 else None


def _stage(copy: Copy, stale: Stale, codes: Codes) -> None:
    """Prepare what a copy is to be: new tables, the new list, and what it says of itself; nothing of the copy changes."""
    stage = _empty_stage(copy.directory)
    listed = {path: digest for path, digest in copy.listed.items() if path not in stale.files}
    for path in stale.rows:
        source = copy.directory / path
        if file_sha256(source) not in {copy.listed.get(path), copy.delivered[path]}:
            raise DigestMismatchError(f"{path} is not what was delivered; nothing was deleted", HINT)
        rows = read_parquet(source)
        target = stage / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(target, rows.filter(pc.invert(mask_of(rows, codes))))
        listed[path] = file_sha256(target)
    _say(copy, stage, listed, stale.seq, stale.head, whole=False)


def _stage_whole(copy: Copy, seq: int, head: str | None) -> None:
    _say(copy, _empty_stage(copy.directory), {}, seq, head, whole=True)


def _empty_stage(directory: Path) -> Path:
    stage = directory / STAGE
    shutil.rmtree(stage, ignore_errors=True)
    try:
        stage.mkdir()
    except OSError as error:
        raise _cannot("written", error) from None
    return stage


def _say(copy: Copy, stage: Path, listed: Mapping[str, str], seq: int, head: str | None, *, whole: bool) -> None:
    lines = [f"{digest.removeprefix('sha256:')}  {path}\n" for path, digest in sorted(listed.items())]
    content = "".join(lines).encode()
    said = {"delivery": copy.document.delivery, "seq": seq, "head": head, "whole": whole, "contents": sha256_text(content)}
    try:
        (stage / CONTENTS_LIST).write_bytes(content)
        (stage / DELIVERED_LIST).write_bytes(
            read_file(copy.directory / DELIVERED_LIST)
            if (copy.directory / DELIVERED_LIST).exists()
            else read_file(copy.directory / CONTENTS_LIST)
        )
        (stage / PURGED_FILE).write_bytes(json_text(said).encode())
        sync_tree(stage)
        write_bytes(stage / READY, b"")
    except OSError as error:
        raise _cannot("written", error) from None


def _finish(directory: Path) -> None:
    """Bring a copy to what was prepared; what was not prepared to its end is thrown away."""
    stage = directory / STAGE
    if not (stage / READY).exists():
        shutil.rmtree(stage)
        return
    listed = parsed_list(
        read_file(stage / CONTENTS_LIST) if (stage / CONTENTS_LIST).exists() else read_file(directory / CONTENTS_LIST)
    )
    delivered = stage / DELIVERED_LIST
    known = parsed_list(read_file(delivered if delivered.exists() else directory / DELIVERED_LIST))
    try:
        for path in known.keys() - listed.keys():
            _delete(directory, path)
        for file in sorted(one for one in stage.rglob("*.parquet") if one.is_file()):
            _move(file, directory, file.relative_to(stage))
        for name in (DELIVERED_LIST, PURGED_FILE, CONTENTS_LIST):
            if (stage / name).exists():
                _move(stage / name, directory, Path(name))
        shutil.rmtree(stage)
    except OSError as error:
        raise _cannot("deleted or replaced", error) from None


def _move(file: Path, directory: Path, path: Path) -> None:
    _demand_inside(directory, path)
    file.replace(directory / path)


def _delete(directory: Path, path: str) -> None:
    _demand_inside(directory, Path(path))
    (directory / path).unlink(missing_ok=True)
    for folder in PurePosixPath(path).parents:
        if str(folder) == "." or any((directory / folder).iterdir() if (directory / folder).is_dir() else ()):
            return
        if (directory / folder).is_dir():
            (directory / folder).rmdir()


def _demand_inside(directory: Path, path: Path) -> None:
    """Refuse a folder of the copy that is a link to somewhere else."""
    if not (directory / path).parent.resolve().is_relative_to(directory.resolve()):
        raise InputOutputError(
            f"the folder of {path} leads out of the copy by a link", "Remove the link; nothing was deleted."
        )


def _rows_gone(copy: Copy) -> dict[str, int]:
    """Rows of each table that were delivered and are no longer there."""
    gone = {
        name: entry.rows - _rows(copy.directory / entry.path)
        for name, entry in copy.document.tables.items() if entry.path in copy.listed
    }  # fmt: skip
    return {name: count for name, count in gone.items() if count}


def _rows(file: Path) -> int:
    return read_parquet(file, []).num_rows


# --- The statement -----------------------------------------------------------------------------------------------


def _attest(copy: Copy, rows: Mapping[str, int], files: int, signer: Signer, now: datetime) -> tuple[Path, bool]:
    """The signed statement, and whether it is new; one that says the same is taken as it is."""
    path = copy.directory / f"deletion.{'all' if copy.is_destroyed else copy.seq}.json"
    said = {
        "delivery": copy.document.delivery, "contract": copy.document.contract, "recipient": copy.document.recipient,
        "product": copy.document.product, "version": copy.document.version, "whole": copy.is_destroyed,
        "feed": {"seq": copy.seq, "head": copy.head if copy.head is not None else _first(copy.seq)},
        "rows": dict(rows), "files": files, "contents": sha256_text(read_file(copy.directory / CONTENTS_LIST)),
    }  # fmt: skip
    there = _there(path, said, signer)
    if there:
        return path, False
    subject = Subject(CONTENTS_LIST, copy.document.contents_sha256.removeprefix("sha256:"))
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    envelope = sign(Statement((subject,), DELETION, {**said, "at": at}), [signer])
    try:
        write_bytes(path, envelope.as_bytes())
    except OSError as error:
        raise _cannot("written", error) from None
    return path, True


def _there(path: Path, said: Mapping[str, Any], signer: Signer) -> bool:
    try:
        envelope = Envelope.parse(read_file(path))
        predicate = {name: value for name, value in envelope.statement().predicate.items() if name != "at"}
    except InputOutputError:
        return False
    return predicate == said and {one.keyid for one in envelope.signatures} == {signer.keyid}


def _cannot(what: str, error: OSError) -> InputOutputError:
    return InputOutputError(
        f"the copy cannot be {what} ({type(error).__name__}: {error.strerror})",
        "Make room, or check who may write there; run it again, and it goes on.",
    )
