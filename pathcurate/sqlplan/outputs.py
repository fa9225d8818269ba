"""What goes out as SQL: the de-identified rows of each table that belong to the units that are kept."""

from collections.abc import Sequence

from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.recipe import Output, Recipe, Rows, Where
from pathcurate.model.recipe.declared import INDEX_EVENT
from pathcurate.model.recipe.levels import DATES, NUMBERS, OF_REPORTS, PERSONAL
from pathcurate.sqlplan.criteria import Criteria, Parts, looks_at_index
from pathcurate.sqlplan.expressions import all_sql, literal
from pathcurate.sqlplan.labels import KEPT
from pathcurate.sqlplan.permission import row_permission, slide_permission
from pathcurate.sqlplan.relations import DAY0, Relations, same_specimen, unit_key, unit_number

_KEYS = {"of_patients": "patient_id", "of_cases": "case_id", "of_slides": "slide_id"}


def key_of(table: str, output: Output) -> str:
    """The column by which the rows of a table belong to units."""
    return _KEYS[rows_of(table, output)]


def rows_of(table: str, output: Output) -> str:
    """Whose rows of a table go out, if the recipe does not say."""
    if output.rows is not None:
        return output.rows
    if table in PERSONAL or table == "patients":
        return "of_patients"
    return "of_slides" if table == "annotations" else "of_cases"


def units_sql(recipe: Recipe, columns: tuple[str, ...], conditions: dict[str, Where]) -> tuple[str, tuple[str, ...]]:
    """De-identified columns of the kept units and, for each named condition, whether its true values meet it.

    Returns:
        The query, in the order of the unit's key, and the views that it reads beside ``kept``.
    """
    relations, key, number = Relations(recipe), unit_key(recipe.unit), unit_number(recipe.unit)
    table = DEID_TABLES[recipe.unit_table]
    shown = tuple(name for name in dict.fromkeys((key, *columns)) if name in table)
    chosen = [f"d.{name} as {name}" for name in shown]
    joins = f"join {recipe.unit_table}_deid as d on d.{key} = k.{key}"
    relations.used[f"{recipe.unit_table}_deid"] = None
    if "days_from_index" in columns and recipe.index is not None:
        date = DATES[recipe.unit_table]
        joins += (
            f" left join {relations.of(recipe.unit_table, (number, date))} as w on w.{number} = k.{number}"
            f" left join {DAY0} as i on i.index_key = k.{relations.index_key}"
        )
        chosen.append(f"date_diff('day', i.day0, w.{date}) as days_from_index")
    view = relations.views[recipe.unit_table]
    for place, (name, where) in enumerate(conditions.items()):
        alias = f"h{place}"
        source = relations.of(recipe.unit_table, (number, *where))
        joins += f" join {source} as {alias} on {alias}.{number} = k.{number}"
        met = all_sql(alias, view, where, recipe.codelists or {})
        chosen.append(f"coalesce({met}, false) as is_{name}")
    body = f"select {', '.join(chosen)} from {KEPT} as k {joins} order by d.{key}"
    return _with_ctes(relations, (), body), tuple(relations.used)


def output_sql(recipe: Recipe, name: str, *, with_permissions: bool) -> tuple[str, tuple[str, ...]]:
    """The rows of a table other than the units' own that go out, each with its key, in the order of the key.

    Args:
        recipe: the recipe.
        name: the table.
        with_permissions: whether the view ``permissions`` decides which rows of a unit's patient go out, see
            :func:`pathcurate.sqlplan.permission.row_permission`.

    Returns:
        The query, and the views that it reads beside ``kept``.
    """
    output, table = recipe.outputs[name], DEID_TABLES[name]
    relations = Relations(recipe)
    key = key_of(name, output)
    rows = Rows.model_construct(
        table=name, where=output.where, text=None, within=output.within, date=None, match=output.match
    )
    with_day = "days_from_index" in output.columns
    by_event = relations.is_by_event and (with_day or looks_at_index(rows) or INDEX_EVENT.name in output.columns)
    parts = Parts()
    source, condition = Criteria(relations, parts).source(rows, (*table.key, NUMBERS[key], "patient_no"))
    if (with_day or by_event) and not looks_at_index(rows):
        source += f" join {DAY0} as i on i.patient_no = r.patient_no"
    owners = [column for column in ("case_id", "patient_id", "group_id") if column in table]
    shown = [
        column for column in dict.fromkeys((*table.key, *owners, *output.columns))
        if column in table and not (name in OF_REPORTS and column == "reported_date")
    ]  # fmt: skip
    chosen = [f"d.{column} as {column}" for column in shown]
    joins = f" join {name}_deid as d on " + " and ".join(f"d.{column} = r.{column}" for column in table.key)
    relations.used[f"{name}_deid"] = None
    if by_event:
        kept = f"(select distinct u.event_no as unit, u.event_id as event_id from {KEPT} as u) as k on k.unit = i.index_key"
        if INDEX_EVENT.name in output.columns:
            chosen.append(f"k.event_id as {INDEX_EVENT.name}")
    else:
        kept = _of_kept(relations, name, output, NUMBERS[key])
    if with_day:
        date = DATES[name]
        dated = relations.of(name, (*table.key, date))
        joins += f" join {dated} as w on " + " and ".join(f"w.{column} = r.{column}" for column in table.key)
        chosen.append(f"date_diff('day', i.day0, w.{date}) as days_from_index")
    if with_permissions and key == "patient_id":
        condition += f" and {row_permission(recipe, parts, table)}"
        whose = relations.of(name, (*table.key, *parts.own))
        joins += f" join {whose} as u on " + " and ".join(f"u.{column} = r.{column}" for column in table.key)
        joins += "".join(f" {join}" for join in dict.fromkeys(parts.joins))
        relations.used["permissions"] = None
    if with_permissions and "slide_id" in table and recipe.unit != "slide":
        condition += f" and {slide_permission('d')}"
        relations.used["permissions"] = None
    order = ", ".join([*(f"d.{column}" for column in table.key), *(["i.index_key"] if by_event else [])])
    # A slide or report goes out only as it could be a unit, or stand for its case, itself.
    if name == "slides":
        condition += f" and d.status = 'ok' and d.tier in ({', '.join(map(literal, recipe.links))})"
    elif name == "reports":
        condition += " and d.status <> 'withdrawn'"
    body = f"select {', '.join(chosen)} from {source} join {kept}{joins} where {condition}"
    if by_event and INDEX_EVENT.name not in output.columns:
        # What lies around several days 0 of a patient goes out once, unless it says for which of them.
        names = [column.rpartition(" as ")[2] for column in chosen]
        body = f"select {', '.join(f'o.{name} as {name}' for name in names)} from (select distinct{body[6:]}) as o"
        order = ", ".join(f"o.{column}" for column in table.key)
    body += f" order by {order}"
    return _with_ctes(relations, parts.ctes, body), tuple(relations.used)


def _of_kept(relations: Relations, name: str, output: Output, number: str) -> str:
    """What rows ``r`` are joined to, as ``k``: whom they must belong to, and whose specimen and block they must be of."""
    places = [place for place in ("specimen", "block") if place in (output.match or ())]
    if not places:
        kept = f"(select distinct u.{number} as unit from {KEPT} as u where u.{number} is not null)"
        return f"{kept} as k on k.unit = r.{number}"
    key = DEID_TABLES[name].key
    rows = relations.of(name, (*key, number, "case_no", *places))
    agrees = {place: f"p.{place} = u.{place}" for place in places}
    named = ""
    if "specimen" in places and name in OF_REPORTS:
        named = f" left join {relations.named_specimens(name)} as c on c.case_no = u.case_no"
        agrees["specimen"] = same_specimen("p.specimen", "u.specimen", "c.named")
    chosen = ", ".join(f"p.{column} as {column}" for column in key)
    on = " and ".join(f"k.{column} = r.{column}" for column in key)
    return (
        f"(select distinct {chosen} from {KEPT} as u{named} join {rows} as p on p.case_no = u.case_no"
        f" and p.{number} = u.{number} and {' and '.join(agrees.values())}) as k on {on}"
    )


def _with_ctes(relations: Relations, further: Sequence[str], body: str) -> str:
    ctes = [*relations.heads(body), *further]
    return (f"with {', '.join(ctes)}\n" if ctes else "") + body
