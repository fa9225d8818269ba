"""The recipe: which slides, cases or patients make a cohort, in what order that is decided, and what goes out.

Language version 1. The models check form only; that columns exist and values fit them is checked against the tables
(``recipefile.check_columns``). Their JSON Schema is the one that editors use.
"""

import math
import re
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    Strict,
    Tag,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pathcurate.model.concept import Concept

LANGUAGE = 1
"""The recipe language that this version reads."""

Unit = Literal["slide", "case", "patient"]
Tier = Literal["exact", "barcode", "metadata", "index", "file_name", "patient_date", "reviewed"]
Side = Literal["train", "val", "test"]
TextColumn = Literal["clinical_diagnosis", "gross", "microscopy", "diagnosis", "ihc", "molecular", "comment", "text_raw"]
Operator = Literal[">=", ">", "=", "<="]

_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_COUNT = r"^(>=|<=|>|=) *([0-9]{1,9})$"
_SLUG = r"^[a-z0-9_]{1,64}$"
_CONCEPT = r"^[a-z][a-z0-9_]{0,63}$"
# https://semver.org, the expression suggested there.
_VERSION = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$"
)


def _fault(text: str, *at: str | int) -> PydanticCustomError:
    """A fault at a path below the model that finds it (``yamlsource.validate`` reads ``at``)."""
    return PydanticCustomError("fault", "{text}", {"text": text, "at": at})


def _form(pattern: str, words: str) -> Any:
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


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    seen: list[tuple[type, Any]] = []
    for index, value in enumerate(values):
        if (type(value), value) in seen:
            raise _fault(f"`{value}` is given twice", index)
        seen.append((type(value), value))
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


def _condition_kind(value: object) -> str | None:
    # One alternative is chosen before it is checked, so that a fault gives one message and not one per alternative.
    if isinstance(value, AnyOf | Missing | Range):
        return f"<{type(value).__name__}>"
    if isinstance(value, dict):
        kinds = {"any_of": "<AnyOf>", "missing": "<Missing>"}
        return next((kind for key, kind in kinds.items() if key in value), "<Range>")
    return "<value>" if isinstance(value, str | int | float | bool) else None


def _for_editors(schema: dict[str, Any]) -> None:
    """A key that may be left out may not be null: editors should say so too."""
    schema["description"] = schema["description"].partition("\n\nAttributes:")[0]
    for described in schema["properties"].values():
        options = [option for option in described.get("anyOf", ()) if option != {"type": "null"}]
        if len(options) < len(described.get("anyOf", ())):
            del described["anyOf"], described["default"]
            described.update(options[0] if len(options) == 1 else {"anyOf": options})


def _range_schema(schema: dict[str, Any]) -> None:
    _for_editors(schema)
    schema["minProperties"] = 1


def _criterion_schema(schema: dict[str, Any]) -> None:
    _for_editors(schema)
    schema["oneOf"] = [{"required": ["where"]}, {"required": ["has"], "not": {"required": ["if_missing"]}}]


def _recipe_schema(schema: dict[str, Any]) -> None:
    _for_editors(schema)
    schema["patternProperties"] = {"^x-": {}}


Slug = Annotated[
    str, _form(_SLUG, "must be 1 to 64 of a-z, 0-9 and _"), WithJsonSchema({"type": "string", "pattern": _SLUG})
]
ConceptName = Annotated[
    str,
    _form(_CONCEPT, "must be 1 to 64 of a-z, 0-9 and _, with a letter first"),
    WithJsonSchema({"type": "string", "pattern": _CONCEPT}),
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


class _Part(BaseModel):
    """What all parts of a recipe share: unknown keys are errors, and nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_for_editors)


class AnyOf(_Part):
    """The column's value is one of these."""

    model_config = ConfigDict(title="condition")

    any_of: Annotated[
        tuple[Scalar, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)
    ]


class Range(_Part):
    """The column's value lies between these, both included. Dates are whole days."""

    model_config = ConfigDict(title="condition", json_schema_extra=_range_schema)

    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _binds(self) -> Self:
        if self.min is None and self.max is None:
            raise _fault("a condition is a value, {any_of: [...]}, {min: ..., max: ...} or {missing: true}")
        if self.min is not None and self.max is not None:
            if isinstance(self.min, date) != isinstance(self.max, date):
                raise _fault("`min` and `max` must both be numbers or both be dates")
            low, high = (bound.toordinal() if isinstance(bound, date) else bound for bound in (self.min, self.max))
            if low > high:
                raise _fault("`min` is greater than `max`: nothing can lie between", "min")
        return self


class Missing(_Part):
    """The column has no value, or has one."""

    model_config = ConfigDict(title="condition")

    missing: Annotated[bool, Strict()]


Condition = Annotated[
    Annotated[Scalar, Tag("<value>")]
    | Annotated[AnyOf, Tag("<AnyOf>")]
    | Annotated[Range, Tag("<Range>")]
    | Annotated[Missing, Tag("<Missing>")],
    Discriminator(
        _condition_kind,
        custom_error_type="condition",
        custom_error_message="a condition is one value; for several write {any_of: [...]}",
    ),
]
Where = dict[str, Condition]


class Has(_Part):
    """How many rows of another table belong to the entity and meet all conditions.

    A missing value meets no condition but ``missing: true``. Events belong to patients: on level case, those of the case's
    patient count.
    """

    model_config = ConfigDict(title="`has`")
    LATER: ClassVar[frozenset[str]] = frozenset({"text", "within", "match"})

    table: Literal["reports", "slides", "events"]
    where: Where = Field(default_factory=dict)
    count: Annotated[
        str,
        _form(_COUNT, 'must be an operator (>=, >, =, <=) and a whole number, in quotes: ">=2"'),
        WithJsonSchema({"type": "string", "pattern": _COUNT}),
    ] = ">=1"

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
            raise _fault("a count of at least 0 is always met", "count")
        return self


class Criterion(_Part):
    """One named rule on one level. All conditions of ``where`` must hold.

    Attributes:
        id: names the rule in the attrition table and the ledger.
        label: what people read in the diagram; ``id`` where there is none.
        level: the entity that the rule is about.
        where: column and condition, on the table of the level.
        has: rows of another table instead of ``where``.
        if_missing: what a missing value does to ``where``.
    """

    model_config = ConfigDict(title="criterion", json_schema_extra=_criterion_schema)
    LATER: ClassVar[frozenset[str]] = frozenset({"any_of", "sql"})

    id: Slug
    label: Text | None = None
    level: Unit
    where: Annotated[Where, Field(min_length=1)] | None = None
    has: Has | None = None
    if_missing: Literal["pass", "fail"]

    @model_validator(mode="after")
    def _has_one_verb(self) -> Self:
        if (self.where is None) == (self.has is None):
            raise _fault(f"criterion `{self.id}` needs exactly one of `where` and `has`")
        if self.has is not None and "if_missing" in self.model_fields_set:
            raise _fault("`if_missing` goes with `where`; a count is never missing", "if_missing")
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


class Split(_Part):
    """How the cohort is divided for training: whole patients, by share, the same every time."""

    model_config = ConfigDict(title="`split`")
    LATER: ClassVar[frozenset[str]] = frozenset({"hold_out", "keep_from"})

    group: Literal["patient"] = "patient"
    ratios: Annotated[dict[Side, Annotated[float, Strict(), Field(gt=0, le=1, allow_inf_nan=False)]], Field(min_length=1)]
    seed: Text | None = None
    stratify: Annotated[
        tuple[Text, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)
    ] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        total = math.fsum(self.ratios.values())
        if abs(total - 1) > 1e-9:
            raise _fault(f"the ratios add up to {total:.12g}, not to 1", "ratios")
        return self


def _without_free_keys(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: value for key, value in data.items() if not str(key).startswith("x-")}
    return data


class Recipe(_Part):
    """A recipe file. Criteria run in file order, ``include`` first. Keys that start with ``x-`` are free.

    Attributes:
        recipe: version of the recipe language.
        name: names the cohort and its releases.
        version: SemVer of the release that the recipe builds.
        title: for people.
        owner: who answers for it.
        approval: number of the ethics approval.
        purpose: what the data is for; permissions are given for purposes.
        links: which kinds of link from slide to report count. A reviewer's word counts unless it is left out: else a link
            that somebody has looked at and found right would fall out of the cohort.
        unit: what the cohort counts, and what one row of the result is.
        concepts: what texts may say, by name; ``pathcurate concepts build`` looks for all of them.
        include: what a row must meet.
        exclude: what a row must not meet.
        split: how the result is divided.
        columns: what goes out, of the unit's table; ``split`` too if there is one.
        texts: which texts of the reports of its cases (or patients) go out too, scrubbed.
    """

    model_config = ConfigDict(title="recipe", json_schema_extra=_recipe_schema)
    LATER: ClassVar[frozenset[str]] = frozenset({
        "extends", "params", "codelists", "index", "labels", "sample", "disclosure", "tables", "expect",
    })  # fmt: skip

    recipe: Annotated[int, PlainValidator(_language), WithJsonSchema({"const": LANGUAGE})]
    name: Slug
    version: Annotated[
        str,
        _form(_VERSION, "`version` must be a semantic version of three parts, such as 1.0.0"),
        BeforeValidator(_version_text),
        WithJsonSchema({"type": "string", "pattern": _VERSION}),
    ]
    title: Text
    owner: Text | None = None
    approval: Text | None = None
    purpose: Annotated[
        str,
        _form(r"^[a-z_]{1,40}$", "must be 1 to 40 of a-z and _, as in the permissions"),
        WithJsonSchema({"type": "string", "pattern": r"^[a-z_]{1,40}$"}),
    ] = "research"
    links: Annotated[
        tuple[Tier, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)
    ] = ("exact", "barcode", "metadata", "index", "file_name", "reviewed")
    unit: Unit
    concepts: Annotated[
        dict[ConceptName, Concept], Field(min_length=1, json_schema_extra={"additionalProperties": False})
    ] | None = None  # fmt: skip
    include: tuple[Inclusion, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
    split: Split | None = None
    columns: Annotated[
        tuple[Text, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)
    ]
    texts: Annotated[
        tuple[TextColumn, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)
    ] | None = None  # fmt: skip

    _ignore_free_keys = model_validator(mode="before")(_without_free_keys)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """All criteria in the order in which they run."""
        return (*self.include, *self.exclude)

    @property
    def seed(self) -> str:
        """Seed of the split: the one given, else the recipe's name."""
        return self.split.seed if self.split is not None and self.split.seed is not None else self.name

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        first: set[str] = set()
        for part, criteria in (("include", self.include), ("exclude", self.exclude)):
            for index, criterion in enumerate(criteria):
                if criterion.id in first:
                    raise _fault(f"criterion `{criterion.id}` is given twice", part, index, "id")
                first.add(criterion.id)
        if "split" in self.columns and self.split is None:
            raise _fault("column `split` needs a `split` section in the recipe", "columns", self.columns.index("split"))
        return self
