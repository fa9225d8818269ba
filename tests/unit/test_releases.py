"""Releases on disk: found by name, read only if they are what was built, in the order of their versions."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from pathcurate.checksums import CHECKSUMS_NAME
from pathcurate.errors import DigestMismatchError, InputOutputError, PathcurateError, UsageError
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.product import register
from pathcurate.registries.sql import SqlRegistry, open_registry
from pathcurate.releases import (
    checksum_problems,
    find_release,
    list_releases,
    read_release,
    verify_release,
    version_key,
)
from tests.built import build_release, copy_release, rewrite_manifest

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CANARY = "龘靐齉S23-99887"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_release(tmp_path_factory.mktemp("releases") / "w")


@pytest.fixture
def release(built: Path, tmp_path: Path) -> Path:
    return copy_release(built, tmp_path / "1.0.0")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistry]:
    with open_registry(tmp_path / "registry.db") as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Releases as they lie in a workspace, with what else may lie there."""
    root = tmp_path / "releases"
    for relpath in (
        "colon/1.9.0", "colon/1.10.0", "colon/2.0.0-rc.1", "colon/2.0.0", "breast/0.1.0", "breast/.building-x", "breast/old",
    ):  # fmt: skip
        (root / relpath).mkdir(parents=True)
        if relpath != "breast/old":
            (root / relpath / MANIFEST_NAME).touch()
    return root


def test_versions_are_ordered_as_semver_11_says() -> None:
    ordered = [
        "0.9.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
        "1.0.0-rc.1", "1.0.0", "1.0.1", "1.9.0", "1.10.0", "2.0.0",
    ]  # fmt: skip
    assert all(version_key(low) < version_key(high) for low, high in pairwise(ordered))
    assert version_key("1.0.0+build.7") == version_key("1.0.0")
    assert version_key("backup") < version_key("0.0.1")
    assert version_key("1.0.0-²") > version_key("1.0.0-1")


def test_releases_are_listed_in_order_without_what_is_none(root: Path) -> None:
    names = [path.relative_to(root).as_posix() for path in list_releases(root)]
    assert names == ["breast/0.1.0", "colon/1.9.0", "colon/1.10.0", "colon/2.0.0-rc.1", "colon/2.0.0"]
    assert list_releases(root / "nowhere") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("colon", "colon/2.0.0"),
        ("colon@1.9.0", "colon/1.9.0"),
        ("breast/0.1.0", "breast/0.1.0"),
        ("colon@", "colon/2.0.0"),
    ],
)
def test_a_release_is_found_by_name_version_or_directory(root: Path, text: str, found: str) -> None:
    assert find_release(root, text, root) == root / found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colon@3.0.0", "Known releases: colon@1.9.0, colon@1.10.0"),
        ("colom@2.0.0", "did you mean `colon@2.0.0`?"),
        ("colon@1.9", "did you mean `colon@1.9.0`?"),
        ("breast/old", "breast@0.1.0"),
        ("../releases/nothing", "Known releases: breast@0.1.0"),
    ],
)
def test_an_unknown_release_names_those_that_are_known(root: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_release(root, text, root)
    assert said in str(caught.value)


def test_no_release_at_all_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="manifest build RECIPE"):
        find_release(tmp_path, "colon", tmp_path)


def test_a_whole_release_is_verified(built: Path) -> None:
    release = verify_release(built)
    assert (release.name, release.version, list(release.tables)) == ("small", "1.0.0", ["slides"])
    assert checksum_problems(built) == []
    assert release == read_release(built)


DAMAGES: dict[str, tuple[Callable[[Path], object], type[PathcurateError], str]] = {
    "changed": (
        lambda path: (path / "report.html").write_text("x"), DigestMismatchError, "report.html was changed"),
    "missing": (lambda path: (path / "report.html").unlink(), DigestMismatchError, "report.html is missing"),
    "orphan": (lambda path: (path / "data" / CANARY).touch(), DigestMismatchError, "a file in data/ does not belong"),
    "deep orphan": (
        lambda path: ((path / "data" / CANARY).mkdir(), (path / "data" / CANARY / "x").touch()),
        DigestMismatchError, "a file in data/ does not belong"),
    "orphan at the top": (lambda path: (path / CANARY).touch(), DigestMismatchError, "a file at the top does not belong"),
    "no checksums": (lambda path: (path / CHECKSUMS_NAME).unlink(), DigestMismatchError, f"{CHECKSUMS_NAME} is missing"),
    "no manifest": (lambda path: (path / MANIFEST_NAME).unlink(), DigestMismatchError, f"{MANIFEST_NAME} is missing"),
    "seven orphans": (
        lambda path: [(path / f"{CANARY}{n}").touch() for n in range(7)], DigestMismatchError, ", and 2 more"),
    "nothing": (shutil.rmtree, InputOutputError, "is no release"),
    "not JSON, resealed": (lambda path: rewrite_manifest(path, CANARY), InputOutputError, "is not JSON"),
    "no manifest's form, resealed": (
        lambda path: rewrite_manifest(path, json.dumps({CANARY: 1})), InputOutputError, "is not of its schema, at "),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_what_was_changed_is_neither_read_nor_registered(name: str, release: Path, registry: SqlRegistry) -> None:
    damage, kind, said = DAMAGES[name]
    damage(release)
    for act in (verify_release, lambda path: register(registry, path, actor="tester", now=NOW)):
        with pytest.raises(kind) as caught:
            act(release)
        assert said in caught.value.message
        assert caught.value.hint
        assert CANARY not in str(caught.value)
    assert registry.list() == []


def test_signatures_may_be_added_later(release: Path) -> None:
    (release / "attestations").mkdir()
    (release / "attestations" / "steward.json").write_text("{}")
    assert verify_release(release).version == "1.0.0"


def test_a_manifest_that_is_a_link_is_not_followed(release: Path) -> None:
    (release / MANIFEST_NAME).rename(release.parent / "manifest")
    (release / MANIFEST_NAME).symlink_to(release.parent / "manifest")
    with pytest.raises(InputOutputError, match="cannot be read"):
        read_release(release)


def test_a_release_registered_again_gives_the_same_answer(built: Path, registry: SqlRegistry) -> None:
    entry, is_new = register(registry, built, actor="tester", now=NOW)
    again, is_new_again = register(registry, built, actor="another", now=NOW)
    assert (is_new, is_new_again) == (True, False)
    assert again == entry
    assert entry.release_digest == read_release(built).digest
    assert entry.counts == {"slides": 12, "cases": 6, "patients": 6}


def test_a_version_with_other_content_is_refused(release: Path, built: Path, registry: SqlRegistry) -> None:
    register(registry, built, actor="tester", now=NOW)
    manifest = json.loads((release / MANIFEST_NAME).read_bytes())
    rewrite_manifest(release, json.dumps({**manifest, "title": "Another title"}))
    with pytest.raises(DigestMismatchError):
        register(registry, release, actor="tester", now=NOW)
