"""Import of clinical tables: one event for each row and mapping, and nothing lost without a finding."""

# ruff: noqa: DTZ001  clinical tables have no zone

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import InputOutputError, PathcurateError, UsageError
from pathcurate.events import import_events
from pathcurate.findings import read_findings
from pathcurate.model.event import EVENTS, is_closed_code
from pathcurate.reports import import_reports
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace

HEADS = "住院号,类别,编码体系,代码,项目,结果,单位,侧别,日期,结束日期"
GOOD = "0012345,检验,检验,CEA,癌胚抗原,7.25,ng/ml,左,2023-04-04 10:30,2023年4月5日"


def make(root: Path, content: str | bytes, *, mapping: str = "", sources: str = "") -> Workspace:
    """A workspace with one event source."""
    data = content if isinstance(content, bytes) else content.encode("gb18030")
    (root / "followup.csv").write_bytes(data)
    (root / "m.yaml").write_text(mapping, encoding="utf-8")
    sources = sources or "[{path: followup.csv, mapping: m.yaml}]" if mapping else sources or "[{path: followup.csv}]"
    (root / "pathcurate.yaml").write_text(
        f"workspace: 1\nname: w\nsites:\n  - {{code: NB01, events: {sources}}}\n  - {{code: NB02}}\n", encoding="utf-8"
    )
    return load_workspace(root / "pathcurate.yaml")


def table(*rows: str, heads: str = HEADS) -> str:
    return "\r\n".join([heads, *rows, ""])


def events(workspace: Workspace) -> list[dict[str, Any]]:
    return list(Catalog(workspace.catalog).read(EVENTS).to_pylist())


def rules(workspace: Workspace, **arguments: Any) -> dict[str, int]:
    summary = import_events(workspace, **arguments)
    found: dict[str, int] = {}
    for finding in summary.findings:
        found[finding.rule] = found.get(finding.rule, 0) + finding.count
    return found


def test_every_column_of_a_row(tmp_path: Path) -> None:
    workspace = make(tmp_path, table(GOOD))
    assert rules(workspace) == {}
    (row,) = events(workspace)
    assert row.pop("event_id").startswith("E-")
    assert row == {
        "site": "NB01", "patient_id": "0012345", "kind": "laboratory", "code_system": "analyte", "code": "CEA",
        "text": "癌胚抗原", "value": 7.25, "value_text": None, "unit": "ng/ml", "laterality": "left",
        "date": datetime(2023, 4, 4, 10, 30), "end_date": datetime(2023, 4, 5), "source_file": "followup.csv",
        "source_mapping": None, "source_row": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7.25", 7.25), ("７．２５", 7.25), ("-3", -3.0), ("+3", 3.0), ("1,234.5", 1234.5), ("1.5e3", 1500.0), ("0", 0.0),
        ("<0.5", None), (">1000", None), ("阳性", None), ("1-2", None), ("7,25", None), ("1,23,456", None), ("NaN.", None),
        ("inf", None), ("1e999", None), ("12 ng", None), ("２０２３-01-01", None), ("--", None), ("9" * 400, None),
    ],
)  # fmt: skip
def test_a_value_is_a_number_or_a_finding(tmp_path: Path, text: str, value: float | None) -> None:
    workspace = make(tmp_path, table(f'1001,检验,,,,"{text}",,,,'))
    assert rules(workspace) == ({} if value is not None else {"events.not_a_number": 1})
    (row,) = events(workspace)
    assert (row["value"], row["value_text"]) == (value, None if value is not None else text)


@pytest.mark.parametrize(
    ("system", "text", "code"),
    [
        ("AJCC", "stage iia", "Stage IIA"), ("分期", "ⅡA期", "Stage IIA"), ("ajcc", "III", "Stage III"),
        ("ajcc", "临床 IVB 期", "Stage IVB"), ("ajcc", "0", "Stage 0"), ("ajcc", "Stage X", "Stage X"),
        ("ajcc", "I/II NOS", "I/II NOS"), ("ICD-10", "c50.900", "C50.900"), ("icd10", "Ｃ50.9", "C50.9"),
        ("检验", "ca-125", "CA125"), ("检验", "CA 19-9", "CA199"), ("检验", "某项", "某项"), ("tnm", "pT2N0M0", "pT2N0M0"),
        ("手术编码", "81.5100", "81.5100"), ("本院", "ab-1", "ab-1"), ("", "c50.9", "c50.9"),
    ],
)  # fmt: skip
def test_a_code_is_spelled_as_its_system_spells_it(tmp_path: Path, system: str, text: str, code: str) -> None:
    workspace = make(tmp_path, table(f"1001,诊断,{system},{text},,,,,,"))
    assert rules(workspace) == {}
    assert [row["code"] for row in events(workspace)] == [code]


def test_rows_that_cannot_be_used_are_counted_and_say_nothing(tmp_path: Path) -> None:
    secrets = ("龘靐齉", "ZYH77301942")
    rows = [
        GOOD, GOOD,
        f",诊断,icd10,C50.9,{secrets[0]},,,,,", f"不详,诊断,icd10,C50.9,{secrets[0]},,,,,", "1.10105E+17,诊断,,C50.9,,,,,,",
        f"{secrets[1]},,icd10,C50.9,,,,,,", f"{secrets[1]},{secrets[0]},icd10,C50.9,,,,,,",
        f"{secrets[1]},诊断,icd10,C50.9", f"{secrets[1]},诊断,{secrets[0]},C50.9,,,,{secrets[0]},{secrets[0]},2023-02-30",
        f"{secrets[1]},死亡,,,,,,,,", f"{secrets[1]},检验,,,,{secrets[0]},,,,",
    ]  # fmt: skip
    workspace = make(tmp_path, table(*rows))
    summary = import_events(workspace)
    assert {(finding.rule, finding.column): finding.count for finding in summary.findings} == {
        ("events.repeated_row", None): 1, ("events.no_patient", None): 3, ("events.no_kind", None): 2,
        ("events.row_misfit", None): 1, ("events.empty_row", None): 1, ("events.not_a_number", "value"): 1,
        ("events.not_understood", "code_system"): 1, ("events.not_understood", "laterality"): 1,
        ("events.not_understood", "date"): 1, ("events.not_understood", "end_date"): 1,
    }  # fmt: skip
    assert summary.rows == 3
    told = json.dumps([finding.as_dict() for finding in summary.findings], ensure_ascii=False)
    assert not any(secret in told for secret in secrets)
    assert "not imported: 3, the first in row 4 of followup.csv" in told


CLINICAL = "患者,分期,诊断年龄,性别\r\nP1,IIA,61,女\r\nP2,,47,男\r\nP3,IV,[Not Available],女\r\nP4,,,男\r\n"
STAGE = "columns: {patient_id: 患者, code: 分期}\nconstants: {kind: diagnosis, code_system: ajcc}\n"
AGE = "columns: {patient_id: 患者, value: 诊断年龄}\nconstants: {kind: diagnosis, text: age at diagnosis, unit: 岁}\n"
_AGAIN = "{path: '*.csv', mapping: age.yaml}, {path: followup.csv, mapping: age.yaml}"
BOTH = f"[{{path: followup.csv, mapping: stage.yaml}}, {_AGAIN}]"


def test_one_table_with_two_mappings_gives_two_events_a_row(tmp_path: Path) -> None:
    (tmp_path / "stage.yaml").write_text(STAGE, encoding="utf-8")
    (tmp_path / "age.yaml").write_text(AGE, encoding="utf-8")
    workspace = make(tmp_path, CLINICAL, sources=BOTH)
    # The age is unknown to the stage's mapping and the stage to the age's: neither is unknown. Nobody knows the sex.
    assert rules(workspace) == {"events.empty_row": 4, "events.unknown_column": 1}
    rows = events(workspace)
    assert sorted((row["source_mapping"], row["patient_id"], row["code"], row["value"]) for row in rows) == [
        ("age.yaml", "P1", None, 61.0), ("age.yaml", "P2", None, 47.0),
        ("stage.yaml", "P1", "Stage IIA", None), ("stage.yaml", "P3", "Stage IV", None),
    ]  # fmt: skip
    assert len({row["event_id"] for row in rows}) == 4
    # Again, and for one file alone: nothing is there twice.
    assert import_events(workspace, only=[tmp_path / "followup.csv"]).total == 4
    assert len(read_findings(Catalog(workspace.catalog), "events")) == 3
    # A mapping that is no longer named has no events either.
    text = (tmp_path / "pathcurate.yaml").read_text().replace(BOTH, "[{path: followup.csv, mapping: stage.yaml}]")
    (tmp_path / "pathcurate.yaml").write_text(text)
    assert import_events(load_workspace(tmp_path / "pathcurate.yaml")).total == 2


def test_a_file_replaces_its_own_events_and_no_others(tmp_path: Path) -> None:
    workspace = make(tmp_path, table(GOOD), sources="[{path: '*.csv'}]")
    (tmp_path / "more.csv").write_text(table(GOOD.replace("0012345", "7"), ",诊断,,,x,,,,,"), encoding="utf-8")
    import_events(workspace)
    before = {row["source_file"]: row["event_id"] for row in events(workspace)}
    (tmp_path / "followup.csv").write_text(table("9,随访,,,,,,,2024-01-01,", GOOD), encoding="utf-8")
    summary = import_events(workspace, only=[tmp_path / "followup.csv"])
    assert (summary.files, summary.rows, summary.total, summary.findings) == (1, 2, 3, ())
    after = [(row["source_file"], row["event_id"]) for row in events(workspace)]
    assert set(before.items()) <= set(after)
    # What was found in the other file stands.
    assert [finding.rule for finding in read_findings(Catalog(workspace.catalog), "events")] == ["events.no_patient"]
    (tmp_path / "followup.csv").write_text(HEADS + "\n", encoding="utf-8")
    assert import_events(workspace).total == 1


def test_the_same_event_twice_a_day_is_two_events(tmp_path: Path) -> None:
    rows = [GOOD, GOOD.replace("7.25", "7.5")]
    workspace = make(tmp_path, table(*rows))
    assert rules(workspace) == {}
    assert len({row["event_id"] for row in events(workspace)}) == 2


def test_dates_that_cannot_be_are_findings_and_the_rows_stay(tmp_path: Path) -> None:
    (tmp_path / "lis.csv").write_text(
        "病理号,住院号,出生日期\nS23-1,1001,1960-05-05\nS23-2,1002,1960-05-05\nS23-3,1002,1961-05-05\n", encoding="utf-8"
    )
    rows = [
        "1001,随访,2023-01-02,2023-01-01,", "1001,随访,2023-01-02,2023-01-02,", "1001,随访,2024-06-02,,",
        "1001,随访,2023-01-01,2024-06-02,", "1001,随访,1960-05-04,,", "1001,随访,1960-05-05,,", "1003,随访,1900-01-01,,",
        "1002,随访,1950-01-01,,", "1001,随访,,1950-01-01,",
    ]  # fmt: skip
    workspace = make(tmp_path, table(*rows, heads="住院号,类别,日期,结束日期,项目"))
    text = (tmp_path / "pathcurate.yaml").read_text()
    (tmp_path / "pathcurate.yaml").write_text(text.replace("code: NB01,", "code: NB01, reports: [{path: lis.csv}],"))
    import_reports(load_workspace(tmp_path / "pathcurate.yaml"))
    now = datetime(2024, 6, 1)
    # A number that two people share tells nobody's birth, and one without a report neither.
    expected = {"events.ends_before_it_begins": 1, "events.in_the_future": 2, "events.before_birth": 2}
    assert rules(workspace, now=now) == expected
    assert len(events(workspace)) == 9
    # They are looked for at every import, though no file is read: what lay ahead has come.
    assert "events.in_the_future" not in rules(workspace, now=datetime(2024, 6, 3))


def test_one_row_of_two_exports_is_one_event(tmp_path: Path) -> None:
    workspace = make(tmp_path, table(GOOD), sources="[{path: '*.csv'}]")
    (tmp_path / "more.csv").write_text(table(GOOD, GOOD.replace("7.25", "7.5")), encoding="utf-8")
    assert rules(workspace) == {"events.repeated_in_file": 1}
    assert [(row["value"], row["source_file"]) for row in events(workspace)] == [(7.25, "followup.csv"), (7.5, "more.csv")]


def test_the_order_of_rows_does_not_count(tmp_path: Path) -> None:
    rows = [GOOD, GOOD.replace("7.25", "7.5"), GOOD.replace("CEA", "AFP")]
    seen = []
    for order in (rows, rows[::-1]):
        workspace = make(tmp_path, table(*order))
        import_events(workspace)
        seen.append({row["event_id"]: (row["value"], row["code"]) for row in events(workspace)})
    assert seen[0] == seen[1]
    assert len(seen[0]) == 3


@pytest.mark.parametrize(
    ("word", "kind"),
    [("手术", "procedure"), ("出院诊断", "diagnosis"), ("门诊", "visit"), ("检验", "laboratory"), ("用药", "medication"),
     ("影像检查", "imaging"), ("电话随访", "follow_up"), ("死亡", "death")],
)  # fmt: skip
def test_every_kind_of_event_with_its_side_and_end(tmp_path: Path, word: str, kind: str) -> None:
    workspace = make(tmp_path, table(f"1001,{word},,,某项,,,右侧,2023-04-01,2023-04-09"))
    import_events(workspace)
    (row,) = events(workspace)
    assert (row["kind"], row["laterality"]) == (kind, "right")
    assert (row["date"], row["end_date"]) == (datetime(2023, 4, 1), datetime(2023, 4, 9))


def test_kind_may_be_a_constant_or_translated(tmp_path: Path) -> None:
    mapping = "columns: {patient_id: 号, kind: 类}\nvalues: {kind: {'3': 随访}}\n"
    workspace = make(tmp_path, "号,类,日期\n1001,3,20230401\n1001,手术,2023/4/2\n", mapping=mapping)
    assert rules(workspace) == {}
    assert [(row["kind"], row["date"]) for row in events(workspace)] == [
        ("follow_up", datetime(2023, 4, 1)), ("procedure", datetime(2023, 4, 2)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "mapping", "kind", "words"),
    [
        ("号,类别\n1,诊断\n", "", UsageError, "patient number"),
        ("住院号,日期\n1,2023-01-01\n", "", UsageError, "what kind of events"),
        ("住院号,日期\n1,2023-01-01\n", "columns: {kind: 类别}", UsageError, "no column `类别`"),
        ("住院号,日期\n1,2023-01-01\n", "columns: {kinds: 类别}", UsageError, "did you mean `kind`"),
        ("住院号,日期\n1,2023-01-01\n", "columns: {event_id: 类别}", UsageError, "unknown column `event_id`"),
        ("", "", UsageError, "no head row"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused(
    tmp_path: Path, content: str, mapping: str, kind: type[PathcurateError], words: str
) -> None:
    workspace = make(tmp_path, content, mapping=mapping)
    with pytest.raises(kind, match=words):
        import_events(workspace)
    assert events(workspace) == []


def test_a_missing_file_and_one_that_no_source_names(tmp_path: Path) -> None:
    workspace = make(tmp_path, table(GOOD))
    (tmp_path / "other.csv").write_text(table(GOOD), encoding="utf-8")
    with pytest.raises(UsageError, match="belongs to no event source"):
        import_events(workspace, only=[tmp_path / "other.csv"])
    (tmp_path / "followup.csv").unlink()
    with pytest.raises(InputOutputError, match="no such file"):
        import_events(workspace)


def test_a_closed_code_needs_its_system() -> None:
    assert is_closed_code("ajcc", "Stage IIIC2")
    assert not is_closed_code("ajcc", "Stage IIA\n")
    assert not is_closed_code("ajcc", "Stage ２")
    assert not is_closed_code(None, "C50.9")
    assert not is_closed_code("icd10", None)
