"""A clinic with slides of two people and of nobody, a series of the second, and copies of them."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pathcurate import deid, filerules, pseudonyms
from pathcurate.copies.choosing import Selection
from pathcurate.copies.scrubbing import FilesRequest, FilesSummary, scrub
from pathcurate.demo.slides import paint_tissue
from pathcurate.model.deidfile import DEID_FILES_NAME
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import open_vault
from pathcurate.workspace import Workspace, load_workspace
from tests.archives import Desk, Here
from tests.clinic import link_again, report
from tests.dicoms import radiology
from tests.makers import planted

FIRST, SECOND, SPACED = "S24-90817 A1 王小明.svs", "S24-90818 A1/S24-90818 A1 😀.svs", "no number here.svs"
NAME, OTHER = "欧阳靖远", "诸葛明远"
DAY = date(1999, 4, 3)
"""On which the planted slides say that they were scanned."""


@contextmanager
def rules_read_once() -> Iterator[None]:
    """Reading the shipped rules takes longer than scrubbing a small slide."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filerules, "_shipped", cache(filerules._shipped))
        yield


def make_clinic(directory: Path) -> None:
    """Slides of two people and of nobody, a series of the second; linked and de-identified."""
    desk = Desk(directory)
    values = {name: value.replace("90817", "90818").replace("5591827", "2") for name, value in planted.VALUES.items()}
    for seed, (name, said) in enumerate({FIRST: planted.VALUES, SECOND: values, SPACED: {}}.items()):
        # Slides with the same pixels would be of people who may be one.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(planted, "tissue", partial(paint_tissue, seed, planted.SIZE))
            desk.put(name, planted.svs(values=said).data)
    desk.put("S24-90818 X/1.dcm", radiology(1, AccessionNumber="S24-90818"))
    desk.put("S24-90818 X/2.dcm", radiology(2, AccessionNumber="S24-90818"))
    desk.put("notes.txt", b"nothing")
    desk.scan(Here(workers=1, temp_directory=desk.workspace_directory / "sql"))
    workspace = desk.configure()
    reports = [
        report(1, "S24-90817", patient_name=NAME, patient_id="10086001"),
        report(2, "S24-90818", patient_name=OTHER, patient_id="P0002", sex="male"),
    ]
    Catalog(workspace.catalog).replace(REPORTS, from_rows(REPORTS, reports))
    prepared(workspace)


def copied_clinic(pristine: Path, directory: Path) -> Workspace:
    """The clinic in another directory."""
    shutil.copytree(pristine, directory, copy_function=shutil.copy2)
    file = directory / "ws" / "pathcurate.yaml"
    file.write_text(file.read_text().replace(str(pristine), str(directory)))
    return load_workspace(file)


def prepared(workspace: Workspace, *permissions: dict[str, Any]) -> None:
    """Link and de-identify, with statements of permission."""
    rows = [{"opt_out": True, "source": "l", "source_row": number, **row} for number, row in enumerate(permissions)]
    Catalog(workspace.catalog).replace(PERMISSIONS, from_rows(PERMISSIONS, rows))
    link_again(workspace)
    deid.apply(workspace, actor="tester")


def archive_of(workspace: Workspace) -> Path:
    return workspace.root.parent / "main"


def slides(workspace: Workspace) -> dict[str, str]:
    """Identifiers of slides by their path."""
    rows = Catalog(workspace.catalog).read(SLIDES).to_pylist()
    return {os.fsdecode(row["relpath"]): row["slide_id"] for row in rows}


def run(workspace: Workspace, target: Path | None, *names: str, **more: Any) -> FilesSummary:
    """Scrub slides by their paths, all without any; or what another selection says."""
    everything = slides(workspace)
    selection = more.pop("selection", None) or Selection(codes=tuple(everything[name] for name in names or everything))
    with Here(workers=1, temp_directory=workspace.catalog / ".spill") as engine:
        return scrub(workspace, FilesRequest(selection, target, **more), engine=engine, actor="tester")


def table(target: Path) -> dict[str, dict[str, Any]]:
    return {row["code"]: row for row in pq.read_table(target / DEID_FILES_NAME).to_pylist()}


def code_of(workspace: Workspace, identifier: str, kind: str = "S") -> str:
    return pseudonyms.internal(open_vault(workspace.vault).key).codes.code(kind, identifier)


def copy_of(workspace: Workspace, target: Path, name: str) -> Path:
    return target / "slides" / f"{code_of(workspace, slides(workspace)[name])}.svs"


def day(text: str, form: str) -> date:
    return date(*time.strptime(text, form)[:3])


def days_moved(path: Path) -> int | None:
    """By how many days the date of a copy differs from that of its source."""
    for part in path.read_bytes().split(b"|"):
        if part.startswith(b"Date = "):
            return (day(part[7:15].decode(), "%m/%d/%y") - DAY).days
    return None


def with_settings(workspace: Workspace, **settings: Any) -> Workspace:
    file = workspace.root / "pathcurate.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}, ensure_ascii=False))
    return load_workspace(file)
