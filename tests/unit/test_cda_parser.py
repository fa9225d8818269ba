"""Clinical documents: what they say becomes a row; what is hostile or damaged is a finding and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.parsers import cda
from pathcurate.parsers.cda import document as reading
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS
from tests.makers.cda import ANSWER, CARD, NUMBER, document, identifier, observation, section

Write = Callable[[str, str | bytes], Path]
PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)
SECRET = "王小红"


def parse(path: Path, mapping: Mapping | None = None) -> tuple[list[dict[str, Any]], list[Finding]]:
    items = list(cda.parse(path, "NB01", PATTERNS, mapping or Mapping()))
    return [item for item in items if isinstance(item, dict)], [item for item in items if isinstance(item, Finding)]


def only(path: Path, mapping: Mapping | None = None) -> dict[str, Any]:
    (row,), findings = parse(path, mapping)
    assert [finding.rule for finding in findings if finding.severity is not Severity.INFO] == []
    return row


def rules(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def test_a_whole_document(write: Write) -> None:
    path = write("a.xml", document())
    (row,), findings = parse(path)
    assert row == ANSWER
    assert set(row) <= set(REPORTS.names)
    assert [(finding.rule, finding.count) for finding in findings] == [("reports.attachment", 1)]
    assert cda.detects(path.read_bytes()[:4096])


@pytest.mark.parametrize("declared", ["UTF-8", "GB2312", "gbk", "GB18030", "utf-16", "x-unknown", "us-ascii", None])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_the_bytes_say_the_encoding_not_the_declaration(write: Write, declared: str | None, encoding: str) -> None:
    opening = f"<?xml version='1.0' encoding='{declared}'?>\n" if declared else ""
    rare = document(opening=opening, name="<name>王㛃䶮</name>")
    path = write("a.xml", rare.encode(encoding))
    assert only(path) == {**ANSWER, "patient_name": "王㛃䶮"}
    assert cda.detects(path.read_bytes()[:4096])


def test_a_declaration_of_another_encoding_is_believed_if_it_fits(write: Write) -> None:
    opening = "<?xml version='1.0' encoding='big5'?>"
    text = document(opening=opening, title="病理", name="<name>王國華</name>", body=section("病理診斷", "癌"))
    plain = "".join(character if character.encode("big5", "ignore") else "x" for character in text)
    (row,), _ = parse(write("a.xml", plain.encode("big5")))
    assert row["patient_name"] == "王國華"
    opening = "<?xml version='1.0' encoding='iso-8859-1'?>"
    text = document(
        opening=opening, title="Pathology", name="<name>Zoë Müller</name>", body=section("Diagnosis", "Carcinoma")
    )
    (row,), _ = parse(write("b.xml", text.encode("latin-1", "replace")))
    assert row["patient_name"] == "Zoë Müller"


def test_an_encoding_of_a_mapping_is_the_only_one(write: Write) -> None:
    path = write("a.xml", document().encode("gb18030"))
    assert only(path, Mapping(encoding="gb18030"))["patient_name"] == SECRET
    with pytest.raises(UsageError, match=r"a\.xml is not utf-8"):
        parse(path, Mapping(encoding="utf-8"))


@pytest.mark.parametrize(
    ("head", "is_one"),
    [
        (b"<ClinicalDocument xmlns='urn:hl7-org:v3'>", True),
        (b"<?xml version='1.0'?>\n<!-- x --><cda:ClinicalDocument>", True),
        (b"<!DOCTYPE ClinicalDocument [", True), (b"<html><table>", False), (b"ClinicalDocument", False), (b"", False),
        (b"<ClinicalDocuments/>", False), (b'{"resourceType": "Bundle"}', False),
    ],
)  # fmt: skip
def test_what_begins_a_document(head: bytes, is_one: bool) -> None:
    assert cda.detects(head) is is_one


BOMB = "".join(f"<!ENTITY l{level} '{f'&l{level - 1};' * 10}'>" for level in range(1, 10))
HOSTILE = {
    "a thousand million laughs": (f"<!DOCTYPE ClinicalDocument [<!ENTITY l0 '{SECRET}'>{BOMB}]>", "<name>&l9;</name>"),
    "a file": ("<!DOCTYPE ClinicalDocument [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>", "<name>&x;</name>"),
    "an address": ("<!DOCTYPE ClinicalDocument [<!ENTITY x SYSTEM 'http://127.0.0.1:9/x'>]>", "<name>&x;</name>"),
    "a document type elsewhere": ("<!DOCTYPE ClinicalDocument SYSTEM 'http://127.0.0.1:9/x.dtd'>", "<name>王</name>"),
    "a parameter entity": ("<!DOCTYPE a [<!ENTITY % p SYSTEM 'file:///etc/hostname'> %p;]>", "<name>王</name>"),
    "a document type alone": ("<!DOCTYPE ClinicalDocument>", "<name>王</name>"),
    "an entity that is not declared": ("", "<name>&nbsp;</name>"),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
@pytest.mark.parametrize("name", HOSTILE)
def test_entities_and_document_types_are_refused(write: Write, name: str, encoding: str) -> None:
    opening, markup = HOSTILE[name]
    rows, findings = parse(write("a.xml", document(opening=opening, name=markup).encode(encoding)))
    assert rows == []
    assert [(finding.rule, finding.severity) for finding in findings] == [("reports.entry_damaged", Severity.ERROR)]
    assert SECRET not in findings[0].message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (document().replace("</patient>", ""), 9), (document() + "\n<x/>", 24), ("<ClinicalDocument", 1),
        (document(opening="<?xml version='1.0'?>\n\n\n<"), 4), ("<ClinicalDocument>\n<a>\x01</a></ClinicalDocument>", 2),
        (document().replace("<title>", "<title a='1' a='2'>"), 6), ("<ClinicalDocument>", 1),
    ],
)  # fmt: skip
def test_invalid_markup_is_a_finding_with_its_line(write: Write, text: str, line: int) -> None:
    rows, findings = parse(write("a.xml", text))
    assert rows == []
    assert rules(findings) == ["reports.entry_damaged"]
    assert f"(line {line})" in findings[0].message
    assert SECRET not in repr(findings)


@pytest.mark.parametrize("data", [b"", b"   ", b"\x00" * 100, b"\xff" * 100, b"<a/>", "王小红".encode(), b"<a>\xff\xff</a>"])
def test_what_is_no_document_is_a_finding(write: Write, data: bytes) -> None:
    rows, findings = parse(write("a.xml", data))
    assert rows == []
    assert rules(findings) == ["reports.entry_damaged"]
    assert findings[0].subject == "a.xml entry 1"


def test_every_cut_of_a_document_is_a_finding(write: Write) -> None:
    data = document().encode()
    for length in range(1, len(data), 97):
        rows, findings = parse(write("a.xml", data[:length]))
        assert rows == []
        assert rules(findings) == ["reports.entry_damaged"]


def test_limits(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = section("病理诊断", "<content>" * 300 + "癌" + "</content>" * 300)
    assert rules(parse(write("a.xml", document(body=deep)))[1]) == ["reports.entry_damaged"]
    fits = section("病理诊断", "<content>" * 200 + "癌" + "</content>" * 200)
    assert only(write("b.xml", document(body=fits)))["diagnosis"] == "癌"
    monkeypatch.setattr(reading, "_MOST_TEXT", 1000)
    assert rules(parse(write("c.xml", document(body=section("病理诊断", "癌" * 2000))))[1]) == ["reports.entry_damaged"]
    monkeypatch.setattr(reading, "_MOST_ELEMENTS", 40)
    assert rules(parse(write("d.xml", document()))[1]) == ["reports.entry_damaged"]


def test_a_tag_that_does_not_end_is_given_up(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 64)
    monkeypatch.setattr(reading, "_LONGEST_TOKEN", 500)
    assert only(write("a.xml", document()))["accession"] == "S23-123"
    rows, findings = parse(write("b.xml", document(title="病理<x a='" + "x" * 2000 + "'/>")))
    assert rows == []
    assert "without end" in findings[0].message


def test_pictures_of_any_size_are_left_out(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_TEXT", 10_000)
    picture = (
        "<entry><observationMedia><value mediaType='image/png' representation='B64'>{}</value></observationMedia></entry>"
    )
    entries = picture.format("d2FuZw==" * 100_000) * 2 + "<entry><observation><value representation='B64'>QUJD<x>y</x>"
    body = section("病理诊断", "癌<renderMultiMedia referencedObject='a'/>", entries + "</value></observation></entry>")
    row = only(write("a.xml", document(body=body)))
    assert (row["diagnosis"], row["attachment_count"]) == ("癌", 3)


def test_a_body_that_is_no_markup(write: Write) -> None:
    pdf = "<nonXMLBody><text mediaType='application/pdf' representation='B64'>JVBERi0=</text></nonXMLBody>"
    row = only(write("a.xml", document(body=pdf)))
    assert row["attachment_count"] == 1
    assert not {"diagnosis", "text_raw"} & row.keys()
    plain = "<nonXMLBody><text mediaType='text/plain'>肉眼所见：灰白\n病理诊断：\n浸润性癌</text></nonXMLBody>"
    row = only(write("b.xml", document(body=plain)))
    assert (row["gross"], row["diagnosis"], row["attachment_count"]) == ("灰白", "浸润性癌", 0)
    loose = "<nonXMLBody><text>浸润性癌</text></nonXMLBody>"
    assert only(write("c.xml", document(body=loose)))["text_raw"] == "浸润性癌"


INPATIENT, OUTPATIENT, REPORT, CARD_ROOT = (f"2.16.156.10011.1.{last}" for last in (12, 11, 32, 3))


@pytest.mark.parametrize(
    ("identifiers", "number", "extra", "accession", "patient"),
    [
        (identifier("ZY2301234", INPATIENT) + identifier("S23-555", REPORT), "REQ", "", "S23-555", "ZY2301234"),
        (identifier("7") + identifier(NUMBER) + identifier(NUMBER), "REQ", "", "S23-123", "7"),
        (identifier("S23-777") + identifier(NUMBER), NUMBER, "", "S23-123", "S23-777"),
        (identifier("MZ1", OUTPATIENT) + identifier("ZY1", INPATIENT) + identifier("9001", REPORT), "A", "", "9001", "ZY1"),
        (identifier("MZ1", OUTPATIENT) + identifier(CARD), "A", "", None, None),
        (identifier("MZ1", OUTPATIENT), "A", "<id nullFlavor='NI' extension='S23-999'/>", None, None),
        (identifier("MZ1", OUTPATIENT), "A", section("x", "", observation("病理号", "77")), "77", "MZ1"),
        ("<id root='1' extension='77' assigningAuthorityName='病理号'/>" + identifier("5"), "A", "", "77", "5"),
        ("<id/>" * 3, "S23-001", "", "S23-1", None), ("<id root='1'/>", "0", "", None, None),
    ],
)  # fmt: skip
def test_numbers_are_told_by_place_and_form(
    write: Write, identifiers: str, number: str, extra: str, accession: str | None, patient: str | None
) -> None:
    rows, findings = parse(write("a.xml", document(identifiers=identifiers, number=number, extra=extra)))
    assert [(row["accession"], row.get("patient_id")) for row in rows] == ([(accession, patient)] if accession else [])
    assert accession or rules(findings) == ["reports.no_accession"]


def test_a_number_that_is_no_card_number_is_still_the_patients_document(write: Write) -> None:
    text = document().replace(CARD, "E1234567")
    assert only(write("a.xml", text))["id_number"] == "E1234567"
    own = document(identifiers=identifier(CARD) + identifier(NUMBER)).replace(
        f"root='{CARD_ROOT}' extension='{CARD}'", "root='1'"
    )
    row = only(write("b.xml", own))
    assert (row["id_number"], row.get("patient_id")) == (CARD, None)


@pytest.mark.parametrize(
    ("markup", "sex"),
    [("code='1'", "male"), ("code='2'", "female"), ("code='9'", "unknown"), ("code='0'", "unknown"), ("code='M'", "male"),
     ("code='F'", "female"), ("code='UN'", "other"), ("code='77' displayName='男性'", "male"),
     ("displayName='女'", "female"),
     ("nullFlavor='UNK'", None)],
)  # fmt: skip
def test_sexes(write: Write, markup: str, sex: str | None) -> None:
    assert only(write("a.xml", document(gender=f"<administrativeGenderCode {markup}/>"))).get("sex") == sex


@pytest.mark.parametrize(
    ("markup", "name"),
    [
        ("<name><family>王</family><given>小红</given></name>", "王小红"), ("<name nullFlavor='UNK'/>", None),
        ("", None),
        ("<name> <given>Jane</given> <family>Doe</family> </name>", "Jane Doe"), ("<name/><name>\n王小红 </name>", "王小红"),
    ],
)  # fmt: skip
def test_names(write: Write, markup: str, name: str | None) -> None:
    assert only(write("a.xml", document(name=markup))).get("patient_name") == name


@pytest.mark.parametrize(
    ("title", "body", "kind"),
    [
        ("术中冰冻病理报告", section("诊断", "癌"), "frozen"), ("细胞学检查报告", section("诊断", "癌"), "cytology"),
        ("检查报告", section("镜下所见", "巢状"), "primary"),
        ("检查报告", section("x", "镜下所见：巢状\n病理诊断：癌"), "primary"),
        ("CT检查报告", section("检查所见", "右肺结节"), None), ("检查报告", section("诊断意见", "肺癌"), None),
        ("检查报告", observation("检查报告结果-客观所见", "右肺结节"), None), ("", "", None),
    ],
)  # fmt: skip
def test_only_pathology_is_read(write: Write, title: str, body: str, kind: str | None) -> None:
    rows, findings = parse(write("a.xml", document(title=title, body=body)))
    assert [row["report_type"] for row in rows] == ([kind] if kind else [])
    assert rules(findings) == ([] if kind else ["reports.other_report"])


@pytest.mark.parametrize(("code", "kind"), [("RPLC", "amended"), ("APND", "supplementary"), ("XFRM", "primary")])
def test_what_replaces_another_document_amends_it(write: Write, code: str, kind: str) -> None:
    related = f"<relatedDocument typeCode='{code}'><parentDocument><id extension='1'/></parentDocument></relatedDocument>"
    assert only(write("a.xml", document(extra=related)))["report_type"] == kind


def test_values_of_the_ministrys_template(write: Write) -> None:
    entries = (
        observation("检查报告结果-客观所见", "肉眼：灰白\n镜下所见：巢状")
        + observation("检查报告结果-主观提示", "（胃窦）腺癌")
        + observation("检查报告备注", "请结合临床")
    )  # fmt: skip
    row = only(write("a.xml", document(body=section("检查报告", "", entries))))
    assert (row["diagnosis"], row["comment"], row["organ"]) == ("（胃窦）腺癌", "请结合临床", "stomach")
    assert row["microscopy"] == "巢状"


def test_what_a_section_says_twice_is_kept_once(write: Write) -> None:
    entries = observation("病理诊断", "浸润性癌")
    row = only(write("a.xml", document(body=section("病理诊断", "<paragraph>浸润性癌</paragraph>", entries))))
    assert row["diagnosis"] == "浸润性癌"
    assert "text_raw" not in row


def test_lines_of_a_narrative(write: Write) -> None:
    text = (
        "<paragraph>一<br/>二</paragraph><list><caption>三</caption><item>四</item><item>五<sup>2</sup></item></list>"
        "<table><thead><tr><th>标记</th><th>结果</th></tr></thead><tbody><tr><th>ER</th><td>+</td></tr></tbody></table>"
        "<paragraph revised='delete'>六</paragraph>七 &lt; 八"
    )
    row = only(write("a.xml", document(body=section("病理诊断", text))))
    assert row["diagnosis"] == "一\n二\n三\n四\n五2\n标记 结果\nER：+\n七 < 八"


def test_times_keep_the_clock_on_the_wall(write: Write) -> None:
    for text, shown in [
        ("20230314163001.000+0800", "2023-03-14 16:30:01"), ("202303141630", "2023-03-14 16:30:00"),
        ("2023-03-14T08:05:00+08:00", "2023-03-14 08:05:00"), ("20230314", "2023-03-14 00:00:00"),
        ("2023031408+0800", "2023-03-14 08:00:00"),
    ]:  # fmt: skip
        path = write("a.xml", document().replace("20230314163001.000+0800", text))
        assert str(only(path)["reported_date"]) == shown
    (row,), findings = parse(write("a.xml", document().replace("20230314163001.000+0800", "20231399")))
    assert row["reported_date"] is None
    assert rules(findings) == ["reports.not_understood", "reports.attachment"]


def test_a_mapping_takes_the_place_of_what_is_shipped(write: Write) -> None:
    columns = {
        "accession": ["ClinicalDocument/setId", "ClinicalDocument/id"], "diagnosis": ["section[镜下所见]/text"],
        "patient_id": [f"patientRole/id[{INPATIENT}]"], "comment": ["nowhere/text"],
    }  # fmt: skip
    row = only(write("a.xml", document()), Mapping(columns=columns, constants={"organ": "胃"}))
    assert (row["accession"], row["diagnosis"]) == ("D20230314000001X", "异型细胞呈巢状排列")
    assert (row["patient_id"], row["organ"]) == ("00012345", "stomach")
    with pytest.raises(UsageError, match="no element path"):
        parse(write("a.xml", document()), Mapping(columns={"accession": ["recordTarget//id"]}))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError):
        parse(tmp_path / "none.xml")
