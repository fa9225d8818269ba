"""Certificates in a folder, the table that says which is whose, and the table of releases to register."""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.certificates import certificate_of, check_certificate, read_certificates
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.model.certificate import Certificate, is_line
from pathcurate.model.finding import Finding, Severity
from pathcurate.registrationtable import read_batch

TODAY = date(2026, 11, 22)
HEADS = ["产品", "版本", "登记类型", "文件", "证书编号", "登记机构", "发证日期", "有效期至", "SHA-256"]
DIGEST = "sha256:" + "a" * 64


def pdf(text: str = "一") -> bytes:
    return b"%PDF-1.7\n" + text.encode() + b"\n%%EOF\n"


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def row(number: int, **changed: str) -> list[str]:
    said = {
        "产品": f"p{number}", "版本": "1.0.0", "登记类型": "zj-data-ip", "文件": f"{number}.pdf",
        "证书编号": f"浙数知{number}", "登记机构": "示例登记中心", "发证日期": "2026-11-01",
        "有效期至": "2029-10-31", "SHA-256": "",
    }  # fmt: skip
    return list((said | changed).values())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five certificates."""
    path = tmp_path / "证书"
    path.mkdir()
    for number in range(1, 6):
        (path / f"{number}.pdf").write_bytes(pdf(str(number)))
    return path


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    def make(*rows: Sequence[str], heads: Sequence[str] = HEADS, encoding: str = "utf-8") -> Path:
        path = tmp_path / "证书.csv"
        path.write_text("".join(",".join(cells) + "\r\n" for cells in (heads, *rows)), encoding=encoding, newline="")
        return path

    return make


def rules(findings: Sequence[Finding]) -> list[tuple[str | None, str]]:
    return [(finding.subject, finding.rule.removeprefix("registration.")) for finding in findings]


# --- A folder of certificates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_each_certificate_is_bound_to_the_digest_of_its_file(
    folder: Path, table: Callable[..., Path], encoding: str
) -> None:
    path = table(*(row(number) for number in range(1, 6)), encoding=encoding)
    certificates, findings = read_certificates(path, folder, today=TODAY)
    assert findings == ()
    assert certificates == tuple(
        Certificate(
            f"p{number}@1.0.0", "示例登记中心", "zj-data-ip", f"浙数知{number}", date(2026, 11, 1), date(2029, 10, 31),
            sha256(pdf(str(number))),
        )
        for number in range(1, 6)
    )  # fmt: skip


def test_a_workbook_with_days_and_text_is_read_alike(folder: Path, table: Callable[..., Path], tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append(["登记证书汇总"])
    sheet.append(HEADS)
    cells: list[Any] = [*row(1)]
    cells[6], cells[7] = datetime(2026, 11, 1), date(2029, 10, 31)  # noqa: DTZ001
    sheet.append(cells)
    book.save(tmp_path / "证书.xlsx")
    assert (
        read_certificates(tmp_path / "证书.xlsx", folder, today=TODAY)[0]
        == (read_certificates(table(row(1)), folder, today=TODAY)[0])
    )


def test_english_heads_one_column_for_the_release_and_no_end(folder: Path, table: Callable[..., Path]) -> None:
    path = table(
        [DIGEST, "1.pdf", "N-1", "Authority", "2026-11-01", "长期"],
        ["p2@2.1.0-rc.1", "2.pdf", "N-2", "Authority", "2026/11/2", ""],
        heads=["release", "file", "number", "authority", "issued", "valid_until"],
    )
    certificates, findings = read_certificates(path, folder, today=TODAY, regime="ndi-catalog")
    assert [(each.release, each.valid_until, each.scheme, each.issued.day) for each in certificates] == [
        (DIGEST, None, "ndi-catalog", 1), ("p2@2.1.0-rc.1", None, "ndi-catalog", 2),
    ]  # fmt: skip
    assert rules(findings) == [("folder", "not_named")]
    assert findings[0].count == 3


def test_a_swapped_file_is_refused_and_the_others_go_on(folder: Path, table: Callable[..., Path]) -> None:
    path = table(*(row(number, **{"SHA-256": sha256(pdf(str(number)))}) for number in range(1, 6)))
    assert len(read_certificates(path, folder, today=TODAY)[0]) == 5
    (folder / "2.pdf").write_bytes(pdf("3 "))
    first, second = (folder / "4.pdf").read_bytes(), (folder / "5.pdf").read_bytes()
    (folder / "4.pdf").write_bytes(second)
    (folder / "5.pdf").write_bytes(first)
    certificates, findings = read_certificates(path, folder, today=TODAY)
    assert [each.release for each in certificates] == ["p1@1.0.0", "p3@1.0.0"]
    assert rules(findings) == [("row 3", "swapped"), ("row 5", "swapped"), ("row 6", "swapped")]


def test_without_the_column_a_swapped_file_is_told_by_the_certificate(folder: Path, table: Callable[..., Path]) -> None:
    certificate = read_certificates(table(row(1)), folder, today=TODAY)[0][0]
    check_certificate(certificate, folder / "1.pdf")
    (folder / "1.pdf").write_bytes(pdf("2"))
    with pytest.raises(DigestMismatchError, match=r"p1@1\.0\.0"):
        check_certificate(certificate, folder / "1.pdf")


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"产品": ""}, "bad_value"),
        ({"产品": "胸科数据集"}, "bad_value"),
        ({"版本": ""}, "bad_value"),
        ({"版本": "1.0"}, "bad_value"),
        ({"产品": "p2@1.0.1"}, "bad_value"),
        ({"登记类型": "../x"}, "bad_value"),
        ({"文件": ""}, "not_given"),
        ({"文件": "9.pdf"}, "file_missing"),
        ({"文件": "../outside.pdf"}, "path"),
        ({"文件": "/etc/passwd"}, "path"),
        ({"文件": "C:\\1.pdf"}, "path"),
        ({"文件": "a/../1.pdf"}, "path"),
        ({"文件": "text.pdf"}, "not_a_pdf"),
        ({"文件": "cut.pdf"}, "not_a_pdf"),
        ({"文件": "folder.pdf"}, "file_unreadable"),
        ({"文件": "fifo.pdf"}, "file_unreadable"),
        ({"文件": "1.pdf/x"}, "file_missing"),
        ({"文件": "link.pdf"}, "link"),
        ({"文件": "inside.pdf"}, "link"),
        ({"文件": "linked/outside.pdf"}, "link"),
        ({"证书编号": ""}, "not_given"),
        ({"登记机构": "长" * 201}, "bad_value"),
        ({"发证日期": "2026-02-30"}, "bad_value"),
        ({"发证日期": "01/02/2026"}, "bad_value"),
        ({"发证日期": "2026-11-23", "有效期至": ""}, "bad_value"),
        ({"有效期至": "2026-10-31"}, "bad_value"),
        ({"发证日期": "2023-11-01", "有效期至": "2026-11-21"}, "expired"),
        ({"有效期至": "三年"}, "bad_value"),
        ({"SHA-256": "abc"}, "bad_value"),
        ({"SHA-256": "0" * 64}, "swapped"),
    ],
)
def test_a_faulty_row_is_a_finding_with_its_number(
    folder: Path, table: Callable[..., Path], changed: dict[str, str], rule: str
) -> None:
    (folder.parent / "outside.pdf").write_bytes(pdf("out"))
    (folder / "text.pdf").write_bytes(b"no pdf")
    (folder / "cut.pdf").write_bytes(pdf()[:12] + b"x" * 5000)
    (folder / "folder.pdf").mkdir()
    os.mkfifo(folder / "fifo.pdf")
    (folder / "link.pdf").symlink_to("../outside.pdf")
    (folder / "inside.pdf").symlink_to("1.pdf")
    (folder / "linked").symlink_to("..")
    certificates, findings = read_certificates(table(row(1), row(2, **changed), row(3)), folder, today=TODAY)
    assert [each.release for each in certificates] == ["p1@1.0.0", "p3@1.0.0"]
    of_rows = [each for each in findings if each.subject != "folder"]
    assert rules(of_rows) == [("row 3", rule)]
    assert of_rows[0].severity is Severity.ERROR
    assert not any(value and value in of_rows[0].message for value in changed.values())


def test_the_last_day_still_counts(folder: Path, table: Callable[..., Path]) -> None:
    path = table(row(1, 有效期至=TODAY.isoformat()))
    assert len(read_certificates(path, folder, today=TODAY)[0]) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"文件": "1.pdf"},
        {"文件": "copy.pdf"},
        {"证书编号": "浙数知1"},
        {"产品": "p1"},
        {"产品": "p1", "文件": "1.pdf"},
    ],
)
def test_rows_that_contradict_one_another_are_both_refused(
    folder: Path, table: Callable[..., Path], changed: dict[str, str]
) -> None:
    (folder / "copy.pdf").write_bytes(pdf("1"))
    certificates, findings = read_certificates(table(row(1), row(2, **changed), row(3)), folder, today=TODAY)
    assert [each.release for each in certificates] == ["p3@1.0.0"]
    assert {("row 2", "conflict"), ("row 3", "conflict")} == set(rules(findings)) - {("folder", "not_named")}


def test_another_authority_may_use_the_same_number(folder: Path, table: Callable[..., Path]) -> None:
    path = table(row(1), row(2, 证书编号="浙数知1", 登记机构="另一登记中心"))
    assert len(read_certificates(path, folder, today=TODAY)[0]) == 2


def test_a_release_may_be_registered_under_two_regimes(folder: Path, table: Callable[..., Path]) -> None:
    path = table(row(1), row(2, 产品="p1", 登记类型="ndi-catalog"))
    assert [each.scheme for each in read_certificates(path, folder, today=TODAY)[0]] == ["zj-data-ip", "ndi-catalog"]


def test_an_expired_certificate_may_stand_beside_its_renewal(folder: Path, table: Callable[..., Path]) -> None:
    old = {"产品": "p2", "发证日期": "2023-01-01", "有效期至": "2026-01-01"}
    certificates, findings = read_certificates(table(row(1, **old), row(2)), folder, today=TODAY)
    assert [each.sha256 for each in certificates] == [sha256(pdf("2"))]
    assert rules(findings) == [("folder", "not_named"), ("row 2", "expired")]


def test_a_row_that_is_there_twice_is_read_once(folder: Path, table: Callable[..., Path]) -> None:
    certificates, findings = read_certificates(table(row(1), row(2), row(1)), folder, today=TODAY)
    assert [each.release for each in certificates] == ["p1@1.0.0", "p2@1.0.0"]
    assert ("row 4", "repeated") in rules(findings)


def test_a_name_with_marks_taken_apart_is_found(folder: Path, table: Callable[..., Path]) -> None:
    whole = "Zértifikat ü.pdf"
    (folder / "sub").mkdir()
    (folder / "sub" / unicodedata.normalize("NFD", whole)).write_bytes(pdf("nfd"))
    path = table(row(1, 文件=f"sub\\{unicodedata.normalize('NFC', whole)}"))
    assert read_certificates(path, folder, today=TODAY)[0][0].sha256 == sha256(pdf("nfd"))


def test_a_number_that_a_spreadsheet_robbed_of_digits_is_refused(folder: Path, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append(HEADS)
    cells: list[Any] = [*row(1)]
    cells[4] = 33020020261101000123
    sheet.append(cells)
    sheet.append(row(2))
    book.save(tmp_path / "t.xlsx")
    certificates, findings = read_certificates(tmp_path / "t.xlsx", folder, today=TODAY)
    assert [each.release for each in certificates] == ["p2@1.0.0"]
    assert ("row 2", "ruined_number") in rules(findings)


def test_a_row_of_another_length_and_an_unknown_column_are_told(folder: Path, table: Callable[..., Path]) -> None:
    path = table([*row(1), "张三"], [*row(2), "x", "y"], heads=[*HEADS, "经办人"])
    certificates, findings = read_certificates(path, folder, today=TODAY)
    assert [each.release for each in certificates] == ["p1@1.0.0"]
    assert {("column 10", "unknown_column"), ("row 3", "misfit")} <= set(rules(findings))
    assert not any("张三" in finding.message for finding in findings)


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        (["文件", "证书编号"], "names the release"),
        (["产品", "版本", "证书编号", "登记机构", "发证日期", "登记类型"], "no column for file"),
        ([*HEADS[:2], "产品名称", *HEADS[3:]], "two columns for product"),
    ],
)
def test_a_table_without_a_column_is_refused(folder: Path, table: Callable[..., Path], heads: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_certificates(table(["x"] * len(heads), heads=heads), folder, today=TODAY)


def test_a_folder_that_is_not_there_is_refused(table: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="no folder"):
        read_certificates(table(row(1)), tmp_path / "none", today=TODAY)


# --- One certificate ------------------------------------------------------------------------------------------------


def test_one_certificate_is_bound_to_its_file(folder: Path) -> None:
    certificate = certificate_of(
        folder / "1.pdf", release="p1@1.0.0", authority="中心", scheme="public-data", number="G-1", issued=TODAY
    )
    assert certificate.as_dict() == {
        "release": "p1@1.0.0", "authority": "中心", "scheme": "public-data", "number": "G-1", "issued": "2026-11-22",
        "valid_until": None, "sha256": sha256(pdf("1")),
    }  # fmt: skip
    assert not certificate.is_expired(date(9999, 1, 1))


@pytest.mark.parametrize("name", ["none.pdf", "text.pdf", "link.pdf", "."])
def test_what_is_no_pdf_becomes_no_certificate(folder: Path, name: str) -> None:
    (folder / "text.pdf").write_bytes(b"%PDX")
    (folder / "link.pdf").symlink_to("1.pdf")
    with pytest.raises(InputOutputError, match="its file"):
        certificate_of(folder / name, release="p1@1.0.0", authority="a", scheme="s", number="1", issued=TODAY)


@pytest.mark.parametrize(
    "changed",
    [
        {"release": "p1"}, {"release": "p1@1.0"}, {"release": "sha256:" + "A" * 64}, {"release": "p1@1.0.0\n"},
        {"authority": ""}, {"authority": " a"}, {"authority": "a\nb"}, {"authority": "a\u202eb"}, {"scheme": "Zj"},
        {"number": "n" * 201}, {"number": "\x1b[31m"}, {"valid_until": date(2026, 11, 21)}, {"sha256": "a" * 64},
    ],
)  # fmt: skip
def test_a_certificate_of_another_form_is_refused(changed: dict[str, Any]) -> None:
    right = {
        "release": "p1@1.0.0", "authority": "a", "scheme": "s", "number": "1", "issued": TODAY, "valid_until": None,
        "sha256": DIGEST,
    }  # fmt: skip
    Certificate(**right)
    with pytest.raises(UsageError, match=next(iter(changed))):
        Certificate(**(right | changed))


@given(st.text(max_size=250))
def test_a_line_holds_nothing_that_moves_the_cursor(text: str) -> None:
    if is_line(text):
        assert "\n" not in text
        assert all(unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for sign in text)


# --- Releases to register -------------------------------------------------------------------------------------------


def test_fifty_four_products_are_read_from_one_table(table: Callable[..., Path]) -> None:
    path = table(
        *([f"p{number}@1.0.0", "zj-data-ip"] for number in range(54)), heads=["release", "regime"], encoding="gb18030"
    )
    rows, findings = read_batch(path)
    assert [(each.row, each.release, each.regime) for each in rows] == [
        (number + 2, f"p{number}@1.0.0", "zj-data-ip") for number in range(54)
    ]
    assert findings == ()


def test_faults_of_a_batch_are_of_their_rows(table: Callable[..., Path]) -> None:
    path = table(
        ["a@1.0.0", "zj-data-ip", ""], ["b", "zj-data-ip", ""], ["c@1.0.0", "", ""], ["d@1.0.0", "zj-data-ip", "soon"],
        ["a@1.0.0", "zj-data-ip", ""], ["e@1.0.0", "zj-data-ip", "2027-01-01"], ["e@1.0.0", "zj-data-ip", "2028-01-01"],
        ["=cmd|' /C calc'!A0", "zj-data-ip", ""],
        heads=["release", "regime", "valid until"],
    )  # fmt: skip
    rows, findings = read_batch(path)
    assert [each.release for each in rows] == ["a@1.0.0"]
    assert rules(findings) == [
        ("row 3", "bad_value"), ("row 4", "not_given"), ("row 5", "bad_value"), ("row 6", "repeated"), ("row 7", "conflict"),
        ("row 8", "conflict"), ("row 9", "bad_value"),
    ]  # fmt: skip
    assert read_batch(table(["c@1.0.0"], heads=["release"]), regime="public-data")[0][0].regime == "public-data"


def test_a_digest_beside_a_product_counts_and_two_names_do_not(table: Callable[..., Path]) -> None:
    path = table(
        [DIGEST, "a", "1.0.0"], ["a@1.0.0", "b", "1.0.0"], ["a@1.0.0", "a", "1.0.0"], ["a@1.0.0", "a", "2.0.0"],
        heads=["release", "product", "version"],
    )  # fmt: skip
    rows, findings = read_batch(path, regime="s")
    assert [each.release for each in rows] == [DIGEST, "a@1.0.0"]
    assert rules(findings) == [("row 3", "bad_value"), ("row 5", "bad_value")]
