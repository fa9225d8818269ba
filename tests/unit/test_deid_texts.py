"""Texts of a cohort: scrubbed where the vault is, cached, verified, and rendered in each product's own codes and days."""

# ruff: noqa: DTZ001  times of laboratories have no zone

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate import deid
from pathcurate.cohort import read_recipe, select
from pathcurate.custody import rotate
from pathcurate.deid.texts import ALL, members, text_state
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError, PlanIncompleteError
from pathcurate.findings import read_findings
from pathcurate.manifest import build
from pathcurate.model.concept import Concept
from pathcurate.model.diagnosis import DIAGNOSES, REPORT_CONCEPTS
from pathcurate.model.evaluation import EVALUATION_PATH
from pathcurate.model.report import REPORTS
from pathcurate.model.text import SCRUBBED_TEXTS, TEXT_DECISIONS
from pathcurate.releases import read_release
from pathcurate.tables import Catalog, from_rows, read_parquet
from pathcurate.text.conceptdigest import concept_sha
from pathcurate.validate import validate
from pathcurate.verification import demand_texts, read_seal, read_text_seal
from pathcurate.workspace import Workspace, load_workspace
from tests.archives import Here
from tests.built import TODAY
from tests.canaries import Search
from tests.clinic import open_clinic, report, slide

Row = dict[str, Any]

NAME, STAFF, NUMBER, PHONE, CASE = "欧阳靖远", "诸葛明远", "10086001", "13800138000", "S23-00001"
RECEIVED = date(2023, 3, 1)
DIAGNOSIS = (
    f"患者{NAME}，住院号{NUMBER}，电话{PHONE}。（左乳）浸润性导管癌，见{CASE}-A1，2023年3月1日送检。"
    f"淋巴结（2/15）见癌转移，T2N1M0。已电话告知{STAFF}医师。"
)
GROSS = "灰白结节一枚，大小2.5×2×1.8cm，A1-A3。"
OTHER = "（右乳）纤维腺瘤，未见恶性。"
_RECIPE = """\
recipe: 1
name: {name}
version: 1.0.0
title: Breast
unit: case
concepts:
  invasive: {{any: [浸润性导管癌]}}
include:
  - {{id: breast, level: case, where: {{organ: breast}}}}
columns: [case_id, patient_id, received_date]
texts: [diagnosis, gross]
"""


def _reports() -> list[Row]:
    person = {"patient_name": NAME, "submitting_doctor": STAFF, "phone": PHONE}
    return [
        report(1, diagnosis=DIAGNOSIS, gross=GROSS, text_digest="1", **person),
        report(2, accession="S23-00002", patient_id="10086002", patient_name="李晓白", diagnosis=OTHER, text_digest="2"),
        report(3, accession="S23-00003", organ="lung", diagnosis=f"{NAME}，腺癌。", text_digest="3", **person),
    ]


def _clinic(root: Path, reports: list[Row] | None = None) -> Workspace:
    workspace = open_clinic(root, slides=[slide(1)], keys={}, reports=reports or _reports(), events=[])
    catalog = Catalog(workspace.catalog)
    start = DIAGNOSIS.index("（左乳）")
    line = {
        "report_id": report(1)["report_id"], "site": "NB01", "ordinal": 1, "assertion": "affirmed",
        "text_column": "diagnosis", "section": "diagnosis", "start": start, "end": DIAGNOSIS.index("2023年") + 3,
    }  # fmt: skip
    catalog.replace(DIAGNOSES, from_rows(DIAGNOSES, [line]))
    mention = {
        "report_id": report(1)["report_id"], "site": "NB01", "concept": "invasive",
        "concept_sha": concept_sha(Concept(any=("浸润性导管癌",))),
        "assertion": "affirmed", "text_column": "diagnosis", "section": "diagnosis",
        "start": DIAGNOSIS.index("浸润性"), "end": DIAGNOSIS.index("浸润性") + 6,
    }  # fmt: skip
    catalog.replace(REPORT_CONCEPTS, from_rows(REPORT_CONCEPTS, [mention]))
    return workspace


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Here(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as running:
        yield running


@pytest.fixture(scope="module")
def scrubbed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """All texts scrubbed by a worker process; to be looked at only."""
    workspace = _clinic(tmp_path_factory.mktemp("scrubbed"))
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as engine:
        scrub(workspace, engine)
    return workspace


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, engine: Embedded) -> tuple[Workspace, Path, Path]:
    """A workspace with two products of one cohort; to be looked at only."""
    workspace = _clinic(tmp_path_factory.mktemp("both"))
    return workspace, release(workspace, engine, "one"), release(workspace, engine, "two")


@pytest.fixture
def workspace(tmp_path: Path, scrubbed: Workspace) -> Workspace:
    """A copy to change, its texts scrubbed."""
    shutil.copytree(scrubbed.root, tmp_path / "clinic")
    return load_workspace(tmp_path / "clinic" / "pathcurate.yaml")


def scrub(workspace: Workspace, engine: Embedded, texts: str | None = ALL) -> deid.DeidSummary:
    summary = deid.apply(workspace, actor="tester", engine=engine, texts=texts)
    assert summary.faults == ()
    return summary


def texts_of(workspace: Workspace) -> dict[tuple[str, str], Row]:
    rows = read_parquet(workspace.deid / "texts" / "texts.parquet").to_pylist()
    return {(row["report_id"], row["text_column"]): row for row in rows}


def the_text(workspace: Workspace, part: str, column: str = "diagnosis") -> str:
    (text,) = [row["text"] for row in texts_of(workspace).values() if part in row["text"] and row["text_column"] == column]
    return str(text)


def release(workspace: Workspace, engine: Embedded, name: str) -> Path:
    """A release with texts, from cohort to manifest."""
    file = workspace.recipes / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(_RECIPE.format(name=name), encoding="utf-8")
    source = read_recipe(file)
    if read_seal(workspace) is None:
        scrub(workspace, engine, None)
    select(workspace, engine, source, now=datetime(2026, 1, 1, tzinfo=UTC))
    scrub(workspace, engine, name)
    return build(workspace, source, actor="tester", today=TODAY, no_permissions=True).release.directory


def released(directory: Path, table: str) -> list[Row]:
    return list(read_parquet(directory / "data" / f"{table}.parquet").to_pylist())


def test_what_identifies_is_gone_and_medicine_stays(workspace: Workspace, engine: Embedded) -> None:
    summary = scrub(workspace, engine)
    search = Search({"name": NAME, "staff": STAFF, "number": NUMBER, "phone": PHONE, "case": CASE, "day": RECEIVED})
    assert search.in_tree(workspace.deid) == {}
    text = the_text(workspace, "左乳")
    for kept in ("浸润性导管癌", "（2/15）", "T2N1M0", "淋巴结", "医师"):
        assert kept in text
    assert the_text(workspace, "2.5×2×1.8cm", "gross") == GROSS
    assert summary.texts is not None
    assert (summary.texts.reports, summary.texts.texts, summary.texts.failed, summary.texts.withheld) == (3, 4, 0, 0)


def test_a_code_in_a_text_is_that_of_the_column_and_a_day_has_moved_with_it(scrubbed: Workspace) -> None:
    workspace = scrubbed
    shown = {row["report_id"]: row for row in read_parquet(workspace.deid / "reports.parquet").to_pylist()}
    ((report_id, _),) = [key for key, row in texts_of(workspace).items() if "左乳" in row["text"]]
    text, row = the_text(workspace, "左乳"), shown[report_id]
    assert f"⟦case:{row['case_id']}:A1⟧" in text
    assert f"⟦number:{row['patient_id']}⟧" in text
    assert f":{row['received_date'].isoformat()}⟧" in text


def test_what_was_scrubbed_is_not_scrubbed_again(workspace: Workspace, engine: Embedded) -> None:
    before = (workspace.deid / "texts" / "texts.parquet").read_bytes()
    again = scrub(workspace, engine).texts
    assert again is not None
    assert (again.scrubbed, again.texts) == (0, 4)
    assert (workspace.deid / "texts" / "texts.parquet").read_bytes() == before


def test_a_report_that_has_a_text_again_gets_all_of_its_texts(workspace: Workspace, engine: Embedded) -> None:
    catalog, before = Catalog(workspace.catalog), texts_of(workspace)
    # As it is when the other text was scrubbed without this one in between: only that is made of something else.
    rows = catalog.read(SCRUBBED_TEXTS).to_pylist()
    (other,) = [row for row in rows if "左乳" in row["text"]]
    catalog.upsert(SCRUBBED_TEXTS, from_rows(SCRUBBED_TEXTS, [{**other, "made_of": "0" * 64}]))
    summary = scrub(workspace, engine)
    assert summary.texts is not None
    assert summary.texts.scrubbed == 1
    assert texts_of(workspace) == before


def test_texts_of_other_settings_lines_or_codes_are_out_of_date(workspace: Workspace) -> None:
    demand_texts(workspace)
    assert text_state(workspace).is_current
    settings = workspace.root / "pathcurate.yaml"
    settings.write_text(settings.read_text().replace("一院", "示例第一医院"))
    with pytest.raises(PlanIncompleteError, match="settings of NB01 changed"):
        demand_texts(load_workspace(settings))
    Catalog(workspace.catalog).replace(DIAGNOSES, from_rows(DIAGNOSES, []))
    # Twice as a run leaves it that is killed when the tables are done.
    deid.apply(workspace, actor="tester")
    with pytest.raises(PlanIncompleteError, match=r"^diagnoses changed"):
        demand_texts(workspace)
    rotate(workspace, reason="test", actor="tester")
    assert not text_state(workspace).is_current
    deid.apply(workspace, actor="tester")
    with pytest.raises(PlanIncompleteError, match=r"^deid/reports\.parquet, diagnoses changed"):
        demand_texts(workspace)


def test_texts_that_did_not_pass_are_not_forgotten_with_their_seal(workspace: Workspace) -> None:
    file = workspace.deid / "texts" / "texts.parquet"
    data = read_parquet(file)
    leaking = pa.array([f"患者{NAME}"] * data.num_rows)
    pq.write_table(data.set_column(data.schema.get_field_index("text"), "text", leaking), file)
    for _ in range(2):
        (fault,) = deid.verify(workspace, actor="tester").faults
        assert fault.startswith("texts.text has")
        assert not (workspace.deid / "texts" / "verify.json").exists()
    file.unlink()
    assert deid.verify(workspace, actor="tester").faults == ("deid/texts/ has no texts.parquet",)


def test_a_damaged_seal_is_written_anew(workspace: Workspace, engine: Embedded) -> None:
    (workspace.deid / "texts" / "verify.json").write_text("[")
    with pytest.raises(PlanIncompleteError, match="the seal on the scrubbed texts is damaged"):
        demand_texts(workspace)
    scrub(workspace, engine)
    demand_texts(workspace)


def test_a_changed_report_and_a_changed_name_are_scrubbed_again(workspace: Workspace, engine: Embedded) -> None:
    catalog = Catalog(workspace.catalog)
    # The third report is of the first one's person: the new name must go from the first one's texts, too.
    rows = [{**row, "patient_name": "欧阳靖元"} if row["report_id"].endswith("3") else row for row in _reports()]
    catalog.replace(REPORTS, from_rows(REPORTS, rows))
    summary = scrub(workspace, engine)
    assert summary.texts is not None
    assert summary.texts.scrubbed == 2


def test_a_reviewers_word_goes_with_the_next_run(workspace: Workspace, engine: Embedded) -> None:
    assert "灰白结节" in the_text(workspace, "大小", "gross")
    decision = {
        "site": "NB01", "word": "灰白结节", "decision": "remove", "reviewer": "r", "decided_at": datetime(2026, 1, 1),
    }  # fmt: skip
    Catalog(workspace.catalog).upsert(TEXT_DECISIONS, from_rows(TEXT_DECISIONS, [decision]))
    with pytest.raises(PlanIncompleteError, match="text_decisions changed"):
        demand_texts(workspace)
    scrub(workspace, engine, None)
    assert "灰白结节" not in the_text(workspace, "大小", "gross")
    demand_texts(workspace)


def test_only_the_texts_of_the_cohorts_that_were_named(both: tuple[Workspace, Path, Path]) -> None:
    workspace, _, _ = both
    assert len({report_id for report_id, _ in texts_of(workspace)}) == 2
    seal = read_seal(workspace)
    cohort = json.loads((workspace.cohorts / "one" / "cohort.json").read_bytes())
    assert seal is not None
    assert cohort["inputs"] == dict(seal.tables)  # texts come and go without the cohort becoming out of date


@pytest.mark.parametrize("damage", [b"", b'{"unit": "ca', b"[1]", b"\xff\xfe"])
def test_a_cohort_whose_file_is_damaged_is_named_with_advice(
    both: tuple[Workspace, Path, Path], tmp_path: Path, damage: bytes
) -> None:
    shutil.copytree(both[0].root, tmp_path / "own")
    workspace = load_workspace(tmp_path / "own" / "pathcurate.yaml")
    (workspace.cohorts / "one" / "cohort.json").write_bytes(damage)
    rows = read_parquet(workspace.deid / "reports.parquet", ("case_id", "patient_id"))
    with pytest.raises(InputOutputError, match="of cohort one") as caught:
        members(workspace, rows, ("one",))
    assert "cohorts/one" in caught.value.hint


def test_a_cohort_that_is_not_there_is_refused_before_anything_is_done(tmp_path: Path, engine: Embedded) -> None:
    workspace = _clinic(tmp_path / "clinic")
    with pytest.raises(PlanIncompleteError, match="no cohort of that name"):
        deid.apply(workspace, actor="tester", engine=engine, texts="nowhere")
    assert not workspace.deid.exists()


def test_a_release_with_texts_is_refused_while_one_is_missing(tmp_path: Path, engine: Embedded) -> None:
    workspace = _clinic(tmp_path / "clinic")
    deid.apply(workspace, actor="tester", engine=engine)
    assert not (workspace.deid / "texts").exists()
    file = workspace.root / "r.yaml"
    file.write_text(_RECIPE.format(name="one"), encoding="utf-8")
    source = read_recipe(file)
    select(workspace, engine, source, now=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(PlanIncompleteError, match="no texts were scrubbed"):
        build(workspace, source, actor="tester", today=TODAY, no_permissions=True)


def test_a_released_text_says_what_its_columns_say(both: tuple[Workspace, Path, Path]) -> None:
    _, directory, _ = both
    # Without a product file, what it would say is missing.
    unsaid = ("PC-DOC", "PC-REG", "PC-POL", "PC-META")
    found = [finding.rule for finding in validate(directory).findings if not finding.rule.startswith(unsaid)]
    assert found == ["PC-PRIV-004"]
    texts = {(row["report_id"], row["text_column"]): row for row in released(directory, "texts")}
    cases = {row["case_id"]: row for row in released(directory, "cases")}
    (row,) = [row for row in texts.values() if "左乳" in row["text"]]
    day = cases[row["case_id"]]["received_date"]
    assert f"{day.year}年{day.month}月{day.day}日送检" in row["text"]
    assert f"见{row['case_id']}-A1，" in row["text"]
    assert f"住院号{row['patient_id']}，" in row["text"]
    assert "⟦" not in "".join(item["text"] for item in texts.values())


def test_released_places_point_into_the_released_text(both: tuple[Workspace, Path, Path]) -> None:
    _, directory, _ = both
    texts = {(row["report_id"], row["text_column"]): row["text"] for row in released(directory, "texts")}
    removals = released(directory, "removals")
    assert {row["kind"] for row in removals} >= {"patient", "number", "phone", "case", "date", "staff"}
    for row in removals:
        assert texts[row["report_id"], row["text_column"]][row["start"] : row["end"]]
    spans = {row["source"]: row for row in released(directory, "text_spans")}
    concept, line = spans["report_concepts"], spans["diagnoses"]
    text = texts[concept["report_id"], concept["text_column"]]
    assert text[concept["start"] : concept["end"]] == "浸润性导管癌"
    assert (concept["is_cut"], line["is_cut"]) == (False, True)
    # The line ended in the middle of a date, which was removed.
    assert text[line["start"] : line["end"]].startswith("（左乳）浸润性导管癌，见C-")


def test_two_products_cannot_be_joined_by_code_or_day(both: tuple[Workspace, Path, Path]) -> None:
    _, one, other = both
    codes = re.compile(r"[A-Z]-[0-9A-HJKMNP-TV-Z]{16}")

    def told(directory: Path) -> tuple[set[str], set[date]]:
        rows = [*released(directory, "cases"), *released(directory, "texts")]
        text = json.dumps(rows, default=str, ensure_ascii=False)
        return set(codes.findall(text)), {row["received_date"] for row in released(directory, "cases")}

    (left, left_days), (right, right_days) = told(one), told(other)
    assert left
    assert not left & right
    assert RECEIVED not in left_days | right_days


def test_a_release_names_the_texts_that_it_was_made_of(both: tuple[Workspace, Path, Path]) -> None:
    workspace, _, path = both
    texts = read_text_seal(workspace)
    assert texts is not None
    inputs = json.loads((path / "MANIFEST.json").read_bytes())["inputs"]
    assert inputs["deid/texts/texts.parquet"] == texts.tables["texts/texts.parquet"]
    assert {f"deid/{name}": digest for name, digest in texts.tables.items()}.items() <= inputs.items()


def test_the_same_release_again_is_the_same_bytes(both: tuple[Workspace, Path, Path], engine: Embedded) -> None:
    workspace, one, _ = both
    first = read_release(one).digest
    assert read_release(release(workspace, engine, "one")).digest == first


def test_a_hostile_text_is_scrubbed_or_left_out_and_never_stops_the_others(tmp_path: Path, engine: Embedded) -> None:
    forged = f"⟦case:C-0123456789ABCDEF:A1⟧ ⟦date:ymd-han:{RECEIVED}⟧ ⟦ {NAME} ⟧ \ud7ff\x00 " + "(" * 5000 + "9" * 5000
    rows = [*_reports(), report(9, accession="S23-00009", patient_name=NAME, diagnosis=forged, text_digest="9")]
    workspace = _clinic(tmp_path / "hostile", rows)
    summary = scrub(workspace, engine)
    assert summary.texts is not None
    assert (summary.texts.reports, summary.texts.texts, summary.texts.withheld, summary.texts.failed) == (4, 4, 1, 0)
    states = [row["status"] for row in read_parquet(workspace.deid / "texts" / "text_reports.parquet").to_pylist()]
    assert sorted(states) == ["ok", "ok", "ok", "withheld"]
    (finding,) = read_findings(Catalog(workspace.catalog), "deid_texts")
    assert (finding.rule, finding.subject, finding.column) == ("deid.text_withheld", "R-0000000000000009", "diagnosis")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"⟦case:C-0123456789ABCDEF:A1⟧，⟦date:ymd-han:{RECEIVED}⟧，⟦{NAME}⟧，腺癌。", "腺癌"),
        ("腺癌。⟦patient:H-0123456789ABCDEF⟧⟧⟧⟦", "腺癌"),
    ],
)
def test_no_text_brings_placeholders_along(tmp_path: Path, engine: Embedded, text: str, shown: str) -> None:
    rows = [*_reports(), report(9, accession="S23-00009", patient_name=NAME, diagnosis=text, text_digest="9")]
    workspace = _clinic(tmp_path / "forged", rows)
    directory = release(workspace, engine, "one")
    (released_text,) = [row["text"] for row in released(directory, "texts") if shown in row["text"]]
    assert "0123456789ABCDEF" not in released_text
    assert NAME not in released_text
    assert "⟦" not in released_text


def test_a_text_that_names_another_patient_is_withheld(tmp_path: Path, engine: Embedded) -> None:
    stray = "胃窦黏膜石中玉样改变"
    rows = [
        *_reports(),
        report(8, accession="S23-00008", patient_id="8888", patient_name="石中玉", diagnosis="正常", text_digest="8"),
        report(9, accession="S23-00009", patient_id="9999", diagnosis=stray, text_digest="9"),
    ]
    workspace = _clinic(tmp_path / "two", rows)
    directory = release(workspace, engine, "one")
    assert not any("石中玉" in row["text"] for row in released(directory, "texts"))
    # Who gets the release is told.
    evaluation = json.loads((directory / EVALUATION_PATH).read_bytes())
    assert evaluation["incomplete_reports"] == 1
    assert any(sentence.startswith("Of 1 report a text is left out") for sentence in evaluation["words"])


def test_the_cache_is_in_the_catalog_and_nowhere_else(scrubbed: Workspace) -> None:
    workspace = scrubbed
    assert Catalog(workspace.catalog).row_count(SCRUBBED_TEXTS) == 4
    ids = {row["report_id"] for row in _reports()}
    assert not any(name.encode() in path.read_bytes() for name in ids for path in workspace.deid.rglob("*.parquet"))


def test_a_report_of_a_site_that_is_no_longer_configured_stops_no_other(tmp_path: Path, engine: Embedded) -> None:
    row = report(9, accession="S23-00009", site="NB02", patient_id="9", diagnosis="腺癌。", text_digest="9")
    workspace = _clinic(tmp_path / "gone", [*_reports(), row])
    file = workspace.root / "pathcurate.yaml"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if "code: NB02" not in line))
    summary = scrub(load_workspace(file), engine)
    assert summary.texts is not None
    assert (summary.texts.reports, summary.texts.texts, summary.texts.failed) == (4, 4, 1)
    (finding,) = read_findings(Catalog(workspace.catalog), "deid_texts")
    assert (finding.rule, finding.subject) == ("deid.text_failed", "R-0000000000000009")
