"""Releases of every form that was ever written stay readable: each is verified, validated and compared with the others.

Each folder below ``fixtures/releases`` is a release of the made-up hospital's demo cohort, built by that version of the
program: 0.1.0 names no step to the version before, 0.2.0 does, 0.5.0 has links of other tiers, 0.6.0 says what it tells
about people and holds texts, 0.8.0 hides small numbers of its attrition and holds several tables of rows, 0.9.0 has the
second form of manifests and all that stands beside the data since.
"""

import itertools
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pathcurate.diff import compare, is_enough
from pathcurate.diff.contents import release_contents
from pathcurate.diff.notes import difference_markdown, version_notes
from pathcurate.errors import DigestMismatchError
from pathcurate.htmlreport.diff import difference_page
from pathcurate.model.diff import Bump
from pathcurate.releases import verify_release
from pathcurate.validate import validate
from tests.built import reseal
from tests.commandline import pathcurate

FOLDER = Path(__file__).parents[1] / "fixtures" / "releases"
RELEASES = sorted(path for path in FOLDER.iterdir() if path.is_dir())
MOST_BYTES = 400_000
_BROKEN_BEFORE_0_8 = {"PC-PRIV-009"}
"""Small numbers of the attrition were told then, and it is right that this is noticed."""


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_release_of_that_version_is_whole_and_valid(release: Path) -> None:
    found = verify_release(release)
    assert found.manifest["tool"]["version"] == release.name
    assert sum(path.stat().st_size for path in release.rglob("*") if path.is_file()) < MOST_BYTES
    outcome: Any = validate(release)
    errors = {finding.rule for finding in outcome.findings if finding.severity == "error"}
    assert errors == (_BROKEN_BEFORE_0_8 if release.name < "0.8.0" else set())


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_changed_one_is_noticed(release: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(release, tmp_path / "1.1.0")
    with (copied / "data" / "slides.parquet").open("r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(DigestMismatchError, match=r"slides\.parquet was changed"):
        verify_release(copied)


@pytest.mark.parametrize(("before", "after"), list(itertools.pairwise(RELEASES)), ids=lambda path: path.name)
def test_each_is_compared_with_the_next(before: Path, after: Path) -> None:
    old, new = (release_contents(verify_release(path)) for path in (before, after))
    difference = compare(old, new)
    # Each hospital has a key of its own, so no code of the one is in the other.
    assert (difference.bump, is_enough(difference)) == (Bump.MAJOR, False)
    assert difference.counts["slides"].removed == difference.counts["slides"].before == 18
    assert difference.tables["slides"].causes == {"added": {"untold": 18}, "removed": {"untold": 18}}
    steps = [step.id for step in difference.attrition]
    assert steps[:3] == ["permission", "readable", "linked"]
    assert difference.recipe.added == difference.recipe.removed == ()
    for written in (difference_markdown(difference), difference_page(difference), *version_notes(difference).values()):
        assert "18" in written


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_each_is_compared_with_a_version_of_its_own(release: Path, tmp_path: Path) -> None:
    """Another layout of the same rows, under the same version: other packaging only, and not a step."""
    copied = shutil.copytree(release, tmp_path / "1.1.0")
    path = copied / "data" / "slides.parquet"
    pq.write_table(pq.read_table(path), path, compression="none", row_group_size=5)
    reseal(copied)
    old, new = (release_contents(verify_release(path)) for path in (release, copied))
    assert compare(old, old).bump is Bump.NONE
    difference = compare(old, new)
    assert (difference.bump, difference.reason) == (Bump.PATCH, "only the packaging changed")


def test_the_oldest_and_the_newest_are_compared_in_every_form(tmp_path: Path) -> None:
    pair = (RELEASES[0], RELEASES[-1])
    for form, begins in (
        ("text", "demo_he_2023 1.1.0 -> 1.1.0"),
        ("json", "{"),
        ("markdown", "# demo"),
        ("html", "<!DOCTYPE"),
    ):
        shown = pathcurate("manifest", "diff", *pair, "--format", form)
        written = pathcurate("manifest", "diff", *pair, "--format", form, "-q", "-o", tmp_path / form)
        assert (shown.returncode, written.returncode, written.stdout, written.stderr) == (5, 5, "", "")
        assert shown.stdout == (tmp_path / form).read_text(encoding="utf-8")
        assert shown.stdout.startswith(begins)
    done = pathcurate("manifest", "diff", *pair, "--keys", tmp_path / "keys.parquet")
    keys = pq.read_table(tmp_path / "keys.parquet").to_pylist()
    assert done.returncode == 5
    assert {(row["table"], row["change"]) for row in keys} == {("slides", "added"), ("slides", "removed")}
    for change, release in (("removed", pair[0]), ("added", pair[1])):
        rows = pq.read_table(release / "data" / "slides.parquet", columns=["slide_id"])["slide_id"].to_pylist()
        assert sorted(row["key"] for row in keys if row["change"] == change) == [[code] for code in sorted(rows)]
