"""Criteria: named rules that a unit must meet, or must not."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from pathcurate.model.recipe.conditions import Where, Window
from pathcurate.model.recipe.forms import ConceptName, Count, Level, Operator, Part, Slug, Text, fault, for_editors, unique

RowTable = Literal[
    "slides", "cases", "reports", "events", "series", "diagnoses", "ihc_results", "report_concepts", "materials",
    "annotations",
]  # fmt: skip
"""Tables whose rows can be counted for an entity."""
Match = Annotated[
    tuple[Literal["laterality", "specimen", "block"], ...],
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    AfterValidator(unique),
]
VERBS = ("where", "has", "any_of", "sql")


class Rows(Part):
    """Rows of a table that belong to an entity and meet all conditions.

    A missing value meets no condition but ``missing: true``. Events and series belong to patients: on level case, those of
    the case's patient count.

    Attributes:
        table: where the rows are.
        where: conditions on their columns.
        text: a concept of the recipe that the row's report must say, as the concept's ``assertion`` asks.
        within: days around the index in which the row's date must lie.
        date: the column that ``within`` looks at, if not the table's own.
        match: columns in which the row must agree with the index (``laterality``) or with the unit (``specimen``,
            ``block``). A row of both sides, or of a part of the body that has none, agrees with each side; one whose side is
            missing with none.
    """

    model_config = ConfigDict(title="rows")

    table: RowTable
    where: Where = Field(default_factory=dict)
    text: ConceptName | None = None
    within: Window | None = None
    date: Text | None = None
    match: Match | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.date is not None and self.within is None:
            raise fault("`date` says what `within` looks at, and there is no `within`", "date")
        return self


class Has(Rows):
    """How many rows of another table belong to the entity and meet all conditions."""

    model_config = ConfigDict(title="`has`")

    count: Count = ">=1"

    @property
    def operator(self) -> Operator:
        """The operator of ``count``."""
        return self._count()[0]

    @property
    def threshold(self) -> int:
        """The number of ``count``."""
        return self._count()[1]

    def _count(self) -> tuple[Operator, int]:
        operators: tuple[Operator, ...] = (">=", "<=", ">", "=")
        operator = next(one for one in operators if self.count.startswith(one))
        return operator, int(self.count.removeprefix(operator))

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        if self._count() == (">=", 0):
            raise fault("a count of at least 0 is always met", "count")
        return self


class _OneVerb(Part):
    """What a criterion and each of its alternatives share: exactly one verb.

    Attributes:
        where: column and condition, on the view of the level; all must hold.
        has: rows of another table.
        any_of: alternatives of which one must be met.
        sql: a condition in SQL over the columns of the view of the level; not portable by promise.
    """

    where: Annotated[Where, Field(min_length=1)] | None = None
    has: Has | None = None
    any_of: "Annotated[tuple[Alternative, ...], Field(min_length=2)] | None" = None
    sql: Annotated[str, Field(min_length=1, max_length=4000)] | None = None

    @property
    def verb(self) -> str:
        """The verb that it has."""
        return next(name for name in VERBS if getattr(self, name) is not None)


def _one_verb(schema: dict[str, Any]) -> None:
    for_editors(schema)
    schema["oneOf"] = [{"required": [verb]} for verb in VERBS]


class Alternative(_OneVerb):
    """One of several ways to meet a criterion.

    Attributes:
        id: names it where the recipe is explained.
        label: for people.
        level: the criterion's own, if not another.
    """

    model_config = ConfigDict(title="alternative", json_schema_extra=_one_verb)

    id: Slug | None = None
    label: Text | None = None
    level: Level | None = None

    @model_validator(mode="after")
    def _has_one_verb(self) -> Self:
        if sum(getattr(self, name) is not None for name in VERBS) != 1:
            raise fault("an alternative needs exactly one of `where`, `has`, `any_of` and `sql`")
        return self


class Criterion(_OneVerb):
    """One named rule on one level.

    Attributes:
        id: names the rule in the attrition table and the ledger.
        label: what people read in the diagram; ``id`` where there is none.
        level: the entity that the rule is about.
        if_missing: what it does to the unit if a missing value leaves the answer open.
    """

    model_config = ConfigDict(title="criterion", json_schema_extra=_one_verb)

    id: Slug
    label: Text | None = None
    level: Level
    if_missing: Literal["pass", "fail"]

    @model_validator(mode="after")
    def _has_one_verb(self) -> Self:
        if sum(getattr(self, name) is not None for name in VERBS) != 1:
            raise fault(f"criterion `{self.id}` needs exactly one of `where`, `has`, `any_of` and `sql`")
        if self.has is not None and "if_missing" in self.model_fields_set:
            raise fault("`if_missing` goes with `where`; a count is never missing", "if_missing")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        if self.has is not None:
            content.pop("if_missing", None)  # what is written must be readable again
        return content


class Inclusion(Criterion):
    """Keeps what meets it; a missing value does not meet it unless ``if_missing: pass``."""

    if_missing: Literal["pass", "fail"] = "fail"


class Exclusion(Criterion):
    """Drops what meets it; a missing value does not drop (``pass``) unless ``if_missing: fail``."""

    if_missing: Literal["pass", "fail"] = "pass"


class Index(Part):
    """Day 0 of every ``within``: a dated row of each patient, or of each unit where the unit is the event itself.

    Attributes:
        table: where the rows are.
        date: the column that gives day 0.
        pick: the first or the last such row of a patient; ``each`` makes each of them a unit (unit ``event``).
        per: columns that are told apart, such as ``laterality``: the first of each side (unit ``event``).
        where: conditions on the rows.
        text: a concept that the row's report must say.
    """

    model_config = ConfigDict(title="`index`")

    table: Literal["reports", "events", "series", "slides", "materials"]
    date: Text
    pick: Literal["first", "last", "each"] = "first"
    per: Annotated[
        tuple[Literal["laterality", "code"], ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}),
        AfterValidator(unique),
    ] | None = None  # fmt: skip
    where: Where = Field(default_factory=dict)
    text: ConceptName | None = None
