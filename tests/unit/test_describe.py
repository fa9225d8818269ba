"""What is told of the de-identified tables: nothing small, nothing exact of one person, and only what was verified."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pathcurate.cli.main import run
from pathcurate.describe import MISSING, OTHER, describe
from pathcurate.disclosure.counts import FEW, WITHHELD
from pathcurate.errors import PlanIncompleteError, UsageError
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.tables import from_rows, read_parquet, write_parquet
from pathcurate.verification import input_states, write_seal
from pathcurate.workspace import Workspace, load_workspace
from tests.built import build_release

Seal = Callable[..., Workspace]


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    """Rows put into a de-identified table, sealed."""
    build_release(tmp_path / "w")
    workspace = load_workspace(tmp_path / "w" / "pathcurate.yaml")

    def seal_rows(name: str = "slides", rows: list[dict[str, Any]] | None = None, faults: tuple[str, ...] = ()) -> Workspace:
        if rows is not None:
            write_parquet(workspace.deid / f"{name}.parquet", from_rows(DEID_TABLES[name], rows))
        write_seal(workspace, input_states(workspace), "f" * 16, faults)
        return workspace

    return seal_rows


def case(number: int, **values: Any) -> dict[str, Any]:
    return {
        "case_id": f"C-{number:016}",
        "patient_id": f"P-{number:016}",
        "group_id": f"Q-{number:016}",
        "site": "NB01",
        **values,
    }


def columns(profile: dict[str, Any], table: str) -> dict[str, dict[str, Any]]:
    return {column["name"]: column for column in profile["tables"][table]["columns"]}


def test_each_kind_of_column_is_told_in_its_way(seal: Seal) -> None:
    rows = [
        case(number, sex="female" if number < 60 else "male" if number < 97 else None, age=18 + number % 71,
             organ="breast" if number < 80 else "lung" if number < 95 else "colon",
             icd10="C50.900" if number < 91 else f"C34.{number % 10}00", slide_count=number,
             received_date=date(2015, 1, 1) + timedelta(days=23 * number))
        for number in range(100)
    ]  # fmt: skip
    found = columns(describe(seal("cases", rows), ["cases"]), "cases")
    assert found["case_id"] | {"meaning": ""} == {
        "name": "case_id", "type": "string", "unit": "", "meaning": "", "identifying": "none", "missing": 0,
        "missing_share": 0.0, "distinct": 100,
    }  # fmt: skip
    # 3 without: with 97 known, hiding one more is what keeps it.
    assert found["sex"]["counts"] == {"female": 60, "male": WITHHELD}
    assert (found["sex"]["missing"], found["sex"]["missing_share"]) == (FEW, None)
    assert found["organ"]["counts"] == {"breast": 80, "lung": WITHHELD, "colon": FEW}
    assert found["age"]["range"] == {"min": 15, "median": 40, "max": 90}
    assert found["slide_count"]["range"] == {"min": 0, "median": 49.5, "max": 99}
    assert found["received_date"]["span_years"] == 6
    assert "range" not in found["received_date"]
    # Codes that only a pattern bounds: rare ones are not even named.
    assert found["icd10"]["counts"] == {"C50.900": WITHHELD, OTHER: FEW}
    assert "C34" not in json.dumps(found)
    assert found["icdo3_topography"] | {"meaning": ""} == {
        "name": "icdo3_topography", "type": "string", "unit": "", "meaning": "", "identifying": "sensitive",
        "missing": 100, "missing_share": 1.0, "distinct": 0, "counts": {},
    }  # fmt: skip


def test_hidden_counts_do_not_stand_in_their_order(seal: Seal) -> None:
    organs = ["breast"] * 50 + ["thyroid"] * 8 + ["stomach"] * 2 + ["colon"] * 5
    rows = [case(number, organ=organ) for number, organ in enumerate(organs)]
    counts = columns(describe(seal("cases", rows), ["cases"]), "cases")["organ"]["counts"]
    assert list(counts.items()) == [("breast", 50), ("colon", FEW), ("stomach", FEW), ("thyroid", FEW)]


def test_no_date_and_no_pseudonym_is_told(seal: Seal) -> None:
    rows = [case(number, received_date=date(2019, 3, 5), sex="male") for number in range(30)]
    text = json.dumps(describe(seal("cases", rows)))
    assert "2019" not in text
    assert not any(row["case_id"] in text or row["patient_id"] in text for row in rows)


def test_of_a_table_of_few_rows_only_its_columns_are_told(seal: Seal) -> None:
    profile = describe(seal("cases", [case(number, sex="male") for number in range(9)]), ["cases"])["tables"]["cases"]
    assert profile["rows"] == FEW
    assert all(set(column) == {"name", "type", "unit", "meaning", "identifying"} for column in profile["columns"])


def test_a_hidden_count_is_not_bounded_by_the_distinct_values(seal: Seal) -> None:
    # One slide is without a duplicate: as many distinct values as rows with one would say so.
    slides = [
        {
            "slide_id": f"S-{number:016}",
            "duplicate_of": f"S-{number + 500:016}" if number else None,
            "status": "ok",
            "site": "NB01",
            "tier": "none",
        }
        for number in range(40)
    ]
    found = columns(describe(seal("slides", slides), ["slides"]), "slides")["duplicate_of"]
    assert (found["missing"], found["distinct"]) == (FEW, WITHHELD)
    # Nine rare codes in one part that counts nine.
    rows = [case(number, icd10=f"C5{number}.900" if number < 9 else "C50.900") for number in range(40)]
    assert columns(describe(seal("cases", rows), ["cases"]), "cases")["icd10"]["distinct"] == WITHHELD


def test_numbers_that_are_none_do_not_break_it(seal: Seal) -> None:
    slides = [
        {
            "slide_id": f"S-{number:016}",
            "site": "NB01",
            "status": "ok",
            "tier": "none",
            "mpp": float("nan") if number < 20 else float("inf"),
        }
        for number in range(40)
    ]
    assert columns(describe(seal("slides", slides), ["slides"]), "slides")["mpp"]["range"] is None


def test_only_deid_is_read(seal: Seal) -> None:
    workspace = seal()
    for folder in (workspace.catalog, workspace.vault):
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert set(describe(workspace)["tables"]) == set(DEID_TABLES)


def test_what_was_not_verified_is_not_told(seal: Seal) -> None:
    with pytest.raises(PlanIncompleteError, match="1 faults"):
        describe(seal(faults=("x",)))
    workspace = seal()
    path = workspace.deid / "cases.parquet"
    write_parquet(path, read_parquet(path).slice(1))
    with pytest.raises(PlanIncompleteError, match=r"deid/cases\.parquet is not the file"):
        describe(workspace, ["slides"])
    (workspace.deid / "verify.json").unlink()
    with pytest.raises(PlanIncompleteError, match="no verified"):
        describe(workspace)


def test_an_unknown_table_names_the_nearest(seal: Seal) -> None:
    with pytest.raises(UsageError, match="did you mean `slides`"):
        describe(seal(), ["slidse"])


def test_all_missing_marks_are_of_the_profile(seal: Seal) -> None:
    for table in describe(seal())["tables"].values():
        for column in table["columns"]:
            assert MISSING not in column.get("counts", {})


def test_the_export_is_written_once(
    seal: Seal, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = seal()
    monkeypatch.chdir(tmp_path)
    arguments = ["describe", "--export", "profile.json", "-w", str(workspace.root)]
    assert run(arguments) == 0
    first = (tmp_path / "profile.json").read_bytes()
    assert json.loads(first) == describe(workspace)
    assert run(arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert run([*arguments, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(first)
    assert (tmp_path / "profile.json").read_bytes() == first


def test_lists_have_no_distinct_values(seal: Seal) -> None:
    found = columns(describe(seal(), ["slides"]), "slides")["level_downsamples"]
    assert found["type"] == "floats"
    assert "distinct" not in found
