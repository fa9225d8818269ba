"""What a release directory holds: part files, tables between tables, product file, commitments, both lists of digests."""

import hmac
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate import manifest
from pathcurate.checksums import SM3_NAME, verify_sm3, write_sm3
from pathcurate.cohort import read_recipe
from pathcurate.digests import canonical_json
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError, VersionError
from pathcurate.manifest import build, commitment, written
from pathcurate.model.manifest import COMMITMENTS_PATH
from pathcurate.model.productfile import ProductFile
from pathcurate.model.slide import SLIDES
from pathcurate.productfile import load_product_file
from pathcurate.pseudonyms import commitment_key, internal, product
from pathcurate.releases import read_release, verify_copy, verify_release, verify_sm3_list
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import open_vault
from pathcurate.workspace import load_workspace
from tests.built import TODAY, build_release, copy_release, reseal, rewrite_manifest

TABLES = """\
recipe: 1
name: small
version: 1.0.0
title: Slides with their reports
unit: slide
split: {ratios: {train: 0.5, test: 0.5}}
tables:
  slides: {columns: [slide_id, case_id, patient_id, stain, split]}
  reports: {columns: [report_id, case_id, patient_id, status]}
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with several tables."""
    return build_release(tmp_path_factory.mktemp("tables") / "w", recipe=TABLES)


def read(release: Path, name: str) -> pa.Table:
    return pq.read_table(release / "data" / f"{name}.parquet")


# --- tables between tables --------------------------------------------------------------------------------------------


def test_links_say_which_report_speaks_of_which_slide(tables: Path) -> None:
    links, slides, reports = (read(tables, name) for name in ("links", "slides", "reports"))
    case_of = dict(zip(slides["slide_id"].to_pylist(), slides["case_id"].to_pylist(), strict=True))
    report_of = dict(zip(reports["case_id"].to_pylist(), reports["report_id"].to_pylist(), strict=True))
    expected = {(slide, report_of[case], case, "exact") for slide, case in case_of.items()}
    found = [tuple(row[name] for name in ("slide_id", "report_id", "case_id", "tier")) for row in links.to_pylist()]
    assert len(found) == len(expected) == 12
    assert set(found) == expected


def test_splits_say_on_which_side_everything_of_a_patient_is(tables: Path) -> None:
    slides = read(tables, "slides")
    sides = dict(zip(slides["patient_id"].to_pylist(), slides["split"].to_pylist(), strict=True))
    assert {row["patient_id"]: row["split"] for row in read(tables, "splits").to_pylist()} == sides


def test_a_recipe_of_one_table_has_neither(tmp_path: Path) -> None:
    assert list(read_release(build_release(tmp_path / "w")).tables) == ["slides"]


# --- part files -------------------------------------------------------------------------------------------------------


def test_parts_are_no_part_of_what_a_release_is(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "w"
    shutil.copytree(tables.parents[2], root)
    shutil.rmtree(root / "releases")
    monkeypatch.setattr(written, "PART_ROWS", 5)
    result = build(load_workspace(root / "pathcurate.yaml"), read_recipe(root / "small.yaml"), actor="tester", today=TODAY)
    whole, parted = read_release(tables), verify_release(result.release.directory)
    assert parted.manifest["content_digest"] == whole.manifest["content_digest"]
    assert [part.path for part in parted.parts("slides")] == [f"data/slides/part-0000{n}.parquet" for n in range(3)]
    assert [part.rows for part in parted.parts("slides")] == [5, 5, 2]
    assert pa.concat_tables(map(pq.read_table, parted.paths("slides"))).equals(read(tables, "slides"))
    assert [path.name for path in parted.paths("reports")] == ["part-00000.parquet", "part-00001.parquet"]


def test_a_copy_of_some_files_is_checked_as_far_as_it_goes(tables: Path, tmp_path: Path) -> None:
    copy = copy_release(tables, tmp_path / "copy")
    (copy / "data" / "reports.parquet").unlink()
    (copy / "report.html").unlink()
    with pytest.raises(DigestMismatchError, match=r"data/reports\.parquet is missing"):
        verify_release(copy)
    release, absent = verify_copy(copy)
    assert (release.version, absent) == ("1.0.0", ["data/reports.parquet", "report.html"])
    content = bytearray((copy / "data" / "slides.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "data" / "slides.parquet").write_bytes(content)
    with pytest.raises(DigestMismatchError, match=r"data/slides\.parquet was changed") as caught:
        verify_copy(copy)
    assert "reports" not in caught.value.message
    (copy / "MANIFEST.json").unlink()
    with pytest.raises(InputOutputError, match=r"MANIFEST\.json cannot be read"):
        verify_copy(copy)


# --- SM3 --------------------------------------------------------------------------------------------------------------


def test_sm3_is_that_of_the_standard(tmp_path: Path) -> None:
    # GB/T 32905-2016, appendix A.1.
    (tmp_path / "abc").write_bytes(b"abc")
    (tmp_path / "manifest-sha256.txt").write_bytes(b"is no part of it")
    digest = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert write_sm3(tmp_path) == f"{digest}  abc\n".encode()
    assert verify_sm3(tmp_path, f"{digest}  abc\n".encode()) == []
    assert verify_sm3(tmp_path, f"{digest}  abc\n{digest}  gone\n".encode()) == ["gone"]


def test_a_release_may_list_its_files_by_sm3(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no manifest-sm3\.txt"):
        verify_sm3_list(tables)
    root = tmp_path / "w"
    shutil.copytree(tables.parents[2], root)
    shutil.rmtree(root / "releases")
    workspace = load_workspace(root / "pathcurate.yaml")
    directory = build(workspace, read_recipe(root / "small.yaml"), actor="tester", today=TODAY, sm3=True).release.directory
    verify_sm3_list(directory)
    for asked in (True, False):
        assert not build(workspace, read_recipe(root / "small.yaml"), actor="tester", today=TODAY, sm3=asked).is_new
    assert SM3_NAME in (directory / "manifest-sha256.txt").read_text(), "the first list vouches for the second"
    (directory / "quality" / "attrition.json").chmod(0o644)
    (directory / "quality" / "attrition.json").write_bytes(b"{}")
    reseal(directory)
    with pytest.raises(DigestMismatchError, match=r"quality/attrition\.json was changed"):
        verify_sm3_list(directory)


def test_a_release_that_was_built_without_sm3_does_not_get_it_later(tables: Path, tmp_path: Path) -> None:
    root = tmp_path / "w"
    shutil.copytree(tables.parents[2], root)
    workspace, source = load_workspace(root / "pathcurate.yaml"), read_recipe(root / "small.yaml")
    directory = root / "releases" / "small" / "1.0.0"
    with pytest.raises(VersionError, match=r"without manifest-sm3\.txt, and a release is never added to") as caught:
        build(workspace, source, actor="tester", today=TODAY, sm3=True)
    assert "--sm3" in str(caught.value.hint)
    assert not (directory / SM3_NAME).exists()
    assert verify_release(directory).digest == read_release(tables).digest
    assert not build(workspace, source, actor="tester", today=TODAY).is_new


# --- what people say of the product -----------------------------------------------------------------------------------


def test_the_product_file_goes_out_and_is_a_part_of_the_version(tables: Path, tmp_path: Path) -> None:
    root = tmp_path / "w"
    shutil.copytree(tables.parents[2], root)
    workspace, source = load_workspace(root / "pathcurate.yaml"), read_recipe(root / "small.yaml")
    file = root / "products" / "small.yaml"
    file.write_text("product: 1\nname: small\npublished: 2026-03-04\n")
    with pytest.raises(VersionError, match="exists with other content"):
        build(workspace, source, actor="tester", today=TODAY)
    shutil.rmtree(root / "releases")
    release = build(workspace, source, actor="tester", today=TODAY).release
    assert release.manifest["published"] == "2026-03-04"
    assert (release.directory / "product.yaml").read_bytes() == file.read_bytes()
    assert not build(workspace, source, actor="tester", today=TODAY).is_new
    for text, words in (
        ("product: 1\nname: other\n", "is of another product"), ("product: 1\nname: small\nprice: cheap\n", "small.yaml:3:")
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(UsageError, match=words):
            build(workspace, source, actor="tester", today=TODAY)


def test_what_is_released_is_what_was_read(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody saves the product file while the release is built: bytes and values are of one reading."""
    root = tmp_path / "w"
    shutil.copytree(tables.parents[2], root)
    shutil.rmtree(root / "releases")
    file = root / "products" / "small.yaml"
    first = "\ufeffproduct: 1\nname: small\npublished: 2026-03-04\ncovers: {first: 2019, last: 2021}\n".encode()
    file.write_bytes(first)

    def load(path: Path, content: bytes | None = None) -> ProductFile:
        file.write_bytes(b"product: 1\nname: small\npublished: 2025-01-01\n")
        return load_product_file(path, content)

    monkeypatch.setattr(manifest, "load_product_file", load)
    release = build(
        load_workspace(root / "pathcurate.yaml"), read_recipe(root / "small.yaml"), actor="tester", today=TODAY
    ).release
    assert (release.directory / "product.yaml").read_bytes() == first
    assert release.manifest["published"] == "2026-03-04"
    croissant = json.loads((release.directory / "metadata" / "croissant.json").read_bytes())
    assert croissant["datePublished"] == "2026-03-04"
    assert croissant["rai:dataCollectionTimeframe"] == ["2019/2021"]


def test_pictures_are_shown_only_as_the_product_file_allows(tables: Path, tmp_path: Path) -> None:
    root = tmp_path / "w"
    shutil.copytree(tables.parents[2], root)
    workspace, source = load_workspace(root / "pathcurate.yaml"), read_recipe(root / "small.yaml")
    file = root / "products" / "small.yaml"
    asked: list[Sequence[str]] = []

    def pictures(codes: Sequence[str]) -> dict[str, bytes]:
        asked.append(codes)
        return {code: b"\xff\xd8\xff" + code.encode() for code in codes[1:]}

    own = set(pq.read_table(workspace.deid / "slides.parquet")["slide_id"].to_pylist())
    for number, told in ((0, file.read_text()), (4, file.read_text().replace("{rows: 2,", "{rows: 2, thumbnails: 4,"))):
        shutil.rmtree(root / "releases")
        file.write_text(told)
        page = build(workspace, source, actor="tester", today=TODAY, pictures=pictures).release.directory / "report.html"
        text = page.read_text()
        assert text.count("data:image/jpeg") == max(number - 1, 0), "one slide has no picture"
        assert not any(code in text for code in own), "its pictures stand below the product's codes"
    assert [len(codes) for codes in asked] == [4]
    assert set(asked[0]) <= own


# --- commitments ------------------------------------------------------------------------------------------------------


def test_only_who_has_the_key_can_open_what_was_committed_to(tmp_path: Path) -> None:
    workspace = load_workspace(build_release(tmp_path / "w").parents[2] / "pathcurate.yaml")
    key = open_vault(workspace.vault).key
    slides = [
        {"slide_id": f"s{n}", "site": "NB01", "archive": "main", "relpath": b"\xff/%d.svs" % n, "size_bytes": 7 + n,
         "content_sha256": "ab" * 32 if n else None, "status": "ok"}
        for n in range(3)
    ]  # fmt: skip
    Catalog(workspace.catalog).replace(SLIDES, from_rows(SLIDES, slides))
    codes = internal(key).codes.code_array("S", pa.array(["s0", "s1", "gone"]))
    target = tmp_path / "release"
    (target / "provenance").mkdir(parents=True)
    assert len(commitment.write_commitments(workspace, target, "small", key, pa.chunked_array([codes]))) == 2
    made = {row["slide_id"]: row for row in pq.read_table(target / COMMITMENTS_PATH).to_pylist()}
    shown = product(key, "small").codes.code_array("S", codes).to_pylist()
    assert sorted(made) == sorted(shown[:2]), "of the slides that go out and are known, and of no other"
    own = commitment_key(key, "small")
    place = {"slide_id": "s0", "site": "NB01", "archive": "main", "relpath": slides[0]["relpath"].hex(), "size_bytes": 7}
    for code, over, source in ((shown[0], "place", place), (shown[1], "bytes", {"slide_id": "s1", "sha256": "ab" * 32})):
        assert made[code]["over"] == over
        assert made[code]["commitment"] == hmac.digest(own, canonical_json(source), "sha256").hex()
    assert b"svs" not in (target / commitment.COMMITMENT_PATH).read_bytes()
    document = json.loads((target / commitment.COMMITMENT_PATH).read_bytes())
    assert document["slides"] == 2


# --- hostile manifests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"path": "../slides.parquet"}, "path/pattern"), ({"path": "/etc/passwd"}, "path/pattern"),
        ({"path": "data/slides/part-1.parquet"}, "path/pattern"), ({"rows": -1}, "rows/minimum"),
        ({"rows": "12"}, "rows/type"), ({"bytes": None}, "bytes/type"), ({"sha256": "sha256:00"}, "sha256/pattern"),
        ({"more": 1}, "additionalProperties"),
    ],
)  # fmt: skip
def test_a_part_that_is_no_part_is_refused(tables: Path, tmp_path: Path, change: dict[str, object], place: str) -> None:
    copy = copy_release(tables, tmp_path / "copy")
    manifest = json.loads((copy / "MANIFEST.json").read_bytes())
    manifest["tables"]["slides"]["parts"][0] |= change
    rewrite_manifest(copy, json.dumps(manifest))
    with pytest.raises(InputOutputError, match="not of its schema") as caught:
        verify_release(copy)
    assert place in caught.value.message


def test_a_manifest_of_a_form_to_come_or_of_no_end_is_refused(tables: Path, tmp_path: Path) -> None:
    copy = copy_release(tables, tmp_path / "copy")
    manifest = json.loads((copy / "MANIFEST.json").read_bytes())
    for text in (json.dumps({**manifest, "schema": manifest["schema"][:-1] + "9"}), "[" * 200_000, "{}", "[1]", "nul"):
        rewrite_manifest(copy, text)
        with pytest.raises(InputOutputError):
            verify_release(copy)
    with (copy / "MANIFEST.json").open("r+b") as file:
        file.truncate(1 << 27)
    with pytest.raises(InputOutputError, match="larger than any"):
        read_release(copy)
