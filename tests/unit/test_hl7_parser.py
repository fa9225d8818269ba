"""HL7 v2: what a message says becomes a row, what is damaged becomes a finding, and nothing hangs."""

import base64
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.parsers import hl7
from pathcurate.parsers.hl7 import stream
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS
from tests.makers.hl7 import ANSWER, CARD, PDF, SECTIONS, USUAL, Separators, header, message, result, segment

Write = Callable[[str, str | bytes], Path]
PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)
START = "MSH|^~\\&|PIS|H|HIS|H|20230314||ORU^R01|1|P|2.4\r"
ORDER = "OBR|1||S23-123|BL^病理检查^L|||||||||||||||||||||F\r"


def parse(path: Path, mapping: Mapping | None = None) -> tuple[list[dict[str, Any]], list[Finding]]:
    items = list(hl7.parse(path, "NB01", PATTERNS, mapping or Mapping()))
    return [item for item in items if isinstance(item, dict)], [item for item in items if isinstance(item, Finding)]


def only(path: Path, mapping: Mapping | None = None) -> dict[str, Any]:
    (row,), findings = parse(path, mapping)
    assert [finding.rule for finding in findings if finding.severity is not Severity.INFO] == []
    return row


def rules(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("charset", ["", "GB 18030-2000", "UNICODE UTF-8", "8859/1", "ASCII", "no such set"])
@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_whole_message_whatever_it_says_of_its_encoding(write: Write, encoding: str, charset: str, end: str) -> None:
    row = only(write("a.hl7", message(charset=charset, end=end).encode(encoding)))
    assert row == ANSWER
    assert set(row) <= set(REPORTS.names)


def test_a_charset_that_is_right_is_believed(write: Write) -> None:
    text = (
        START.replace("2.4\r", "2.4||||||8859/1\r")
        + "PID|1||77||Müller^Jörg\rOBR|1||S23-1\rOBX|1|TX|22637-3||Säure||||||F\r"
    )
    row = only(write("a.hl7", text.encode("latin-1")))
    assert (row["patient_name"], row["diagnosis"]) == ("Müller Jörg", "Säure")


def test_other_separators(write: Write) -> None:
    signs = Separators("#", "*", "+", "!", "%")
    assert only(write("a.hl7", message(signs).encode())) == ANSWER


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"), (r"a\.br\b\.sp2\c", "a\nb\nc"), (r"a\H\b\N\c", "abc"),
        (r"a\X0D0A\b\X41\c", "a\nbAc"), (r"\XB2A1\ ", "病"), (r"C:\dir\file", r"C:\dir\file"), (r"\X4\a", "a"),
        ("直径0.3~0.8cm~另见", "直径0.3~0.8cm\n另见"), ("一~二", "一\n二"), ("a\r\nb\n\nc", "a\nb\n\nc"), ("ER|+", "ER"),
        ('""', None), ("a\x00b", "ab"),
    ],
)  # fmt: skip
def test_what_stands_in_a_text(write: Write, field: str, text: str | None) -> None:
    row, _ = parse(
        write(
            "a.hl7", f"{START}{ORDER}OBX|1|FT|BLZD^病理诊断||{field}||||||F\r".encode("gb18030" if "X" in field else "utf-8")
        )
    )
    assert row[0].get("diagnosis") == text


@pytest.mark.parametrize(
    ("kind", "field", "text"),
    [
        ("CE", "C50.9^乳腺恶性肿瘤^I10~D24^纤维腺瘤^I10", "乳腺恶性肿瘤\n纤维腺瘤"), ("CWE", "X^^L^^^^^^原文", "原文"),
        ("ST", "a^b", "a^b"),
        ("SN", "^5^-^10", "5-10"), ("", "文", "文"),
        ("ED", f"PIS^TEXT^PLAIN^Base64^{base64.b64encode('癌'.encode('gb18030')).decode()}", "癌"),
        ("ED", "PIS^TX^^A^癌", "癌"),
    ],
)  # fmt: skip
def test_kinds_of_results(write: Write, kind: str, field: str, text: str) -> None:
    assert only(write("a.hl7", f"{START}{ORDER}OBX|1|{kind}|22637-3||{field}||||||F\r"))["diagnosis"] == text


@pytest.mark.parametrize(
    ("identifier", "column"),
    [
        ("22634-0^x", "gross"), ("22635-7", "microscopy"), ("22637-3", "diagnosis"), ("22636-5", "clinical_diagnosis"),
        ("22638-1", "comment"), ("1^肉眼所见", "gross"), ("rysj^^L", "gross"), ("1^【镜下所见】", "microscopy"),
        ("1^Final Diagnosis", "diagnosis"), ("9^x^L^22634-0^Gross^LN", "gross"), ("IHC^免疫组化结果", "ihc"),
        ("1^送检部位", "specimen_sites"),
        ("60567-5^病理诊断", "text_raw"), ("1^unheard of", "text_raw"), ("", "text_raw"),
    ],
)  # fmt: skip
def test_the_column_of_a_result(write: Write, identifier: str, column: str) -> None:
    (row,), _ = parse(write("a.hl7", f"{START}{ORDER}OBX|1|TX|{identifier}||some words||||||F\r"))
    assert row[column] == "some words"


def test_a_whole_report_is_cut_at_its_heads(write: Write) -> None:
    lines = ["肉眼所见：灰白组织。", "病理诊断：浸润性癌。", "冰冻诊断：恶性。"]
    text = "".join(f"OBX|{number}|TX|BG^报告||{line}||||||F\r" for number, line in enumerate(lines))
    row = only(write("a.hl7", START + ORDER + text))
    assert (row["gross"], row["diagnosis"]) == ("灰白组织。", "浸润性癌。\n冰冻诊断：恶性。")
    assert row.get("text_raw") is None


def test_single_values_keep_their_names(write: Write) -> None:
    text = "OBX|1|TX|22637-3||癌||||||F\rOBX|2|ST|K67^Ki-67||30%||||||F\rOBX|3|NM|NL^年龄||56||||||F\r"
    row = only(write("a.hl7", START + ORDER + text))
    assert (row["diagnosis"], row["text_raw"], row["age"]) == ("癌", "Ki-67：30%", 56)


@pytest.mark.parametrize(
    ("subs", "specimens", "expected"),
    [
        (("A", "B", "A"), 0, "A. 一\n三\nB. 二"), (("1", "2", "3"), 0, "一\n二\n三"),
        (("1", "2", "2"), 0, "1. 一\n2. 二\n三"),
        (("1", "2", "3"), 3, "1. 一\n2. 二\n3. 三"), (("", "", ""), 2, "一\n二\n三"),
    ],
)  # fmt: skip
def test_results_of_several_specimens(write: Write, subs: tuple[str, ...], specimens: int, expected: str) -> None:
    text = "".join(result(USUAL, 1, "22637-3", said, sub=sub) + "\r" for sub, said in zip(subs, "一二三", strict=True))
    text += "".join(f"SPM|{number}\r" for number in range(specimens))
    assert only(write("a.hl7", START + ORDER + text))["diagnosis"] == expected


def test_pictures_are_left_out_and_counted(write: Write) -> None:
    text = (
        f"OBX|1|ED|PDF^报告||PIS^Application^PDF^Base64^{PDF}||||||F\rOBX|2|TX|PIC||{PDF}||||||F\r"
        "OBX|3|RP|URL||http://pis/1.jpg^PIS^Image^JPEG||||||F\rOBX|4|TX|22637-3||癌||||||F\r"
    )
    (row,), findings = parse(write("a.hl7", START + ORDER + text))
    assert (row["attachment_count"], row["diagnosis"]) == (3, "癌")
    assert [(one.rule, one.severity, one.count) for one in findings] == [("reports.attachment", Severity.INFO, 3)]
    assert not any(PDF[:8] in str(value) for value in row.values())


@pytest.mark.parametrize(
    ("obr", "obx", "expected"),
    [
        ("F", "F", ("final", "primary")), ("C", "F", ("final", "amended")), ("F", "C", ("final", "amended")),
        ("P", "F", ("preliminary", "primary")), ("X", "X", ("withdrawn", "primary")), ("", "P", ("preliminary", "primary")),
        ("", "C", ("final", "amended")), ("", "", ("final", "primary")), ("R", "", ("preliminary", "primary")),
        ("", "D", ("withdrawn", "primary")),
    ],
)  # fmt: skip
def test_states(write: Write, obr: str, obx: str, expected: tuple[str, str]) -> None:
    text = f"{START}OBR|1||S23-1|BL{'|' * 21}{obr}\rOBX|1|TX|22637-3||癌||||||{obx}\r"
    row = only(write("a.hl7", text))
    assert (row["status"], row["report_type"]) == expected


def test_a_result_that_was_wrong_is_left_out(write: Write) -> None:
    text = "OBX|1|TX|22637-3||右乳癌||||||W\rOBX|2|TX|22637-3||左乳癌||||||C\r"
    assert only(write("a.hl7", START + ORDER + text))["diagnosis"] == "左乳癌"


def test_a_state_that_is_not_known_is_no_final_report(write: Write) -> None:
    text = f"{START}OBR|1||S23-1|BL{'|' * 21}已审核?\rOBX|1|TX|22637-3||癌||||||F\r"
    (row,), findings = parse(write("a.hl7", text))
    assert row["status"] == "preliminary"
    assert rules(findings) == ["reports.not_understood"]
    mapping = Mapping(values={"status": {"已审核?": "final"}})
    assert only(write("a.hl7", text), mapping)["status"] == "final"


@pytest.mark.parametrize(
    ("service", "kind"),
    [("冰冻病理", "frozen"), ("细胞学检查", "cytology"), ("补充报告", "supplementary"), ("会诊", "consultation")],
)
def test_the_kind_of_report_by_what_was_ordered(write: Write, service: str, kind: str) -> None:
    text = f"{START}OBR|1||S23-1|BL^{service}\rOBX|1|TX|22637-3||癌||||||F\r"
    assert only(write("a.hl7", text))["report_type"] == kind


def test_each_order_is_a_report_and_the_second_of_a_number_a_supplement(write: Write) -> None:
    orders = "".join(
        f"ORC|RE\rOBR|{n}||{number}|BL\rOBX|1|TX|22637-3||{n}||||||F\r"
        for n, number in enumerate(["S23-1", "S23-1", "S23-2"])
    )
    rows, findings = parse(write("a.hl7", f"{START}PID|1||77\rOBR|9||S23-1|PANEL\r{orders}"))
    assert [(row["accession"], row["report_type"], row["diagnosis"], row["patient_id"]) for row in rows] == [
        ("S23-1", "primary", "0", "77"), ("S23-1", "supplementary", "1", "77"), ("S23-2", "primary", "2", "77"),
    ]  # fmt: skip
    assert findings == []


def test_a_document_message(write: Write) -> None:
    text = (
        START.replace("ORU^R01", "MDM^T02")
        + "EVN|T02\rPID|1||77\rTXA|1|SP||20230314||20230313|20230314|||||D1|||S23-00009||LA\r"
        "OBX|1|TX|BG||病理诊断：癌||||||F\r"
    )
    row = only(write("a.hl7", text))
    assert (row["accession"], row["diagnosis"], row["status"], row["report_type"]) == ("S23-9", "癌", "final", "primary")
    assert only(write("b.hl7", text.replace("T02", "T10")))["report_type"] == "amended"
    assert only(write("c.hl7", text.replace("T02", "T11")))["status"] == "withdrawn"


@pytest.mark.parametrize(
    ("pid", "expected"),
    [
        ("PID|1||77^^^H^MR", ("77", None)), (f"PID|1||{CARD}~77^^^H^PI", ("77", CARD)),
        (f"PID|1||{CARD}^^^^NI", (None, CARD)),
        ("PID|1||V9^^^^VN~77^^^^XX~78^^^^MR", ("78", None)), ("PID|1|66|||", ("66", None)), ("PID|1||0|", (None, None)),
        (f"PID|1||77{'|' * 16}{CARD}", ("77", CARD)),
    ],
)  # fmt: skip
def test_numbers_of_the_patient(write: Write, pid: str, expected: tuple[str | None, str | None]) -> None:
    row = parse(write("a.hl7", f"{START}{pid}\r{ORDER}OBX|1|TX|22637-3||癌||||||F\r"))[0][0]
    assert (row.get("patient_id"), row.get("id_number")) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("张三", "张三"), ("^张三", "张三"), ("张^三", "张三"), ("ZHANG^SAN", "ZHANG SAN"),
        ("ZHANG^SAN^^^^^^A~张^三^^^^^^I", "张三"),
        ("张&X^三", "张三"), ("欧阳^^^^^^L", "欧阳"),
    ],
)  # fmt: skip
def test_names(write: Write, name: str, expected: str) -> None:
    assert only(write("a.hl7", f"{START}PID|1||7||{name}\r{ORDER}OBX|1|TX|22637-3||癌||||||F\r"))["patient_name"] == expected


@pytest.mark.parametrize("address", ["浙江省示例市示例路7号", "浙江省示例市示例路7号^^示例市^浙江省^315000^^H"])
def test_where_the_patient_lives(write: Write, address: str) -> None:
    text = f"{START}PID|1||7||甲||||||{address}\r{ORDER}OBX|1|TX|22637-3||癌||||||F\r"
    assert only(write("a.hl7", text))["address"] == "浙江省示例市示例路7号"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("OBR|1|9001|S23-007|BL", "S23-7"), ("OBR|1|S23-007|9001|BL", "S23-7"),
        ("OBR|1|8|9001|BL\rSPM|1|8&X^S23-007-A1", "S23-7"),
        ("ORC|RE|8|S23-007\rOBR|1|9|", "S23-7"), ("OBR|1|8|9001|BL", "9001"),
    ],
)  # fmt: skip
def test_the_number_that_the_patterns_know_comes_first(write: Write, order: str, expected: str) -> None:
    assert only(write("a.hl7", f"{START}{order}\rOBX|1|TX|22637-3||癌||||||F\r"))["accession"] == expected


def test_a_mapping_names_places(write: Write) -> None:
    columns = {
        "accession": ["OBR-20.2", "ZPL-3"],
        "diagnosis": ["OBX:ZD"],
        "reported_date": ["MSH-7"],
        "patient_name": ["PID-9"],
    }
    text = f"{START}PID|1||7||甲||||乙^丙\r{ORDER}OBX|1|TX|ZD||癌||||||F\rZPL|1||S22-5\r"
    row = only(write("a.hl7", text), Mapping.model_validate({"columns": columns}))
    assert (row["accession"], row["diagnosis"], row["patient_name"]) == ("S22-5", "癌", "乙丙")
    assert row["reported_date"].isoformat() == "2023-03-14T00:00:00"
    for wrong in ("病理号", "OBR", "OBR-0", "OBX:"):
        with pytest.raises(UsageError, match="is no place"):
            parse(write("a.hl7", text), Mapping.model_validate({"columns": {"accession": [wrong]}}))


def test_an_encoding_that_is_given_is_used_for_all(write: Write) -> None:
    path = write("a.hl7", message().encode("gb18030") + message().encode("big5", errors="replace"))
    rows, findings = parse(path, Mapping(encoding="utf-8"))
    assert (rows, rules(findings)) == ([], ["reports.message_damaged"] * 2)


def test_notes_are_comments(write: Write) -> None:
    assert (
        only(write("a.hl7", f"{START}NTE|1||of the patient\r{ORDER}NTE|1||一~二\rOBX|1|TX|22638-1||零||||||F\r"))["comment"]
        == "零\n一\n二"
    )


def test_framing_and_batches(write: Write) -> None:
    framed = "".join(f"\x0b{START}{ORDER}OBX|1|TX|22637-3||{n}||||||F\r\x1c\r" for n in range(3))
    rows, findings = parse(write("a.hl7", framed))
    assert ([row["source_row"] for row in rows], findings) == ([1, 2, 3], [])
    one = f"{START}{ORDER}OBX|1|TX|22637-3||癌||||||F\r"
    batch = f"FHS|^~\\&|A\rBHS|^~\\&|A\r{one}{one}BTS|2\rFTS|1\r"
    assert hl7.detects(batch.encode()[:4096])
    assert (len(parse(write("b.hl7", batch))[0]), parse(write("b.hl7", batch))[1]) == (2, [])
    assert rules(parse(write("c.hl7", batch.replace("BTS|2", "BTS|3")))[1]) == ["reports.batch_incomplete"]
    assert rules(parse(write("d.hl7", batch.partition("BTS")[0]))[1]) == ["reports.batch_incomplete"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_message_cut_anywhere_is_flagged(write: Write, encoding: str) -> None:
    """Every cut but that of the last line end loses something, and says so."""
    whole = message().encode(encoding)
    for size in range(4, len(whole)):
        try:
            rows, findings = parse(write("a.hl7", whole[:size]))
        except UsageError:
            assert size < 5
            continue
        assert rules(findings)[:1] in (["reports.message_damaged"], ["reports.message_unended"], ["reports.no_accession"],
                                       ["reports.no_text"]) or whole[size - 1 : size] == b"\r", size  # fmt: skip
        text = " ".join(finding.message + str(finding.subject) for finding in findings)
        assert not any(str(value) in text for value in ("00012345", "王", CARD, "S23-00123"))
        assert all(row.get(column) in {None, ANSWER[column]} for row in rows for column in SECTIONS)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (START + ORDER + "OBX|1|TX|22637-3||癌\\X0", "reports.message_damaged"),
        (START + ORDER + "OBX|1|TX|22637-3||癌", "reports.message_damaged"),
        ("\x0b" + START + ORDER + "OBX|1|TX|22637-3||癌||||||F\r", "reports.message_damaged"),
        (START + ORDER, "reports.no_text"), (START + "PID|1||7\r", "reports.message_damaged"),
        ("MSH|\r", "reports.message_damaged"), ("MSH|^~\\&", "reports.message_damaged"),
        ("MSH|||||||||||\r", "reports.other_report"),
        (START + "OBR|1||\rOBX|1|TX|22637-3||癌||||||F\r", "reports.no_accession"),
        (START + "OBX|1|TX|22637-3||癌||||||F\r", "reports.no_accession"),
        ("garbage\r" + message(), "reports.message_damaged"),
        (message().encode("utf-8").replace("癌".encode(), b"\xe7\x99"), "reports.message_damaged"),
        (START.encode() + b"OBR|1||S23-1\rOBX|1|TX|22637-3||\xff\xff||||||F\r", "reports.message_damaged"),
        (START.replace("ORU^R01", "ADT^A08") + "PID|1||7\r", "reports.other_report"),
        (START + "\r" * 60_000 + "x", "reports.message_damaged"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_a_finding(write: Write, data: str | bytes, rule: str) -> None:
    path = write("a.hl7", data)
    _, findings = parse(path)
    assert rule in rules(findings)
    assert all(finding.subject in {"a.hl7", "a.hl7 message 1"} for finding in findings)


def test_a_damaged_message_does_not_cost_the_next(write: Write) -> None:
    bad = START + "OBR|1||S23-2\rOBX|1|TX|22637-3||\x81"
    rows, findings = parse(write("a.hl7", message().encode() + bad.encode("latin-1") + b"\r" + message().encode()))
    assert ([row["source_row"] for row in rows], [finding.subject for finding in findings]) == ([1, 3], ["a.hl7 message 2"])


@pytest.mark.parametrize("text", ["", "no message", "病理号,姓名\nS23-1,张三", "\n" * 100])
def test_a_file_without_messages_is_an_error(write: Write, text: str) -> None:
    with pytest.raises(UsageError, match=r"a\.hl7 holds no HL7 message"):
        parse(write("a.hl7", text))


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="cannot be read"):
        parse(tmp_path / "none.hl7")


@pytest.mark.parametrize(
    ("head", "is_one"),
    [
        (b"MSH|^~\\&|", True), (b"\x0bMSH|^~\\&|", True), (b"\r\n\r\nFHS|^~\\&|", True), (b"\xef\xbb\xbfMSH|", True),
        (b"MSH#*", True),
        ("MSH|^~\\&|".encode("utf-16"), True), (b"", False), (b"MSH", False), (b"MSHA|", False), (b"MSH,PID\n1,2", True),
        (b"{", False),
        ("病理号,姓名".encode(), False), (b"\x00\x00MSH|", True),
    ],
)  # fmt: skip
def test_what_a_message_begins_with(head: bytes, is_one: bool) -> None:
    assert hl7.detects(head) is is_one


@pytest.mark.parametrize(
    "filling", [b"A", b"\\", b"|", b"~", b"^", b"\x00", b"\x1c", "癌".encode("gb18030"), b"\\X", b"\r", b"OBX|1|TX|\r"]
)
def test_a_hostile_message_neither_hangs_nor_fills_the_memory(
    write: Write, monkeypatch: pytest.MonkeyPatch, filling: bytes
) -> None:
    monkeypatch.setattr(stream, "_LONGEST", 1 << 20)
    monkeypatch.setattr(stream, "_BLOCK", 1 << 16)
    longest = (START + ORDER).encode() + b"OBX|1|TX|22637-3||" + filling * ((3 << 20) // len(filling))
    path = write("a.hl7", longest + b"\r" + message().encode())
    tracemalloc.start()
    rows, findings = parse(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(rows), rules(findings)) == (1, ["reports.message_damaged"])
    assert peak < 16 << 20


def test_messages_across_blocks(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(message(end=end).encode("gb18030") for end in ("\r", "\r\n", "\n") * 3)
    path = write("a.hl7", data)
    expected = parse(path)
    assert len(expected[0]) == 9
    for size in (1, 7, 64, 500):
        monkeypatch.setattr(stream, "_BLOCK", size)
        assert parse(path) == expected


def test_the_header_of_the_makers_is_a_header() -> None:
    assert header(USUAL).startswith("MSH|^~\\&|")
    assert segment(USUAL, "NTE", f3="x") == "NTE|||x"
