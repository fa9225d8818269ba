"""``pathcurate recipe explain``."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.find import number_asked_for, printable
from pathcurate.cli.language import spoken
from pathcurate.cli.nearby import workspace_if_any
from pathcurate.cli.parameters import parameter_option
from pathcurate.cli.purpose import purpose_option
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.ledgers import Failure, Fate, Looked
    from pathcurate.recipefile import RecipeSource
    from pathcurate.recipewords import Passage
    from pathcurate.workspace import Workspace


@click.command("explain")
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sql", "show_sql", is_flag=True, help="Show the query that decides, instead of words.")
@click.option(
    "--engine", "dialect", type=click.Choice(["embedded", "spark"]), default="embedded", show_default=True,
    help="The engine whose SQL --sql shows.",
)  # fmt: skip
@click.option("--rows", "rows_only", is_flag=True, help="With --sql: the query of whom the criteria keep, alone.")
@click.option("--case", "number", metavar="NUMBER", help="Say which criterion drops a case: - or @FILE with its number.")
@click.option("--to-review", is_flag=True, help="With --case: write a file below catalog/review/ instead of the terminal.")
@purpose_option
@parameter_option
@common_options
def explain_command(
    session: Session,
    recipe: Path,
    *,
    show_sql: bool,
    dialect: str,
    rows_only: bool,
    number: str | None,
    to_review: bool,
    purpose: str | None,
    parameters: dict[str, str],
) -> int:
    """Say in plain words what RECIPE does.

    Whom it counts, day 0, each criterion in its order, what a missing value does, labels, sample, split, what goes out. If
    it has run on the same archive, what each step left is shown, small counts hidden.

    With --case: what became of one case in the last run, every criterion that it fails, the columns that these look at and
    their values. That identifies a patient: it goes to a terminal or below catalog/review/ only, and the audit trail notes
    that you looked. A number in the command line is seen in the process list; - and @FILE are not.

    \b
    Example:
      pathcurate recipe explain recipes/demo_he_2023.yaml
    """
    from pathcurate.recipefile import load_recipe

    if rows_only and not show_sql:
        raise click.UsageError("--rows goes with --sql")
    if number is not None:
        _demand_place(to_review=to_review)
    source = load_recipe(recipe, parameters=parameters)
    if number is not None:
        return _explain_case(session, source, number, to_review=to_review, purpose=purpose)
    workspace = workspace_if_any(session)
    if show_sql:
        sql = _sql(source, workspace, dialect, rows_only=rows_only)
        session.show({"recipe": source.recipe.name, "dialect": dialect, "sql": sql}, [sql.rstrip()])
        return 0
    language = spoken()
    passages = _passages(source, workspace, language)
    document = {
        "recipe": source.recipe.name, "version": source.recipe.version, "sha256": source.sha256, "language": language,
        "files": dict(source.files), "passages": [asdict(passage) for passage in passages],
    }  # fmt: skip
    session.show(document, (printable(line) for passage in passages for line in _lines(passage)))
    return 0


def _lines(passage: "Passage") -> Iterator[str]:
    yield passage.heading
    yield from (f"  {line}" for line in passage.lines)


def _passages(source: "RecipeSource", workspace: "Workspace | None", language: str) -> "list[Passage]":
    from pathcurate.cohortfacts import cohort_facts, is_of_recipe, shown_attrition
    from pathcurate.recipewords import counts_of_last_run, explain

    in_language: Any = language
    passages = list(explain(source.recipe, in_language, files=source.files))
    facts = cohort_facts(workspace, source.recipe.name) if workspace is not None else None
    is_same = facts is not None and is_of_recipe(facts, source.canonical)
    if workspace is not None and facts is not None and is_same and _is_current(workspace, facts):
        passages.append(counts_of_last_run(shown_attrition(facts), in_language))
    return passages


def _is_current(workspace: "Workspace", facts: Any) -> bool:
    """Whether a cohort was selected from the tables as they are; nobody who may not open them is told."""
    from pathcurate.errors import PathcurateError
    from pathcurate.verification import read_seal

    try:
        seal = read_seal(workspace)
    except (PathcurateError, OSError):
        return False
    return seal is not None and dict(seal.tables) == facts["inputs"]


def _sql(source: "RecipeSource", workspace: "Workspace | None", dialect: str, *, rows_only: bool) -> str:
    from pathcurate.sqlplan.compiler import compile_recipe

    plan = compile_recipe(source.recipe, with_permissions=workspace is None or _asks_for_permission(workspace))
    sql = plan.rows if rows_only else plan.sql
    if dialect == "embedded":
        return sql
    import sqlglot

    from pathcurate.engines.spark.translation import translate

    return sqlglot.transpile(translate(sql), read="spark", write="spark", pretty=True)[0]


def _asks_for_permission(workspace: "Workspace") -> bool:
    """Whether lists or the sites' rights decide; to somebody who may not read which sites were withdrawn, they do."""
    from pathcurate.errors import InputOutputError
    from pathcurate.rights import has_rights

    try:
        return bool(workspace.permissions) or has_rights(workspace)
    except InputOutputError:
        return True


# --- One case ----------------------------------------------------------------------------------------------------------


def _demand_place(*, to_review: bool) -> None:
    from pathcurate.errors import DisclosureRefusedError

    if not to_review and not sys.stdout.isatty():
        raise DisclosureRefusedError(
            "what --case shows identifies a patient, and standard output is not a terminal",
            "Give --to-review to write it to a file below catalog/review/.",
        )


def _explain_case(session: Session, source: "RecipeSource", number: str, *, to_review: bool, purpose: str | None) -> int:
    from pathcurate.cohortfacts import cohort_facts
    from pathcurate.find import find, write_review
    from pathcurate.ledgers import fates

    workspace = session.workspace()
    found = find(workspace, number_asked_for(session, (number,)), actor=session.actor, purpose=purpose)
    with session.local_engine(workspace) as engine:
        answer = fates(
            workspace, engine, source,
            cases={(case.site, case.accession) for case in found.cases},
            persons={case.person.person_id for case in found.cases if case.person is not None},
            slides={slide.slide_id for slide in found.slides if slide.is_meant},
            actor=session.actor, purpose=purpose,
        )  # fmt: skip
    facts = cohort_facts(workspace, source.recipe.name)
    if facts is not None and not _is_current(workspace, facts):
        session.say("the tables have changed since that run: the values are those of today")
    document = printable({"recipe": source.recipe.name, "matched": list(found.matched),
                          "units": [_plain(asdict(fate)) for fate in answer]})  # fmt: skip
    lines = [printable(line) for line in _case_lines(source, found.matched, answer)]
    if not to_review:
        session.show(document, lines)
    elif answer:
        content = json.dumps(document, ensure_ascii=False, indent=1) if session.as_json else "\n".join(lines)
        path = write_review(workspace, content + "\n", ".json" if session.as_json else ".txt")
        session.show({"review": str(path), "units": len(answer)}, [str(path)])
    else:
        session.show({"review": None, "units": 0}, [_nothing(source, found.matched)])
    return 0 if answer else 1


def _plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _nothing(source: "RecipeSource", matched: tuple[str, ...]) -> str:
    if not matched:
        return "nothing here has that number"
    return f"no {source.recipe.unit} of it was looked at when {source.recipe.name} ran last"


def _case_lines(source: "RecipeSource", matched: tuple[str, ...], answer: "tuple[Fate, ...]") -> Iterator[str]:
    from pathcurate.model.attrition import KEPT

    if not answer:
        yield _nothing(source, matched)
        return
    unit = source.recipe.unit
    labels = {criterion.id: criterion.label for criterion in source.recipe.criteria}
    yield f"{counted(len(answer), unit, 'series' if unit == 'series' else '')} by {', '.join(matched)}"
    for fate in answer:
        yield f"{unit} {fate.unit}  {'kept' if fate.step == KEPT else f'left at {fate.step}'}"
        for failure in fate.failures:
            label = labels.get(failure.id)
            yield f"  fails {failure.id}{f' ({label})' if label else ''}{_why(failure)}"
            yield from (f"    {_looked(one)}" for one in failure.looked)


def _why(failure: "Failure") -> str:
    return ", for want of a value" if failure.is_missing else ""


def _looked(one: "Looked") -> str:
    if not one.is_known:
        return one.column
    return f"{one.column}: {'missing' if one.value is None else one.value}"
