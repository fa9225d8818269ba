"""The forms of what stands in a recipe: names, versions, dates, durations, values, and what all parts share."""

import math
import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

LANGUAGE = 1
"""The recipe language that this version reads."""

Unit = Literal["slide", "case", "patient", "series", "event"]
Level = Literal["patient", "case", "specimen", "block", "slide", "series", "event"]
Tier = Literal["exact", "barcode", "metadata", "index", "file_name", "patient_date", "reviewed"]
TextColumn = Literal["clinical_diagnosis", "gross", "microscopy", "diagnosis", "ihc", "molecular", "comment", "text_raw"]
Operator = Literal[">=", ">", "=", "<="]

_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_COUNT = r"^(>=|<=|>|=) *([0-9]{1,9})$"
_SLUG = r"^[a-z0-9_]{1,64}$"
_DURATION = r"^[+-]?[0-9]{1,5}(d|w|mo|y)$"
_PURPOSE = r"^[a-z_]{1,40}$"
_CONCEPT = r"^[a-z][a-z0-9_]{0,63}$"
# https://semver.org, the expression suggested there.
_VERSION = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$"
)


def fault(text: str, *at: str | int) -> PydanticCustomError:
    """A fault at a path below the model that finds it (``yamlsource.validate`` reads ``at``)."""
    return PydanticCustomError("fault", "{text}", {"text": text, "at": at})


def form(pattern: str, words: str) -> Any:
    """Text of a form, with a message in words instead of the pattern."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(words)
        return value

    return AfterValidator(check)


def _language(value: object) -> int:
    if value is True or value != LANGUAGE or not isinstance(value, int):
        raise ValueError(f"`recipe` is the version of the recipe language; this version of pathcurate reads {LANGUAGE}")
    return value


def _version_text(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError(f"`version` must have three parts, such as 1.0.0: {value} is a number")
    return value


def unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values, none of which may be given twice."""
    seen: set[tuple[type, Any]] = set()
    for index, value in enumerate(values):
        if (type(value), value) in seen:
            raise fault(f"`{value}` is given twice", index)
        seen.add((type(value), value))
    return values


def _scalar(value: object) -> str | int | float | bool:
    if not isinstance(value, str | int | float | bool):
        raise ValueError("a value must be text, a number, true or false")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number must be finite")
    return _of_64_bits(value) if isinstance(value, int) else value


def _of_64_bits(value: int) -> int:
    """A whole number that a column can hold; engines and floats refuse greater ones each in a way of its own."""
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError("a whole number must fit into 64 bits")
    return value


def _bound(value: object) -> int | float | date:
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        if re.fullmatch(r"[-+]?[0-9.]+", value, re.ASCII):
            raise ValueError(f"`{value}` in quotes is text; a bound is a number without, or a date such as 2020-01-31")
        return parse_date(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a bound must be a number or a date such as 2020-01-31")
    if isinstance(value, int):
        return _of_64_bits(value)
    if not math.isfinite(value):
        raise ValueError("a number must be finite; leave out a bound that does not bind")
    return value


def parse_date(text: str) -> date:
    """A date from ``YYYY-MM-DD``.

    Raises:
        ValueError: it has another form or is not in the calendar.
    """
    if re.fullmatch(_DATE, text, re.ASCII) is None:
        raise ValueError(f"`{text}` is not a date such as 2020-01-31")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{text}` is not in the calendar") from None


def for_editors(schema: dict[str, Any]) -> None:
    """A key that may be left out may not be null: editors should say so too."""
    schema["description"] = schema["description"].partition("\n\nAttributes:")[0]
    for described in schema["properties"].values():
        options = [option for option in described.get("anyOf", ()) if option != {"type": "null"}]
        if len(options) < len(described.get("anyOf", ())):
            del described["anyOf"], described["default"]
            described.update(options[0] if len(options) == 1 else {"anyOf": options})


Slug = Annotated[str, form(_SLUG, "must be 1 to 64 of a-z, 0-9 and _"), WithJsonSchema({"type": "string", "pattern": _SLUG})]
ConceptName = Annotated[
    str,
    form(_CONCEPT, "must be 1 to 64 of a-z, 0-9 and _, with a letter first"),
    WithJsonSchema({"type": "string", "pattern": _CONCEPT}),
]
Purpose = Annotated[
    str,
    form(_PURPOSE, "must be 1 to 40 of a-z and _, as in the permissions"),
    WithJsonSchema({"type": "string", "pattern": _PURPOSE}),
]
Version = Annotated[
    str,
    form(_VERSION, "`version` must be a semantic version of three parts, such as 1.0.0"),
    BeforeValidator(_version_text),
    WithJsonSchema({"type": "string", "pattern": _VERSION}),
]
Language = Annotated[int, PlainValidator(_language), WithJsonSchema({"const": LANGUAGE})]
Count = Annotated[
    str,
    form(_COUNT, 'must be an operator (>=, >, =, <=) and a whole number, in quotes: ">=2"'),
    WithJsonSchema({"type": "string", "pattern": _COUNT}),
]
Text = Annotated[str, Field(min_length=1)]
Scalar = Annotated[
    str | int | float | bool, PlainValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
Bound = Annotated[
    int | float | date,
    PlainValidator(_bound),
    PlainSerializer(lambda value: value.isoformat() if isinstance(value, date) else value, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "format": "date", "pattern": _DATE}]}),
]


class Part(BaseModel):
    """What all parts of a recipe share: unknown keys are errors, and nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=for_editors)


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time with a sign, in days or in calendar months (a week is 7 days, a year 12 months).

    Calendar months are added as SQL adds them: the 31st becomes the last day of a shorter month.
    """

    days: int = 0
    months: int = 0

    @property
    def least_days(self) -> int:
        """The fewest days that it can be."""
        return self.days + min(28 * self.months, 31 * self.months)

    @property
    def most_days(self) -> int:
        """The most days that it can be."""
        return self.days + max(28 * self.months, 31 * self.months)


def parse_duration(text: str) -> Duration:
    """A duration from ``90d``, ``-2w``, ``24mo`` or ``5y``.

    Raises:
        ValueError: it has another form.
    """
    found = re.fullmatch(r"([+-]?[0-9]{1,5})(d|w|mo|y)", text, re.ASCII)
    if found is None:
        raise ValueError(f"`{text}` is not a duration such as 90d, -2w, 24mo or 5y")
    number, unit = int(found[1]), found[2]
    return {
        "d": Duration(days=number), "w": Duration(days=7 * number), "mo": Duration(months=number),
        "y": Duration(months=12 * number),
    }[unit]  # fmt: skip


def _duration(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a duration needs a unit, such as 90d, -2w, 24mo or 5y: {value} has none")
    parse_duration(value)
    return value


DurationText = Annotated[str, PlainValidator(_duration), WithJsonSchema({"type": "string", "pattern": _DURATION})]
Names = Annotated[tuple[Text, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(unique)]
