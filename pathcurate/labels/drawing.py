"""Which labels people are asked about: a sample of each value; if wanted, units without one and contradicted ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pathcurate.cohortfacts import cohort_facts, recipe_of
from pathcurate.engines import Engine
from pathcurate.errors import PlanIncompleteError, UsageError
from pathcurate.model.labelreview import NO_LABEL, OTHER
from pathcurate.model.recipe import Label, Recipe
from pathcurate.model.recipe.levels import LEVEL_KEYS, OF_REPORTS
from pathcurate.sqlplan.expressions import literal
from pathcurate.tables import read_schema
from pathcurate.workspace import Workspace

MOST_DRAWN: Final = 2000
"""Labels of one sheet; a page with more is slow to open and answered by nobody."""
_MOST_OPTIONS: Final = 30
"""Values among which a reviewer chooses; a label with more has no classes, and a list of them would help nobody."""
_FROM_REPORTS: Final = ("reports", "cases", "specimens", *OF_REPORTS)
"""Tables whose values were read in reports, so that a report can tell whether they are right."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a sheet shall hold.

    Attributes:
        cohort: name of the cohort.
        labels: only these labels; all that come from reports if empty.
        per_class: labels of each value, drawn at random; a value that fewer have is shown whole.
        missing: units without a label, of each label.
        conflicts: further units of which something else was said too, of each label.
        seed: of what is drawn.
    """

    cohort: str
    labels: tuple[str, ...] = ()
    per_class: int = 50
    missing: int = 0
    conflicts: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Drawn:
    """One label that is asked about.

    Attributes:
        label: its declaration.
        unit_id: the unit that stands for what the label is true of.
        case_id: its case, None for units of patients.
        patient_id: its patient.
        value: the label, None where there is none.
        report_code: the report that said so, as an internal code; None where none did.
        ordinal: the report's line that said so.
        purpose: why it is shown.
    """

    label: Label
    unit_id: str
    case_id: str | None
    patient_id: str | None
    value: str | None
    report_code: str | None
    ordinal: int | None
    purpose: str


@dataclass(frozen=True, slots=True, repr=False)
class Sample:
    """What was drawn of a cohort.

    Attributes:
        recipe: the cohort's recipe.
        recipe_sha256: its digest.
        drawn: the labels in their order.
        options: label to what a reviewer may say instead.
        left_out: labels that no report tells of, so that none can be held against them.
    """

    recipe: Recipe
    recipe_sha256: str
    drawn: tuple[Drawn, ...]
    options: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...]


def current_recipe(workspace: Workspace, cohort: str) -> tuple[Recipe, str]:
    """The recipe of a cohort as it was selected last, and its digest.

    Raises:
        UsageError: there is no such cohort.
        InputOutputError: what it wrote cannot be read.
    """
    known = sorted(path.parent.name for path in workspace.cohorts.glob("*/cohort.json"))
    facts = cohort_facts(workspace, cohort) if cohort in known else None
    if facts is None:
        hint = f"Known: {', '.join(known)}." if known else "Select one with `pathcurate cohort RECIPE`."
        raise UsageError("there is no cohort of that name", hint)
    return recipe_of(facts), str(facts["recipe"]["sha256"])


def draw(workspace: Workspace, engine: Engine, choice: Choice) -> Sample:
    """Draw labels of each value.

    What a label is true of (a case, a specimen) is asked about once, however many units bear it: the unit that comes first
    in the order of ``md5(unit || seed)`` stands for it, and that order is that of the draw too.

    Args:
        workspace: the workspace.
        engine: for SQL.
        choice: what is wanted.

    Raises:
        UsageError: there is no such cohort or label, none of them comes from reports, or too much would be shown.
        PlanIncompleteError: the cohort says nothing of its labels.
    """
    recipe, sha256 = current_recipe(workspace, choice.cohort)
    named = {label.name: label for label in recipe.labels}
    unknown = [name for name in choice.labels if name not in named]
    if unknown or not named:
        hint = f"It has: {', '.join(named)}." if named else "Add `labels` to its recipe and select it again."
        raise UsageError("the cohort has no label of that name" if unknown else "the cohort has no labels", hint)
    wanted = [label for name, label in named.items() if name in choice.labels or not choice.labels]
    asked = {label.name: label for label in wanted if _is_of_reports(label)}
    left_out = tuple(label.name for label in wanted if label.name not in asked)
    if not asked:
        raise UsageError(
            "no report can tell whether these labels are right: they come from other tables",
            "Check them where they come from; reviewed are labels from reports, diagnoses, stains and concepts.",
        )
    _open(workspace, engine, choice.cohort, recipe)
    rows = engine.table(_sql(recipe, asked, choice)).to_pylist()
    if len(rows) > MOST_DRAWN:
        raise UsageError(
            f"the page would ask about {len(rows):,} labels, more than {MOST_DRAWN:,}",
            "Name labels with --label, or lower --per-class.",
        )
    drawn = tuple(
        Drawn(asked[row["label"]], row["unit_id"], row["case_id"], row["patient_id"], row["value"], row["report_id"],
              row["ordinal"], row["purpose"])
        for row in rows
    )  # fmt: skip
    return Sample(recipe, sha256, drawn, dict(_options(engine, asked)), left_out)


def _is_of_reports(label: Label) -> bool:
    if label.time_to_event is not None or label.from_ is not None:
        return False
    rows = label.has or label.nearest
    return (rows.table if rows is not None else (label.column or "").partition(".")[0]) in _FROM_REPORTS


def _open(workspace: Workspace, engine: Engine, cohort: str, recipe: Recipe) -> None:
    folder = workspace.cohorts / cohort
    labels = folder / "labels.parquet"
    if not labels.is_file():
        raise PlanIncompleteError("the cohort says nothing of its labels", "Run `pathcurate cohort` for it again.")
    engine.view("review_labels", [labels])
    engine.view("review_units", [folder / "cohort.parquet"])
    engine.view("review_slides", [workspace.deid / "slides.parquet"])
    keys = {"case_id", "patient_id"} & set(read_schema(folder / "cohort.parquet").names)
    columns = ", ".join(f"{f'u.{name}' if name in keys else 'cast(null as varchar)'} as {name}"
                        for name in ("case_id", "patient_id"))  # fmt: skip
    key, is_slide = LEVEL_KEYS[recipe.unit][0], recipe.unit == "slide"
    specimen = "s.specimen" if is_slide else "cast(null as varchar)"
    join = " left join review_slides as s on s.slide_id = u.slide_id" if is_slide else ""
    engine.materialise(
        "review_said",
        f"select l.*, {columns}, {specimen} as specimen from review_labels as l"
        f" join review_units as u on u.{key} = l.unit_id{join}",
    )


def _sql(recipe: Recipe, asked: Mapping[str, Label], choice: Choice) -> str:
    owners = {"patient": "patient_id", "case": "case_id", "specimen": "case_id || ' ' || specimen"}
    cases = " ".join(
        f"when {literal(name)} then coalesce({owners[label.level]}, unit_id)"
        for name, label in asked.items()
        if label.level in owners and label.level != recipe.unit
    )
    entity = f"case label {cases} else unit_id end" if cases else "unit_id"
    names = ", ".join(map(literal, asked))
    return (
        f"with lots as (select *, md5(unit_id || {literal(str(choice.seed))}) as lot, {entity} as entity"
        f" from review_said where label in ({names})),"
        " firsts as (select *, row_number() over (partition by label, value, entity order by lot, unit_id) as of_entity"
        " from lots),"
        " places as (select *, row_number() over (partition by label, value order by lot, unit_id) as place"
        " from firsts where of_entity = 1),"
        f" chosen as (select *, case when value is null then 'missing' else 'class' end as purpose from places"
        f" where place <= case when value is null then {choice.missing} else {choice.per_class} end),"
        " contradicted as (select p.*, row_number() over (partition by p.label order by p.lot, p.unit_id) as turn"
        " from places as p left join chosen as c on c.label = p.label and c.unit_id = p.unit_id"
        " where p.is_conflict and c.unit_id is null)"
        " select label, value, unit_id, case_id, patient_id, report_id, ordinal, purpose, lot from chosen"
        " union all select label, value, unit_id, case_id, patient_id, report_id, ordinal, 'conflict' as purpose, lot"
        f" from contradicted where turn <= {choice.conflicts} order by label, lot, unit_id"
    )


def _options(engine: Engine, asked: Mapping[str, Label]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What each label may be instead: its classes, yes and no, or what units of the cohort have."""
    seen: dict[str, list[str]] = {}
    for name, value in engine.rows(
        "select distinct label, value from review_said where value is not null order by label, value"
    ):
        seen.setdefault(name, []).append(value)
    for name, label in asked.items():
        values = ["true", "false"] if label.has is not None else [*(label.classes or seen.get(name, []))]
        yield name, (*values[:_MOST_OPTIONS], OTHER, NO_LABEL)
