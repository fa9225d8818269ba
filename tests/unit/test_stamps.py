"""A stage is skipped only if it would do the same again."""

from pathlib import Path

import pytest

from pathcurate.stamps import Stamps, file_facts


def test_a_recorded_stage_is_current_also_for_the_next_run(tmp_path: Path) -> None:
    Stamps(tmp_path).record("link", {"slides": "slides@3"})
    assert Stamps(tmp_path).is_current("link", {"slides": "slides@3"})


@pytest.mark.parametrize("facts", [{}, {"slides": "slides@4"}, {"slides": "slides@3", "reports": "reports@1"}])
def test_other_facts_are_not_current(tmp_path: Path, facts: dict[str, str]) -> None:
    Stamps(tmp_path).record("link", {"slides": "slides@3"})
    assert not Stamps(tmp_path).is_current("link", facts)
    assert not Stamps(tmp_path).is_current("deid", {"slides": "slides@3"})


def test_a_stage_that_began_is_not_current_until_it_ends(tmp_path: Path) -> None:
    Stamps(tmp_path).record("link", {})
    Stamps(tmp_path).forget("link")
    assert not Stamps(tmp_path).is_current("link", {})


def test_another_version_runs_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Stamps(tmp_path).record("link", {})
    monkeypatch.setattr("pathcurate.stamps.__version__", "99.0.0")
    assert not Stamps(tmp_path).is_current("link", {})


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_damaged_stamps_run_everything(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    stamps = Stamps(tmp_path)
    assert not stamps.is_current("link", {})
    stamps.record("link", {})
    assert Stamps(tmp_path).is_current("link", {})


def test_a_file_that_changes_or_goes_is_another_fact(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1")
    before = file_facts([path])
    path.write_text("2")
    changed = file_facts([path])
    path.unlink()
    assert len({str(before), str(changed), str(file_facts([path]))}) == 3
