"""Counting an attrition: units, what is above them and who is behind them, in any order, against counting by hand."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.attrition import count_attrition
from pathcurate.engines import Engine
from pathcurate.engines.embedded import Embedded
from pathcurate.engines.spark import Connect
from pathcurate.model.attrition import LEVELS, TRAITS, Attrition, AttritionStep, Counts, ledger_table
from pathcurate.sqlplan.compiler import Step

Row = dict[str, Any]
STEPS = (
    Step("permission", "Permitted", "slide", "permission"),
    Step("adult", "Adult", "patient", "include"),
    Step("he", "HE", "slide", "include"),
    Step("control", "No control", "slide", "exclude"),
)
TAIL = (Step("label_grade", "Grade", "case", "label"), Step("sample_case", "Two of a case", "case", "sample"))
KEYS = {"slide": "slide_id", "case": "case_id", "patient": "patient_id", "series": "series_id", "event": "event_id"}
NAMES = (
    "key", "case_id", "patient_id", "specimen_no", "block_no", "slide_count", "case_count", *TRAITS, "failed", "missing"
)  # fmt: skip
NUMBERS = {"slide_count", "case_count", "year", "failed", "missing"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as embedded:
        yield embedded


def opened(engine: Engine, unit: str, rows: Sequence[Row], tail: Mapping[str, int]) -> None:
    """Give the engine its views, with the columns that the unit has."""
    schema = pa.schema([(name, pa.int64() if name in NUMBERS else pa.string()) for name in NAMES])
    table = pa.Table.from_pylist([_numbered(row) for row in rows], schema=schema)
    lacking = {"case": ["case_id"], "patient": ["patient_id", "case_id"], "event": ["case_id"]}.get(unit, [])
    lacking += [] if unit == "patient" else ["case_count"]
    lacking += [] if unit == "slide" else ["specimen_no", "block_no"]
    table = table.drop_columns(lacking).rename_columns({"key": KEYS[unit]})
    engine.view("decided", table)
    keys, steps = pa.array(tail, pa.string()), pa.array(tail.values(), pa.int64())
    engine.view("tail", pa.table({KEYS[unit]: keys, "step": steps}))


def _numbered(row: Row) -> Row:
    """A row with names of its specimen and its block that are told apart without its case."""
    case, specimen, block = row["case_id"], row["specimen"], row["block"]
    specimen_no = f"{case}-{specimen}" if case and specimen else None
    return {**row, "specimen_no": specimen_no, "block_no": f"{case}-{specimen}-{block}" if case and block else None}


# --- Counting by hand --------------------------------------------------------------------------------------------------


def by_hand(
    unit: str, rows: Sequence[Row], tail: Mapping[str, int], order: Sequence[int], tail_count: int
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """What there is at the start and what each step does, row by row and set by set."""
    left, steps = list(rows), []
    for number in [*order, *range(len(order), len(order) + tail_count)]:
        is_tail = number >= len(order)
        here = [row for row in left if (tail.get(row["key"]) == number if is_tail else row["failed"] >> number & 1)]
        missing = [row for row in here if not is_tail and row["missing"] >> number & 1]
        left = [row for row in left if row not in here]
        alone = [row for row in rows if not is_tail and row["failed"] == 1 << number]
        passing = [row for row in rows if not row["failed"]]
        more, base = counts(unit, passing + alone), counts(unit, passing)
        steps.append({
            "dropped": len(here), "dropped_missing": len(missing), "remaining": counts(unit, left),
            "gained": None if is_tail else {level: more[level] - base[level] for level in more
                                            if level not in {"specimens", "blocks"}},
            "touched": {"dropped": people(unit, here), "missing": people(unit, missing),
                        "known": people(unit, [row for row in here if row not in missing]), "gained": people(unit, alone)},
            "demographics": demographics(unit, rows, left),
        })  # fmt: skip
    return counts(unit, rows), steps


def counts(unit: str, rows: Sequence[Row]) -> dict[str, int]:
    own = {"slide": "slides", "case": "cases", "patient": "patients", "series": "series", "event": "events"}[unit]
    found = {
        "slides": sum(row["slide_count"] for row in rows) if "slides" in LEVELS[unit] else 0,
        "cases": sum(row["case_count"] for row in rows) if unit == "patient" else distinct(rows, "case_id"),
        "patients": distinct(rows, "patient_id"),
        "specimens": distinct([row for row in rows if row["specimen"]], "case_id", "specimen"),
        "blocks": distinct([row for row in rows if row["block"]], "case_id", "specimen", "block"),
        "events": len(rows), "series": len(rows),
    }  # fmt: skip
    found["cases"] = 0 if unit == "event" else found["cases"]
    found[own] = len(rows)
    return {level: found[level] for level in {"slides", "cases", "patients", *LEVELS[unit]}}


def distinct(rows: Sequence[Row], *keys: str) -> int:
    return len({tuple(row[key] for key in keys) for row in rows if row[keys[0]]})


def people(unit: str, rows: Sequence[Row]) -> int:
    return distinct(rows, "patient_id") + sum(1 for row in rows if not row["patient_id"])


def demographics(unit: str, rows: Sequence[Row], left: Sequence[Row]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for trait in TRAITS if any(row["patient_id"] for row in rows) else ():
        found[trait] = {}
        for patient in {row["patient_id"] for row in left} - {None}:
            values = [row[trait] for row in rows if row["patient_id"] == patient and row[trait] is not None]
            value = str(min(values)) if values else ""
            found[trait][value] = found[trait].get(value, 0) + 1
    return found


units = st.sampled_from(tuple(KEYS))
row_parts = st.tuples(
    st.sampled_from([None, 0, 1, 2, 3]), st.sampled_from([None, "A", "B"]), st.sampled_from([None, "1", "2"]),
    st.integers(0, 3), st.integers(0, 15), st.integers(0, 15), st.sampled_from([None, "female", "male"]),
    st.sampled_from([None, 2020, 2021]),
)  # fmt: skip


def row_of(unit: str, number: int, parts: tuple[Any, ...]) -> Row:
    case, specimen, block, slides, failed, missing, sex, year = parts
    key = f"U{number}"
    row: Row = {
        "key": key, "case_id": None if case is None else f"C{case}", "patient_id": None if case is None else f"P{case // 2}",
        "specimen": specimen, "block": block, "slide_count": 1 if unit == "slide" else slides, "case_count": slides % 2 + 1,
        "sex": sex, "age_band": "5-9", "site": "NB01", "year": year, "failed": failed, "missing": missing & failed,
    }  # fmt: skip
    own = {"case": "case_id", "patient": "patient_id"}.get(unit)
    return {**row, own: key} if own else row


@settings(max_examples=20, deadline=None, derandomize=True)
@given(units, st.lists(row_parts, max_size=12), st.permutations([1, 2, 3]), st.booleans(), st.booleans())
def test_counts_are_those_by_hand(
    engine: Engine, unit: str, parts: list[tuple[Any, ...]], order: list[int], is_ordered: bool, has_tail: bool
) -> None:
    rows = [row_of(unit, number, part) for number, part in enumerate(parts)]
    passing = [row["key"] for row in rows if not row["failed"]]
    tail = {key: 4 + number % 2 for number, key in enumerate(passing) if number % 3} if has_tail else {}
    opened(engine, unit, rows, tail)
    steps = [*STEPS, *(TAIL if has_tail else ())]
    wanted = [0, *order] if is_ordered else None
    found = count_attrition(engine, unit, steps, ordered=4, order=wanted)
    start, hand = by_hand(unit, rows, tail, wanted or range(4), len(steps) - 4)
    assert found.start.as_dict() == start
    names = [step.id for step in steps]
    assert [step.id for step in found.steps] == [names[n] for n in [*(wanted or range(4)), *range(4, len(steps))]]
    for step, expected in zip(found.steps, hand, strict=True):
        shown = {name: value for name, value in step.as_dict().items() if name in expected}
        if unit == "patient":
            # Whose units they are needs no counting there.
            assert shown["touched"]["missing"] == shown["dropped_missing"]
        assert shown == expected
    assert found.is_reordered == (wanted is not None and wanted != [0, 1, 2, 3])
    assert Attrition.from_dict(json.loads(json.dumps(found.as_dict()))) == found


SMALL = [
    {"key": "S1", "case_id": "C1", "patient_id": "P1", "specimen": "A", "block": "1", "failed": 0b0000, "missing": 0},
    {"key": "S2", "case_id": "C1", "patient_id": "P1", "specimen": "A", "block": "2", "failed": 0b0100, "missing": 0b0100},
    {"key": "S3", "case_id": "C2", "patient_id": "P1", "specimen": "A", "block": "1", "failed": 0b0110, "missing": 0b0100},
    {"key": "S4", "case_id": "C3", "patient_id": "P2", "specimen": None, "block": None, "failed": 0b1000, "missing": 0},
    {"key": "S5", "case_id": None, "patient_id": None, "specimen": None, "block": None, "failed": 0b0001, "missing": 0b0001},
]
OTHERS = {"slide_count": 1, "case_count": 1, "sex": "male", "age_band": "5-9", "site": "NB01", "year": 2020}


def test_five_slides_and_four_steps(engine: Engine) -> None:
    opened(engine, "slide", [{**OTHERS, **row} for row in SMALL], {})
    found = count_attrition(engine, "slide", STEPS)
    assert found.start == Counts(5, 3, 2, 2, 3)
    assert [step.dropped for step in found.steps] == [1, 1, 1, 1]
    assert [step.dropped_missing for step in found.steps] == [1, 0, 1, 0], "S3 is lost by age, which is known"
    assert [step.remaining.slides for step in found.steps] == [4, 3, 2, 1]
    assert [step.remaining.cases for step in found.steps] == [3, 2, 2, 1]
    assert [step.gained.cases for step in found.steps if step.gained] == [0, 0, 0, 1], "C1 is there already"
    assert [step.gained.slides for step in found.steps if step.gained] == [1, 0, 1, 1]
    other = count_attrition(engine, "slide", STEPS, order=[0, 3, 2, 1])
    assert [step.id for step in other.steps] == ["permission", "control", "he", "adult"]
    assert [step.dropped for step in other.steps] == [1, 1, 2, 0]
    assert other.kept == found.kept


def test_the_other_engine_counts_the_same(engine: Engine, connect_server: str, tmp_path: Path) -> None:
    rows, tail = [{**OTHERS, **row} for row in SMALL], {"S1": 4}
    with Connect(connect_server, temp_directory=tmp_path) as connect:
        for one in (engine, connect):
            opened(one, "slide", rows, tail)
        for order in (None, [0, 2, 1, 3]):
            steps = [*STEPS, *TAIL[:1]]
            found = [count_attrition(one, "slide", steps, ordered=4, order=order) for one in (engine, connect)]
            assert found[0] == found[1]
            assert found[0].kept.slides == 0


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 1, 2, 2], [1, 0, 2, 3], [0, 1, 2, 4]])
def test_an_order_that_is_none_is_refused(engine: Engine, order: list[int]) -> None:
    opened(engine, "slide", [], {})
    with pytest.raises(ValueError, match="permission first"):
        count_attrition(engine, "slide", STEPS, order=order)


def test_fifty_three_steps_fit_into_the_masks(engine: Engine) -> None:
    steps = [Step(f"s{number}", "", "slide", "include") for number in range(53)]
    rows = [{**OTHERS, **SMALL[0], "key": f"S{number}", "failed": 1 << number} for number in range(53)]
    opened(engine, "slide", rows, {})
    for order in (None, list(range(52, -1, -1))):
        found = count_attrition(engine, "slide", steps, order=order)
        assert [step.dropped for step in found.steps] == [1] * 53
        assert [step.remaining.patients for step in found.steps] == [1] * 52 + [0]
        assert all(step.gained == Counts(1, 1, 1) for step in found.steps)


def test_nothing_at_all(engine: Engine) -> None:
    opened(engine, "slide", [], {})
    found = count_attrition(engine, "slide", STEPS)
    assert found.start == found.kept == Counts(0, 0, 0, 0, 0)
    assert found.demographics == {}


@pytest.mark.parametrize("unit", KEYS)
def test_a_ledger_names_its_unit_and_both_masks(unit: str) -> None:
    table = ledger_table(unit)
    assert table.key == (KEYS[unit],)
    assert {"step", "step_number", "missing", "failed", "missing_mask"} < set(table.names)


def test_what_an_older_version_wrote_can_be_read() -> None:
    step = {"id": "he", "label": "HE", "level": "slide", "kind": "include", "dropped": 1, "dropped_missing": 0,
            "remaining": {"slides": 2, "cases": 1, "patients": 1}}  # fmt: skip
    found = Attrition.from_dict({"unit": "slide", "start": {"slides": 3, "cases": 1, "patients": 1}, "steps": [step]})
    assert found.steps == (AttritionStep("he", "HE", "slide", "include", 1, 0, Counts(2, 1, 1)),)
    assert found.levels == ("slides", "cases", "patients")
