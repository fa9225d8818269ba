"""Temporary folders: one's own goes at the end, a killed process's with the next, and nobody's who is at work."""

import stat
import tempfile
from pathlib import Path

import pytest

from pathcurate.ownfolder import held, own_folder


def test_it_is_private_and_goes_whatever_happens(tmp_path: Path) -> None:
    def fail() -> None:
        with own_folder(tmp_path / "deep" / "er", "sql-") as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            (folder / "file").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list((tmp_path / "deep" / "er").iterdir()) == []


def test_one_that_got_another_name_stays(tmp_path: Path) -> None:
    with own_folder(tmp_path, ".b.part-") as folder:
        (folder / "file").write_text("x")
        folder.rename(tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b" / "file").read_text() == "x"


def test_leftovers_go_and_what_is_in_use_or_somebody_elses_stays(tmp_path: Path) -> None:
    for name in ("sql-left", "other-left", "sql-[x]"):
        (tmp_path / name / "deep").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "sql-link").symlink_to(outside)
    with own_folder(tmp_path, "sql-") as first, own_folder(tmp_path, "sql-") as second:
        assert {path.name for path in tmp_path.iterdir()} == {first.name, second.name, "other-left", "outside", "sql-link"}
    (tmp_path / "sql-x").mkdir()
    with own_folder(tmp_path, "sql-[x]"):
        assert (tmp_path / "sql-x").is_dir(), "a prefix is no pattern"


def test_one_that_was_taken_for_a_leftover_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = tempfile.mkdtemp, []

    def lost(**options: str) -> str:
        made.append(make(**options))
        if len(made) < 3:
            Path(made[-1]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", lost)
    with own_folder(tmp_path, "sql-") as folder:
        assert folder.is_dir()
        assert len(made) == 3
        with held(folder) as is_free:
            assert not is_free
    with held(folder) as is_free:
        assert not is_free, "it is gone"
