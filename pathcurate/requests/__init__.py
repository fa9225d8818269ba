"""Stage: cohort requests of people who may not see the data, and the answers to them, both in ``requests/``.

What lies there was put there by others. Whose request a file is, its owner says and never its content; what is no plain file
of one name, is too large or not understood is not answered. An answer counts only if the directory's owner wrote it.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pathcurate import __version__
from pathcurate.disclosure.attrition import criteria_order, shown
from pathcurate.disclosure.counts import LEAST_COUNT
from pathcurate.disclosure.criteria import telling_criteria
from pathcurate.errors import DisclosureRefusedError, InputOutputError, UsageError
from pathcurate.model.attrition import Attrition
from pathcurate.model.recipe import Recipe
from pathcurate.recipefile import RecipeSource
from pathcurate.roles import user_name
from pathcurate.storage import create_exclusively, write_bytes
from pathcurate.vault import append_event
from pathcurate.workspace import Workspace

MOST_A_DAY = 50
"""Requests of one person that are answered on one day: each answer tells a little more of what the others hide."""
_MOST_BYTES = 1 << 18
"""Of a request; people write recipes of a few kilobytes, and each criterion of one costs the curator's machine time."""
_MODE = 0o640
_NAME = re.compile(r"[a-z0-9_]{1,64}-[0-9a-f]{12}")
_ASKED, _ANSWERED = ".json", ".answer.json"
_NOT_SAFE = "Name the analysts' group under `roles:` in pathcurate.yaml; `pathcurate doctor` says how requests/ is to be."


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it lies in ``requests/``.

    Attributes:
        name: its name, without what follows the first dot.
        analyst: login name of the file's owner.
        uid: number of the file's owner.
        recipe: text of the recipe.
        dry_run: whether only the attrition is asked for.
    """

    name: str
    analyst: str
    uid: int
    recipe: str
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a request stands.

    Attributes:
        name: its name.
        analyst: login name of who asked.
        state: ``open``, ``answered`` or ``refused``.
        answer: what was answered, as plain JSON values; empty while it is open.
    """

    name: str
    analyst: str
    state: str
    answer: Mapping[str, Any]


def ask(workspace: Workspace, source: RecipeSource, text: str, *, dry_run: bool, now: datetime) -> tuple[Path, bool]:
    """Put a request into ``requests/``; its file, and whether it is new: the same is asked once a day.

    Args:
        workspace: the workspace.
        source: the recipe.
        text: its text.
        dry_run: ask for the attrition only.
        now: the present, with time zone.

    Raises:
        UsageError: there is no ``requests/``, or this user may not write there.
    """
    uid = os.getuid()
    recipe = source.recipe
    digest = hashlib.sha256(f"{uid}\n{source.sha256}\n{dry_run}\n{now.date()}".encode()).hexdigest()[:12]
    path = workspace.requests / f"{recipe.name}-{digest}{_ASKED}"
    content = {
        "request": 1, "recipe": text, "recipe_sha256": source.sha256, "asked_by": user_name(uid),
        "asked_at": now.isoformat(timespec="seconds"), "purpose": recipe.purpose, "dry_run": dry_run,
    }  # fmt: skip
    written = json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"
    if len(written) > _MOST_BYTES:
        raise UsageError("the recipe is too long to be asked for", "Leave out what it does not need.")
    if not os.access(workspace.requests, os.W_OK | os.X_OK):
        raise UsageError(
            "this user may not select a cohort here, nor ask for one: catalog/, vault/ and requests/ are closed to them",
            "Ask the workspace's curator to run `pathcurate doctor`, which says how analysts get requests/.",
        )
    is_new = create_exclusively(path, written, _MODE)
    if is_new:
        # Whatever the user's umask takes away, the curator has to read it.
        path.chmod(_MODE)
    return path, is_new


# --- What the curator does ---------------------------------------------------------------------------------------------


def open_requests(workspace: Workspace) -> tuple[list[Request], int]:
    """Requests without an answer in the order of their names, and how many things in ``requests/`` are none.

    Raises:
        DisclosureRefusedError: the directory is not such that a file's owner says who asked.
    """
    directory = workspace.requests
    try:
        state = directory.lstat()
    except FileNotFoundError:
        return [], 0
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
        raise DisclosureRefusedError("requests/ is no directory of this user's", _NOT_SAFE)
    if not state.st_mode & stat.S_ISVTX or state.st_mode & stat.S_IRWXO:
        raise DisclosureRefusedError("requests/ lets people change what others asked", _NOT_SAFE)
    found, strange = [], 0
    for path in sorted(directory.iterdir()):
        name, _, ending = path.name.partition(".")
        if ending == _ANSWERED[1:] or path.name.startswith("."):
            continue
        if _NAME.fullmatch(name) is None or ending != _ASKED[1:]:
            strange += 1
        elif not _answer(directory, name, state.st_uid):
            request = _request(path, name)
            if request is None:
                strange += 1
            else:
                found.append(request)
    return found, strange


def _request(path: Path, name: str) -> Request | None:
    read = _plain_file(path)
    if read is None:
        return None
    uid, content = read
    text, dry_run = content.get("recipe"), content.get("dry_run")
    if content.get("request") != 1 or not isinstance(text, str) or not isinstance(dry_run, bool):
        return None
    return Request(name, user_name(uid), uid, text, dry_run)


def _plain_file(path: Path) -> tuple[int, dict[str, Any]] | None:
    """Owner and content of a JSON file that somebody else may have put there; None if it is anything else."""
    try:
        # Without waiting: a FIFO without a writer would hold the curator for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    state = os.fstat(handle)
    # A second name of another's file would make them the one who asked.
    if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    try:
        content = json.loads(data.decode())
    except (ValueError, RecursionError):
        return None
    return (state.st_uid, content) if isinstance(content, dict) and len(data) <= _MOST_BYTES else None


def refusal(workspace: Workspace, request: Request, recipe: Recipe) -> str | None:
    """Why a request is refused before anything is selected; None if it is not."""
    if telling := telling_criteria(recipe):
        return (
            f"criteria that would tell a true date or age of whoever meets them: {', '.join(telling)}; ask for spans of at "
            "least four weeks, and for no age above 89"
        )
    if stopping := _stopping(recipe):
        return f"{stopping}: whether it stops would tell of a few; write the request without it"
    answers = [standing.answer for standing in standings(workspace)]
    # A cohort of that name may be somebody else's work: only its own asker has it replaced.
    owners = {answer.get("analyst_uid") for answer in answers if answer.get("cohort") == recipe.name}
    if not request.dry_run and (workspace.cohorts / recipe.name).exists() and request.uid not in owners:
        return f"there is a cohort {recipe.name} already, which this user did not ask for; give the recipe another name"
    return None


def _stopping(recipe: Recipe) -> str | None:
    """What makes a run stop, or say more, for the sake of single rows or known cases; None if nothing does."""
    if any(label.on_conflict == "error" for label in recipe.labels):
        return "`on_conflict: error`"
    balance = recipe.sample.balance if recipe.sample is not None else None
    if balance is not None and balance.if_short == "error":
        return "`if_short: error`"
    return "`expect.cases_file`" if recipe.expect is not None and recipe.expect.cases_file is not None else None


def is_over_limit(workspace: Workspace, request: Request, now: datetime) -> bool:
    """Whether so many requests of its asker were answered today that it waits until tomorrow."""
    mine = (standing.answer for standing in standings(workspace, request.uid))
    return [answer.get("answered_on") for answer in mine].count(str(now.date())) >= MOST_A_DAY


def too_few(attrition: Attrition) -> str | None:
    """Why a cohort is too small to be given to somebody who may not see the data; None if it is not."""
    patients = attrition.kept.patients
    if patients < LEAST_COUNT:
        return f"fewer than {LEAST_COUNT} patients are left" if patients else "nobody is left"
    return None


def answer(
    workspace: Workspace,
    request: Request,
    *,
    source: RecipeSource | None,
    attrition: Attrition | None,
    reason: str | None,
    actor: str,
    now: datetime,
) -> Path:
    """Write the answer to a request beside it; the audit trail notes whose it was.

    Args:
        workspace: the workspace.
        request: the request.
        source: its recipe, None if it is broken.
        attrition: what was selected, None if nothing was.
        reason: why it is refused; None if it is not.
        actor: who answers.
        now: the present, with time zone.

    Raises:
        InputOutputError: something stands where the answer belongs and cannot be replaced.
    """
    state = "refused" if reason else "answered"
    recipe = source.recipe if source else None
    content = {
        "answer": 1, "request": request.name, "analyst": request.analyst, "analyst_uid": request.uid, "state": state,
        "reason": reason, "recipe": {"name": recipe.name, "version": recipe.version} if recipe else None,
        "recipe_sha256": source.sha256 if source else None, "dry_run": request.dry_run,
        "answered_on": str(now.date()), "attrition": None,
        **(_told(workspace, source, attrition) if source and attrition else {}),
        "cohort": recipe.name if recipe and not request.dry_run and not reason else None,
    }  # fmt: skip
    facts: dict[str, str | int] = {
        "analyst": request.analyst, "analyst_uid": request.uid, "state": state,
        **({"recipe": recipe.name, "recipe_sha256": source.sha256} if source and recipe else {}), "version": __version__,
    }  # fmt: skip
    # First the trail: what is answered has been noted.
    append_event(workspace.vault, actor, "request answered", facts, purpose=recipe.purpose if recipe else None)
    path = workspace.requests / f"{request.name}{_ANSWERED}"
    try:
        write_bytes(path, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n", _MODE)
    except OSError as error:
        raise InputOutputError(
            f"the answer to {request.name} cannot be written ({type(error).__name__})",
            "Remove what stands in its place below requests/, then run the command again.",
        ) from None
    return path


def _told(workspace: Workspace, source: RecipeSource, attrition: Attrition) -> dict[str, Any]:
    """The attrition as an analyst may see it; only one order of the same criteria is ever told step by step."""
    criteria, order = criteria_order(json.loads(source.canonical))
    only_ends = any(
        one.answer.get("criteria") == criteria and one.answer.get("order") != list(order) and not one.answer.get("only_ends")
        for one in standings(workspace)
    )
    rules = source.recipe.disclosure
    told = shown(attrition, min_cell=rules.min_cell, round_to=rules.round_to, only_ends=only_ends)
    return {"attrition": told.as_dict(), "criteria": criteria, "order": list(order), "only_ends": only_ends}


# --- What both see -----------------------------------------------------------------------------------------------------


def standings(workspace: Workspace, uid: int | None = None) -> Iterator[Standing]:
    """Where requests stand, in the order of their names.

    Args:
        workspace: the workspace.
        uid: only those of this user; None for all.

    Raises:
        UsageError: there is no ``requests/`` that this user may read.
    """
    directory = workspace.requests
    try:
        owner, paths = directory.lstat().st_uid, sorted(directory.iterdir())
    except OSError:
        raise UsageError("there is no requests/ here that this user may read", _NOT_SAFE) from None
    for path in paths:
        name, _, ending = path.name.partition(".")
        if ending != _ASKED[1:] or _NAME.fullmatch(name) is None:
            continue
        request, answered = _request(path, name), _answer(directory, name, owner)
        if request is not None and uid in {None, request.uid}:
            yield Standing(name, request.analyst, answered.get("state", "open"), answered)


def _answer(directory: Path, name: str, owner: int) -> dict[str, Any]:
    """The answer to a request, empty if there is none that the directory's owner wrote."""
    read = _plain_file(directory / f"{name}{_ANSWERED}")
    if read is None or read[0] != owner or read[1].get("state") not in {"answered", "refused"}:
        return {}
    return read[1]
