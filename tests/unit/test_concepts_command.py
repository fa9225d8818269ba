"""`pathcurate concepts`: what people and programs see, and with what exit code."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pathcurate.cli.main import run
from pathcurate.model.diagnosis import REPORT_CONCEPTS
from pathcurate.model.report import REPORTS
from pathcurate.resources import shipped
from pathcurate.tables import Catalog, from_rows

pytestmark = pytest.mark.usefixtures("kernels_here")
RECIPE = "recipe: 1\nname: r\nversion: 1.0.0\ntitle: Concepts\nunit: case\ncolumns: [case_id]\nconcepts:\n"


@pytest.fixture
def empty(write: Callable[[str, str | bytes], Path]) -> Path:
    return write("w/pathcurate.yaml", "workspace: 1\nname: t\nsites: [{code: NB01}]\n").parent


@pytest.fixture
def imported(empty: Path) -> Path:
    """A workspace with reports, as an import leaves them, and a recipe with a concept."""
    texts = [
        "（胃窦）中分化腺癌，脉管内见癌栓，淋巴结未见癌转移（0/12）。", "慢性胃炎，未见癌。",
        "Invasive ductal carcinoma, no lymphovascular invasion.",
    ]  # fmt: skip
    rows = [
        {"report_id": f"R{number}", "site": "NB01", "accession": f"S{number}", "report_type": "primary", "status": "final",
         "diagnosis": text}
        for number, text in enumerate(texts)
    ]  # fmt: skip
    Catalog(empty / "catalog").replace(REPORTS, from_rows(REPORTS, rows))
    (empty / "recipes").mkdir()
    (empty / "recipes" / "r.yaml").write_text(RECIPE + "  cancer: {any: [癌, carcinoma]}\n", encoding="utf-8")
    return empty


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(arguments)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_build_says_what_was_new_and_what_was_read(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("-w", str(imported))
    code, plan, _ = output(capsys, "concepts", "build", "--dry-run", *where)
    assert code == 0
    assert plan.splitlines()[0] == "1 concept of the recipes: 1 new, 0 stale, 0 up to date; 0 removed"
    assert "to read" in plan
    assert not (imported / "catalog" / "report_concepts").exists()
    code, built, _ = output(capsys, "concepts", "build", "--workers", "1", *where)
    assert code == 0
    assert built.splitlines()[-1] == "5 mentions in the catalog"
    code, again, _ = output(capsys, "concepts", "build", "--json", *where)
    document = json.loads(again)
    assert (document["concepts"], document["to_read"], document["to_read_again"]) == (
        {"new": 0, "stale": 0, "removed": 0, "built": 1}, 0, 0
    )  # fmt: skip
    assert document["mentions"] == 5


def test_list_shows_each_concept_and_no_word_of_a_report(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("-w", str(imported))
    assert output(capsys, "concepts", "build", "--workers", "1", *where)[0] == 0
    (imported / "recipes" / "r.yaml").write_text(RECIPE + "  cancer: {any: [癌, 瘤]}\n", encoding="utf-8")
    code, shown, _ = output(capsys, "concepts", "list", *where)
    assert code == 0
    name, digest, state, _, recipes = shown.splitlines()[1].split()
    assert (name, len(digest), state, recipes) == ("cancer", 12, "stale", "r")
    assert shown.splitlines()[-1].endswith("0 of them new or changed since")
    document = json.loads(output(capsys, "concepts", "list", "--json", *where)[1])
    assert [(one["concept"], one["state"], one["recipes"]) for one in document["concepts"]] == [("cancer", "stale", ["r"])]


def test_without_concepts_list_says_so(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (imported / "recipes" / "r.yaml").unlink()
    assert output(capsys, "concepts", "list", "-w", str(imported))[1] == "no recipe has concepts\n"


def test_a_broken_recipe_is_10_and_nothing_is_built(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (imported / "recipes" / "r.yaml").write_text(RECIPE + "  cancer: {any: ['(?<!x)y']}\n", encoding="utf-8")
    code, _, message = output(capsys, "concepts", "build", "-w", str(imported))
    assert code == 10
    assert "r.yaml:8:18: error: not an RE2 pattern" in message
    assert not (imported / "catalog" / "report_concepts").exists()


def test_without_reports_it_is_12(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, message = output(capsys, "concepts", "build", "-w", str(empty))
    assert (code, message.splitlines()[0]) == (12, "error: the catalog has no reports")


def test_the_shipped_recipe_with_concepts_is_built(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(shipped("recipes") / "concepts_in_reports.yaml", imported / "recipes" / "r.yaml")
    code, shown, _ = output(capsys, "concepts", "build", "--workers", "1", "--json", "-w", str(imported))
    document = json.loads(shown)
    assert (code, document["concepts"]["new"], document["findings"]) == (0, 6, [])
    found = Catalog(imported / "catalog").read(REPORT_CONCEPTS).to_pylist()
    assert {(row["report_id"], row["concept"], row["assertion"]) for row in found} == {
        ("R0", "carcinoma", "affirmed"), ("R0", "carcinoma", "negated"), ("R0", "lymphovascular_invasion", "affirmed"),
        ("R0", "nodal_metastasis", "negated"), ("R1", "carcinoma", "negated"), ("R2", "carcinoma", "affirmed"),
        ("R2", "lymphovascular_invasion", "negated"),
    }  # fmt: skip
