"""Pages about a release and about a cohort: one HTML file each, to read on a screen, on a telephone or on paper."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from pathcurate.htmlreport.attrition import KINDS, NAMES, UNITS, attrition_svg, drawn_levels, summed_at
from pathcurate.htmlreport.composition import gains, trait_charts
from pathcurate.htmlreport.disclosure import disclosure_svg
from pathcurate.htmlreport.template import render
from pathcurate.model.attrition import ShownAttrition
from pathcurate.model.column import Type
from pathcurate.model.deidentified import TOP_AGE
from pathcurate.model.evaluation import Evaluation, Standard, percent

_SHARINGS = {
    "public": "for everybody 完全公开共享",
    "agreement": "by agreement 受控公开共享",
    "enclave": "in an enclave 领地公开共享",
    "internal": "for nobody outside 不对外共享",
}
"""What ways of sharing are called for people (GB/T 37964-2019, 3.12 to 3.14)."""


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column of a released table.

    Attributes:
        name: its name.
        type: its type.
        meaning: one sentence.
        unit: of its values, empty if there is none.
        missing: rows without a value.
    """

    name: str
    type: str
    meaning: str
    unit: str
    missing: int


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One released table.

    Attributes:
        name: its name.
        row: what one row stands for.
        rows: how many there are.
        columns: in the order of the file.
    """

    name: str
    row: str
    rows: int
    columns: tuple[ColumnFacts, ...]


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What a release's page says.

    Attributes:
        title: for people.
        product: name of the product.
        version: its version.
        content_digest: of its tables. The release digest cannot be here: the page is one of the files that it covers.
        attrition: of its cohort, as the reader may see it; what is left in the end are the release's counts.
        split: units on each side, empty without a split.
        tables: its tables.
        recipe: the resolved recipe as YAML.
        inputs: name of each input to its digest.
        purpose: that the permissions were checked for.
        has_permissions: whether any permission list was configured.
        tool: name and version of the program.
        evaluation: what the release tells about people.
        standard: by which that is judged.
    """

    title: str
    product: str
    version: str
    content_digest: str
    attrition: ShownAttrition
    split: Mapping[str, int]
    tables: tuple[TableFacts, ...]
    recipe: str
    inputs: Mapping[str, str]
    purpose: str
    has_permissions: bool
    tool: str
    evaluation: Evaluation
    standard: Standard


def release_page(facts: ReleaseFacts) -> str:
    """The page of a release; the same facts give the same bytes."""
    return render(
        "release.html.j2",
        facts=facts,
        evaluation=facts.evaluation,
        chart=Markup(disclosure_svg(facts.evaluation)),  # noqa: S704 -- its template has escaped every value
        percent=percent,
        sharings=_SHARINGS,
        shown=_shown(facts.tables),
        **_shared(facts.title, facts.attrition, facts.has_permissions),
    )


def _shown(tables: Iterable[TableFacts]) -> frozenset[str]:
    """Kinds of values in the tables that the page has a sentence about."""
    columns = [column for table in tables for column in table.columns]
    names = {column.name for column in columns}
    kinds = {
        "dates": any(column.type == Type.DATE for column in columns),
        "texts": any(table.name == "texts" for table in tables),
    }
    kinds |= {"years": any(name.endswith("year") for name in names), "ages": "age" in names, "bands": "age_band" in names}
    return frozenset(kind for kind, is_there in kinds.items() if is_there)


def cohort_page(title: str, attrition: ShownAttrition, has_permissions: bool) -> str:
    """The page of a cohort: its attrition as a figure and as a table, who is left, and what each step costs.

    Args:
        title: of the cohort.
        attrition: as the reader may see it.
        has_permissions: whether any permission list was configured; if not, the page says so.
    """
    charts, gained = trait_charts(attrition), gains(attrition)
    return render("cohort.html.j2", charts=charts, gains=gained, **_shared(title, attrition, has_permissions))


def _shared(title: str, attrition: ShownAttrition, has_permissions: bool) -> dict[str, object]:
    return {
        "title": title,
        "attrition": attrition,
        "has_permissions": has_permissions,
        "figure": Markup(attrition_svg(title, attrition)),  # noqa: S704 -- its template has escaped every value
        "kinds": KINDS,
        "units": UNITS,
        "names": NAMES,
        "drawn": drawn_levels(attrition),
        "summed_at": [summed_at(attrition, number) for number in range(len(attrition.steps))],
        "top_age": TOP_AGE,
    }
