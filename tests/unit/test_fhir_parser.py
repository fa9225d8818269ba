"""FHIR reports: what they say becomes a row, whatever the file's form; what is damaged costs only itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.parsers import fhir
from pathcurate.parsers.fhir import stream
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS
from tests.makers.fhir import (
    ANSWER,
    CARD,
    bundle,
    concept,
    contained,
    form,
    ndjson,
    observation,
    patient,
    report,
    resources,
    to,
)

Write = Callable[[str, str | bytes], Path]
PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)
SECRET = "王小红"


def parse(path: Path, mapping: Mapping | None = None) -> tuple[list[dict[str, Any]], list[Finding]]:
    items = list(fhir.parse(path, "NB01", PATTERNS, mapping or Mapping()))
    return [item for item in items if isinstance(item, dict)], [item for item in items if isinstance(item, Finding)]


def only(path: Path, mapping: Mapping | None = None) -> dict[str, Any]:
    (row,), findings = parse(path, mapping)
    assert [finding.rule for finding in findings if finding.severity is not Severity.INFO] == []
    return row


def rules(findings: list[Finding]) -> list[tuple[str, int]]:
    return [(finding.rule, finding.count) for finding in findings]


FORMS = {
    "bundle": bundle(resources()),
    "bundle without addresses": bundle(resources(), base=""),
    "bundle, indented": bundle(resources(), indent=2),
    "bundle, its type behind the entries": bundle(resources(), type_last=True),
    "bundle, backwards": bundle(resources()[::-1]),
    "lines": ndjson(resources()),
    "lines, backwards": ndjson(resources()[::-1]),
    "lines of Windows with empty ones": "\r\n\r\n" + ndjson(resources()).replace("\n", "\r\n\r\n"),
    "several bundles": bundle(resources()[:1]) + "\n" + bundle(resources()[1:]),
    "everything inside": json.dumps(contained(resources()), ensure_ascii=False),
    "everything inside, indented": json.dumps(contained(resources()), ensure_ascii=False, indent=1),
    "a list": json.dumps(resources(), ensure_ascii=False),
    "all escaped": json.dumps(json.loads(bundle(resources()))),
    "repeated": ndjson([*resources(), patient(), patient()]),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be", "gb18030"])
def test_one_report_in_every_form_and_encoding(write: Write, name: str, encoding: str) -> None:
    path = write("a.json", FORMS[name].encode(encoding))
    row = only(path)
    row.pop("source_row")
    assert row == ANSWER
    assert set(row) <= set(REPORTS.names)
    assert fhir.detects(path.read_bytes()[:4096])


def test_the_number_of_the_entry_is_the_source_row(write: Write) -> None:
    made = [patient(), report(), patient(id="p2"), report(id="r2", identifier=[{"value": "S23-7"}])]
    for name, text in (("a.json", bundle(made)), ("a.ndjson", ndjson(made)), ("b.json", bundle(made, indent=4))):
        assert [(row["source_row"], row["accession"]) for row in parse(write(name, text))[0]] == [
            (2, "S23-123"),
            (4, "S23-7"),
        ]


@pytest.mark.parametrize(
    "head",
    [b"", b"{", b'{"a": 1}', "病理号,姓名\n".encode(), b"MSH|^~\\&|", b"<Bundle xmlns='http://hl7.org/fhir'/>",
     b"PK\x03\x04",
     '病理号,诊断\nS23-1,"resourceType": 癌'.encode(), b"\x00" * 4096],
)  # fmt: skip
def test_other_files_are_left_to_others(head: bytes) -> None:
    assert not fhir.detects(head)


@pytest.mark.parametrize("address", [{"text": "浙江省示例市7号"}, {"line": ["浙江省示例市7号"], "state": "浙江省"}])
def test_where_the_patient_lives(write: Write, address: dict[str, Any]) -> None:
    made = [one | {"address": [address]} if one["resourceType"] == "Patient" else one for one in resources()]
    assert only(write("a.json", bundle(made)))["address"] == "浙江省示例市7号"


@pytest.mark.parametrize(
    ("status", "kind", "state"),
    [("final", "primary", "final"), ("amended", "amended", "final"), ("corrected", "amended", "final"),
     ("appended", "supplementary", "final"), ("preliminary", "primary", "preliminary"),
     ("partial", "primary", "preliminary"), ("registered", "primary", "preliminary"),
     ("entered-in-error", "primary", "withdrawn"), ("cancelled", "primary", "withdrawn")],
)  # fmt: skip
def test_states(write: Write, status: str, kind: str, state: str) -> None:
    row = only(write("a.json", json.dumps(report(status=status))))
    assert (row["report_type"], row["status"]) == (kind, state)


def test_a_state_that_is_not_known_never_counts_as_final(write: Write) -> None:
    (row,), findings = parse(write("a.json", json.dumps(report(status="done"))))
    assert row["status"] == "preliminary"
    assert rules(findings) == [("reports.not_understood", 1)]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"code": concept("术中冰冻报告")}, "frozen"),
        ({"category": [concept(service="CP")], "code": concept("x")}, "cytology"),
        ({"category": [concept(service="LAB")], "code": concept(loinc="60568-3")}, "primary"),
        ({"category": None, "code": concept("Surgical Pathology")}, "primary"),
        ({"code": concept("补充报告")}, "supplementary"),
        ({"category": [concept(service="LAB")], "code": concept("Blood count")}, None),
        ({"category": [concept(service="RAD")], "code": concept("CT chest")}, None),
        ({"category": [concept(service="LAB")], "code": concept("Pathogen panel")}, None),
        ({"category": [concept("Speech pathology")], "code": None}, None), ({"category": None, "code": None}, None),
        ({"category": "SP", "code": True}, None),
    ],
)  # fmt: skip
def test_only_reports_of_pathology_are_read(write: Write, changes: dict[str, Any], kind: str | None) -> None:
    rows, findings = parse(write("a.ndjson", ndjson([report(**changes), report(identifier=[{"value": "S23-9"}])])))
    assert [row["report_type"] for row in rows] == ([kind] if kind else []) + ["primary"]
    assert rules(findings) == ([] if kind else [("reports.other_report", 1)])


@pytest.mark.parametrize("text", ['{"resourceType": "Bundle"}', '{"resourceType": "Bundle", "entry": []}', "[]", "\n\n"])
def test_a_file_of_nothing_says_so(write: Write, text: str) -> None:
    assert rules(parse(write("a.json", text))[1]) == [("reports.no_report", 0)]


def test_a_stray_byte_costs_one_character(write: Write) -> None:
    for text in (bundle(resources()), ndjson(resources())):
        data = text.encode().replace("浸润".encode(), "浸".encode() + b"\xff" + "润".encode())
        row = only(write("a.json", data))
        assert row["diagnosis"] == "（右乳）浸\ufffd润性癌，Ⅱ级"
        assert row["patient_name"] == SECRET


ACSN = {"type": concept(kind="ACSN")}


@pytest.mark.parametrize(
    ("own", "taken", "ordered", "number"),
    [
        ([{"value": "771"}, {**ACSN, "value": "S23-1"}], None, None, "S23-1"),
        ([{"value": "771"}, {"value": "S23-200"}], None, None, "S23-200"),
        ([{"value": "771"}], {"value": "S23-300"}, [{"value": "REQ1"}], "S23-300"),
        ([{"value": "771"}], None, [{"value": "REQ1"}, {**ACSN, "value": "S23-400"}], "S23-400"),
        ([{"value": "771"}], {"value": "88"}, None, "771"),
        ([{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"}], {"value": "88"}, None,
         "88"),
        ([{"value": "771"}, {"value": "772"}], None, None, None), ([], None, None, None), (3, {"a": []}, True, None),
        ([{"value": "0"}], None, None, None), ([{"value": {"a": 1}}], None, None, None),
    ],
)  # fmt: skip
def test_the_accession_number(write: Write, own: Any, taken: Any, ordered: Any, number: str | None) -> None:
    made = report(
        identifier=own, specimen=[to("Specimen/1")] if taken else None, basedOn=[to("ServiceRequest/1")] if ordered else None
    )
    specimen = {"resourceType": "Specimen", "id": "1", "accessionIdentifier": taken}
    request = {"resourceType": "ServiceRequest", "id": "1", "identifier": ordered}
    rows, findings = parse(write("a.json", bundle([made, specimen, request])))
    assert [row["accession"] for row in rows] == ([number] if number else [])
    if number is None:
        assert rules(findings) == [("reports.no_accession", 1)]
        assert findings[0].subject == "a.json entry 1"


def test_a_mapping_takes_the_place_of_what_is_shipped(write: Write) -> None:
    made = report(
        identifier=[{"system": "urn:a", "value": "A-1"}, {"system": "urn:b", "value": "S23-9"}],
        subject=to("Patient/p1"), extension=[{"url": "urn:gross", "valueString": "灰白"}],
    )  # fmt: skip
    columns = {
        "accession": ["identifier[urn:none]", "identifier[urn:a]"], "patient_id": ["subject.id"],
        "gross": ["extension[urn:gross].valueString"], "patient_name": ["subject.name[usual]"], "diagnosis": ["nowhere"],
    }  # fmt: skip
    mapping = Mapping(columns=columns, values={"sex": {"female": "男"}}, constants={"organ": "胃"})
    row = only(write("a.json", bundle([made, patient()])), mapping)
    names = ("accession", "patient_id", "gross", "patient_name", "sex", "organ")
    assert [row[name] for name in names] == ["A-1", "p1", "灰白", "Xiaohong Wang", "male", "stomach"]
    assert "diagnosis" not in row


@pytest.mark.parametrize("path", ["identifier[", "a b", ".a", "1a", "a..b", ".".join("a" * 40)])
def test_a_mapping_that_names_no_path_is_refused(write: Write, path: str) -> None:
    with pytest.raises(UsageError, match="no element path"):
        parse(write("a.json", json.dumps(report())), Mapping(columns={"accession": [path]}))


def test_of_two_patients_with_one_address_none_is_the_reports(write: Write) -> None:
    made = [report(subject=to("Patient/p1")), patient(), patient(name=[{"text": "别人"}])]
    (row,), findings = parse(write("a.ndjson", ndjson(made)))
    assert "patient_name" not in row
    assert rules(findings) == [("reports.open_reference", 1)]


def test_servers_do_not_share_numbers(write: Write) -> None:
    one, other = "http://one.example/r4", "http://other.example/r4"

    def made(subject: str) -> str:
        entries = [
            {"fullUrl": f"{one}/DiagnosticReport/r1", "resource": report(subject=to(subject))},
            {"fullUrl": f"{one}/Patient/p1", "resource": patient(name=[{"text": "一"}])},
            {"fullUrl": f"{other}/Patient/p1", "resource": patient(name=[{"text": "二"}])},
        ]
        return json.dumps({"resourceType": "Bundle", "entry": entries})

    for subject, name in (("Patient/p1", "一"), (f"{one}/Patient/p1", "一"), (f"{other}/Patient/p1/_history/3", "二")):
        assert only(write("a.json", made(subject)))["patient_name"] == name
    (row,), findings = parse(write("b.json", made("http://third.example/r4/Patient/p1")))
    assert "patient_name" not in row
    assert rules(findings) == [("reports.open_reference", 1)]


def test_references_of_every_form(write: Write) -> None:
    entries = [
        {"fullUrl": "urn:uuid:1", "resource": report(subject=to("urn:uuid:2"))},
        {"fullUrl": "urn:uuid:2", "resource": patient(id=None)},
    ]
    assert only(write("a.json", json.dumps({"resourceType": "Bundle", "entry": entries})))["patient_name"] == SECRET
    logical = report(subject={"identifier": {"value": "00077"}, "display": "王二"})
    row = only(write("b.json", json.dumps(logical)))
    assert (row["patient_id"], row["patient_name"]) == ("00077", "王二")


def test_references_to_other_files_are_left_open_and_counted(write: Write) -> None:
    made = report(
        subject=to("Patient/none", "王二"), result=[to("Observation/none"), {"display": "x"}, None, 3],
        resultsInterpreter=[to("Practitioner/none", "李初诊")], specimen=to("#none"),
    )  # fmt: skip
    (row,), findings = (
        parse(write("a.ndjson", ndjson([made, made])))[0][:1],
        parse(write("a.ndjson", ndjson([made, made])))[1],
    )
    assert (row["patient_name"], row["pathologist"]) == ("王二", "李初诊")
    assert rules(findings) == [("reports.open_reference", 8)]


def test_a_file_without_reports_says_so(write: Write) -> None:
    assert rules(parse(write("Patient.ndjson", ndjson([patient(), patient(id="p2")])))[1]) == [("reports.no_report", 2)]


@pytest.mark.parametrize(
    ("identifiers", "number", "card"),
    [
        ([{"value": CARD}, {"value": "00012"}], "00012", CARD), ([{"value": CARD}], None, CARD),
        ([{"type": concept(kind="PPN"), "value": "E1234567"}], None, "E1234567"),
        ([{"value": "7"}, {"type": concept(kind="MR"), "value": "8"}], "8", None),
        ([{"use": "old", "type": concept(kind="MR"), "value": "8"}, {"value": "7"}], "7", None),
        ([{"value": "0"}, {"value": "不详"}], None, None), ("x", None, None),
    ],
)  # fmt: skip
def test_numbers_of_people(write: Write, identifiers: Any, number: str | None, card: str | None) -> None:
    row = only(write("a.json", bundle([report(subject=to("Patient/p1")), patient(identifier=identifiers)])))
    assert (row.get("patient_id"), row.get("id_number")) == (number, card)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([{"family": "王", "given": ["小", "红"]}], "王小红"), ([{"family": "Doe", "given": ["Jane", "Q"]}], "Jane Q Doe"),
        ([{"use": "old", "text": "王旧"}, {"use": "maiden", "text": "李旧"}], None),
        ([{"text": " 王小红\u0000 "}], "王小红"),
        ([{"use": "official", "text": "Wang Xiaohong"}, {"text": "王小红"}], "王小红"), ("王", None), ([["王"]], None),
    ],
)  # fmt: skip
def test_names(write: Write, names: Any, shown: str | None) -> None:
    row = only(write("a.json", bundle([report(subject=to("Patient/p1")), patient(name=names)])))
    assert row.get("patient_name") == shown


def test_dates_keep_the_clock_on_the_wall(write: Write) -> None:
    for text, shown in [
        ("2023-03-14T00:30:00+14:00", "2023-03-14 00:30:00"), ("2023-03-14T23:59:59.999999Z", "2023-03-14 23:59:59"),
        ("2023-03-14T08:05-05:00", "2023-03-14 08:05:00"), ("2023-03-14", "2023-03-14 00:00:00"),
    ]:  # fmt: skip
        assert str(only(write("a.json", json.dumps(report(issued=text))))["reported_date"]) == shown
    for text in ("2023-03", "2023", "2023-02-30", "99999999999"):
        (row,), findings = parse(write("a.json", json.dumps(report(issued=text))))
        assert row["reported_date"] is None
        assert rules(findings) == [("reports.not_understood", 1)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"valueQuantity": {"value": 2.50, "comparator": "<", "unit": "cm"}}, "<2.5 cm"), ({"valueBoolean": True}, "true"),
        ({"valueQuantity": {"value": 30, "code": "%"}}, "30%"), ({"valueInteger": 3}, "3"),
        ({"valueRange": {"low": {"value": 1, "unit": "mm"}, "high": {"value": 3, "unit": "mm"}}}, "1 mm-3 mm"),
        ({"valueRatio": {"numerator": {"value": 0}, "denominator": {"value": 15}}}, "0/15"),
        ({"valueCodeableConcept": {"coding": [{"display": "阳性", "code": "P"}]}}, "阳性"),
        ({"interpretation": [{"coding": [{"code": "POS"}]}]}, "POS"),
        ({"valueString": "阳性", "note": [{"text": "弱"}]}, "阳性\n弱"),
    ],
)  # fmt: skip
def test_values_of_observations(write: Write, value: dict[str, Any], text: str) -> None:
    made = [report(result=[to("Observation/o")]), observation("o", "ER", **value)]
    assert only(write("a.json", bundle(made)))["text_raw"] == f"ER: {text}"


def test_components_stand_with_their_observation(write: Write) -> None:
    parts = [
        {"code": concept("ER"), "valueString": "+"},
        {"code": concept("镜下所见"), "valueString": "巢状"},
        7,
        {"code": 3},
    ]
    made = [report(result=[to("Observation/o")]), observation("o", "免疫组化", component=parts)]
    row = only(write("a.json", bundle(made)))
    assert (row["ihc"], row["microscopy"]) == ("ER: +", "巢状")


def test_a_panel_that_is_its_own_member_ends(write: Write) -> None:
    members = [to("Observation/o")] * 3
    made = [report(result=members), observation("o", "免疫组化", valueString="ER+", hasMember=members)]
    assert only(write("a.json", bundle(made)))["ihc"] == "ER+"


def test_headings_inside_a_text_tell_its_sections(write: Write) -> None:
    text = "病理号：S23-00123\n肉眼所见：灰白\n镜下所见：巢状\n病理诊断：\n浸润性癌"
    wanted = {"gross": "灰白", "microscopy": "巢状", "diagnosis": "浸润性癌"}
    page = "<html><head><title>x</title></head><body>" + "".join(f"<p>{line}</p>\n" for line in text.split("\n"))
    for changes in (
        {"conclusion": text.partition("\n")[2]}, {"presentedForm": [form(text)]}, {"presentedForm": form(page, "text/html")},
        {"presentedForm": [form(text.encode("gb18030"), "text/plain; charset=utf-8")]},
        {"text": {"div": f"<div>{page}</div>"}},
    ):  # fmt: skip
        row = only(write("a.json", json.dumps(report(**{"conclusion": None, **changes}))))
        assert {name: row.get(name) for name in wanted} == wanted
        assert "text_raw" not in row
        assert row["attachment_count"] == 0


def test_what_is_said_once_is_kept_once(write: Write) -> None:
    made = report(conclusion="浸润性癌", presentedForm=[form("浸润性癌")], text={"div": "<div>王小红 浸润性癌</div>"})
    row = only(write("a.json", json.dumps(made)))
    assert row["diagnosis"] == "浸润性癌"
    assert "text_raw" not in row


def test_pictures_are_kept_out_and_counted(write: Write) -> None:
    forms = [form(b"%PDF", "application/pdf"), form(b"\xff\xd8", "image/jpeg"), {"url": "http://x/1"}, 3]
    (row, other), findings = parse(
        write("a.ndjson", ndjson([report(presentedForm=forms, media=[{"link": to("Media/1")}]), report(id="r2")]))
    )
    assert (row["attachment_count"], other["attachment_count"]) == (4, 0)
    assert rules(findings) == [("reports.attachment", 4)]
    assert findings[0].severity is Severity.INFO


@pytest.mark.parametrize("kept", ["!!!", "JVBERi0xLjcK", "gICAgICAgICA"])
def test_a_text_that_is_none_is_counted(write: Write, kept: str) -> None:
    made = report(presentedForm=[{"contentType": "text/plain", "data": kept}])
    (row,), findings = parse(write("a.json", json.dumps(made)))
    assert "text_raw" not in row
    assert rules(findings) == [("reports.not_understood", 1)]


@pytest.mark.parametrize(
    ("codes", "found"),
    [
        ([concept(icd10="C50.9"), concept(icd10="C77.3")], {}),
        ([concept(icd10="C50.9"), concept(icd10="C50.9")], {"icd10": "C50.9"}),
        ([concept(icdo="M8500/3")], {"icdo3_morphology": "8500/3"}), ([concept(snomed="C50.9")], {}), ("C50.9", {}),
        ([{"coding": [{"system": "urn:oid:2.16.840.1.113883.6.43.1", "code": "C34.1"}]}], {"icdo3_topography": "C34.1"}),
    ],
)  # fmt: skip
def test_codes_of_the_conclusion(write: Write, codes: Any, found: dict[str, str]) -> None:
    row = only(write("a.json", json.dumps(report(conclusionCode=codes))))
    assert {name: row[name] for name in ("icd10", "icdo3_topography", "icdo3_morphology") if name in row} == found


def test_a_conclusion_in_codes_alone_is_the_diagnosis(write: Write) -> None:
    row = only(write("a.json", json.dumps(report(conclusion=None, conclusionCode=[concept("浸润性癌", snomed="1")]))))
    assert row["diagnosis"] == "浸润性癌"


BROKEN = {
    "cut": '{"resourceType": "DiagnosticReport", "id": "x", "conclusion": "王小红',
    "no comma": '{"resourceType": "DiagnosticReport" "conclusion": "王小红"}',
    "deep": '{"resourceType": "DiagnosticReport", "a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "deeper": '{"a":' * 50_000,
    "a number": "1" * 10_000,
    "words": "王小红 was here",
    "no type": '{"王小红": 1}',
    "a type that is none": '{"resourceType": ["王小红"]}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_damaged_line_costs_that_line(write: Write, name: str) -> None:
    first, last = report(), report(identifier=[{"value": "S23-9"}])
    text = ndjson([first]) + BROKEN[name] + "\n" + ndjson([last])
    rows, findings = parse(write("a.ndjson", text))
    assert [(row["accession"], row["source_row"]) for row in rows] == [("S23-123", 1), ("S23-9", 3)]
    assert [(finding.rule, finding.subject) for finding in findings] == [("reports.entry_damaged", "a.ndjson entry 2")]
    assert SECRET not in repr(findings)
    rows, findings = parse(write("b.ndjson", BROKEN[name] + "\n" + ndjson([first, last])))
    assert [row["source_row"] for row in rows] == [2, 3]
    assert rules(findings) == [("reports.entry_damaged", 1)]


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "cut"])
@pytest.mark.parametrize("base", ["", "http://a"])
def test_a_damaged_entry_costs_that_entry(write: Write, name: str, base: str) -> None:
    whole = json.loads(bundle([report(), report(), report(identifier=[{"value": "S23-9"}])], base=base))
    pieces = [json.dumps(entry, ensure_ascii=False) for entry in whole["entry"]]
    pieces[1] = f'{{"resource": {BROKEN[name]}}}'
    rows, findings = parse(write("a.json", f'{{"resourceType": "Bundle", "entry": [{", ".join(pieces)}]}}'))
    assert [row["accession"] for row in rows] == ["S23-123", "S23-9"]
    assert [(finding.rule, finding.subject) for finding in findings] == [("reports.entry_damaged", "a.json entry 2")]
    assert SECRET not in repr(findings)


def test_a_bundle_that_is_cut_off_keeps_what_was_whole(write: Write) -> None:
    text = bundle([report(), report(id="r2", identifier=[{"value": "S23-9"}])])
    for length in range(len(text) - 400, len(text) - 60, 7):
        rows, findings = parse(write("a.json", text[:length]))
        assert [row["accession"] for row in rows] in (["S23-123"], ["S23-123", "S23-9"], [])
        assert len(rows) + len(findings) >= 2
        assert {finding.rule for finding in findings} == {"reports.entry_damaged"}


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -1e400, float("nan"), "x", [], {}, [[]], [[[["x"]]]], [None], {"reference": 7}, {"coding": 3},
     {"value": {}},
     {"reference": "#"}, {"reference": "Patient/"}, {"text": ["x"]}, {"low": {"low": {"value": "1"}}}, "\ud800"],
)  # fmt: skip
@pytest.mark.parametrize(
    "member",
    ["status", "category", "code", "identifier", "subject", "basedOn", "specimen", "result", "conclusion", "conclusionCode",
     "presentedForm", "media", "issued", "effectiveDateTime", "resultsInterpreter", "performer", "text", "contained", "id"],
)  # fmt: skip
def test_no_value_of_any_member_is_too_much(write: Write, member: str, value: Any) -> None:
    rows, findings = parse(write("a.ndjson", json.dumps({**report(), member: value}) + "\n" + ndjson([report(id="z")])))
    assert rows[-1]["source_row"] == 2
    for row in rows:
        assert all(text.encode() for text in row.values() if isinstance(text, str))
    assert len(rows) == 2 or {finding.rule for finding in findings} & {"reports.no_accession", "reports.other_report"}


def test_nesting_that_json_allows_is_no_trouble(write: Write) -> None:
    for depth in (100, 500, 900):
        deep: Any = "x"
        for _ in range(depth):
            deep = {"low": deep} if depth == 500 else [deep]
        made = [report(identifier=[{"value": "S23-1"}], issued=deep, extension=deep), patient(extension=deep, name=deep)]
        rows, findings = parse(write("a.ndjson", ndjson(made)))
        assert len(rows) + sum(finding.rule == "reports.entry_damaged" for finding in findings) >= 1


def test_the_last_of_two_members_counts(write: Write) -> None:
    text = json.dumps(report(), ensure_ascii=False)[:-1] + ', "conclusion": "良性"}'
    assert only(write("a.json", text))["diagnosis"] == "良性"


def test_a_line_in_another_encoding_is_read_in_it(write: Write) -> None:
    lines = ndjson([report(), report(id="r2", identifier=[{"value": "S23-9"}], conclusion="腺癌")]).encode().split(b"\n")
    lines[1] = lines[1].decode().encode("gb18030")
    rows, findings = parse(write("a.ndjson", b"\n".join(lines)))
    assert [row["diagnosis"] for row in rows] == ["（右乳）浸润性癌", "腺癌"]
    assert findings == []


def test_entries_larger_than_what_is_read_at_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_BLOCK", 16)
    for name in (
        "bundle",
        "bundle, indented",
        "bundle, its type behind the entries",
        "lines",
        "everything inside, indented",
    ):
        row = only(write("a.json", FORMS[name].encode("utf-8")))
        assert {**ANSWER, "source_row": row["source_row"]} == row


def test_an_entry_that_is_too_large_is_lost_alone(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_BLOCK", 512)
    monkeypatch.setattr(stream, "_LARGEST", 4096)
    made = [report(), report(id="r2", conclusion="癌" * 20_000), report(identifier=[{"value": "S23-9"}])]
    for name, text in (("a.ndjson", ndjson(made)), ("a.json", bundle(made))):
        rows, findings = parse(write(name, text))
        assert [row["accession"] for row in rows] == ["S23-123", "S23-9"]
        assert rules(findings) == [("reports.entry_damaged", 1)]


def test_a_file_or_an_encoding_that_is_not_there(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InputOutputError):
        parse(tmp_path / "none.json")
    mapping = Mapping.model_construct(encoding="utf-99", columns={}, constants={}, values={})
    with pytest.raises(UsageError):
        parse(write("a.json", json.dumps(report())), mapping)


def test_a_bundle_of_nothing_but_damage_is_given_up(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_MOST_LOST", 3)
    path = write("a.json", '{"resourceType": "Bundle", "entry": [' + '{"resource": {"a" "b"}},' * 50 + "]}")
    rows, findings = parse(path)
    assert rows == []
    assert {finding.rule for finding in findings} == {"reports.entry_damaged"}
    assert 3 <= len(findings) <= 4
    assert "what follows was not read" in findings[-1].message
