"""A clinic whose release has tables of several kinds, days, texts and a split: for what recipients get of it."""

# ruff: noqa: DTZ001  times of laboratories have no zone

from datetime import UTC, datetime
from pathlib import Path

from pathcurate import deid
from pathcurate.cohort import read_recipe, select
from pathcurate.deid.texts import ALL
from pathcurate.engines.embedded import Embedded
from pathcurate.manifest import build
from pathcurate.model.concept import Concept
from pathcurate.model.diagnosis import REPORT_CONCEPTS
from pathcurate.releases import Release, verify_release
from pathcurate.tables import Catalog, from_rows
from pathcurate.text.conceptdigest import concept_sha
from pathcurate.workspace import Workspace, load_workspace
from tests.archives import Here
from tests.built import TODAY
from tests.clinic import event, open_clinic, report, slide

CASES = {1: "S23-00001", 2: "S23-00002", 3: "S23-00003", 4: "S23-00004", 5: "S23-00005"}
PATIENTS = {1: "10086001", 2: "10086002", 3: "10086003", 4: "10086004", 5: "10086001"}
"""By case: the first patient has two."""
NAMES = {1: "欧阳靖远", 2: "诸葛明远", 3: "司马见微", 4: "上官复核", 5: "欧阳靖远"}
WORD = "浸润性导管癌"
RECIPE = f"""\
recipe: 1
name: breast
version: 1.0.0
title: Breast
unit: slide
concepts:
  invasive: {{any: [{WORD}]}}
split: {{ratios: {{train: 0.5, test: 0.5}}}}
tables:
  slides: {{columns: [slide_id, case_id, patient_id, group_id, site, stain, scan_datetime, split]}}
  reports: {{columns: [report_id, case_id, received_date, reported_date]}}
  patients: {{columns: [patient_id, case_count]}}
  events: {{columns: [event_id, patient_id, kind, date]}}
texts: [diagnosis]
"""


def text_of(number: int) -> str:
    """What the report of a case says."""
    told = f"患者{NAMES[number]}，见{CASES[number]}-A1，2023年3月{number}日送检。"
    return f"{told}（左乳）{WORD}，第{number}例，2023年4月{number}日复查。"


def make_clinic(root: Path) -> tuple[Workspace, Release]:
    """Five cases of four patients with two slides each, and a slide of nobody; and a release of all of it."""
    slides = [
        slide(2 * case + glass, scan_datetime=datetime(2023, 3, 6 + 2 * case + glass))
        for case in CASES for glass in range(2)
    ]  # fmt: skip
    slides.append(slide(90, scan_datetime=datetime(2023, 5, 5), specimen=None, block=None))
    reports = [
        report(case, CASES[case], patient_id=PATIENTS[case], patient_name=NAMES[case], diagnosis=text_of(case),
               text_digest=str(case), received_date=datetime(2023, 3, case), reported_date=datetime(2023, 3, 5 + 3 * case))
        for case in CASES
    ]  # fmt: skip
    events = [
        event(10 * case + number, patient_id=PATIENTS[case], date=datetime(2023, 4, 1 + 7 * number + case))
        for case in CASES for number in range(2)
    ]  # fmt: skip
    keys = {f"S-{2 * case + glass:016d}": CASES[case] for case in CASES for glass in range(2)}
    open_clinic(root, slides=slides, reports=reports, keys=keys, events=events)
    file = root / "pathcurate.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "deid: {profile: enclave}\n", encoding="utf-8")
    workspace = load_workspace(file)
    mentions = [
        {"report_id": f"R-{case:016d}", "site": "NB01", "concept": "invasive",
         "concept_sha": concept_sha(Concept(any=(WORD,))), "assertion": "affirmed", "text_column": "diagnosis",
         "section": "diagnosis", "start": text_of(case).index(WORD), "end": text_of(case).index(WORD) + len(WORD)}
        for case in CASES
    ]  # fmt: skip
    Catalog(workspace.catalog).replace(REPORT_CONCEPTS, from_rows(REPORT_CONCEPTS, mentions))
    with Here(workers=1, temp_directory=root / "spill") as engine:
        scrub(workspace, engine)
        return workspace, release_of(workspace, engine, RECIPE)


def scrub(workspace: Workspace, engine: Embedded, texts: str | None = ALL) -> None:
    """De-identify the catalog, texts included."""
    summary = deid.apply(workspace, actor="tester", engine=engine, texts=texts)
    assert summary.faults == ()


def release_of(workspace: Workspace, engine: Embedded, recipe: str) -> Release:
    """Build what a recipe says."""
    file = workspace.root / "recipe.yaml"
    file.write_text(recipe, encoding="utf-8")
    source = read_recipe(file)
    select(workspace, engine, source, now=datetime(2026, 1, 1, tzinfo=UTC))
    made = build(workspace, source, actor="tester", today=TODAY, no_permissions=True)
    return verify_release(made.release.directory)
