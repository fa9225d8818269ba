"""Sites that were withdrawn: ``products/withdrawn-sites.jsonl``, to which lines are only ever added."""

import errno
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.rights import Withdrawal
from pathcurate.model.slide import SITE
from pathcurate.roles import shared_directory
from pathcurate.storage import create_exclusively
from pathcurate.workspace import Workspace

WITHDRAWN_SITES = "withdrawn-sites.jsonl"
"""Below ``products/``."""
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MEMBERS = {"site", "at", "actor", "reason"}


def withdraw_site(workspace: Workspace, site: str, *, actor: str, reason: str, now: datetime) -> tuple[Withdrawal, bool]:
    """Withdraw a site: no row of it is selected or built in from now on. Nothing takes it back; again changes nothing.

    Args:
        workspace: the workspace.
        site: its code.
        actor: who does it.
        reason: why.
        now: the present, with time zone.

    Returns:
        The withdrawal, and whether it is new.

    Raises:
        UsageError: the workspace has no such site, or no reason is given.
        InputOutputError: the list is damaged or cannot be written.
    """
    path = workspace.products / WITHDRAWN_SITES
    try:
        with suppress(FileExistsError):  # another run may be making it
            shared_directory(workspace.products)
        # Whoever may write the directory may add to the list: stewards are several.
        mode = 0o660 if workspace.products.stat().st_mode & stat.S_IWGRP else 0o640
        if create_exclusively(path, b"", mode):
            path.chmod(mode)  # whatever the umask
    except OSError as error:
        raise _cannot("written", error) from None
    with _opened(path, to_add=True) as file:
        content = file.read()
        for known in _parsed(content):
            if known.site == site:
                return known, False
        workspace.site(site)
        if not reason.strip() or not _is_unicode(reason + actor):
            raise UsageError("a site is withdrawn for a reason, in words", "Give one, such as: its contract has ended.")
        new = Withdrawal(site, now.astimezone(UTC).isoformat(timespec="seconds"), actor, reason.strip())
        members = {"site": new.site, "at": new.at, "actor": new.actor, "reason": new.reason}
        line = json.dumps(members, ensure_ascii=False, sort_keys=True).encode() + b"\n"
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, "no space left")
            os.fsync(file.fileno())
        except OSError:
            file.truncate(len(content))  # half a line would be damage to whoever reads it next
            raise
    return new, True


def read_withdrawals(workspace: Workspace) -> tuple[Withdrawal, ...]:
    """The sites that were withdrawn, in the order in which they were.

    Raises:
        InputOutputError: a line is damaged, or the list cannot be read: a site that was withdrawn may be missing from it.
    """
    try:
        with _opened(workspace.products / WITHDRAWN_SITES, to_add=False) as file:
            return _parsed(file.read())
    except FileNotFoundError:
        return ()


@contextmanager
def _opened(path: Path, *, to_add: bool) -> Iterator[FileIO]:
    """The list, locked against others.

    Raises:
        FileNotFoundError: there is none.
        InputOutputError: it cannot be opened, or what was done with it failed.
    """
    try:
        handle = os.open(path, _OPEN | (os.O_RDWR if to_add else os.O_RDONLY))
        with FileIO(handle, "r+" if to_add else "r") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            fcntl.flock(handle, fcntl.LOCK_EX if to_add else fcntl.LOCK_SH)
            yield file
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _cannot("written" if to_add else "read", error) from None


def _cannot(what: str, error: OSError) -> InputOutputError:
    return InputOutputError(
        f"products/{WITHDRAWN_SITES} cannot be {what} ({type(error).__name__})",
        "Check the owner and the group of products/.",
    )


def _parsed(content: bytes) -> tuple[Withdrawal, ...]:
    *lines, rest = content.split(b"\n")
    withdrawals = []
    for number, line in enumerate([*lines, *([rest] if rest else [])], 1):
        one = _line(line) if number <= len(lines) else None
        if one is None:
            raise InputOutputError(
                f"line {number} of products/{WITHDRAWN_SITES} is damaged, so it cannot be told which sites were withdrawn",
                "Restore the file from a copy; until then nothing is selected or built.",
            )
        withdrawals.append(one)
    return tuple(withdrawals)


def _line(line: bytes) -> Withdrawal | None:
    try:
        content = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.keys() != _MEMBERS or not all(map(_is_text, content.values())):
        return None
    try:
        is_utc = datetime.fromisoformat(content["at"]).utcoffset() == UTC.utcoffset(None)
    except ValueError:
        return None
    return Withdrawal(**content) if is_utc and re.fullmatch(SITE.pattern, content["site"], re.ASCII) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and _is_unicode(value)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
