"""``pathcurate recipe diff``."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.find import printable
from pathcurate.cli.nearby import workspace_if_any
from pathcurate.cli.session import Session, common_options

if TYPE_CHECKING:
    from pathcurate.ledgers import Overlap
    from pathcurate.model.recipe import Recipe
    from pathcurate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class _Side:
    """A recipe, and the cohort that the last run selected by it, if there is one."""

    recipe: "Recipe"
    cohort: str | None


@click.command("diff")
@click.argument("before")
@click.argument("after")
@common_options
def diff_command(session: Session, before: str, after: str) -> None:
    """Compare two recipes, and the cohorts that they selected.

    BEFORE and AFTER are recipe files, cohorts (NAME), or releases (NAME@VERSION). Criteria that are new, gone, elsewhere or
    other are shown key by key, then code lists, concepts, labels, split and what goes out. If both have run, it is counted
    who is in one cohort only, by the criterion of the other at which they fall; small counts are withheld. The rows of two
    releases are compared by `pathcurate manifest diff`.

    \b
    Example:
      pathcurate recipe diff recipes/demo_he_2023.yaml recipes/cases_by_organ.yaml
    """
    from pathcurate.recipewords.changes import change_lines, changes

    workspace = workspace_if_any(session)
    first, second = _side(workspace, before), _side(workspace, after)
    found = changes(first.recipe, second.recipe)
    shared = _overlap(session, workspace, first, second)
    document = {
        "before": {"name": first.recipe.name, "version": first.recipe.version},
        "after": {"name": second.recipe.name, "version": second.recipe.version},
        "changes": [asdict(change) for change in found],
        "cohorts": asdict(shared) if shared is not None else None,
    }  # fmt: skip
    lines = list(change_lines(first.recipe, second.recipe, found)) or ["the recipes say the same"]
    lines += _overlap_lines(shared, first, second) if shared is not None else ()
    session.show(document, map(printable, lines))


def _side(workspace: "Workspace | None", text: str) -> _Side:
    from pathcurate.cohortfacts import cohort_facts, is_of_recipe, recipe_of
    from pathcurate.errors import UsageError
    from pathcurate.recipefile import load_recipe

    if Path(text).is_file():
        source = load_recipe(Path(text))
        facts = cohort_facts(workspace, source.recipe.name) if workspace is not None else None
        is_same = facts is not None and is_of_recipe(facts, source.canonical)
        return _Side(source.recipe, source.recipe.name if is_same else None)
    if workspace is None:
        raise UsageError(f"there is no file `{text}`, and no workspace", "Name a file, or a workspace with --workspace.")
    if "@" not in text and "/" not in text:
        facts = cohort_facts(workspace, text)
        if facts is not None:
            return _Side(recipe_of(facts), text)
    from pathcurate.releases import find_release

    return _Side(_released(find_release(workspace.releases, text, Path.cwd())), None)


def _released(directory: Path) -> "Recipe":
    from pathcurate import yamlsource
    from pathcurate.errors import RecipeError
    from pathcurate.model.recipe import Recipe

    document = yamlsource.load(directory / "provenance" / "recipe.lock.yaml", "recipe.lock.yaml", RecipeError)
    return yamlsource.validate(document, Recipe, RecipeError)


def _overlap(session: Session, workspace: "Workspace | None", first: _Side, second: _Side) -> "Overlap | None":
    from pathcurate.ledgers import overlap
    from pathcurate.roles import is_curator

    has_run = first.cohort is not None and second.cohort is not None and first.cohort != second.cohort
    if workspace is None or not has_run or first.recipe.unit != second.recipe.unit:
        return None
    if not is_curator(workspace):
        session.say("catalog/ and vault/ are closed to you, so nobody is counted")
        return None
    with session.engine(workspace) as engine:
        return overlap(workspace, engine, first.cohort or "", second.cohort or "")


def _overlap_lines(shared: "Overlap", first: _Side, second: _Side) -> Iterator[str]:
    yield "cohorts:"
    yield f"  in both: {_count(shared.both)} {shared.unit}s"
    for side, other, parts in ((first, second, shared.only_before), (second, first, shared.only_after)):
        yield from _side_lines(side.recipe.name, other.recipe.name, parts)


def _side_lines(name: str, other: str, parts: Mapping[str, Any]) -> Iterator[str]:
    if not parts:
        yield f"  in {name} only: none"
    for step, count in parts.items():
        yield f"  in {name} only: {_count(count)}, which {other} drops at {step}"


def _count(count: int | str) -> str:
    return f"{count:,}" if isinstance(count, int) else count
