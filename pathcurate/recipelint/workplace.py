"""What a workspace knows of a recipe: its profile, the last run, releases of the same version."""

import json
from dataclasses import replace

from pathcurate.cohortfacts import cohort_facts, is_of_recipe, shown_attrition
from pathcurate.model.attrition import UNIT_LEVEL, ShownAttrition
from pathcurate.profiles import load_profile
from pathcurate.recipefile import RecipeSource
from pathcurate.recipelint.rule import StepCounts, Subject
from pathcurate.workspace import Workspace


def with_workspace(subject: Subject, source: RecipeSource, workspace: Workspace) -> Subject:
    """The same, and what the workspace says: its profile, the last run, and releases of this version.

    Raises:
        UsageError: the workspace's profile cannot be read.
        InputOutputError: what the last run wrote cannot be read.
    """
    profile = load_profile(workspace)
    facts = cohort_facts(workspace, source.recipe.name)
    same = facts is not None and is_of_recipe(facts, source.canonical)
    return replace(
        subject,
        last_run=_steps(shown_attrition(facts), source.recipe.unit) if facts is not None and same else (),
        profile_k=profile.k,
        texts_are_released=profile.texts.released,
        released_differently=_is_released_differently(workspace, source),
    )


def _steps(attrition: ShownAttrition, unit: str) -> tuple[StepCounts, ...]:
    """Steps of which it is told what they did alone."""
    return tuple(
        StepCounts(step.id, _told(step.dropped) if step.together == 1 else None, _told(step.remaining.get(UNIT_LEVEL[unit])))
        for step in attrition.steps
    )


def _told(count: object) -> int | None:
    return count if isinstance(count, int) else None


def _is_released_differently(workspace: Workspace, source: RecipeSource) -> bool:
    # Read as plain JSON: what checks manifests takes longer to load than a recipe to check.
    file = workspace.releases / source.recipe.name / source.recipe.version / "MANIFEST.json"
    try:
        digest = json.loads(file.read_bytes())["recipe"]["canonical_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(digest != source.sha256)
