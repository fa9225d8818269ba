"""Versions of one product: each must be a large enough step above the one before, and says what changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pathcurate.cohort import read_recipe, select
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import DigestMismatchError, VersionError
from pathcurate.manifest import BuildResult, build
from pathcurate.model.finding import Severity, worst
from pathcurate.releases import verify_release
from pathcurate.validate import validate
from pathcurate.workspace import load_workspace
from tests.built import NOW, TODAY, build_release

Build = Callable[..., BuildResult]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """The first version."""
    return build_release(tmp_path / "w")


@pytest.fixture
def again(release: Path) -> Build:
    """Build with the recipe changed."""
    root = release.parents[2]
    original = (root / "small.yaml").read_text()

    def build_again(version: str, *changes: tuple[str, str]) -> BuildResult:
        text = original.replace("1.0.0", version)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (root / "small.yaml").write_text(text)
        workspace, source = load_workspace(root / "pathcurate.yaml"), read_recipe(root / "small.yaml")
        with Embedded(workers=1, temp_directory=root / "spill") as engine:
            select(workspace, engine, source, now=NOW)
        return build(workspace, source, actor="tester", today=TODAY)

    return build_again


MORE = ("stain, ", "stain, format, ")
LESS = ("stain, ", "")
FEWER = ("split: {", "include: [{id: women, level: case, where: {sex: female}}]\nsplit: {")


@pytest.mark.parametrize(
    ("change", "bump", "refused", "accepted", "said"),
    [
        (("Twelve slides", "12 slides"), "patch", [], ["1.0.1", "1.1.0", "2.0.0"], "only the packaging changed"),
        (MORE, "minor", ["1.0.1"], ["1.1.0", "3.0.0"], "column slides.format was added"),
        (LESS, "major", ["1.0.1", "1.1.0"], ["2.0.0", "2.0.0-rc.1"], "column slides.stain was removed"),
        (FEWER, "major", ["1.0.1", "1.7.0"], ["2.0.0"], "6 rows were removed"),
    ],
)
def test_a_version_must_be_a_large_enough_step(
    release: Path, again: Build, change: tuple[str, str], bump: str, refused: list[str], accepted: list[str], said: str
) -> None:
    least = {"patch": "1.0.1", "minor": "1.1.0", "major": "2.0.0"}[bump]
    for version in refused:
        with pytest.raises(VersionError) as caught:
            again(version, change)
        assert caught.value.message == f"{version} is too small: {said}, which needs at least {least}"
        assert [path.name for path in release.parent.iterdir()] == ["1.0.0"], "nothing half-made is left"
    built = again(accepted[-1], change).release
    digest = verify_release(release).digest
    assert built.manifest["previous"] == {"version": "1.0.0", "release_digest": digest, "bump": bump}
    changes = json.loads((built.directory / "quality" / "diff-from-1.0.0.json").read_bytes())
    assert (changes["from"], changes["to"], changes["bump"]) == ("1.0.0", accepted[-1], bump)
    assert changes["reasons"][0]["text"] == said
    assert verify_release(built.directory).digest == built.digest
    assert worst(validate(built.directory).findings) is not Severity.ERROR


def test_the_first_version_is_compared_with_nothing(release: Path) -> None:
    assert verify_release(release).manifest["previous"] is None
    assert list((release / "quality").glob("diff-*")) == []


def test_the_newest_lower_version_counts(again: Build) -> None:
    again("2.0.0", MORE)
    # Between them, above 1.0.0: what came later does not matter.
    assert again("1.0.1").release.manifest["previous"]["version"] == "1.0.0"
    with pytest.raises(VersionError, match=r"^2\.0\.1 is too small: column slides\.format was removed, .* at least 3\.0\.0"):
        again("2.0.1")
    assert again("3.0.0").release.manifest["previous"]["version"] == "2.0.0"


def test_a_prerelease_does_not_open_a_back_door(again: Build) -> None:
    again("1.0.1-rc.1", ("Twelve", "12"))
    with pytest.raises(VersionError, match=r"needs at least 2\.0\.0"):
        again("1.0.1", LESS)
    assert again("2.0.0-rc.1", LESS).is_new
    assert again("2.0.0", FEWER).is_new


def test_a_version_built_again_is_as_it_was(release: Path, again: Build) -> None:
    first = again("1.1.0", MORE)
    before = {path: path.read_bytes() for path in release.parent.rglob("*") if path.is_file()}
    second = again("1.1.0", MORE)
    assert (first.is_new, second.is_new, second.release.digest) == (True, False, first.release.digest)
    assert {path: path.read_bytes() for path in release.parent.rglob("*") if path.is_file()} == before
    with pytest.raises(VersionError, match=r"1\.1\.0 exists with other content"):
        again("1.1.0")


def test_the_same_input_gives_the_same_bytes(release: Path, again: Build) -> None:
    first = again("1.1.0", MORE).release
    files = {path.relative_to(first.directory): path.read_bytes() for path in first.directory.rglob("*") if path.is_file()}
    first.directory.chmod(0o755)
    for path in sorted(first.directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    first.directory.rmdir()
    second = again("1.1.0", MORE).release
    assert second.digest == first.digest
    assert {
        path.relative_to(second.directory): path.read_bytes() for path in second.directory.rglob("*") if path.is_file()
    } == files


def test_nothing_is_compared_with_a_release_that_was_changed(release: Path, again: Build) -> None:
    path = release / "quality" / "attrition.json"
    path.chmod(0o644)
    path.write_text("{}")
    with pytest.raises(DigestMismatchError, match="was changed since it was built"):
        again("2.0.0")
    assert not again("1.0.0").is_new  # what is there already needs no comparison


def test_a_recipe_that_tells_an_age_over_ninety_builds_no_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathcurate.errors import DisclosureRefusedError
    from tests import built

    telling = "include: [{id: oldest, level: case, where: {age: {max: 97}}, if_missing: pass}]\n"
    monkeypatch.setattr(built, "_RECIPE", built._RECIPE + telling)
    with pytest.raises(DisclosureRefusedError, match="oldest"):
        built.build_release(tmp_path)
    assert not list(tmp_path.rglob("MANIFEST.json"))
