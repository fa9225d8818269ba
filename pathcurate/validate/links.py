"""PC-LNK: whose rows are whose, in one table and across tables."""

from collections.abc import Iterator
from itertools import combinations

from pathcurate.model.deidentified import LINKS_RELEASED
from pathcurate.model.recipe import UNIT_OF_TABLE
from pathcurate.model.recipe.declared import INDEX_EVENT
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.validate.arrays import differing, several, strangers
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.opened import Opened, OpenedTable

_WHOLE = {
    "slide_id": ("case_id",), "report_id": ("case_id",), "case_id": ("patient_id", "site"), "patient_id": ("group_id",),
}  # fmt: skip
"""Column to what follows from it."""
_BELONGS = ("patient_id", "case_id", "slide_id", "report_id", "series_id", "event_id")


def check(opened: Opened) -> Iterator[Breach | Unchecked]:
    """What contradicts itself."""
    yield from _strangers(opened)
    yield from _pairs_of_strangers(opened)
    yield from _contradictions(opened)
    yield from _tiers(opened)
    yield from _reports(opened)


def _strangers(opened: Opened) -> Iterator[Breach | Unchecked]:
    """Rows of other tables that belong to nobody of the unit's table."""
    unit, others = opened.tables.get(opened.unit), [name for name in opened.manifest["tables"] if name != opened.unit]
    if unit is None or not others:
        yield Unchecked(("PC-LNK-001",), "the release has no second table", applies=bool(others))
        return
    for name in others:
        table = opened.tables.get(name)
        if table is None:
            continue
        by = INDEX_EVENT.name if table.has(INDEX_EVENT.name) else None
        shared = next((column for column in _BELONGS if table.has(column) and unit.has(column)), None)
        if by is None and shared is None:
            parent = _through_reports(opened, table, unit)
            if parent is None:
                yield Unchecked(("PC-LNK-001",), f"table {name} has no column by which its rows belong to {opened.unit}")
            elif parent:
                yield _stranger(name, "report_id", parent, table.rows)
            continue
        mine = by or str(shared)
        theirs = "event_id" if by else str(shared)
        if not unit.has(theirs):
            yield Unchecked(("PC-LNK-001",), f"table {opened.unit} has no column {theirs}")
            continue
        count = strangers(table.codes(mine), unit.codes(theirs))
        if count:
            yield _stranger(name, mine, count, table.rows)


def _pairs_of_strangers(opened: Opened) -> Iterator[Breach]:
    """Links of which a slide or a report is not in the release."""
    links = opened.tables.get(LINKS_RELEASED.name)
    for name, column in (("slides", "slide_id"), ("reports", "report_id")):
        table = opened.tables.get(name)
        if links is not None and table is not None and links.has(column) and table.has(column):
            count = strangers(links.codes(column), table.codes(column))
            if count:
                yield _stranger(links.name, column, count, links.rows)


def _through_reports(opened: Opened, table: OpenedTable, unit: OpenedTable) -> int | None:
    """Rows of a table that only names reports which are not those of the release; None if that cannot be told."""
    reports = opened.tables.get("texts" if table.name != "texts" else "reports")
    if reports is None or reports is unit or not (table.has("report_id") and reports.has("report_id")):
        return None
    return strangers(table.codes("report_id"), reports.codes("report_id"))


def _stranger(name: str, column: str, count: int, rows: int) -> Breach:
    message = f"{counted(count, 'row')} {'belongs' if count == 1 else 'belong'} to nobody of the release"
    return breach("PC-LNK-001", message, table=name, column=column, count=count, of=rows, cause=("tables", name))


def _contradictions(opened: Opened) -> Iterator[Breach]:
    """Of one slide two cases, of one case two patients or sites, of one patient two groups: in a table or between two."""
    for owner, followers in _WHOLE.items():
        for follower in followers:
            tables = [table for table in opened.tables.values() if table.has(owner, follower)]
            for table in tables:
                if torn := several(table.codes(owner), table.codes(follower)):
                    yield _contradiction(table.name, owner, follower, torn, "")
            for one, other in combinations(tables, 2):
                mine, theirs = (
                    (one.codes(owner), one.codes(follower)), (other.codes(owner), other.codes(follower)),
                )  # fmt: skip
                if torn := differing(*mine, *theirs):
                    yield _contradiction(other.name, owner, follower, torn, f" in {one.name} and")


def _contradiction(table: str, owner: str, follower: str, count: int, where: str) -> Breach:
    noun = owner.removesuffix("_id")
    have = "has" if count == 1 else "have"
    message = (
        f"{counted(count, noun)} {have} more than one {follower.removesuffix('_id')}{where}{' in' if where else ''} {table}"
    )
    return breach("PC-LNK-002", message.replace("  ", " "), table=table, column=follower, count=count)


def _tiers(opened: Opened) -> Iterator[Breach | Unchecked]:
    tables = [table for table in opened.tables.values() if table.has("tier")]
    recipe = opened.recipe
    if recipe is None or not tables:
        yield Unchecked(("PC-LNK-003",), "the recipe cannot be read" if tables else "no table says how links came about",
                        applies=bool(tables))  # fmt: skip
    if not tables:
        yield Unchecked(("PC-LNK-004",), "no table says how links came about", applies=False)
    for table in tables:
        tiers = table.codes("tier").counts()
        allowed = {*(recipe.links if recipe is not None else tiers), None}
        # A recipe that asks for links of some tiers has no slide without one.
        beyond = sum(count for tier, count in tiers.items() if tier not in allowed)
        if beyond and recipe is not None and recipe.unit != "patient":
            message = f"{counted(beyond, 'row')} {'has' if beyond == 1 else 'have'} a link that the recipe does not allow"
            yield breach(
                "PC-LNK-003", message, table=table.name, column="tier", count=beyond, of=table.rows, cause=("links",)
            )
        for fact, what in (("linked_without_case", "a link and no case"), ("case_without_link", "a case and no link")):
            if count := table.facts.together.get(fact, 0):
                message = f"{counted(count, 'row')} {'has' if count == 1 else 'have'} {what}"
                yield breach("PC-LNK-004", message, table=table.name, column="case_id", count=count, of=table.rows)


def _reports(opened: Opened) -> Iterator[Breach | Unchecked]:
    """Linked slides of which the release holds no report, although it holds all reports of its units."""
    slides, reports, recipe = opened.tables.get("slides"), opened.tables.get("reports"), opened.recipe
    output = (recipe.tables or {}).get("reports") if recipe is not None else None
    filtered = output is None or bool(output.where or output.within or output.match)
    if slides is None or reports is None or filtered or opened.unit not in UNIT_OF_TABLE:
        why = "the release does not hold slides and all reports of them"
        yield Unchecked(("PC-LNK-005",), why, applies=False)
        return
    if not (slides.has("case_id") and reports.has("case_id")):
        yield Unchecked(("PC-LNK-005",), "slides or reports do not say of which case they are")
        return
    missing = strangers(slides.codes("case_id"), reports.codes("case_id"))
    if missing:
        message = f"{counted(missing, 'slide')} of cases without a report"
        yield breach(
            "PC-LNK-005",
            message,
            table="slides",
            column="case_id",
            count=missing,
            of=slides.rows,
            cause=("tables", "reports"),
        )
