"""``pathcurate recipe``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.nearby import workspace_if_any
from pathcurate.cli.parameters import parameter_option
from pathcurate.cli.recipediff import diff_command
from pathcurate.cli.recipeexplain import explain_command
from pathcurate.cli.recipenew import new_command, schema_command
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.recipefile import RecipeSource
    from pathcurate.recipelint import Lint

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("recipe")
def command() -> None:
    """Write, check, explain and compare recipes."""


@command.command("check")
@click.argument("recipe", required=False, type=_FILE)
@click.option("--profile", type=_FILE, help="What `describe --export` wrote: compare with that archive, without its data.")
@click.option("--list-rules", is_flag=True, help="Show the linter's rules, and check nothing.")
@click.option("--strict", is_flag=True, help="As --fail-on warning.")
@click.option(
    "--fail-on", type=click.Choice(["info", "warning", "error", "never"]), default="error", show_default=True,
    help="Exit with 1 if a rule of at least this severity is broken.",
)  # fmt: skip
@parameter_option
@common_options
def check_command(
    session: Session,
    recipe: Path | None,
    *,
    profile: Path | None,
    list_rules: bool,
    strict: bool,
    fail_on: str,
    parameters: dict[str, str],
) -> int:
    """Check a recipe, and show every fault at its place.

    A fault is exit code 10. Where the recipe can be read, the linter looks for what is allowed and hardly meant: criteria
    that contradict each other, lists that nothing uses, windows that hold no day. It says more in a workspace, where it
    knows the last run, and with --profile. -v shows hints too.

    \b
    Example:
      pathcurate recipe check recipes/demo_he_2023.yaml
    """
    if list_rules:
        _show_rules(session)
        return 0
    if recipe is None:
        raise click.MissingParameter(ctx=click.get_current_context(), param_hint="'RECIPE'", param_type="argument")
    from pathcurate.errors import RecipeError
    from pathcurate.recipefile import load_recipe
    from pathcurate.recipelint import known, lint

    archive = known.read_archive(profile) if profile is not None else None
    try:
        source = load_recipe(recipe, parameters=parameters)
    except RecipeError as error:
        if archive is None:
            raise
        raise RecipeError(known.with_counts(error.message, archive), error.hint) from None
    subject = known.subject_of(source, archive)
    workspace = workspace_if_any(session)
    if workspace is not None:
        # Loads what a recipe without a workspace need not wait for.
        from pathcurate.recipelint.workplace import with_workspace

        subject = with_workspace(subject, source, workspace)
    # The gravest first, each severity from top to bottom.
    found = sorted(lint(subject), key=lambda one: (-one.rule.severity.rank, source.origin(one.path)))
    checked = source.recipe
    document = {
        "name": checked.name, "version": checked.version, "unit": checked.unit, "sha256": source.sha256,
        "lints": [_as_dict(source, one) for one in found],
    }  # fmt: skip
    session.show(document, _lines(session, source, found))
    from pathcurate.model.finding import Severity

    least = "warning" if strict and fail_on in {"error", "never"} else fail_on
    return int(least != "never" and any(one.rule.severity.rank >= Severity(least).rank for one in found))


def _as_dict(source: "RecipeSource", one: "Lint") -> dict[str, Any]:
    file, line, column = source.origin(one.path)
    return {"rule": one.rule.id, "severity": str(one.rule.severity), "file": file, "line": line, "column": column,
            "message": one.message, "advice": one.rule.advice}  # fmt: skip


def _lines(session: Session, source: "RecipeSource", found: "Sequence[Lint]") -> Iterator[str]:
    from pathcurate.model.finding import Severity
    from pathcurate.recipelint import render

    for one in found:
        if session.verbose or one.rule.severity is not Severity.INFO:
            yield from render(source, one)
    recipe = source.recipe
    criteria = counted(len(recipe.criteria), "criterion", "criteria")
    graves = [counted(sum(one.rule.severity is severity for one in found), str(severity)) for severity in reversed(Severity)]
    severities = [text for text in graves if not text.startswith("0 ")]
    if any(one.rule.severity is Severity.ERROR for one in found):
        yield f"{recipe.name} {recipe.version} can be read, and cannot be meant so: {', '.join(severities)}"
        return
    hints = sum(one.rule.severity is Severity.INFO for one in found)
    more = "" if not found else f"; {', '.join(severities)}" + (" (-v shows it)" if hints and not session.verbose else "")
    yield f"{recipe.name} {recipe.version} is a good recipe: unit {recipe.unit}, {criteria}{more}"


def _show_rules(session: Session) -> None:
    from pathcurate.recipelint import RULES

    width = max(len(rule.id) for rule in RULES)
    session.show(
        {"rules": [
            {"id": rule.id, "severity": str(rule.severity), "says": rule.says, "advice": rule.advice} for rule in RULES
        ]},
        (line for rule in RULES for line in (
            f"{rule.id:<{width}}  {rule.severity:<7}  {rule.says}", f"{'':<{width}}           {rule.advice}")),
    )  # fmt: skip


for subcommand in (explain_command, diff_command, new_command, schema_command):
    command.add_command(subcommand)
