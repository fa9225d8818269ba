"""What the last run of a recipe wrote of itself: ``cohorts/NAME/cohort.json``, which analysts may read."""

import json
from collections.abc import Mapping
from typing import Any

from pathcurate.errors import InputOutputError
from pathcurate.model.attrition import COHORT_FILE, ShownAttrition
from pathcurate.model.labelreview import QUALITY_FILE
from pathcurate.model.recipe import Recipe
from pathcurate.workspace import Workspace

_ONLY_WORDS = ("version", "title", "owner", "approval", "expect")
"""Keys of a recipe on which no row of its cohort hangs."""


def cohort_facts(workspace: Workspace, name: str) -> Mapping[str, Any] | None:
    """What stands in a cohort's file, None if there is no such cohort.

    Raises:
        InputOutputError: it cannot be read.
    """
    path = workspace.cohorts / name / COHORT_FILE
    if not path.is_file():
        return None
    try:
        facts: Mapping[str, Any] = json.loads(path.read_bytes())
        _ = facts["recipe"]["canonical"], facts["attrition"]["steps"], facts["states"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputOutputError(
            f"what the last run of {name} wrote cannot be read", f"Run `pathcurate cohort` for {name} again."
        ) from None
    return facts


def recipe_of(facts: Mapping[str, Any]) -> Recipe:
    """The resolved recipe of a cohort."""
    return Recipe.model_validate(facts["recipe"]["canonical"])


def shown_attrition(facts: Mapping[str, Any]) -> ShownAttrition:
    """The attrition of a cohort as it may be seen."""
    return ShownAttrition.from_dict(facts["attrition"])


def reviewed_labels(workspace: Workspace, name: str, sha256: str) -> str | None:
    """How often a cohort's labels are wrong, as the review wrote it; None if none was done, or only of another recipe.

    Args:
        workspace: the workspace.
        name: the cohort's.
        sha256: digest of its recipe.

    Raises:
        InputOutputError: it cannot be read.
    """
    path = workspace.cohorts / name / QUALITY_FILE
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        return text if json.loads(text)["recipe_sha256"] == sha256 else None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputOutputError(
            f"{QUALITY_FILE} of cohort {name} cannot be read", "Import the answers of its label review again."
        ) from None


def is_of_recipe(facts: Mapping[str, Any], canonical: bytes) -> bool:
    """Whether a cohort was selected by this recipe, whatever its version and its words for people."""
    return _logic(facts["recipe"]["canonical"]) == _logic(json.loads(canonical))


def _logic(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if key not in _ONLY_WORDS}
