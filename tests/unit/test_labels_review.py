"""The review of labels: what people are asked, and what their answers say of the labels."""

import csv
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate import deid
from pathcurate.cohort import read_recipe, select
from pathcurate.cohortfacts import reviewed_labels
from pathcurate.engines.embedded import Embedded
from pathcurate.erasure import plan_erasure
from pathcurate.errors import UsageError
from pathcurate.htmlreport.labelreview import sections
from pathcurate.labels.answers import Imported, import_answers
from pathcurate.labels.drawing import Choice
from pathcurate.labels.quality import read_quality
from pathcurate.labels.review import HEADS, LABELS, Exported, export_review
from pathcurate.manifest import build
from pathcurate.model.diagnosis import DIAGNOSES
from pathcurate.model.labelreview import LABEL_REVIEWS, NO_LABEL, OTHER, QUALITY_FILE, QUALITY_PATH, label_quality
from pathcurate.model.linkquality import wilson_interval
from pathcurate.releases import checksum_problems
from pathcurate.tables import Catalog, from_rows
from pathcurate.validate import validate
from pathcurate.vault import broken_event
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import link_again, open_clinic, report, slide
from tests.commandline import pathcurate

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
NAME = "欧阳靖远"
HOSTILE = f"</script><script>alert(1)</script><img src=x onerror=alert(2)> =cmd|' /C calc'!A0 \u202e倒置\u202c 患者{NAME}。"
CASES = 31
LOBULAR = 12
"""Cases from this number on are lobular, those before ductal; the last two have no line with a code."""
RECIPE = """
recipe: 1
name: breast
version: 1.0.0
title: Breast
purpose: research
unit: slide
include:
  - {id: stained, level: slide, where: {stain: HE}}
labels:
  - name: subtype
    level: specimen
    column: diagnoses.icdo3_morphology
    classes: {ductal: ["8500/3"], lobular: ["8520/3"]}
  - {name: sex, level: case, column: reports.sex}
  - {name: early, level: slide, from: annotations, classes: {tumour: [Tumor]}}
columns: [slide_id, case_id, patient_id, site, subtype]
"""
Row = dict[str, Any]


def _diagnosis(number: int) -> str:
    words = "浸润性小叶癌" if number >= LOBULAR else "浸润性导管癌"
    return f"{HOSTILE if number == 1 else ''}（左乳）{words}，II级。\n另见纤维囊性变。"


def _line(number: int) -> Row:
    text = _diagnosis(number)
    start, end = text.index("（左乳）"), text.index("。\n另")
    word = text.index("浸润性")
    place: Row = {"section": "diagnosis", "text_column": "diagnosis", "start": start, "end": end}
    return {
        **place, "report_id": f"R-{number:016d}", "site": "NB01", "ordinal": 1, "line": 1, "organ": "breast",
        "assertion": "affirmed", "icdo3_morphology": "8520/3" if number >= LOBULAR else "8500/3",
        "spans": json.dumps({"icdo3_morphology": ["diagnosis", word, word + 6]}),
    }  # fmt: skip


@pytest.fixture(scope="module")
def selected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a cohort of two slides a case; nobody may change it."""
    root = tmp_path_factory.mktemp("labels") / "clinic"
    numbers = range(1, CASES)
    reports = [
        report(n, accession=f"S23-{n:05}", patient_id=f"1008{n:04}", patient_name=NAME, diagnosis=_diagnosis(n),
               sex="female", icdo3_morphology=None, icd10=None)
        for n in numbers
    ]  # fmt: skip
    slides = [slide(n + copy) for n in numbers for copy in (0, 100)]
    keys = {f"S-{n + copy:016d}": f"S23-{n:05}" for n in numbers for copy in (0, 100)}
    workspace = open_clinic(root, slides=slides, keys=keys, reports=reports, events=[])
    Catalog(workspace.catalog).replace(DIAGNOSES, from_rows(DIAGNOSES, [_line(n) for n in numbers if n < CASES - 2]))
    link_again(workspace)
    deid.apply(workspace, actor="tester")
    (root / "breast.yaml").write_text(RECIPE, encoding="utf-8")
    with Embedded(workers=1, temp_directory=root / ".spill") as engine:
        select(workspace, engine, read_recipe(root / "breast.yaml"), now=NOW)
    return root


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as embedded:
        yield embedded


class Desk:
    """A workspace of the test's own, and an engine."""

    def __init__(self, root: Path, engine: Embedded) -> None:
        self.workspace: Workspace = load_workspace(root / "pathcurate.yaml")
        self.catalog = Catalog(self.workspace.catalog)
        self.engine = engine

    def export(self, *, now: datetime = NOW, **choice: Any) -> "Sheet":
        chosen = Choice("breast", **choice)
        return Sheet(export_review(self.workspace, self.engine, chosen, now=now, expires_days=14, actor="expert"))

    def answer(self, rows: Sequence[Mapping[str, str]], *, now: datetime = NOW, actor: str = "expert") -> Imported:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, HEADS, extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(rows)
        file = self.workspace.root / "answers.csv"
        file.write_bytes(text.getvalue().encode("utf-8-sig"))
        return import_answers(self.workspace, file, now=now, reviewer=None, actor=actor)

    def rows(self) -> list[Row]:
        return self.catalog.read(LABEL_REVIEWS).to_pylist()

    def quality(self) -> dict[tuple[str, str], Row]:
        return {(one["label"], one["value"]): one for one in read_quality(self.workspace, "breast")["classes"]}

    def select_again(self, text: str) -> None:
        file = self.workspace.root / "breast.yaml"
        file.write_text(text, encoding="utf-8")
        select(self.workspace, self.engine, read_recipe(file), now=NOW)


class Sheet:
    """A sheet as a person finds it."""

    def __init__(self, exported: Exported) -> None:
        assert exported.folder is not None
        self.exported, self.folder = exported, exported.folder
        self.page = (self.folder / "review.html").read_text(encoding="utf-8")
        self.asked = json.loads((self.folder / "sheet.json").read_bytes())["items"]
        self.rows = list(csv.DictReader(io.StringIO((self.folder / "decisions.csv").read_bytes().decode("utf-8-sig"))))

    def of(self, label: str, value: str) -> list[dict[str, str]]:
        return [row for row in self.rows if (row["label"], row["value"]) == (label, value)]


@pytest.fixture
def desk(selected: Path, tmp_path: Path, engine: Embedded) -> Desk:
    root = tmp_path / "clinic"
    shutil.copytree(selected, root)
    return Desk(root, engine)


def said(rows: Sequence[Mapping[str, str]], answer: str, instead: str = "") -> list[dict[str, str]]:
    return [{**row, "answer": answer, "instead": instead} for row in rows]


# --- What is asked ---------------------------------------------------------------------------------------------------


def test_each_specimen_is_asked_about_once_and_a_small_class_whole(desk: Desk) -> None:
    sheet = desk.export(per_class=14, missing=9)
    counts = Counter((row["label"], row["value"]) for row in sheet.asked)
    # 60 slides of 30 cases: 11 ductal, 17 lobular, 2 without a line.
    assert counts["subtype", "ductal"] == 11
    assert counts["subtype", "lobular"] == 14
    assert counts["subtype", None] == 2
    assert len({row["report_id"] for row in sheet.asked if row["label"] == "subtype"}) == 27
    assert sheet.exported.left_out == ("early",)


def test_the_draw_hangs_on_nothing_but_unit_and_seed(desk: Desk) -> None:
    units = [{row["unit_id"] for row in desk.export(per_class=5, seed=seed).asked} for seed in (1, 1, 2)]
    assert units[0] == units[1] != units[2]


def test_more_of_each_class_holds_the_fewer(desk: Desk) -> None:
    few, many = ({row["unit_id"] for row in desk.export(per_class=n, labels=("subtype",)).asked} for n in (3, 9))
    assert few < many


def test_the_words_that_said_so_are_marked_in_their_line(desk: Desk) -> None:
    page = desk.export(labels=("subtype",)).page
    article = next(part for part in page.split("<article")[1:] if "S23-00012" in part)
    assert re.search(
        r'<mark class="line"><bdi>（左乳）</bdi></mark><mark><bdi>浸润性小叶癌</bdi></mark>'
        r'<mark class="line"><bdi>，II级</bdi></mark>。', article
    )  # fmt: skip
    assert 'data-value="lobular"' in article


def test_a_hostile_report_is_text_on_the_page(desk: Desk) -> None:
    sheet = desk.export(per_class=100)
    assert "<script>alert" not in sheet.page
    assert "<img" not in sheet.page
    assert "&lt;img src=x onerror=alert(2)&gt;" in sheet.page
    assert "\u202e" not in sheet.page
    assert sheet.page.count("<script>") == 1
    assert "default-src 'none'" in sheet.page


def test_what_identifies_lies_below_review_and_vault_only(desk: Desk) -> None:
    desk.answer(said(desk.export(per_class=100).rows, "right"))
    root = desk.workspace.root
    places = [root / "cohorts" / "breast" / QUALITY_FILE, root / "vault" / "audit.jsonl"]
    units = set(pq.read_table(root / "cohorts" / "breast" / "cohort.parquet")["slide_id"].to_pylist())
    for path in places:
        text = path.read_text(encoding="utf-8")
        assert NAME not in text
        assert "S23-" not in text
        assert "R-0000" not in text
        assert not any(unit in text for unit in units)
    assert broken_event(desk.workspace.vault) is None
    modes = {path.name: path.stat().st_mode & 0o777 for path in desk.workspace.catalog.glob("review/label-*/*")}
    assert set(modes.values()) == {0o600}


def test_an_export_is_audited_before_the_page_is_there(desk: Desk) -> None:
    desk.export()
    events = [json.loads(line) for line in (desk.workspace.vault / "audit.jsonl").read_text().splitlines()]
    assert [event["action"] for event in events][-1] == "labels review export"
    assert pathcurate("audit", "report", "-w", desk.workspace.root).stdout.count("reports, on a page to review") == 1


@pytest.mark.parametrize(
    ("choice", "message"),
    [({"labels": ("nothing",)}, "no label of that name"), ({"labels": ("early",)}, "no report can tell")],
)
def test_what_cannot_be_asked_is_refused(desk: Desk, choice: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        desk.export(**choice)


def test_a_name_that_is_a_path_is_no_cohort(desk: Desk) -> None:
    for name in ("../breast", "nothing", "../../etc"):
        with pytest.raises(UsageError, match="no cohort of that name"):
            export_review(desk.workspace, desk.engine, Choice(name), now=NOW, expires_days=1, actor="expert")


# --- What is answered --------------------------------------------------------------------------------------------------


def test_answers_measure_each_class(desk: Desk) -> None:
    sheet = desk.export(per_class=100, missing=9)
    lobular, ductal = sheet.of("subtype", "lobular"), sheet.of("subtype", "ductal")
    done = desk.answer([
        *said(lobular[:12], "right"), *said(lobular[12:16], "wrong", "ductal"), *said(lobular[16:], "无法判断"),
        *said(ductal, "Right."), *said(sheet.of("subtype", NO_LABEL), "wrong", "ductal"),
    ])  # fmt: skip
    assert done.answers == {"right": 23, "wrong": 6, "unsure": 1}
    assert done.findings == ()
    found = desk.quality()
    assert found["subtype", "lobular"] == {
        "label": "subtype", "value": "lobular", "reviewed": 17, "wrong": 4, "unsure": 1, "error": 0.25,
        "low": round(wilson_interval(4, 16)[0], 4), "high": round(wilson_interval(4, 16)[1], 4),
        "instead": {"ductal": "withheld"},
    }  # fmt: skip
    assert (found["subtype", "ductal"]["error"], found["subtype", "ductal"]["high"]) == (0.0, 0.2588)
    # Two units without a label: as few as that is nobody's business.
    assert found["subtype", NO_LABEL] == {
        "label": "subtype", "value": NO_LABEL, **dict.fromkeys(("reviewed", "wrong", "unsure"), "<10"),
        **dict.fromkeys(("error", "low", "high")), "instead": {},
    }  # fmt: skip


def test_a_rare_value_that_the_recipe_does_not_name_is_not_told(desk: Desk) -> None:
    sheet = desk.export(per_class=9)
    desk.answer([*said(sheet.of("subtype", "ductal"), "wrong", "lobular"), *said(sheet.of("sex", "female"), "wrong", OTHER)])
    assert {key: one["reviewed"] for key, one in desk.quality().items()} == {("subtype", "ductal"): "<10"}
    more = desk.export(per_class=30, labels=("sex",))
    desk.answer(said(more.rows, "right"))
    assert desk.quality()["sex", "female"]["reviewed"] == 30


def test_the_same_file_again_adds_nothing(desk: Desk) -> None:
    rows = said(desk.export().rows, "right")
    first, second = desk.answer(rows), desk.answer(rows, now=NOW + timedelta(hours=1))
    assert sum(first.answers.values()) == len(rows) == second.unchanged
    assert second.answers == {}
    assert len(desk.rows()) == len(rows)


def test_a_changed_mind_counts_and_keeps_what_was_said(desk: Desk) -> None:
    row = desk.export(labels=("subtype",)).of("subtype", "ductal")[:1]
    for answer in ("right", "wrong", "right"):
        desk.answer(said(row, answer))
    assert [one["answer"] for one in sorted(desk.rows(), key=lambda one: one["reviewed_at"])] == ["right", "wrong", "right"]
    (quality,) = label_quality(desk.rows(), "breast", desk.rows()[0]["recipe_sha256"])
    assert (quality.right, quality.wrong) == (1, 0)


def test_an_edited_row_is_refused_and_keeps_no_other_out(desk: Desk) -> None:
    rows = said(desk.export(labels=("subtype",)).of("subtype", "ductal"), "right")
    changes: list[tuple[dict[str, str], str]] = [
        ({"item": "L999"}, "labels.review_unknown"),
        ({"sheet": "label-20260101T000000Z-0123456789abcdef"}, "labels.review_unknown"),
        ({"value": "lobular"}, "labels.review_other_label"),
        ({"label": "sex"}, "labels.review_other_label"),
        ({"answer": "maybe"}, "labels.review_word"),
        ({"answer": NAME}, "labels.review_word"),
        ({"answer": "wrong", "instead": "8500/3"}, "labels.review_instead"),
        ({"answer": "wrong", "instead": "ductal"}, "labels.review_instead"),
        ({"answer": "right", "instead": "lobular"}, "labels.review_instead"),
    ]  # fmt: skip
    edited = [{**row, **change} for row, (change, _) in zip(rows, changes, strict=False)]
    done = desk.answer([*edited, *rows[len(changes) :]])
    assert [finding.rule for finding in done.findings] == [rule for _, rule in changes]
    assert [finding.subject for finding in done.findings] == [f"row {number}" for number in range(2, 2 + len(changes))]
    assert done.answers == {"right": len(rows) - len(changes)} != {"right": 0}
    assert not any(value in finding.message for finding in done.findings for value in (NAME, "S23-", "lobular", "8500"))


def test_two_answers_about_one_label_are_none(desk: Desk) -> None:
    rows = desk.export(labels=("subtype",)).rows[:2]
    done = desk.answer([*said(rows, "right"), *said(rows[:1], "wrong")])
    assert Counter(finding.rule for finding in done.findings) == {"labels.review_contradiction": 2}
    assert done.answers == {"right": 1}


def test_answers_to_another_recipe_are_refused(desk: Desk) -> None:
    rows = said(desk.export().rows, "right")
    desk.answer(rows[:3])
    desk.select_again(RECIPE.replace('"8520/3"', '"8520/3", "8522/3"'))
    with pytest.raises(UsageError, match="by another recipe"):
        desk.answer(rows)
    assert desk.quality() == {}
    facts = json.loads((desk.workspace.cohorts / "breast" / "cohort.json").read_bytes())
    assert reviewed_labels(desk.workspace, "breast", facts["recipe"]["sha256"]) is None


def test_answers_of_a_review_that_is_over_are_refused(desk: Desk) -> None:
    sheet = desk.export()
    with pytest.raises(UsageError, match="time of that review is over"):
        desk.answer(said(sheet.rows, "right"), now=NOW + timedelta(days=15))
    desk.export(now=NOW + timedelta(days=15))
    assert not sheet.folder.exists()


def test_answers_to_no_sheet_of_ours_are_refused(desk: Desk) -> None:
    rows = said(desk.export().rows, "right")
    stamp = "20260101T000000Z-0123456789abcdef"
    for name in (f"../label-{stamp}", "", f"text-{stamp}", f"label-{stamp}"):
        with pytest.raises(UsageError, match="answers no review of labels"):
            desk.answer([{**row, "sheet": name} for row in rows])


def test_a_sheet_that_was_changed_asks_nothing(desk: Desk) -> None:
    sheet = desk.export()
    path = sheet.folder / "sheet.json"
    path.write_text(path.read_text().replace('"ductal"', '"lobular"'))
    with pytest.raises(UsageError, match="damaged"):
        desk.answer(said(sheet.rows, "right"))


def test_the_newest_sheet_is_answered_without_a_file(desk: Desk) -> None:
    desk.export()
    newest = desk.export(now=NOW + timedelta(minutes=1))
    assert LABELS.newest_answers(desk.workspace) == newest.folder / "decisions.csv"


def test_an_erasure_finds_page_and_answers(desk: Desk) -> None:
    sheet = desk.export(per_class=100)
    desk.answer(said(sheet.rows, "right"))
    found = plan_erasure(desk.workspace, "10080003", "NB01")
    assert found is not None
    assert (found[0].rows["label_reviews"], found[0].pages) == (2, 1)


# --- What goes out -----------------------------------------------------------------------------------------------------


def test_a_release_tells_how_often_its_labels_are_wrong(desk: Desk) -> None:
    desk.answer(said(desk.export(per_class=100).rows, "right"))
    source = read_recipe(desk.workspace.root / "breast.yaml")
    release = build(desk.workspace, source, actor="tester", today=NOW.date(), no_permissions=True).release
    path = release.directory / QUALITY_PATH
    told = json.loads(path.read_bytes())
    assert told["recipe_sha256"] == source.sha256
    assert {(one["value"], one["error"]) for one in told["classes"]} == {("ductal", 0.0), ("lobular", 0.0), ("female", 0.0)}
    assert list(checksum_problems(release.directory)) == []
    assert [finding for finding in validate(release.directory).findings if finding.rule.startswith("PC-SCH")] == []


def test_figures_of_another_recipe_are_left_out_and_others_do_not_validate(desk: Desk) -> None:
    desk.answer(said(desk.export(labels=("subtype",)).rows, "right"))
    path = desk.workspace.cohorts / "breast" / QUALITY_FILE
    told = json.loads(path.read_bytes())
    source = read_recipe(desk.workspace.root / "breast.yaml")
    changes = [{"recipe_sha256": "sha256:" + "0" * 64}, {"reviewer": NAME}, {"classes": [{"unit": "S-1"}]}, {"cohort": NAME}]
    for change in changes:
        path.write_text(json.dumps({**told, **change}))
        release = build(desk.workspace, source, actor="tester", today=NOW.date(), no_permissions=True).release
        is_other = "recipe_sha256" in change
        assert (release.directory / QUALITY_PATH).exists() != is_other
        assert ("PC-SCH-007" in {finding.rule for finding in validate(release.directory).findings}) != is_other
        shutil.rmtree(release.directory)


def test_the_command_line_shows_what_it_may(desk: Desk) -> None:
    where = ("-w", desk.workspace.root)
    shown = pathcurate("labels", "review", "export", "breast", "--per-class", "12", *where)
    assert shown.returncode == 0, shown.stderr
    page = Path(shown.stdout.splitlines()[-1])
    answers = page.parent / "decisions.csv"
    text = answers.read_bytes().decode("utf-8-sig")
    answers.write_bytes(text.replace(",lobular,,", ",lobular,wrong,ductal").replace(",ductal,,", ",ductal,right,").encode())
    done = pathcurate("labels", "review", "import", "--reviewer", "Li Wei", *where)
    assert done.returncode == 0, done.stderr
    assert "23 answers added; 0 known, 12 unanswered, 0 refused" in done.stdout
    told = pathcurate("labels", "review", "report", "breast", *where)
    assert "12        12         0  100.0%  75.8% to 100.0%   subtype lobular" in told.stdout
    again = pathcurate("labels", "review", "import", answers, answers, *where, "--json")
    assert json.loads(again.stdout)["answers"] == {"right": 11, "wrong": 12}
    for output in (shown, done, told, again):
        assert not any(value in output.stdout + output.stderr for value in (NAME, "S23-", "R-0000"))


# --- Parts -------------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.text(min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(-3, 40), st.integers(-3, 40)), max_size=4),
    st.lists(st.tuples(st.integers(-3, 40), st.integers(-3, 40)), max_size=4),
)
def test_pieces_are_the_text_whatever_the_places(
    text: str, lines: list[tuple[int, int]], values: list[tuple[int, int]]
) -> None:
    places = ([("diagnosis", *place) for place in group] for group in (lines, values))
    ((_, pieces),) = sections({"diagnosis": text}, ["diagnosis"], *places)
    assert "".join(piece.text for piece in pieces) == text
    kinds = "".join(piece.kind[:1] * len(piece.text) if piece.kind else "." * len(piece.text) for piece in pieces)
    for place, kind in enumerate(kinds):
        in_value, in_line = (any(start <= place < end for start, end in group) for group in (values, lines))
        assert kind == ("v" if in_value else "l" if in_line else ".")


def test_a_conflict_is_in_no_estimate() -> None:
    row: Row = {"cohort": "c", "recipe_sha256": "s", "label": "l", "unit_id": "u", "value": "v", "instead": None}
    drawn = {**row, "purpose": "class", "answer": "right", "reviewed_at": NOW, "review_id": "1"}
    other = {**row, "purpose": "conflict", "answer": "wrong", "reviewed_at": NOW + timedelta(1), "review_id": "2"}
    (quality,) = label_quality([drawn, other], "c", "s")
    assert (quality.right, quality.wrong, quality.instead) == (1, 0, {})
    (quality,) = label_quality([drawn, {**other, "purpose": "class"}], "c", "s")
    assert (quality.right, quality.wrong, quality.instead) == (0, 1, {OTHER: 1})
    assert label_quality([drawn], "c", "another") == ()
