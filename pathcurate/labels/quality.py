"""How often the labels of a cohort are wrong, as it may be told to people who cannot see the catalog."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pathcurate.disclosure.counts import FEW, suppress
from pathcurate.labels.drawing import current_recipe
from pathcurate.model.labelreview import (
    LABEL_REVIEWS,
    LEAST_REVIEWED,
    NO_LABEL,
    OTHER,
    QUALITY_FILE,
    ClassQuality,
    label_quality,
)
from pathcurate.storage import write_bytes
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace

_DIGITS = 4


def read_quality(workspace: Workspace, cohort: str) -> Mapping[str, Any]:
    """What reviews say of a cohort's labels as its recipe is now, as it may be told.

    How often a label is wrong speaks of the recipe and not of people, so it is told exactly. But a value of which fewer than
    ten were reviewed may itself be that rare: of a class that the recipe names nothing else is told then, and any other
    value is left out. What labels should have been is told so that nobody can work out a count below ten.

    Raises:
        UsageError: there is no such cohort.
        InputOutputError: the cohort or the catalog cannot be read.
    """
    recipe, sha256 = current_recipe(workspace, cohort)
    named = {label.name: {*(label.classes or ("true", "false")), NO_LABEL, OTHER} for label in recipe.labels}
    found = label_quality(Catalog(workspace.catalog).read(LABEL_REVIEWS).to_pylist(), cohort, sha256)
    return {"cohort": cohort, "recipe_sha256": sha256, "classes": [
        _told(one, named[one.label])
        for one in found
        if one.value in named[one.label] or one.reviewed >= LEAST_REVIEWED
    ]}  # fmt: skip


def write_quality(workspace: Workspace, cohort: str) -> None:
    """Write what may be told beside the cohort, where `manifest build` finds it."""
    content = json.dumps(read_quality(workspace, cohort), ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"
    write_bytes(workspace.cohorts / cohort / QUALITY_FILE, content)


def _told(one: ClassQuality, named: Collection[str]) -> dict[str, Any]:
    is_few = one.reviewed < LEAST_REVIEWED
    counts: dict[str, int | str] = {"reviewed": one.reviewed, "wrong": one.wrong, "unsure": one.unsure}
    shares: Sequence[float | None] = one.error or (None, None, None)
    if is_few:
        counts, shares = dict.fromkeys(counts, FEW), (None, None, None)
    return {
        "label": one.label, "value": one.value, **counts,
        **{
            name: None if share is None else round(share, _DIGITS)
            for name, share in zip(("error", "low", "high"), shares, strict=True)
        },
        "instead": {} if is_few else {
            value: count for value, count in suppress(one.instead).items() if value in named or isinstance(count, int)
        },
    }  # fmt: skip
