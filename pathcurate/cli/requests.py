"""Cohort requests: how an analyst asks, how the curator answers, and where each request stands."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.attritionlines import attrition_lines
from pathcurate.cli.session import Session, counted

if TYPE_CHECKING:
    from pathcurate.engines import Engine
    from pathcurate.recipefile import RecipeSource
    from pathcurate.requests import Request, Standing
    from pathcurate.workspace import Workspace


def recipe_or_requests(context: click.Context, parameter: click.Parameter, recipe: Path | None) -> Path | None:
    """Callback of a RECIPE that is needed unless ``--requests`` is given in its place."""
    if recipe is None and not context.params["requests"]:
        raise click.MissingParameter(ctx=context, param=parameter)
    if recipe is not None and context.params["requests"]:
        raise click.UsageError("RECIPE and --requests do not go together.", context)
    return recipe


def ask(session: Session, source: "RecipeSource", recipe: Path, *, dry_run: bool) -> None:
    """Put a request for a cohort into ``requests/``, for somebody who may not select it themselves."""
    from pathcurate import requests

    path, is_new = requests.ask(
        session.workspace(), source, recipe.read_text(encoding="utf-8-sig"), dry_run=dry_run, now=session.now
    )
    relpath = f"{path.parent.name}/{path.name}"
    session.show(
        {"request": relpath, "new": is_new},
        [
            f"{relpath} was written" if is_new else f"{relpath} was asked today already",
            "catalog/ and vault/ are closed to you, so the curator selects: `pathcurate run --requests`.",
            "See what became of it with `pathcurate cohort --requests`.",
        ],
    )


def answer_all(session: Session) -> None:
    """Answer every open request with the curator's rights."""
    from pathcurate import requests
    from pathcurate.disclosure.lists import check_permission_lists
    from pathcurate.errors import PathcurateError
    from pathcurate.verification import demand_seal

    counts = {"answered": 0, "refused": 0, "left_open": 0, "strange": 0}
    with session.locked("run") as workspace, session.engine(workspace) as engine:
        waiting, counts["strange"] = requests.open_requests(workspace)
        if waiting:
            # What is the workspace's fault is no answer to anybody.
            demand_seal(workspace)
            check_permission_lists(workspace, session.now)
        for request in waiting:
            if requests.is_over_limit(workspace, request, session.now):
                counts["left_open"] += 1
                session.say(f"{request.name} waits: {requests.MOST_A_DAY} requests of its asker were answered today")
                continue
            try:
                state = _answer(session, workspace, engine, request)
            except PathcurateError as error:
                counts["left_open"] += 1
                session.say(_printable(f"{request.name} stays open: {error.message}"))
                continue
            except Exception as error:  # noqa: BLE001  what one analyst wrote must not keep the others from their answers
                counts["left_open"] += 1
                session.say(f"{request.name} stays open: internal error ({type(error).__name__})")
                continue
            counts[state] += 1
            session.say(f"{request.name} of {request.analyst}: {state}")
    strange = f", {counted(counts['strange'], 'file')} that {'are' if counts['strange'] != 1 else 'is'} no request"
    line = f"{counted(counts['answered'], 'request')} answered, {counts['refused']:,} refused"
    left = f", {counts['left_open']:,} left open" if counts["left_open"] else ""
    session.show(counts, [line + left + (strange if counts["strange"] else "")])


def _answer(session: Session, workspace: "Workspace", engine: "Engine", request: "Request") -> str:
    """Select what a request asks for, answer it, and say how."""
    from pathcurate import requests
    from pathcurate.cohort import read_recipe, select
    from pathcurate.errors import RecipeError

    actor, now = session.actor, session.now
    try:
        source = read_recipe(Path(request.name), text=request.recipe, directory=workspace.recipes)
        reason = requests.refusal(workspace, request, source.recipe)
        # Counted first: the error about an empty cohort would tell a count.
        result = None if reason else select(workspace, engine, source, now=now, dry_run=True)
    except RecipeError as error:
        requests.answer(workspace, request, source=None, attrition=None, reason=error.message, actor=actor, now=now)
        return "refused"
    if result is not None and not request.dry_run:
        reason = requests.too_few(result.attrition)
        if reason is None:
            select(workspace, engine, source, now=now)
    requests.answer(
        workspace, request, source=source, attrition=result.attrition if result else None, reason=reason, actor=actor,
        now=now,
    )  # fmt: skip
    return "refused" if reason else "answered"


def show_standings(session: Session) -> None:
    """Where requests stand: one's own, or all for the curator."""
    from pathcurate.requests import standings
    from pathcurate.roles import is_curator

    workspace = session.workspace()
    known = list(standings(workspace, None if is_curator(workspace) else os.getuid()))
    document = {"requests": [{"request": one.name, "analyst": one.analyst, "state": one.state, "answer": dict(one.answer)}
                             for one in known]}  # fmt: skip
    session.show(document, [_printable(line) for one in known for line in _lines(one)] or ["no requests"])


def _printable(text: str) -> str:
    """The text without characters that would steer a terminal: what a recipe says comes back in its answer."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def _lines(standing: "Standing") -> Iterator[str]:
    yield f"{standing.name}  of {standing.analyst}: {standing.state}"
    answer = standing.answer
    if answer.get("reason"):
        yield from (f"  {line}" for line in str(answer["reason"]).splitlines())
    if answer.get("attrition"):
        yield from (f"  {line}" for line in attrition_lines(answer["attrition"]))
    if answer.get("cohort"):
        yield f"  selected: cohorts/{answer['cohort']}"
