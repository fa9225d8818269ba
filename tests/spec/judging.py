"""Runs a recipe over drawn tables as the stage does, without files, and holds the result against the oracle."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
from drawn_hospital import Drawn
from oracle import KEY, Answers, Oracle, Row
from outcomes_oracle import Outcomes

from pathcurate import cohort
from pathcurate.cohort.opening import todays_permissions
from pathcurate.engines import Engine
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import cohort_output, cohort_table
from pathcurate.recipefile.outcomes import with_rows
from pathcurate.sqlplan.outputs import output_sql
from pathcurate.sqlplan.relations import unit_key
from pathcurate.tables import conform
from pathcurate.workspace import Workspace

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Judgement:
    """What became of a recipe.

    Attributes:
        outcome: of each unit ``kept``, or the step at which it fell, with ``?`` if that was for a missing value.
        rows: the units that are kept, as they go out.
        outputs: of every other table that goes out, the keys of its rows, and their days from day 0 if those go out too.
    """

    outcome: Mapping[str, str]
    rows: list[Row]
    outputs: Mapping[str, list[tuple[Any, ...]]]


class _Shown:
    """Stands for ``cohort.opening.Opened``: opens drawn tables."""

    def __init__(self, drawn: Drawn, engine: Engine, recipe: Recipe, today: date) -> None:
        self._engine, self._open = engine, set[str]()
        self._drawn, self._recipe, self._today = drawn.of(recipe), recipe, today

    def views(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._open:
                is_table = name != "permissions"
                permissions = self._drawn.statements()
                shown = self._drawn.view(name) if is_table else todays_permissions(permissions, self._recipe, self._today)
                self._engine.view(name, shown)
                self._open.add(name)


def judge(
    engine: Engine,
    drawn: Drawn,
    recipe: Recipe,
    written: Mapping[str, Any],
    sql: Answers | None = None,
    *,
    is_counted: bool = True,
) -> Judgement:
    """Run a recipe; everything that it gives is what the oracle says.

    Args:
        engine: of whichever kind.
        drawn: the tables.
        recipe: resolved and checked.
        written: the same as the mapping that stands in the file, from which the oracle judges.
        sql: what the recipe's ``sql`` conditions say of a row.
        is_counted: whether the attrition is counted and compared too.
    """
    judged = run(engine, drawn, with_rows(recipe), is_counted=is_counted)
    oracle = Oracle(written, drawn.tables, drawn.permissions, NOW.date(), sql or {})
    answer, outcomes = oracle.answer(), Outcomes(oracle)
    expected = {unit: (one.step or "kept") + ("?" if one.missing else "") for unit, one in answer.decisions.items()}
    assert judged.result.outcome == expected | outcomes.falls, "the engine and the oracle disagree about who is kept"
    if is_counted:
        before = len(answer.attrition)
        for counted, right in zip(judged.steps, answer.attrition, strict=False):
            assert (*counted[:3], {level: counted[3][level] for level in right[3]}) == right
        assert len(judged.steps) >= before
        for step, dropped, _, _ in judged.steps[before:]:
            assert dropped == list(outcomes.falls.values()).count(step)
    key = KEY[recipe.unit]
    for row, right in zip(judged.result.rows, outcomes.kept, strict=True):
        assert row[key] == right[key]
        assert {name: row[name] for name in outcomes.labels} == {name: right[name] for name in outcomes.labels}
        if "days_from_index" in recipe.unit_columns:
            assert row["days_from_index"] == oracle.value(recipe.unit_table, right, "days_from_index", oracle.day_of(right))
    for table, keys in judged.result.outputs.items():
        assert keys == outcomes.rows_of(table), f"the engine and the oracle disagree about what goes out of {table}"
    return judged.result


def decided(engine: Engine, drawn: Drawn, recipe: Recipe) -> dict[str, dict[str, str]]:
    """Of each unit the steps that it fails, however many: ``it``, with ``?`` if that is for a missing value."""
    selection, key = _selection(engine, drawn, recipe), KEY[recipe.unit]
    selection.opened.views(selection.plan.views)
    units = sorted(row[key] for row in drawn.tables[recipe.unit_table])
    return {
        units[row[key]]: {
            step.id: "it" + "?" * (row["missing"] >> number & 1)
            for number, step in enumerate(selection.plan.steps)
            if row["failed"] >> number & 1
        }
        for row in engine.table(selection.plan.sql).to_pylist()
    }


@dataclass(frozen=True)
class _Run:
    result: Judgement
    steps: list[tuple[str, int, int, Mapping[str, int]]]


def run(engine: Engine, drawn: Drawn, recipe: Recipe, *, is_counted: bool) -> _Run:
    """Run a recipe as the stage does."""
    selection = _selection(engine, drawn, recipe)
    selection.decide()
    if is_counted:
        key = unit_key(recipe.unit)
        passing = engine.rows(f"select d.{key} from decided as d where d.failed = 0")
        assert sorted(engine.rows(selection.plan.rows)) == sorted(passing), "both queries keep the same units"
    key = KEY[recipe.unit]
    units = sorted(row[key] for row in drawn.tables[recipe.unit_table])
    steps = selection.plan.steps
    outcome = {}
    for number, failed, missing in engine.rows(f"select d.{key}, d.failed, d.missing from {cohort.DECIDED} as d"):
        assert missing & ~failed == 0, "a step that was passed cannot have failed for a missing value"
        first = (failed & -failed).bit_length() - 1
        outcome[units[number]] = "kept" if first < 0 else steps[first].id + ("?" if missing >> first & 1 else "")
    selection.follow_through()
    outcome |= {units[number]: selection.steps[step].id for number, step in selection.tail.items()}
    rows = conform(cohort_table(recipe), selection.rows).to_pylist()
    assert [row[key] for row in rows] == sorted(unit for unit, step in outcome.items() if step == "kept")
    assert set(selection.evidence["unit_id"].to_pylist()) <= {row[key] for row in rows}
    result = Judgement(
        outcome,
        rows,
        {name: _keys(engine, selection.opened, recipe, name, drawn.permissions is not None) for name in _others(recipe)},
    )
    if not is_counted:
        return _Run(result, [])
    attrition = selection.attrition()
    counted = [(one.id, one.dropped, one.dropped_missing, one.remaining.as_dict()) for one in attrition.steps]
    return _Run(result, [("start", 0, 0, attrition.start.as_dict()), *counted])


def _selection(engine: Engine, drawn: Drawn, recipe: Recipe) -> Any:
    workspace = cast("Workspace", SimpleNamespace(permissions=drawn.permissions is not None))
    selection = cohort._Selection(workspace, engine, recipe, NOW, {})
    selection.opened = cast("Any", _Shown(drawn, engine, recipe, NOW.date()))
    return selection


def _others(recipe: Recipe) -> list[str]:
    return [name for name in recipe.outputs if name != recipe.unit_table]


def _keys(engine: Engine, shown: Any, recipe: Recipe, name: str, has_permissions: bool) -> list[tuple[Any, ...]]:
    sql, views = output_sql(recipe, name, with_permissions=has_permissions)
    shown.views(views)
    declared = cohort_output(recipe, name)
    rows: pa.Table = conform(declared, engine.table(sql))
    keys = [tuple(row[column] for column in declared.key) for row in rows.to_pylist()]
    assert keys == sorted(keys), "a table goes out in the order of its key"
    assert len(set(keys)) == len(keys), "a row goes out once"
    if "days_from_index" in declared:
        keys = [(*key, days) for key, days in zip(keys, rows["days_from_index"].to_pylist(), strict=True)]
    return keys
