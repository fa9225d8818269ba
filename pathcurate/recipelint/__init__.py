"""Looks for what is allowed in a recipe and hardly meant: rules that are listed, each with its advice."""

from dataclasses import dataclass, replace

from pathcurate import yamlsource
from pathcurate.recipefile import RecipeSource
from pathcurate.recipelint import of_archives, of_criteria, of_lists, of_outcomes, of_windows
from pathcurate.recipelint.rule import KeyPath, Rule, Subject

RULES: tuple[Rule, ...] = (
    *of_criteria.RULES, *of_windows.RULES, *of_lists.RULES, *of_outcomes.RULES, *of_archives.RULES
)  # fmt: skip
"""All rules, in the order in which they are listed."""


@dataclass(frozen=True, slots=True)
class Lint:
    """A place at which a rule is broken.

    Attributes:
        rule: the rule.
        path: the part of the recipe.
        message: how, in one sentence without its end.
        on_key: whether the part's key is meant and not its value.
    """

    rule: Rule
    path: KeyPath
    message: str
    on_key: bool


def lint(subject: Subject) -> tuple[Lint, ...]:
    """Everything that breaks a rule, the gravest first."""
    found = [Lint(rule, *hit) for rule in RULES for hit in rule.find(subject)]
    return tuple(sorted(dict.fromkeys(found), key=lambda one: -one.rule.severity.rank))


def render(source: RecipeSource, one: Lint) -> tuple[str, str]:
    """What breaks a rule, shown at its place, and what to do about it."""
    problem = source.document.problem(one.path, f"{one.message} [{one.rule.id}]", key=one.on_key)
    shown = yamlsource.render(source.document, [replace(problem, severity=str(one.rule.severity))])
    return shown, f"  {one.rule.advice}"
