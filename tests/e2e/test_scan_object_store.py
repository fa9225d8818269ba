"""An archive in an object store is scanned as a directory is: the same slides, the same states, by byte range."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from pathcurate.engines.embedded import Embedded
from pathcurate.model.slide import SLIDES
from pathcurate.scan import ScanOptions, ScanSummary, scan
from pathcurate.tables import Catalog
from pathcurate.workspace import load_workspace
from tests.archives import STATES, TEXT, Desk, tiff
from tests.dicoms import radiology, whole_slide
from tests.objectstores import object_store

PLACE = {"slide_id", "uri", "archive", "scanned_at", "mtime", "scan_group", "duplicate_of"}
"""Columns that differ with where a file lies, or when it was put there."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with object_store() as address:
        yield address


def scan_store(directory: Path, endpoint: str, **options: object) -> tuple[ScanSummary, dict[bytes, dict]]:
    archive = {"name": "main", "root": "s3://archive/2024", "endpoint": endpoint, "region": "us-east-1"}
    file = directory / "pathcurate.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"workspace": 1, "name": "store", "sites": [{"code": "NB01", "archives": [archive]}]}))
    workspace = load_workspace(file)
    with Embedded(workers=1, temp_directory=directory / "sql") as engine:
        summary = scan(workspace, engine, ScanOptions(**options))
    rows = Catalog(workspace.catalog).read(SLIDES).to_pylist()
    return summary, {row["relpath"]: row for row in rows}


def test_the_same_slides_as_in_a_directory(tmp_path: Path, endpoint: str) -> None:
    desk = Desk(tmp_path)
    files = {f"states/{name}": content for name, (content, _) in STATES.items()}
    files |= {f"dicom/{name}": content for name, content in whole_slide().items()}
    files |= {"ct/1.dcm": radiology(1), "病理/S23-00123-A1-HE.svs": tiff(9, keys={"MPP": "0.25"}), "letter.txt": TEXT}
    client = boto3.session.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="archive")
    for name, content in files.items():
        desk.put(name, content)
        client.put_object(Bucket="archive", Key=f"2024/{name}", Body=content)
    client.put_object(Bucket="archive", Key="2023/another year.svs", Body=tiff(1))
    client.put_object(Bucket="archive", Key="2024/cold.svs", Body=tiff(3), StorageClass="GLACIER")
    here = desk.scan()
    there, rows = scan_store(tmp_path / "store", endpoint, io_threads=8)
    assert rows.pop(b"cold.svs")["status"] == "offline"
    assert (there.walked, there.found) == (here.walked + 1, here.found + 1)
    assert {name: count for name, count in there.statuses.items() if name != "offline"} == here.statuses
    assert (there.series, there.instances, there.others) == (here.series, here.instances, here.others)
    local = desk.rows()
    assert rows.keys() == local.keys()
    for path, row in rows.items():
        assert {name: value for name, value in row.items() if name not in PLACE} == {
            name: value for name, value in local[path].items() if name not in PLACE
        }, path
    again, _ = scan_store(tmp_path / "store", endpoint)
    assert (again.read, again.unchanged, again.gone) == (0, there.found, 0)
    client.delete_object(Bucket="archive", Key="2024/dicom/level0.dcm")
    client.delete_object(Bucket="archive", Key="2024/states/whole.svs")
    later, _ = scan_store(tmp_path / "store", endpoint)
    assert later.gone == 1
