"""What somebody else says of the quality of a release: grade, score and report, bound to its digest."""
# ruff: noqa: F811 -- fixtures are imported by their names

from dataclasses import replace
from pathlib import Path

import pytest

from pathcurate import product
from pathcurate.errors import DigestMismatchError, PlanIncompleteError
from pathcurate.model.registration import Assessment
from pathcurate.product import Moved
from tests.commandline import pathcurate
from tests.products import TODAY, At, House, a_pdf, actions, at, digest_of, houses, no_sync, renamed  # noqa: F401


def assessed(house: House, file: Path, release: str = "", **parts: str) -> Moved:
    given = Assessment("优", "示例评估机构", "Q-1", TODAY, digest_of(file), "92.5")
    with house.desk() as desk:
        return product.assess(desk, house.directory(release), replace(given, **parts), file)  # type: ignore[arg-type]


def test_it_is_kept_and_changes_no_state(at: At, tmp_path: Path) -> None:
    house, file = at("offered"), a_pdf(tmp_path / "report.pdf")
    before = house.head()[0]
    moved = assessed(house, file)
    assert (moved.is_new, moved.entry.state) == (True, "offered")
    assert moved.entry.facts["quality"] == {
        "grade": "优", "score": "92.5", "assessor": "示例评估机构", "number": "Q-1", "issued": str(TODAY),
        "sha256": digest_of(file),
    }  # fmt: skip
    assert not assessed(house, file).is_new
    assert house.head()[0] == before + 1
    assert house.faults() == []


def test_the_newest_counts_and_earlier_ones_stay_in_the_history(at: At, tmp_path: Path) -> None:
    house = at("validated")
    assessed(house, a_pdf(tmp_path / "first.pdf"))
    second = a_pdf(tmp_path / "second.pdf")
    assessed(house, second, grade="良", score="")
    assert house.entry().facts["quality"]["grade"] == "良"
    assert actions(house.events())[-2:] == ["assess", "assess"]


def test_what_was_never_checked_or_has_ended_is_not_assessed(at: At, tmp_path: Path) -> None:
    house = at("frozen")
    with pytest.raises(PlanIncompleteError, match="needs it to be validated"):
        assessed(house, a_pdf(tmp_path / "report.pdf"))
    with house.desk() as desk:
        product.withdraw(desk, "small", "1.0.0", "test")
    with pytest.raises(PlanIncompleteError, match="is withdrawn"):
        assessed(house, a_pdf(tmp_path / "report.pdf"))


def test_another_file_than_the_one_that_is_named_is_refused(at: At, tmp_path: Path) -> None:
    house, file = at("validated"), a_pdf(tmp_path / "report.pdf")
    with pytest.raises(DigestMismatchError, match="not the one whose digest"):
        assessed(house, file, sha256="sha256:" + "0" * 64)
    assert "quality" not in house.entry().facts


def test_one_report_is_of_one_release(at: At, tmp_path: Path) -> None:
    house, file = at("validated"), a_pdf(tmp_path / "report.pdf")
    renamed(house.root, "other")
    house.register("other@1.0.0")
    house.check("other@1.0.0")
    assessed(house, file)
    with pytest.raises(DigestMismatchError, match=r"bound to the release small@1\.0\.0 already"):
        assessed(house, file, "other@1.0.0")


def test_the_command(at: At, tmp_path: Path) -> None:
    house, file = at("validated"), a_pdf(tmp_path / "report.pdf")
    given = ["--certificate", file, "--number", "Q-1", "--authority", "示例评估机构", "--issued", "2026-11-20"]
    where = ["-w", house.root]
    done = pathcurate("product", "receipt", "small", *given, "--grade", "优", *where)
    assert (done.returncode, "quality 优 by 示例评估机构" in done.stdout) == (0, True), done.stderr
    assert "quality  优 by 示例评估机构, 2026-11-20" in pathcurate("product", "show", "small", *where).stdout
    assert pathcurate("product", "receipt", "small", *given, "--grade", "two\nlines", *where).returncode == 2
