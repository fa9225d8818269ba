"""The recipe: which slides, cases or patients make a cohort, in what order that is decided, and what goes out.

Language version 1. The models check form only; that columns exist and values fit them is checked against the tables
(``recipefile``). Their JSON Schema is the one that editors use. A recipe in this form is *resolved*: what it extends stands
in it, its parameters have their values, its code lists their codes.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from pathcurate.model.concept import Concept
from pathcurate.model.recipe.conditions import AnyOf, Condition, InCodelist, Missing, Range, Where, Window
from pathcurate.model.recipe.criteria import Alternative, Criterion, Exclusion, Has, Inclusion, Index, Match, Rows, RowTable
from pathcurate.model.recipe.forms import (
    LANGUAGE,
    ConceptName,
    Duration,
    Language,
    Level,
    Names,
    Part,
    Purpose,
    Scalar,
    Slug,
    Text,
    TextColumn,
    Tier,
    Unit,
    Version,
    fault,
    for_editors,
    parse_date,
    parse_duration,
    unique,
)
from pathcurate.model.recipe.outcomes import (
    Balance,
    Between,
    Cap,
    Disclosure,
    Expect,
    Label,
    Nearest,
    Output,
    Sample,
    Sealed,
    Split,
    TimeToEvent,
)

__all__ = [
    "LANGUAGE", "MOST_CRITERIA", "Alternative", "AnyOf", "Balance", "Between", "Cap", "Codelist", "Condition", "Criterion",
    "Disclosure", "Duration", "Exclusion", "Expect", "Has", "InCodelist", "Inclusion", "Index", "Label", "Level", "Match",
    "Missing", "Nearest", "Output", "Parameter", "Range", "Recipe", "RowTable", "Rows", "Sample", "Scalar", "Sealed",
    "Split", "TextColumn", "TimeToEvent", "Unit", "Where", "Window", "parse_date", "parse_duration",
]  # fmt: skip

MOST_CRITERIA = 50
"""Of one recipe: which of them a unit fails is kept in the bits of one number of 64."""
BUILT_IN = frozenset({"permission", "readable", "linked", "day_0", "disclosure"})
"""Steps of every attrition, which no criterion may be called like; those of labels and sample begin with their word."""
UNIT_OF_TABLE = {"slides": "slide", "cases": "case", "patients": "patient", "series": "series", "events": "event"}
CODE_SYSTEMS = (
    "icd10", "icd10-cn", "icd9cm3", "icd9cm3-cn", "icdo3-topography", "icdo3-morphology", "snomed", "loinc", "atc", "local",
)  # fmt: skip
"""Systems of code lists; ``-cn`` are the Chinese editions (医保版, 国临版, 国标版), whose codes are longer."""


class Parameter(Part):
    """A value that a run may set with ``--param``; ``${name}`` as a whole value stands for it.

    Attributes:
        type: what a value must be.
        default: the value if a run sets none; one without a default must be set.
        help: for people.
        choices: the values that are allowed, if not all.
    """

    model_config = ConfigDict(title="parameter")

    type: Literal["text", "int", "number", "bool", "date", "duration"]
    default: Scalar | None = None
    help: Text | None = None
    choices: Annotated[tuple[Scalar, ...], Field(min_length=1), AfterValidator(unique)] | None = None


def _one_source_of_codes(schema: dict[str, Any]) -> None:
    for_editors(schema)
    schema["oneOf"] = [{"required": ["codes"]}, {"required": ["file"]}]


class Codelist(Part):
    """Codes of one system.

    Attributes:
        system: the code system.
        version: its edition, such as ``2019`` or ``医保2.0``.
        codes: the codes, in quotes.
        file: CSV with the codes instead, relative to the recipe.
        column: the file's column; ``code`` if it is not said.
        sha256: digest of the file, or at least its first eight digits.
        match: ``descendants`` takes codes below those of the list too: ICD codes that begin like one of them, dots aside.
        without: codes that are left out, with their descendants if those count.
    """

    model_config = ConfigDict(title="code list", json_schema_extra=_one_source_of_codes)

    system: Literal[
        "icd10", "icd10-cn", "icd9cm3", "icd9cm3-cn", "icdo3-topography", "icdo3-morphology", "snomed", "loinc", "atc",
        "local",
    ]  # fmt: skip
    version: Text | None = None
    codes: Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(unique)] | None = None
    file: Text | None = None
    column: Text | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None = None
    match: Literal["exact", "descendants"] = "exact"
    without: Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(unique)] | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.codes is None) == (self.file is None):
            raise fault("a code list needs exactly one of `codes` and `file`")
        if self.file is None and self.column is not None:
            raise fault("`column` goes with `file`", "column")
        return self


def _without_free_keys(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: value for key, value in data.items() if not str(key).startswith("x-")}
    return data


def _recipe_schema(schema: dict[str, Any]) -> None:
    for_editors(schema)
    schema["patternProperties"] = {"^x-": {}}
    schema["oneOf"] = [{"required": ["columns"]}, {"required": ["tables"]}]


def _named(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = False


class Recipe(Part):
    """A recipe file. Criteria run in file order, ``include`` first. Keys that start with ``x-`` are free.

    Attributes:
        recipe: version of the recipe language.
        name: names the cohort and its releases.
        version: SemVer of the release that the recipe builds.
        title: for people.
        owner: who answers for it.
        approval: number of the ethics approval.
        purpose: what the data is for; permissions are given for purposes.
        extends: recipes or parts of recipes whose content comes first, relative to this file.
        params: values that a run may set.
        links: which kinds of link from slide to report count. A reviewer's word counts unless it is left out: else a link
            that somebody has looked at and found right would fall out of the cohort.
        unit: what the cohort counts, and what one row of the result is.
        codelists: codes by name.
        concepts: what texts may say, by name; ``pathcurate concepts build`` looks for all of them.
        index: day 0.
        include: what a row must meet.
        exclude: what a row must not meet.
        labels: columns that the recipe makes.
        sample: which of the rows that are left are taken.
        split: how the result is divided.
        disclosure: what may be shown of it.
        columns: what goes out, of the unit's table; ``split`` and labels too.
        tables: what goes out, table by table, instead of ``columns``.
        texts: which texts of the reports of its cases (or patients) go out too, scrubbed.
        sealed: makes the release a sealed evaluation: its label stays with the holder.
        expect: what must be true of the cohort.
    """

    model_config = ConfigDict(title="recipe", json_schema_extra=_recipe_schema)

    recipe: Language
    name: Slug
    version: Version
    title: Text
    owner: Text | None = None
    approval: Text | None = None
    purpose: Purpose = "research"
    extends: Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(unique)] | None = None
    params: Annotated[dict[Slug, Parameter], Field(min_length=1)] | None = None
    links: Annotated[
        tuple[Tier, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(unique)
    ] = ("exact", "barcode", "metadata", "index", "file_name", "reviewed")
    unit: Unit
    codelists: Annotated[dict[Slug, Codelist], Field(min_length=1)] | None = None
    concepts: Annotated[
        dict[ConceptName, Concept], Field(min_length=1, json_schema_extra=_named)
    ] | None = None  # fmt: skip
    index: Index | None = None
    include: tuple[Inclusion, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
    labels: tuple[Label, ...] = ()
    sample: Sample | None = None
    split: Split | None = None
    disclosure: Disclosure = Disclosure()
    columns: Names | None = None
    tables: Annotated[
        dict[Literal[
            "slides", "cases", "patients", "series", "events", "reports", "diagnoses", "ihc_results", "annotations",
            "materials",
        ], Output], Field(min_length=1)
    ] | None = None  # fmt: skip
    texts: Annotated[
        tuple[TextColumn, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(unique)
    ] | None = None  # fmt: skip
    sealed: Sealed | None = None
    expect: Expect | None = None

    _ignore_free_keys = model_validator(mode="before")(_without_free_keys)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """All criteria in the order in which they run."""
        return (*self.include, *self.exclude)

    @property
    def seed(self) -> str:
        """Seed of the split: the one given, else the recipe's name."""
        return self.split.seed if self.split is not None and self.split.seed is not None else self.name

    @property
    def unit_table(self) -> str:
        """The table whose rows are the units."""
        return next(table for table, unit in UNIT_OF_TABLE.items() if unit == self.unit)

    @property
    def outputs(self) -> dict[str, Output]:
        """What goes out, by table; the unit's table alone if only ``columns`` are given."""
        if self.tables is not None:
            return {str(name): output for name, output in self.tables.items()}
        return {self.unit_table: Output(columns=self.columns or ())}

    @property
    def unit_columns(self) -> tuple[str, ...]:
        """What goes out of the unit's table."""
        output = self.outputs.get(self.unit_table)
        return output.columns if output is not None else ()

    @property
    def released_texts(self) -> tuple[str, ...]:
        """Texts of reports that go out, scrubbed: those of ``texts``, and those named among the columns of `reports`."""
        named = self.tables["reports"].columns if self.tables and "reports" in self.tables else ()
        known = TextColumn.__args__  # type: ignore[attr-defined]
        return tuple(dict.fromkeys((*(self.texts or ()), *(name for name in named if name in known))))

    def label_column(self, label: Label, table: str | None = None) -> tuple[str, ...]:
        """What the columns of a label are called on a table, the unit's if none is named."""
        is_on_slides = (table or self.unit_table) == "slides"
        prefix = f"{label.level}_" if is_on_slides and label.level in {"case", "patient"} else ""
        return tuple(prefix + name for name in label.columns)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        self._check_ids()
        if (self.columns is None) == (self.tables is None):
            raise fault("a recipe needs exactly one of `columns` and `tables`")
        if self.tables is not None and self.unit_table not in self.tables:
            raise fault(f"`tables` must hold `{self.unit_table}`: its rows are the units of the cohort", "tables")
        if len(self.criteria) > MOST_CRITERIA:
            raise fault(f"a recipe has at most {MOST_CRITERIA} criteria", "include")
        for table, output in self.outputs.items():
            at = ("columns",) if self.tables is None else ("tables", table, "columns")
            if "split" in output.columns and self.split is None:
                raise fault("column `split` needs a `split` section in the recipe", *at, output.columns.index("split"))
        return self

    def _check_ids(self) -> None:
        first: set[str] = set()
        for part, criteria in (("include", self.include), ("exclude", self.exclude)):
            for index, criterion in enumerate(criteria):
                if criterion.id in BUILT_IN or criterion.id.startswith(("label_", "sample_")):
                    what = f"`{criterion.id}` is what a step of pathcurate's own is called; choose another id"
                    raise fault(what, part, index, "id")
                if criterion.id in first:
                    raise fault(f"criterion `{criterion.id}` is given twice", part, index, "id")
                first.add(criterion.id)
        names: set[str] = set()
        for index, label in enumerate(self.labels):
            if label.name in names:
                raise fault(f"label `{label.name}` is given twice", "labels", index, "name")
            names.add(label.name)
