"""Example rows: allowed by somebody, chosen by nobody, the same in any order; texts never."""

import json
import random
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.metadata import documents
from pathcurate.metadata.samples import drawn, samples
from pathcurate.model.column import Table
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.text import TEXT_TABLES
from pathcurate.tables import from_rows
from tests.unit.descriptions import hostile_description, slide_description

SLIDES = DEID_TABLES["slides"].select(("slide_id", "stain", "scan_datetime", "level_downsamples", "mpp"))


def rows(numbers: list[int]) -> list[dict[str, Any]]:
    day = date(2024, 2, 29)
    return [
        {"slide_id": f"S-{number:016d}", "stain": "HE", "scan_datetime": day, "level_downsamples": [1.0], "mpp": None}
        for number in numbers
    ]


def pieces(table: Table, numbers: list[int], size: int) -> list[pa.RecordBatch]:
    return [batch for part in batched_rows(rows(numbers), size) for batch in from_rows(table, part).to_batches()]


def batched_rows(every: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    return [every[start : start + size] for start in range(0, len(every), size)]


@settings(max_examples=25)
@given(
    st.sets(st.integers(0, 10**6), max_size=60), st.integers(1, 12), st.integers(1, 20), st.randoms(use_true_random=False)
)
def test_neither_order_nor_pieces_change_what_is_drawn(
    numbers: set[int], wanted: int, size: int, shuffler: random.Random
) -> None:
    shuffled = sorted(numbers)
    shuffler.shuffle(shuffled)
    whole = drawn(SLIDES, pieces(SLIDES, sorted(numbers), 1000), wanted)
    assert drawn(SLIDES, pieces(SLIDES, shuffled, size), wanted) == whole
    assert len(whole) == min(wanted, len(numbers))
    assert len({row["slide_id"] for row in whole}) == len(whole)
    more = drawn(SLIDES, pieces(SLIDES, [*shuffled, 10**7], size), wanted)
    # One row more drives out at most one.
    assert sum(row not in more for row in whole) <= 1


def test_rows_are_plain_json_in_the_order_of_the_columns() -> None:
    (row,) = drawn(SLIDES, pieces(SLIDES, [7], 10), 3)
    assert list(row) == list(SLIDES.names)
    assert json.loads(json.dumps(row)) == {
        "slide_id": "S-0000000000000007", "stain": "HE", "scan_datetime": "2024-02-29", "level_downsamples": [1.0],
        "mpp": None,
    }  # fmt: skip


def test_a_table_without_its_key_is_drawn_by_all_it_has() -> None:
    keyless = SLIDES.select(("stain", "mpp"))
    data = [{"stain": stain, "mpp": None} for stain in ("HE", "PAS", "IHC:ER", "HE")]
    found = drawn(keyless, from_rows(keyless, data).to_batches(), 2)
    assert found == drawn(keyless, from_rows(keyless, data[::-1]).to_batches(), 2)
    assert len(found) == 2


@pytest.mark.parametrize("name", sorted(TEXT_TABLES))
def test_nothing_is_drawn_of_texts(name: str) -> None:
    table = TEXT_TABLES[name]
    assert drawn(table, from_rows(table, []).to_batches() or [from_rows(table, [])], 5) == ()


def test_texts_do_not_go_out_even_if_a_description_holds_some() -> None:
    description = slide_description()
    with_text = tuple(replace(table, sample=({"text": "secret"},)) for table in description.tables)
    found = dict(samples(replace(description, tables=with_text)))
    assert list(found) == ["registration/sample/slides.json"]


def test_without_permission_no_row_goes_out() -> None:
    description = slide_description()
    assert description.file is not None
    silent = replace(description, file=description.file.model_copy(update={"sample": None}))
    for one in (silent, replace(description, file=None)):
        assert not list(samples(one))
        assert not [path for path, _ in documents(one) if "sample" in path]


def test_who_allowed_it_stands_beside_the_rows() -> None:
    found = dict(samples(slide_description()))
    document = json.loads(found["registration/sample/slides.json"])
    assert document["approved_by"] == "数据安全委员会"
    assert len(document["rows"]) == 2
    assert json.loads(dict(samples(hostile_description()))["registration/sample/slides.json"])["table"] == "slides"
