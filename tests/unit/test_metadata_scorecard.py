"""The quality scorecard: a number where one was computed, a name where somebody says so, and else the reason why not."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pathcurate.metadata.scorecard import Indicator, indicators, scorecard
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.description import DescribedColumn, DescribedTable, Description, PartFile, Spread
from pathcurate.model.productfile import ProductFile
from tests.unit.descriptions import bare_description, hostile_description, orthopaedic_description, slide_description

CODES = [*(f"010{n}" for n in range(1, 5)), *(f"020{n}" for n in range(1, 9)), *(f"030{n}" for n in range(1, 6))]
DIMENSIONS = {"规范性", "完整性", "准确性", "一致性", "时效性", "可访问性"}


def by_code(description: Description) -> dict[str, Indicator]:
    return {one.code: one for one in indicators(description)}


def figure(description: Description, name: str) -> Any:
    found = [one for indicator in indicators(description) for one in indicator.figures if one.name == name]
    return (found[0].value, found[0].whole) if found else None


def slides_with(rows: int, **columns: tuple[int, Spread | None]) -> Description:
    """A release of slides with these columns: missing values and spread of each."""
    table = DEID_TABLES["slides"].select(("slide_id", *columns))
    told = {"slide_id": (0, None), **columns}
    parts = (PartFile("data/slides.parquet", rows, 1, "sha256:" + "0" * 64),)
    listed = tuple(
        DescribedColumn(column, "名", "义。", told[column.name][0], None, told[column.name][1]) for column in table.columns
    )
    described = DescribedTable(table, "一张切片", rows, parts, "sha256:" + "0" * 64, listed)
    return replace(bare_description(), tables=(described,))


@pytest.mark.parametrize(
    "make",
    [slide_description, orthopaedic_description, hostile_description, bare_description],
    ids=lambda make: make.__name__,
)
def test_every_indicator_says_measured_attested_or_why_not(make: Callable[[], Description]) -> None:
    document = json.loads(scorecard(make()))
    assert scorecard(make()) == scorecard(make())
    assert [one["code"] for one in document["indicators"]] == CODES
    for one in document["indicators"]:
        assert one["dimension"] in DIMENSIONS
        assert one["name"]["zh"]
        assert one["name"]["en"]
        match one["status"]:
            case "measured":
                assert one["measured"]
                assert all(fact["how"]["zh"] and fact["how"]["en"] for fact in one["measured"])
                assert "why" not in one
            case "attested":
                assert "measured" not in one
                assert all(said["by"] for said in one["attested"])
                assert "why" not in one
            case status:
                assert status == "not_assessed"
                assert {"measured", "attested"}.isdisjoint(one)
                assert one["why"]["zh"]
                assert one["why"]["en"]
    assert sum(document["summary"].values()) == len(CODES)
    assert document["verified"] is False


def test_what_no_program_can_know_is_never_measured() -> None:
    for make in (slide_description, orthopaedic_description, hostile_description, bare_description):
        found = by_code(make())
        assert {found[code].status for code in ("0205", "0207", "0305")} <= {"attested", "not_assessed"}
        assert found["0305"].status == found["0207"].status == "not_assessed"


def test_a_release_of_which_nobody_says_anything_is_not_attested() -> None:
    assert {one.status for one in indicators(bare_description())} == {"measured", "not_assessed"}


def test_the_holder_attests_what_the_product_file_says() -> None:
    found = by_code(slide_description())
    assert [(said.what, said.by, said.says) for said in found["0205"].attested] == [
        ("source", "示例市病理诊断中心", "collected"), ("legal_basis", "示例市病理诊断中心", "知情同意"),
    ]  # fmt: skip
    assert found["0205"].status == "attested"
    assert [said.number for said in found["0202"].attested] == ["PIA-2026-3", "RA-2026-1"]
    assert found["0202"].status == "measured"
    nameless = ProductFile.model_validate({"product": 1, "name": "x", "source": "original"})
    assert by_code(replace(bare_description(), file=nameless))["0205"].attested[0].by == "product.yaml"


def test_facts_that_are_lacking_are_named() -> None:
    file = ProductFile.model_validate({"product": 1, "name": "x", "title": {"zh": "题"}, "policy": {"duo": ["DUO_0000042"]}})
    found = by_code(replace(bare_description(), file=file))
    basic, use = found["0101"].figures[0], found["0104"].figures[0]
    assert (basic.value, basic.whole) == (1, 10)
    assert "title.zh" not in basic.lacking
    assert {"title.en", "holder", "contact"} <= set(basic.lacking)
    assert (use.value, use.whole) == (1, 7)
    assert "duo" not in use.lacking


def test_cells_are_counted_exactly() -> None:
    description = slides_with(100, stain=(30, None), site=(0, None))
    assert figure(description, "cells_filled") == (270, 300)
    assert figure(description, "cells_required") == (200, 200)
    broken = slides_with(100, site=(7, None))
    assert figure(broken, "cells_required") == (193, 200)


def test_a_release_without_rows_has_no_share_of_cells() -> None:
    assert by_code(slides_with(0, stain=(0, None)))["0204"].status == "not_assessed"


@pytest.mark.parametrize(
    ("spread", "shown"),
    [
        (Spread({"male": 60, "female": 40}), (1, 1)),
        (Spread({"male": 60, "man": 40}), (0, 1)),
        (Spread({"male": 60}, others=40), None),
        (Spread({"male": 60}, others=None), None),
        (None, None),
    ],
)
def test_a_closed_set_is_measured_only_where_every_value_was_counted(spread: Spread | None, shown: Any) -> None:
    assert figure(slides_with(100, sex=(0, spread)), "columns_closed") == shown


@pytest.mark.parametrize(
    ("spread", "shown"),
    [
        (Spread({"exact": 60, "barcode": 30, "probable": 10}), (90, 100)),
        (Spread({"exact": 60, "probable": None}), None),
        (Spread({"exact": 60}, others=40), None),
        (None, None),
    ],
)
def test_links_are_measured_unless_a_count_may_not_be_told(spread: Spread | None, shown: Any) -> None:
    assert figure(slides_with(100, tier=(0, spread)), "links_sure") == shown


def test_quality_is_measured_by_the_columns_that_say_it() -> None:
    description = slides_with(
        100, qc=(20, Spread({"ok": 70, "blur": 10})), status=(0, Spread({"ok": 100})), duplicate_of=(96, None)
    )
    assert figure(description, "quality_ok") == (70, 100)
    assert figure(description, "readable") == (100, 100)
    assert figure(description, "without_duplicate") == (96, 100)
    assert by_code(slides_with(100, stain=(0, None)))["0208"].status == "not_assessed"


def test_reports_status_is_no_files_state() -> None:
    """`status` of a report says whether it is final, not whether it can be read."""
    table = DEID_TABLES["reports"].select(("report_id", "status"))
    columns = tuple(DescribedColumn(column, "名", "义。", 0, None, Spread({"final": 5})) for column in table.columns)
    parts = (PartFile("data/reports.parquet", 5, 1, "sha256:" + "0" * 64),)
    reports = DescribedTable(table, "一份报告", 5, parts, "sha256:" + "0" * 64, columns)
    assert figure(replace(bare_description(), tables=(*bare_description().tables, reports)), "readable") is None


def test_rows_that_do_not_add_up_are_seen() -> None:
    description = slide_description()
    first = description.tables[0]
    wrong = replace(first, parts=(replace(first.parts[0], rows=1), *first.parts[1:]))
    assert figure(description, "rows_agree") == (4, 4)
    assert figure(replace(description, tables=(wrong, *description.tables[1:])), "rows_agree") == (3, 4)


def test_wrong_labels_are_measured_only_where_somebody_reviewed_them() -> None:
    base = orthopaedic_description()
    one = {"label": "grade", "value": "high", "reviewed": 40, "wrong": 2, "unsure": 0, "error": 0.05, "low": 0.01,
           "high": 0.17, "instead": {}}  # fmt: skip
    few = one | {"value": "low", "error": None}
    quality = {"cohort": "hips", "recipe_sha256": "sha256:" + "0" * 64, "classes": [one, few]}
    assert figure(replace(base, labels_quality=quality), "labels_wrong") == ({"grade=high": 0.05}, None)
    for unknown in (None, quality | {"classes": []}, quality | {"classes": [few]}):
        assert by_code(replace(base, labels_quality=unknown))["0304"].status == "not_assessed"


def test_years_of_the_data_are_what_the_holder_says_and_never_measured() -> None:
    description = slide_description()
    assert description.file is not None
    found = by_code(description)["0303"]
    assert (found.status, found.figures) == ("attested", ())
    assert [(said.what, said.says) for said in found.attested] == [("covers", "2019 – 2025"), ("updated", "quarterly")]
    assert "years" not in by_code(description)["0102"].figures[0].lacking
    silent = replace(description, file=description.file.model_copy(update={"covers": None}))
    assert [said.what for said in by_code(silent)["0303"].attested] == ["updated"]
    assert "years" in by_code(silent)["0102"].figures[0].lacking
    assert by_code(replace(description, file=None))["0303"].status == "not_assessed"
