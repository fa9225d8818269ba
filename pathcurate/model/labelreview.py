"""What reviewers said of labels (the ``label_reviews`` table), and how often labels are wrong by samples of each class."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.linkquality import wilson_interval
from pathcurate.model.slide import SITE

PURPOSES = ("class", "missing", "conflict")
"""Why a unit is shown: drawn at random of those with its label; drawn of those without one; something else was said of it
too. Only what was drawn may be used for estimates."""
ANSWERS = ("right", "wrong", "unsure")
OTHER: Final = "other"
"""Stands for what a label should have been where the reviewer named none of its values."""
NO_LABEL: Final = "no label"
"""Stands for a value that is missing."""
QUALITY_FILE: Final = "labels-quality.json"
"""Of a cohort's folder: how often its labels are wrong."""
QUALITY_PATH: Final = "quality/labels.json"
"""The same in a release."""
LEAST_REVIEWED: Final = 10
"""A class of which fewer were reviewed may itself be as small, so nothing is told of it."""
_SHA: Final = r"sha256:[0-9a-f]{64}"
_VALUE: Final = r"[^\x00-\x1f]{0,200}"
_NAME: Final = r"[A-Za-z0-9_.-]{1,64}"

_COUNT: Final = {"anyOf": [{"type": "integer", "minimum": 0}, {"enum": ["<10", "withheld"]}]}
_FRACTION: Final = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_TEXT: Final = {"type": "string", "maxLength": 200}
_CLASS: Final[Mapping[str, Any]] = {
    "label": {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"},
    "value": _TEXT,
    "reviewed": _COUNT,
    "wrong": _COUNT,
    "unsure": _COUNT,
    "error": _FRACTION,
    "low": _FRACTION,
    "high": _FRACTION,
    "instead": {"type": "object", "propertyNames": _TEXT, "additionalProperties": _COUNT},
}
QUALITY_JSON_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["cohort", "recipe_sha256", "classes"],
    "additionalProperties": False,
    "properties": {
        "cohort": {"type": "string", "pattern": f"^{_NAME}$"},
        "recipe_sha256": {"type": "string", "pattern": f"^{_SHA}$"},
        "classes": {
            "type": "array",
            "items": {"type": "object", "required": list(_CLASS), "additionalProperties": False, "properties": _CLASS},
        },
    },
}
"""What a release tells of its labels: by label and value how many were reviewed and wrong, what they should have been, and
the share of wrong ones with its 95 % interval."""

LABEL_REVIEWS = Table(
    name="label_reviews",
    row="one answer of a person about one label of one unit; later ones win, none is ever removed",
    key=("review_id",),
    columns=(
        Column("review_id", Type.STRING, "Identifier of the answer.", Identifying.DIRECT, Action.DROP, required=True),
        Column("cohort", Type.STRING, "Name of the cohort.", pattern=_NAME, required=True),
        Column("recipe_sha256", Type.STRING, "Digest of the recipe that had made the label.", pattern=_SHA, required=True),
        Column("label", Type.STRING, "Name of the label.", pattern=r"[a-z0-9_]{1,64}", required=True),
        Column("unit_id", Type.STRING, "Pseudonym of the unit that stood for what the label is true of.",
               Identifying.DIRECT, Action.DROP, required=True),
        SITE,
        Column("report_id", Type.STRING, "The first report that was shown.", Identifying.DIRECT, Action.DROP, required=True),
        Column("value", Type.STRING, "The label that was shown; missing where there was none.", Identifying.SENSITIVE,
               pattern=_VALUE),
        Column("purpose", Type.STRING, "Why it was shown.", values=PURPOSES, required=True),
        Column("answer", Type.STRING, "What the reviewer said of it.", values=ANSWERS, required=True),
        Column("instead", Type.STRING, "With wrong: what it should have been.", Identifying.SENSITIVE, pattern=_VALUE),
        Column("reviewer", Type.STRING, "Who said so.", Identifying.DIRECT, Action.DROP, required=True),
        Column("reviewed_at", Type.TIMESTAMP, "When it was imported, UTC.", Identifying.QUASI, Action.DROP, required=True),
        Column("sheet", Type.STRING, "The exported review that it answers.", Identifying.DIRECT, Action.DROP, required=True),
    ),
)  # fmt: skip

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """How often one value of a label is wrong.

    Attributes:
        label: the label.
        value: its value; :data:`NO_LABEL` for units without one.
        right: reviewed and found right.
        wrong: reviewed and found wrong.
        unsure: reviewed, and the reviewer could not say; these are in no share.
        instead: of the wrong ones, what they should have been.
    """

    label: str
    value: str
    right: int
    wrong: int
    unsure: int
    instead: Mapping[str, int]

    @property
    def reviewed(self) -> int:
        """All that were looked at."""
        return self.right + self.wrong + self.unsure

    @property
    def error(self) -> tuple[float, float, float] | None:
        """Share of wrong ones among those of which somebody could say, and its 95 % interval (Wilson 1927)."""
        judged = self.right + self.wrong
        return (self.wrong / judged, *wilson_interval(self.wrong, judged)) if judged else None


def label_quality(reviews: Iterable[Row], cohort: str, recipe_sha256: str) -> tuple[ClassQuality, ...]:
    """How often the labels of a cohort are wrong, by label and value; what was not drawn at random is left out.

    Args:
        reviews: rows of ``label_reviews``.
        cohort: its name.
        recipe_sha256: digest of the recipe; what was said of other recipes' labels is left out.
    """
    # An answer about a conflict is no part of a sample, also where it came later than one that is.
    drawn = [
        row for row in reviews
        if (row["cohort"], row["recipe_sha256"]) == (cohort, recipe_sha256) and row["purpose"] != "conflict"
    ]  # fmt: skip
    classes: dict[tuple[str, str], list[Row]] = {}
    for (label, _, value), row in _standing(drawn).items():
        classes.setdefault((label, NO_LABEL if value is None else value), []).append(row)
    return tuple(_quality(label, value, rows) for (label, value), rows in sorted(classes.items()))


def _standing(reviews: Iterable[Row]) -> dict[tuple[str, str, str | None], Row]:
    """The last answer about each label, unit and value, whoever gave it."""
    ordered = sorted(reviews, key=lambda row: (row["reviewed_at"], row["review_id"]))
    return {(row["label"], row["unit_id"], row["value"]): row for row in ordered}


def _quality(label: str, value: str, rows: Iterable[Row]) -> ClassQuality:
    counts = Counter(row["answer"] for row in rows)
    instead = Counter(row["instead"] or OTHER for row in rows if row["answer"] == "wrong")
    return ClassQuality(label, value, counts["right"], counts["wrong"], counts["unsure"], dict(sorted(instead.items())))
