"""A recipe without any data: whether it can be read, what is hardly meant so, and what it tells of genes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pathcurate.errors import RecipeError
from pathcurate.model.validation import Breach, Place, Validation
from pathcurate.recipefile import RecipeSource
from pathcurate.recipelint import lint
from pathcurate.recipelint.known import subject_of
from pathcurate.validate.breaches import breach
from pathcurate.validate.genetics import of_recipe

_SHOWN = re.compile(r"^(?P<file>.+?):(?P<line>[0-9]+):(?P<column>[0-9]+): error: (?P<message>.*)$", re.MULTILINE)


def check(source: RecipeSource, names: Mapping[str, str]) -> Iterator[Breach]:
    """What is doubtful about a recipe, each with its place.

    Args:
        source: the recipe.
        names: how reports call its files, by path.
    """
    for found in (*_linted(source), *of_recipe(source.recipe)):
        file, line, column = source.origin(found.cause or ())
        yield replace(found, at=Place(names.get(file, file), line, column))


def _linted(source: RecipeSource) -> Iterator[Breach]:
    for one in lint(subject_of(source, None)):
        yield breach("PC-RCP-002", f"{one.message} [{one.rule.id}]", severity=one.rule.severity, cause=one.path)


def broken(error: RecipeError, name: str, path: str) -> Validation:
    """The result for a recipe that cannot be read: every fault at its place.

    Args:
        error: what reading it raised.
        name: of the file, as it was given.
        path: of the file, as it was read.
    """
    findings = [
        replace(
            breach("PC-RCP-001", match["message"]),
            at=Place(name if match["file"] == path else match["file"], int(match["line"]), int(match["column"])),
        )
        for match in _SHOWN.finditer(error.message)
    ]
    if not findings:
        first = error.message.partition("\n")[0]
        findings = [replace(breach("PC-RCP-001", first), at=Place(name, 1, 1))]
    return Validation("recipe", tuple(findings), ("PC-RCP-001",), {}, {})
