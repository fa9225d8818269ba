"""Copies of files: what is chosen and as whom, by whose rules, and from where."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
import yaml

from pathcurate import pseudonyms
from pathcurate.copies import kernel
from pathcurate.copies.choosing import Selection
from pathcurate.copies.records import dicom_folder, unpacked
from pathcurate.errors import PlanIncompleteError, UsageError
from pathcurate.findings import read_findings
from pathcurate.model.attrition import COHORT_FILE
from pathcurate.model.deidfile import DEID_FILES_NAME, RECEIPT_NAME
from pathcurate.model.series import SERIES
from pathcurate.releases import Release
from pathcurate.tables import Catalog, write_parquet
from pathcurate.vault import open_vault
from pathcurate.verification import demand_seal
from pathcurate.workspace import Workspace
from tests.archives import Desk, Here
from tests.makers.copies import (
    FIRST,
    SECOND,
    SPACED,
    archive_of,
    code_of,
    copied_clinic,
    copy_of,
    day,
    days_moved,
    make_clinic,
    prepared,
    rules_read_once,
    run,
    slides,
    table,
    with_settings,
)
from tests.makers.kfb import make_kfb
from tests.objectstores import object_store


@pytest.fixture(scope="module", autouse=True)
def _rules_read_once() -> Iterator[None]:
    with rules_read_once():
        yield


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clinic; nobody may change it."""
    directory = tmp_path_factory.mktemp("clinic")
    make_clinic(directory)
    return directory


@pytest.fixture
def workspace(pristine: Path, tmp_path: Path) -> Workspace:
    return copied_clinic(pristine, tmp_path / "clinic")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "copies of 张三 😀"


# --- What is chosen --------------------------------------------------------------------------------------------------


def cohort(workspace: Workspace, unit: str, names: list[str]) -> Selection:
    """A cohort of the rows of the slides with these names."""
    shown = pq.read_table(workspace.deid / "slides.parquet")
    wanted = {code_of(workspace, slides(workspace)[name]) for name in names}
    rows = [row for row in shown.to_pylist() if row["slide_id"] in wanted]
    column = {"slide": "slide_id", "case": "case_id", "patient": "patient_id"}[unit]
    directory = workspace.cohorts / "knees"
    directory.mkdir(parents=True, exist_ok=True)
    write_parquet(directory / "cohort.parquet", shown.select([column]).from_pylist([{column: row[column]} for row in rows]))
    facts = {"unit": unit, "inputs": dict(demand_seal(workspace).tables)}
    (directory / COHORT_FILE).write_text(json.dumps(facts))
    return Selection(cohort="knees")


@pytest.mark.parametrize(("unit", "series"), [("slide", 0), ("case", 1)])
def test_a_cohort_has_the_slides_of_its_rows_and_the_series_of_their_people(
    workspace: Workspace, target: Path, unit: str, series: int
) -> None:
    summary = run(workspace, target, selection=cohort(workspace, unit, [SECOND]))
    assert summary.standings == {"done": 1 + series}
    assert [path.name for path in (target / "slides").iterdir()] == [copy_of(workspace, target, SECOND).name]
    instances = [path for path in target.rglob("I0*") if path.is_file()]
    assert len(instances) == 2 * series
    assert (target / "dicom" / "DICOMDIR").is_file() == bool(series)


def test_a_series_is_in_the_codes_and_days_of_its_persons_slides(workspace: Workspace, target: Path) -> None:
    run(workspace, target, selection=cohort(workspace, "patient", [SECOND]))
    shown = {row["slide_id"]: row for row in pq.read_table(workspace.deid / "slides.parquet").to_pylist()}
    owner = shown[code_of(workspace, slides(workspace)[SECOND])]
    data = pydicom.dcmread(next(path for path in target.rglob("I0000001")))
    assert str(data.PatientID) == owner["patient_id"]
    moved = day(data.StudyDate, "%Y%m%d") - date(2023, 1, 2)
    assert moved == timedelta(days=days_moved(copy_of(workspace, target, SECOND)) or 0) != timedelta()


def test_the_codes_and_days_are_those_of_the_tables(workspace: Workspace, target: Path) -> None:
    run(workspace, target)
    shown = {row["slide_id"]: row for row in pq.read_table(workspace.deid / "slides.parquet").to_pylist()}
    assert {path.stem for path in (target / "slides").iterdir()} == set(shown)
    dates = pseudonyms.internal(open_vault(workspace.vault).key).dates
    for path in (target / "slides").iterdir():
        assert days_moved(path) == dates.days(shown[path.stem]["patient_id"] or path.stem)


@pytest.mark.parametrize("unit", ["slide", "patient"])
def test_a_release_is_in_its_products_codes(workspace: Workspace, target: Path, tmp_path: Path, unit: str) -> None:
    shown = pq.read_table(workspace.deid / "slides.parquet").to_pylist()
    layer = pseudonyms.product(open_vault(workspace.vault).key, "knees")
    column = {"slide": "slide_id", "case": "case_id", "patient": "patient_id"}[unit]
    first = next(row for row in shown if row["slide_id"] == code_of(workspace, slides(workspace)[FIRST]))
    given = layer.codes.code(column[0].upper(), first[column])
    (tmp_path / "data").mkdir()
    write_parquet(tmp_path / "data" / "x.parquet", pq.read_table(workspace.deid / "slides.parquet").select([column])
                  .from_pylist([{column: given}]))  # fmt: skip
    name = {"slide": "slides", "case": "cases", "patient": "patients"}[unit]
    entry = {"path": "data/x.parquet", "rows": 1, "sha256": "sha256:0"}
    release = Release(tmp_path, {"product": "knees", "version": "1.0.0", "tables": {name: entry}}, "d")
    summary = run(workspace, target, selection=Selection(release=release))
    assert (summary.layer, summary.standings) == ("product knees", {"done": 1})
    copy = next((target / "slides").iterdir())
    assert copy.stem == layer.codes.code("S", first["slide_id"])
    assert days_moved(copy) == layer.dates.days(first["patient_id"])
    assert json.loads((target / RECEIPT_NAME).read_bytes())["layer"] == "product knees"


def test_a_slide_of_nobody_is_copied(workspace: Workspace, target: Path) -> None:
    assert run(workspace, target, SPACED).standings == {"done": 1}


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_cohort_that_is_none(workspace: Workspace, target: Path, text: str) -> None:
    (workspace.cohorts / "knees").mkdir(parents=True)
    (workspace.cohorts / "knees" / COHORT_FILE).write_text(text)
    with pytest.raises(PlanIncompleteError, match="no such cohort"):
        run(workspace, target, selection=Selection(cohort="knees"))


def test_a_line_of_a_list_is_told_by_its_number(workspace: Workspace, target: Path) -> None:
    known = slides(workspace)[FIRST]
    with pytest.raises(UsageError, match="line 5 ") as caught:
        run(workspace, target, selection=Selection(codes=(known, "", known, "", "张三")))
    assert "张三" not in str(caught.value)


STATEMENTS = {
    "person": {"subject": "person", "site": "NB01", "subject_value": "P0002"},
    "case": {"subject": "case", "site": "NB01", "subject_value": "S24-90818"},
    "site": {"subject": "site", "site": "NB01"},
}


@pytest.mark.parametrize("subject", STATEMENTS)
def test_who_opted_out_is_refused_and_what_was_given_before_goes(workspace: Workspace, target: Path, subject: str) -> None:
    series = Catalog(workspace.catalog).read(SERIES).to_pylist()[0]["series_id"]
    everything = Selection(codes=(*slides(workspace).values(), series))
    assert run(workspace, target, selection=everything).standings == {"done": 4}
    second = copy_of(workspace, target, SECOND)
    folder = target / dicom_folder(code_of(workspace, series, "I"))
    assert second.is_file()
    assert folder.is_dir()
    prepared(workspace, STATEMENTS[subject])
    left = {"person": 2, "case": 2, "site": 0}[subject]
    summary = run(workspace, target, selection=everything)
    assert summary.standings == {**({"done": left} if left else {}), "refused": 4 - left}
    assert not second.exists()
    assert not folder.exists()
    assert "has opted out" in next(iter(summary.reasons))


def test_who_opted_out_leaves_the_directory_even_if_not_chosen_any_more(workspace: Workspace, target: Path) -> None:
    """A cohort made again does not have them, and nobody would look at what stands there from before."""
    run(workspace, target)
    prepared(workspace, STATEMENTS["person"])
    summary = run(workspace, target, FIRST)
    assert (summary.standings, summary.kept, summary.strays) == ({"done": 1}, 1, 0)
    assert not copy_of(workspace, target, SECOND).exists()
    assert set(table(target)) == {code_of(workspace, slides(workspace)[name]) for name in (FIRST, SPACED)}


def test_slides_that_are_copied_in_parts_are_all_in_the_receipt(workspace: Workspace, target: Path) -> None:
    for name in (FIRST, SECOND, SPACED):
        run(workspace, target, name)
    receipt = json.loads((target / RECEIPT_NAME).read_bytes())
    assert receipt["standings"] == {"done": 3}
    assert {target / one["path"] for one in receipt["files"]} == set((target / "slides").iterdir())
    once = run(workspace, target)
    assert once.kept == 3
    assert json.loads((target / RECEIPT_NAME).read_bytes()) == receipt


# --- Profile and rules -----------------------------------------------------------------------------------------------


def test_a_sites_rules_win_and_other_rules_make_copies_again(workspace: Workspace, target: Path) -> None:
    run(workspace, target, FIRST)
    assert b"Left" in copy_of(workspace, target, FIRST).read_bytes()
    rules = {"files": 1, "formats": {"svs": {"tables": {"key": {"remove": ["Left"]}}}}}
    (workspace.root / "rules.yaml").write_text(yaml.safe_dump(rules))
    workspace = with_settings(workspace, deid={"files": "rules.yaml"})
    summary = run(workspace, target, FIRST)
    assert (summary.standings, summary.kept) == ({"done": 1}, 0)
    assert b"Left" not in copy_of(workspace, target, FIRST).read_bytes()


def test_what_no_rule_knows_is_summed_up_in_rules_that_can_be_taken_over(workspace: Workspace, target: Path) -> None:
    for name in (FIRST, SECOND):
        path = archive_of(workspace) / name
        path.write_bytes(path.read_bytes().replace(b"|AppMag", b"|AppBog"))
    summary = run(workspace, target)
    assert summary.standings == {"done": 1, "quarantined": 2}
    assert summary.unknown == {"svs key": 2}
    assert summary.review is not None
    assert "svs key: names: 1; slides with the commonest of them: 2" in summary.review.read_text()
    shutil.copy(summary.review, workspace.root / "rules.yaml")
    done = run(with_settings(workspace, deid={"files": "rules.yaml"}), target)
    assert "quarantined" not in done.standings
    findings = {finding.rule for finding in read_findings(Catalog(workspace.catalog))}
    assert "deid_files.quarantined" not in findings


def test_what_the_profile_hides_in_tables_is_in_no_copy(workspace: Workspace, target: Path) -> None:
    series = Catalog(workspace.catalog).read(SERIES).to_pylist()[0]["series_id"]
    everything = Selection(codes=(slides(workspace)[FIRST], series))
    run(workspace, target, selection=everything)
    assert days_moved(copy_of(workspace, target, FIRST)) is not None
    (workspace.root / "mine.yaml").write_text(
        "profile: 1\nname: mine\ntitle: {en: Mine, zh: 我的}\nsharing: internal\ntexts: {released: false, dates: drop}\n"
        "columns: {slides.scan_datetime: drop, reports.sex: drop}\n"
    )
    hiding = with_settings(workspace, deid={"profile": "mine.yaml"})
    prepared(hiding)
    summary = run(hiding, target, selection=everything)
    assert (summary.standings, summary.kept) == ({"done": 2}, 0)
    assert days_moved(copy_of(workspace, target, FIRST)) is None
    data = pydicom.dcmread(next(target.rglob("I0000001")))
    assert not data.get("StudyDate")
    assert not data.get("PatientSex")


def test_a_proof_that_fails_leaves_no_copy(workspace: Workspace, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prove = kernel.prove
    monkeypatch.setattr(kernel, "prove", lambda *parts: replace(prove(*parts), faults=("something is left",)))
    summary = run(workspace, target, FIRST)
    assert summary.reasons == {"the proof failed: something is left": 1}
    assert [path.name for path in target.rglob("*")] == [DEID_FILES_NAME, RECEIPT_NAME]
    findings = [finding.rule for finding in read_findings(Catalog(workspace.catalog))]
    assert "deid_files.failed" in findings


def test_a_slide_that_kills_its_reader_is_told() -> None:
    batch = pa.RecordBatch.from_pylist([{"code": "S-0123456789ABCDEF", "job": "{}"}], schema=kernel.JOBS)
    for reason, words in (("reader_crashed", "a reader crashed on it"), ("timeout", "it took too long")):
        lost = unpacked(json.loads(kernel.lost_job(batch, reason)["outcome"][0].as_py()))
        assert (lost.standing, lost.reason) == ("failed", words)


def test_an_archive_that_is_gone_stops_no_other(workspace: Workspace, target: Path) -> None:
    (archive_of(workspace) / FIRST).unlink()
    summary = run(workspace, target)
    assert summary.standings == {"done": 2, "failed": 1}
    assert summary.reasons == {"a file could not be read or written (no such file or directory)": 1}


def test_an_archive_that_is_away_takes_no_copies_with_it(workspace: Workspace, target: Path) -> None:
    run(workspace, target)
    archive_of(workspace).rename(archive_of(workspace).with_name("away"))
    archive_of(workspace).mkdir()
    again = run(workspace, target)
    assert (again.standings, again.kept, again.strays) == ({"done": 3}, 3, 0)
    # But a copy by rules that are in force no more goes.
    (workspace.root / "rules.yaml").write_text("files: 1\nformats: {svs: {tables: {key: {remove: [Left]}}}}\n")
    assert run(with_settings(workspace, deid={"files": "rules.yaml"}), target).standings == {"failed": 3}
    assert list((target / "slides").iterdir()) == []


def test_an_archive_that_the_workspace_names_no_more(workspace: Workspace, target: Path) -> None:
    sites = json.loads((workspace.root / "pathcurate.yaml").read_text())["sites"]
    sites[0]["archives"][0]["name"] = "another"
    summary = run(with_settings(workspace, sites=sites), target, FIRST)
    assert summary.standings == {"refused": 1}


# --- Options ---------------------------------------------------------------------------------------------------------


def test_kfb_as_it_is_and_converted(tmp_path: Path, target: Path) -> None:
    desk = Desk(tmp_path)
    make_kfb(desk.main / "S24-90817.kfb", size=(300, 220), side=128)
    desk.scan(Here(workers=1, temp_directory=desk.workspace_directory / "sql"))
    workspace = desk.configure()
    prepared(workspace)
    assert run(workspace, target).standings == {"done": 1}
    assert [path.suffix for path in (target / "slides").iterdir()] == [".kfb"]
    converted = run(workspace, target, convert=True)
    assert (converted.standings, converted.kept) == ({"done": 1}, 0)
    assert [path.suffix for path in (target / "slides").iterdir()] == [".tiff"]
    assert table(target)[next(iter(table(target)))]["readers"] == ["openslide", "tifffile"]


def test_a_study_label_takes_the_labels_place(workspace: Workspace, target: Path) -> None:
    import openslide

    assert run(workspace, target, FIRST, relabel=True).standings == {"done": 1}
    with openslide.OpenSlide(copy_of(workspace, target, FIRST)) as slide:
        assert set(slide.associated_images) == {"thumbnail", "label"}
    assert run(workspace, target, FIRST).kept == 0
    with openslide.OpenSlide(copy_of(workspace, target, FIRST)) as slide:
        assert set(slide.associated_images) == {"thumbnail"}


# --- An object store -------------------------------------------------------------------------------------------------


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing",
                        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with object_store() as address:
        yield address


def test_slides_in_an_object_store_are_streamed(workspace: Workspace, target: Path, tmp_path: Path, endpoint: str) -> None:
    run(workspace, tmp_path / "here", FIRST)
    client = boto3.session.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="archive")
    client.put_object(Bucket="archive", Key=f"2024/{FIRST}", Body=(archive_of(workspace) / FIRST).read_bytes())
    sites = json.loads((workspace.root / "pathcurate.yaml").read_text())["sites"]
    store = {"name": "main", "root": "s3://archive/2024", "endpoint": endpoint, "region": "us-east-1"}
    workspace = with_settings(workspace, sites=[{**sites[0], "archives": [store]}])
    assert run(workspace, target, FIRST).standings == {"done": 1}
    assert copy_of(workspace, target, FIRST).read_bytes() == copy_of(workspace, tmp_path / "here", FIRST).read_bytes()
