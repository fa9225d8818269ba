"""Conditions on a column, and windows around day 0."""

from datetime import date
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Strict, Tag, model_validator

from pathcurate.model.recipe.forms import (
    Bound,
    Duration,
    DurationText,
    Part,
    Scalar,
    Slug,
    fault,
    for_editors,
    parse_duration,
    unique,
)

_KINDS = {"any_of": "<AnyOf>", "missing": "<Missing>", "codelist": "<InCodelist>"}


def _kind(value: object) -> str | None:
    # One alternative is chosen before it is checked, so that a fault gives one message and not one per alternative.
    if isinstance(value, AnyOf | Missing | Range | InCodelist):
        return f"<{type(value).__name__}>"
    if isinstance(value, dict):
        return next((kind for key, kind in _KINDS.items() if key in value), "<Range>")
    return "<value>" if isinstance(value, str | int | float | bool) else None


def _range_schema(schema: dict[str, Any]) -> None:
    for_editors(schema)
    schema["minProperties"] = 1


class AnyOf(Part):
    """The column's value is one of these."""

    model_config = ConfigDict(title="condition")

    any_of: Annotated[
        tuple[Scalar, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(unique)
    ]


class Range(Part):
    """The column's value lies between these, both included. Dates are whole days."""

    model_config = ConfigDict(title="condition", json_schema_extra=_range_schema)

    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _binds(self) -> Self:
        if self.min is None and self.max is None:
            raise fault("a condition is a value, {any_of: [...]}, {min: ..., max: ...}, {codelist: ...} or {missing: true}")
        if self.min is not None and self.max is not None:
            if isinstance(self.min, date) != isinstance(self.max, date):
                raise fault("`min` and `max` must both be numbers or both be dates")
            low, high = (bound.toordinal() if isinstance(bound, date) else bound for bound in (self.min, self.max))
            if low > high:
                raise fault("`min` is greater than `max`: nothing can lie between", "min")
        return self


class Missing(Part):
    """The column has no value, or has one."""

    model_config = ConfigDict(title="condition")

    missing: Annotated[bool, Strict()]


class InCodelist(Part):
    """The column's code is on a list of the recipe, or below one of its codes where the list matches descendants."""

    model_config = ConfigDict(title="condition")

    codelist: Slug


Condition = Annotated[
    Annotated[Scalar, Tag("<value>")]
    | Annotated[AnyOf, Tag("<AnyOf>")]
    | Annotated[Range, Tag("<Range>")]
    | Annotated[Missing, Tag("<Missing>")]
    | Annotated[InCodelist, Tag("<InCodelist>")],
    Discriminator(
        _kind,
        custom_error_type="condition",
        custom_error_message="a condition is one value; for several write {any_of: [...]}",
    ),
]
Where = dict[str, Condition]


class Window(Part):
    """Days around day 0, the date of the index; both ends are included, and a missing end is open.

    A row whose date is missing lies in no window.
    """

    model_config = ConfigDict(title="`within`", json_schema_extra=_range_schema)

    from_: Annotated[DurationText | None, Field(alias="from")] = None
    to: DurationText | None = None

    @property
    def start(self) -> Duration | None:
        """The first day, relative to day 0."""
        return parse_duration(self.from_) if self.from_ is not None else None

    @property
    def end(self) -> Duration | None:
        """The last day, relative to day 0."""
        return parse_duration(self.to) if self.to is not None else None

    @model_validator(mode="after")
    def _can_hold_a_day(self) -> Self:
        start, end = self.start, self.end
        if start is None and end is None:
            raise fault("a window needs `from`, `to` or both")
        if start is not None and end is not None and start.least_days > end.most_days:
            raise fault("`from` is later than `to`: no day can lie between", "from")
        return self
