"""What becomes of those who are kept: labels, sample, split, what goes out, and what is expected of it."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, model_validator

from pathcurate.model.recipe.conditions import AnyOf, Condition, Missing, Where, Window
from pathcurate.model.recipe.criteria import Has, Match, Rows, RowTable
from pathcurate.model.recipe.forms import Names, Part, Slug, Text, fault, for_editors, unique

Share = Annotated[float, Strict(), Field(gt=0, le=1, allow_inf_nan=False)]
_SOURCES = ("column", "has", "time_to_event", "nearest", "from_")


def _listed(value: Any) -> Any:
    return {"any_of": value} if isinstance(value, list | tuple) else value


ClassValues = Annotated[Condition, BeforeValidator(_listed)]
"""The values that make a class: a list, or a condition."""


class TimeToEvent(Part):
    """Days from the index to the first event after it, or to the last day at which the patient was seen.

    Attributes:
        event: rows that are the event.
        censor: rows that show that the patient was seen.
    """

    model_config = ConfigDict(title="`time_to_event`")

    event: Rows
    censor: Rows


class Nearest(Part):
    """The value of the row nearest to the index.

    Attributes:
        table: where the rows are.
        column: whose value is taken.
        where: conditions on the rows.
        direction: before the index (day 0 included), after it (day 0 included), or either.
        within: days around the index in which the row's date must lie.
        match: see :class:`~pathcurate.model.recipe.criteria.Rows`.
    """

    model_config = ConfigDict(title="`nearest`")

    table: RowTable
    column: Text
    where: Where = Field(default_factory=dict)
    direction: Literal["before", "after", "either"] = "either"
    within: Window | None = None
    match: Match | None = None


def _label_schema(schema: dict[str, Any]) -> None:
    for_editors(schema)
    schema["oneOf"] = [{"required": [name.rstrip("_")]} for name in _SOURCES]


class Label(Part):
    """A column that the recipe makes. On slides, a label of a case or patient is called ``case_NAME`` or ``patient_NAME``.

    Attributes:
        name: the column.
        level: what the label is true of.
        column: ``table.column`` whose value it is, of the rows that belong to the entity.
        where: which of those rows count.
        classes: class to the values that make it; without classes the value itself is the label.
        has: true where the entity has such rows, else false.
        time_to_event: gives two columns, ``NAME_days`` and ``NAME_event``.
        nearest: the value nearest to the index, and ``NAME_days`` from it.
        from_: ``annotations``: the class that was drawn on the slide.
        on_conflict: what to do where rows say different things: leave the unit out, take what the latest report says, or
            stop.
        if_missing: what to do with a unit that has no label: keep it (``pass``) or leave it out (``fail``).
    """

    model_config = ConfigDict(title="label", json_schema_extra=_label_schema)

    name: Slug
    level: Literal["patient", "case", "specimen", "slide", "event"]
    column: Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z0-9_]+$")] | None = None
    where: Where | None = None
    classes: Annotated[dict[Slug, ClassValues], Field(min_length=1)] | None = None
    has: Has | None = None
    time_to_event: TimeToEvent | None = None
    nearest: Nearest | None = None
    from_: Annotated[Literal["annotations"] | None, Field(alias="from")] = None
    on_conflict: Literal["drop", "latest", "error"] = "drop"
    if_missing: Literal["pass", "fail"] = "pass"

    @property
    def source(self) -> str:
        """What gives it: ``column``, ``has``, ``time_to_event``, ``nearest`` or ``annotations``."""
        named = next(name for name in _SOURCES if getattr(self, name) is not None)
        return "annotations" if named == "from_" else named

    @property
    def drops_conflicts(self) -> bool:
        """Whether units fall whose rows contradict each other; a count or a span of time cannot be contradicted."""
        return self.on_conflict == "drop" and self.source not in {"has", "time_to_event"}

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that it makes, without the prefix of its level."""
        if self.time_to_event is not None:
            return f"{self.name}_days", f"{self.name}_event"
        return (self.name, f"{self.name}_days") if self.nearest is not None else (self.name,)

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise fault(f"label `{self.name}` needs exactly one of `column`, `has`, `time_to_event`, `nearest` and `from`")
        if self.classes is not None and given[0] in {"has", "time_to_event"}:
            raise fault(f"`classes` does not go with `{given[0]}`", "classes")
        if self.classes is None and given[0] == "from_":
            raise fault("a label from annotations needs `classes`: what the shapes are called, for each class")
        if self.where is not None and given[0] not in {"column", "from_"}:
            raise fault(f"`where` stands inside `{given[0]}`", "where")
        for name, condition in (self.classes or {}).items():
            if isinstance(condition, Missing):
                raise fault("a class needs values; rows without one have no label", "classes", name)
        seen: dict[tuple[type, Any], str] = {}
        for name, condition in (self.classes or {}).items():
            for index, value in enumerate(condition.any_of if isinstance(condition, AnyOf) else ()):
                if (type(value), value) in seen:
                    raise fault(f"`{value}` is in class `{seen[type(value), value]}` already", "classes", name, index)
                seen[type(value), value] = name
        return self


class Cap(Part):
    """At most so many units of one patient, case, specimen or block.

    Attributes:
        level: the entity.
        max: units that are kept of one.
        order: columns by which the first are kept, each with ``-`` in front for the largest first; the unit's key ends it.
    """

    model_config = ConfigDict(title="cap")

    level: Literal["patient", "case", "specimen", "block"]
    max: Annotated[int, Strict(), Field(ge=1)]
    order: Names | None = None


class Balance(Part):
    """At most so many units of each combination of values, drawn by ``md5(id || seed)``.

    Attributes:
        by: columns or labels of the unit.
        max: units of each combination.
        if_short: what to do where a combination has fewer: take them all, or stop.
    """

    model_config = ConfigDict(title="`balance`")

    by: Names
    max: Annotated[int, Strict(), Field(ge=1)]
    if_short: Literal["take_all", "error"] = "take_all"


class Sample(Part):
    """Which of the units that are left are taken: first the caps in their order, then the balance.

    Attributes:
        seed: changes what is drawn; the recipe's name if it is not given.
        per: caps.
        balance: see :class:`Balance`.
    """

    model_config = ConfigDict(title="`sample`")

    seed: Text | None = None
    per: Annotated[tuple[Cap, ...], Field(min_length=1)] | None = None
    balance: Balance | None = None

    @model_validator(mode="after")
    def _takes_something_away(self) -> Self:
        if self.per is None and self.balance is None:
            raise fault("a sample needs `per`, `balance` or both")
        return self


class Split(Part):
    """How the cohort is divided for training: whole groups of patients, by share, the same every time.

    Attributes:
        group: who stays together: all persons who may be one, and all who share a scan group.
        ratios: side to share.
        seed: changes the assignment as a whole; the recipe's name if it is not given.
        stratify: columns or labels that the sides should share alike.
        hold_out: side to conditions on the unit; a group with one unit that meets them goes there as a whole.
        keep_from: ``name@version`` of an earlier release: who is in it keeps the side.
    """

    model_config = ConfigDict(title="`split`")

    group: Literal["patient"] = "patient"
    ratios: Annotated[dict[Slug, Share], Field(min_length=1)]
    seed: Text | None = None
    stratify: Annotated[tuple[Text, ...], Field(json_schema_extra={"uniqueItems": True}), AfterValidator(unique)] = ()
    hold_out: Annotated[dict[Slug, Annotated[Where, Field(min_length=1)]], Field(min_length=1)] | None = None
    keep_from: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}@[0-9A-Za-z.+-]{1,64}$")] | None = None

    @property
    def sides(self) -> tuple[str, ...]:
        """All sides, those of the ratios first."""
        return (*self.ratios, *(side for side in self.hold_out or () if side not in self.ratios))

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        total = math.fsum(self.ratios.values())
        if abs(total - 1) > 1e-9:
            raise fault(f"the ratios add up to {total:.12g}, not to 1", "ratios")
        return self


class Disclosure(Part):
    """What attrition, diagrams and profiles may show; a recipe can only be stricter than the workspace's profile.

    Attributes:
        min_cell: the least count that is shown.
        round_to: counts are rounded to a multiple of it.
        k: least persons that share a combination of quasi-identifiers.
        quasi_identifiers: columns of the unit that count among them, beside those that are declared so.
    """

    model_config = ConfigDict(title="`disclosure`")

    min_cell: Annotated[int, Strict(), Field(ge=10, le=1000)] = 10
    round_to: Annotated[int, Strict(), Field(ge=1, le=100)] = 5
    k: Annotated[int, Strict(), Field(ge=2, le=10_000)] | None = None
    quasi_identifiers: Names | None = None


class Output(Part):
    """Which rows and columns of a table go out.

    Attributes:
        rows: the units themselves, or rows that belong to their patients, cases or slides.
        where: which of those rows.
        within: days around the index in which a row's date must lie.
        match: see :class:`~pathcurate.model.recipe.criteria.Rows`.
        columns: what goes out; labels and ``split`` too, and on `reports` the names of texts, which go out scrubbed.
    """

    model_config = ConfigDict(title="table")

    rows: Literal["of_units", "of_patients", "of_cases", "of_slides"] | None = None
    where: Where = Field(default_factory=dict)
    within: Window | None = None
    match: Match | None = None
    columns: Names


class Sealed(Part):
    """What a sealed evaluation asks: the label stays with the holder, and models are scored against it.

    Attributes:
        task: kind of answer: one of two classes, of several, a grade, a number, a time to an event, an answer of several.
        label: name of the label that is withheld; every unit needs one (``if_missing: fail``).
        positive: of a binary task the class that a score speaks for; of a label of `has`, ``yes`` unless it says ``no``.
        order: of an ordinal task the classes from the lowest; without it they are in the order of the label.
        topic: a column of the unit's table by which scores are also told; it need not go out.
    """

    model_config = ConfigDict(title="`sealed`")

    task: Literal["binary", "multiclass", "ordinal", "regression", "survival", "choice"]
    label: Slug
    positive: Slug | None = None
    order: Annotated[tuple[Slug, ...], Field(min_length=2), AfterValidator(unique)] | None = None
    topic: Text | None = None


class Between(Part):
    """A least and a greatest number."""

    model_config = ConfigDict(title="range")

    min: Annotated[int, Strict(), Field(ge=0)] | None = None
    max: Annotated[int, Strict(), Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _binds(self) -> Self:
        if self.min is None and self.max is None:
            raise fault("a range needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise fault("`min` is greater than `max`", "min")
        return self


class Expect(Part):
    """What must be true of the cohort; if it is not, the command ends with exit code 1.

    Attributes:
        rows: units.
        cases: cases behind them.
        patients: patients behind them.
        not_empty: classes of labels, or sides of the split, that must have units.
        cases_file: CSV below catalog/ with the columns ``site``, ``accession`` and ``expected`` (``in`` or ``out``).
    """

    model_config = ConfigDict(title="`expect`")

    rows: Between | None = None
    cases: Between | None = None
    patients: Between | None = None
    not_empty: Annotated[tuple[Slug, ...], Field(min_length=1), AfterValidator(unique)] | None = None
    cases_file: Text | None = None

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if not self.model_fields_set:
            raise fault("`expect` says nothing")
        return self
