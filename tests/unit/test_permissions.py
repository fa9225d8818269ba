"""Permission lists: what is not understood permits nothing, and no opt-out is ever lost."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import DisclosureRefusedError, InputOutputError, PathcurateError, UsageError
from pathcurate.findings import read_findings
from pathcurate.model.finding import Severity
from pathcurate.model.permission import PERMISSIONS
from pathcurate.permissions import ImportSummary, import_permissions
from pathcurate.reports import import_reports
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace

Write = Callable[[str, str | bytes], Path]
SITES = "sites: [{code: NB01, reports: [{path: lis.csv}]}, {code: NB02}]\n"


class Desk:
    """A workspace whose permission list a test writes and imports."""

    def __init__(self, write: Write) -> None:
        self.write = write

    def workspace(self, sites: str = SITES, lists: str = "[{path: list.csv}]") -> Workspace:
        return load_workspace(self.write("pathcurate.yaml", f"workspace: 1\nname: t\n{sites}permissions: {lists}\n"))

    def run(self, text: str, mapping: str | None = None, sites: str = SITES) -> ImportSummary:
        self.write("list.csv", text)
        if mapping is not None:
            self.write("m.yaml", mapping)
        lists = "[{path: list.csv}]" if mapping is None else "[{path: list.csv, mapping: m.yaml}]"
        self.last = self.workspace(sites, lists)
        return import_permissions(self.last)

    def rows(self) -> list[dict[str, Any]]:
        return Catalog(self.last.catalog).read(PERMISSIONS).to_pylist()

    def subjects(self) -> list[tuple[str, str | None, str | None, bool]]:
        return [(row["subject"], row["site"], row["subject_value"], row["opt_out"]) for row in self.rows()]

    def rules(self) -> list[str]:
        return [finding.rule for finding in read_findings(Catalog(self.last.catalog), "permissions")]


@pytest.fixture
def desk(write: Write) -> Desk:
    return Desk(write)


def test_a_list_with_chinese_heads(desk: Desk) -> None:
    summary = desk.run(
        "机构,住院号,依据,用途,数据类型,有效期起,有效期止,文件摘要\n"
        "NB01,００１２３４５x,知情同意,Research；教学a,Slides、reports,2018-01-01,2027年12月31日,abc\n"
        "NB02,0012345X,伦理豁免,research,,,,\n"
    )
    assert (summary.files, summary.rows, summary.opt_outs) == (1, 1, 0)
    assert desk.rules() == ["permissions.unknown_purpose"]
    summary = desk.run(
        "机构,住院号,依据,用途,数据类型,有效期起,有效期止,文件摘要\n"
        "NB01,００１２３４５x,知情同意,Research；education,Slides、reports,2018-01-01,2027年12月31日,abc\n"
        "NB02,0012345X,伦理豁免,research,,,,\n"
    )
    first, second = desk.rows()
    assert (summary.rows, desk.rules()) == (2, [])
    assert first == {
        "subject": "person", "site": "NB01", "subject_value": "0012345X", "basis": "consent", "purposes": ["research",
        "education"],
        "data_kinds": ["slides", "reports"], "valid_from": date(2018, 1, 1), "valid_to": date(2027, 12, 31),
        "document_sha256": "abc", "opt_out": False, "source": "list.csv", "source_row": 2,
    }  # fmt: skip
    assert (second["site"], second["basis"], second["data_kinds"]) == (
        "NB02",
        "waiver",
        list(PERMISSIONS["data_kinds"].values),
    )


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("NB01,1,,research,,,", "permissions.no_basis"), ("NB01,1,口头,research,,,", "permissions.no_basis"),
        ("NB01,1,同意,,,,", "permissions.no_purpose"), ("NB01,1,同意,；,,,", "permissions.no_purpose"),
        ("NB01,1,同意,科研,,,", "permissions.unknown_purpose"), ("NB01,1,同意,research,pictures,,",
        "permissions.unknown_data_kind"),
        ("NB01,1,同意,research,；,,", "permissions.unknown_data_kind"), ("NB01,1,同意,research,,soon,",
        "permissions.not_a_date"),
        ("NB01,1,同意,research,,,永久", "permissions.not_a_date"), ("NB09,1,同意,research,,,", "permissions.unknown_site"),
        (",1,同意,research,,,", "permissions.unknown_site"), ("NB01,,同意,research,,,", "permissions.no_subject"),
        ("NB01,0,同意,research,,,", "permissions.no_subject"), ("NB01,1.1E+17,同意,research,,,", "permissions.no_subject"),
        ("NB01,1,同意,research,,", "permissions.row_misfit"), ("NB01,1,同意,research,,,,x", "permissions.row_misfit"),
    ],
)  # fmt: skip
def test_what_is_not_understood_permits_nothing(desk: Desk, row: str, rule: str) -> None:
    summary = desk.run(f"机构,住院号,依据,用途,数据类型,有效期起,有效期止\n{row}\nNB01,2,同意,research,,,\n")
    assert [subject[2] for subject in desk.subjects()] == ["2"]
    assert [(finding.rule, finding.severity, finding.subject) for finding in summary.findings] == [
        (rule, Severity.ERROR, "list.csv row 2")
    ]


def test_an_expired_permission_is_kept_with_its_dates(desk: Desk) -> None:
    desk.run("机构,住院号,依据,用途,有效期止\nNB01,1,同意,research,2020-12-31\n")
    assert [(row["valid_from"], row["valid_to"]) for row in desk.rows()] == [(None, date(2020, 12, 31))]


# ---- whom a row is about ----


def test_a_blank_number_is_nobody_and_never_the_whole_site(desk: Desk) -> None:
    desk.run("机构,住院号,依据,用途\nNB01,,伦理豁免,research\nNB02,无,伦理豁免,research\n")
    assert desk.rows() == []
    assert desk.rules() == ["permissions.no_subject", "permissions.no_subject"]


@pytest.mark.parametrize("rest", ["依据,用途\nNB01,77,同意,research", "退出\nNB01,77,是"])
def test_an_unknown_number_column_does_not_make_a_list_about_whole_sites(desk: Desk, rest: str) -> None:
    with pytest.raises(UsageError, match="no column names the subject"):
        desk.run(f"机构,就诊卡,{rest}\n")
    desk.run(f"机构,就诊卡,{rest}\n", "constants: {subject: site}\n")
    assert [subject[:3] for subject in desk.subjects()] == [("site", "NB01", None)]


def test_a_list_about_sites_or_everybody(desk: Desk) -> None:
    desk.run("机构,依据,用途\nNB02,总体批准,research\n")
    assert desk.subjects() == [("site", "NB02", None, False)]
    desk.run("对象,依据,用途\nPopulation,总体批准,research\n")
    assert desk.subjects() == [("population", None, None, False)]
    desk.run("对象,机构,依据,用途\nsite,NB01,豁免,research\n,NB01,豁免,research\n医院,NB01,豁免,research\n")
    assert desk.subjects() == [("site", "NB01", None, False)]
    assert desk.rules() == ["permissions.no_subject", "permissions.no_subject"]


@pytest.mark.parametrize("head", ["病理号", "病理号：", "Accession"])
def test_a_list_of_accession_numbers_is_about_cases(desk: Desk, head: str) -> None:
    desk.run(f"机构,{head},退出\nNB01,Ｓ2023-000123,是\nNB02,S2300123,是\n")
    assert desk.subjects() == [("case", "NB01", "S23-123", True), ("case", "NB02", "S23-123", True)]


def test_a_mapped_accession_column_is_about_cases_too(desk: Desk) -> None:
    desk.run("院区,病理号,撤\nNB01,S23-00123,是\n", "columns: {subject_value: [住院号, 病理号], opt_out: 撤}\n")
    assert desk.subjects() == [("case", "NB01", "S23-123", True)]
    desk.run(
        "院区,编号,撤\nNB01,S23-00123,是\n", "columns: {subject_value: 编号, opt_out: 撤}\nconstants: {subject: case}\n"
    )
    assert desk.subjects() == [("case", "NB01", "S23-123", True)]


def test_the_patient_number_speaks_before_the_accession(desk: Desk) -> None:
    desk.run("机构,病理号,住院号,退出\nNB01,S23-1,77,是\nNB01,S23-2,,是\n")
    assert desk.subjects() == [("person", "NB01", "77", True), ("case", "NB01", "S23-2", True)]


def test_one_number_at_two_sites_is_two_persons(desk: Desk) -> None:
    desk.run("机构,住院号,退出\nNB01,77,是\nNB02,77,否\n")
    assert desk.subjects() == [("person", "NB01", "77", True)]
    assert desk.rules() == ["permissions.no_basis"]


def test_a_site_is_understood_only_where_there_is_one(desk: Desk) -> None:
    with pytest.raises(DisclosureRefusedError, match="row 2"):
        desk.run("住院号,退出\n77,是\n")
    desk.run("住院号,退出\n77,是\n", sites="sites: [{code: NB01}]\n")
    assert desk.subjects() == [("person", "NB01", "77", True)]


# ---- opt-outs ----


@pytest.mark.parametrize("word", ["是", "退出", "Y", "1", "true", "2024-05-01", "已撤回同意", "有", "？"])
def test_anything_but_a_clear_no_keeps_a_person_out(desk: Desk, word: str) -> None:
    desk.run(f"机构,住院号,退出,依据,用途\nNB01,77,{word},胡说,\n")
    assert desk.subjects() == [("person", "NB01", "77", True)]


@pytest.mark.parametrize("word", ["否", "N", "0", "false", "未退出", "", "无"])
def test_a_clear_no_does_not(desk: Desk, word: str) -> None:
    desk.run(f"机构,住院号,退出,依据,用途\nNB01,77,{word},同意,research\n")
    assert desk.subjects() == [("person", "NB01", "77", False)]


@pytest.mark.parametrize(
    "row", ["NB09,77,是", ",77,是", "NB01,,是", "NB01,0,是", "NB01,1.1E+17,是", "NB01,77", "NB01,77,,x", "NB01,77,否,是"]
)
def test_an_opt_out_that_cannot_be_understood_refuses_the_import(desk: Desk, row: str) -> None:
    desk.run("机构,住院号,退出\nNB01,55,是\n")
    with pytest.raises(DisclosureRefusedError, match=r"row 3 of list\.csv may be an opt-out"):
        desk.run(f"机构,住院号,退出\nNB01,66,是\n{row}\n")
    assert desk.subjects() == [("person", "NB01", "55", True)], "a refused import changes nothing"


def test_a_translated_opt_out_that_cannot_be_understood_refuses_too(desk: Desk) -> None:
    mapping = "columns: {opt_out: 同意使用}\nvalues: {opt_out: {'0': 是, '1': 否}}\n"
    with pytest.raises(DisclosureRefusedError, match="row 2"):
        desk.run("机构,住院号,同意使用\nNB09,77,0\n", mapping)
    desk.run("机构,住院号,同意使用\nNB01,77,0\nNB01,78,1\n", mapping)
    assert desk.subjects() == [("person", "NB01", "77", True)]


@pytest.mark.parametrize(
    "head", ["是否退出", "退出日期", "撤回", "撤回日期", "拒绝使用", "不同意", "Opt-Out", "OPT_OUT", "withdrawn",
    "退出该研究项目", "患者拒绝否",
             "撤销时间", "是否同意", "refused", "consent revoked", "withdrawal of consent"],
)  # fmt: skip
def test_a_column_that_speaks_of_leaving_is_never_passed_over(desk: Desk, head: str) -> None:
    try:
        desk.run(f"机构,住院号,依据,用途,{head}\nNB01,77,同意,research,2024-05-01\n")
    except DisclosureRefusedError as error:
        assert f"`{head}` of list.csv is not known" in str(error)  # noqa: PT017 - either is right, permission is not
    else:
        assert desk.subjects() == [("person", "NB01", "77", True)]


def test_one_of_two_columns_that_says_out_is_enough(desk: Desk) -> None:
    desk.run("机构,住院号,是否退出,退出日期\nNB01,77,否,2024-05-01\nNB01,78,,2024-05-01\nNB01,79,是,\n")
    assert [subject[2:] for subject in desk.subjects()] == [("77", True), ("78", True), ("79", True)]


def test_a_list_that_does_not_say_what_it_states_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no column says what the list states"):
        desk.run("机构,住院号\nNB01,77\n")
    desk.run("机构,住院号\nNB01,77\n", "constants: {opt_out: 是}\n")
    assert desk.subjects() == [("person", "NB01", "77", True)]


def test_an_opt_out_that_fits_no_report_is_told(desk: Desk) -> None:
    desk.write("lis.csv", "病理号,住院号\nS23-00001,００７７\nS23-00002,78\n")
    import_reports(desk.workspace())
    summary = desk.run("机构,住院号,病理号,退出\nNB01,0077,,是\nNB01,77,,是\nNB01,,S23-1,是\nNB01,,S23-9,是\nNB02,78,,是\n")
    assert summary.opt_outs == 5
    (finding,) = summary.findings
    assert (finding.rule, finding.severity, finding.count) == ("permissions.opt_out_unknown", Severity.WARNING, 3)
    assert "first in row 3" in finding.message


# ---- lists ----


def test_lists_together_replace_what_was_there(desk: Desk) -> None:
    desk.run("机构,住院号,退出\nNB01,1,是\n")
    desk.write("a.csv", "机构,住院号,依据,用途\nNB01,2,同意,research\n")
    desk.write("b.csv", "机构,住院号,退出\nNB01,2,是\n")
    desk.last = desk.workspace(lists="[{path: a.csv}, {path: b.csv}]")
    summary = import_permissions(desk.last)
    assert (summary.files, summary.rows, summary.opt_outs) == (2, 2, 1)
    assert [(row["source"], row["subject_value"], row["opt_out"]) for row in desk.rows()] == [
        ("a.csv", "2", False), ("b.csv", "2", True)
    ]  # fmt: skip


def test_a_missing_list(desk: Desk) -> None:
    desk.write("a.csv", "机构,住院号,退出\nNB01,1,是\n")
    workspace = desk.workspace(lists="[{path: a.csv}, {path: none.csv}]")
    with pytest.raises(InputOutputError, match=r"none\.csv: no such file"):
        import_permissions(workspace)
    assert Catalog(workspace.catalog).read(PERMISSIONS).num_rows == 0


def test_no_list_and_no_subject(desk: Desk) -> None:
    with pytest.raises(UsageError, match="configures no permission list"):
        import_permissions(desk.workspace(lists="[]"))
    with pytest.raises(UsageError, match="no column names the subject"):
        desk.run("姓名,依据,用途\n王小红,同意,research\n")


def test_unknown_columns_are_listed_once(desk: Desk) -> None:
    summary = desk.run("机构,住院号,依据,用途,姓名,备注\nNB01,1,同意,research,王小红,x\nNB01,2,同意,research,王小红,x\n")
    assert [(finding.rule, finding.subject) for finding in summary.findings] == [
        ("permissions.unknown_column", "list.csv column 5"), ("permissions.unknown_column", "list.csv column 6")
    ]  # fmt: skip


CANARIES = ("欧阳金丝雀", "ZY7700177", "金丝雀依据", "金丝雀用途", "金丝雀种类", "七月七日", "金丝雀止", "金丝雀机构")

LIST_HEADS = "姓名,住院号,依据,用途,数据类型,有效期起,有效期止,机构"


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        (f"{LIST_HEADS}\n{','.join(CANARIES)}\n", None),
        (f"{LIST_HEADS}\n欧阳金丝雀,ZY7700177,同意,金丝雀用途,,,,NB01\n", None),
        (f"{LIST_HEADS}\n欧阳金丝雀,ZY7700177,同意,research,金丝雀种类,,,NB01\n", None),
        (f"{LIST_HEADS}\n欧阳金丝雀,ZY7700177,同意,research,,七月七日,,NB01\n", None),
        (f"{LIST_HEADS}\n{','.join(CANARIES)},x\n", None),
        ("姓名,住院号,机构,退出\n欧阳金丝雀,ZY7700177,金丝雀机构,是\n", None),
        ("姓名,住院号,机构,退出\n欧阳金丝雀,ZY7700177,是\n", None),
        ('姓名,住院号,机构,退出\n欧阳金丝雀,"ZY7700177,是\n', None),
        # No head row, and a mapping that could do without one.
        (f"{','.join(CANARIES)}\n{','.join(CANARIES)}\n", "constants: {site: NB01, opt_out: 是}\n"),
        (f"{','.join(CANARIES)}\n", "constants: {subject: population, basis: waiver, purposes: research}\n"),
        (f"{','.join(CANARIES)}\n", "columns: {opt_out: 退出}\n"),
        ("欧阳金丝雀,ZY7700177,退出\n欧阳金丝雀,ZY7700177,退出\n", "constants: {site: NB01}\n"),
    ],
)  # fmt: skip
def test_no_cell_is_ever_in_a_message(desk: Desk, text: str, mapping: str | None) -> None:
    try:
        said = "".join(str(finding.as_dict()) for finding in desk.run(text, mapping).findings)
    except PathcurateError as error:
        said = str(error)
    assert said
    assert [value for value in CANARIES if value in said] == []


@pytest.mark.parametrize("basis", ["撤回同意", "拒绝", "退出", "withdrawn", "不同意"])
def test_a_basis_that_says_no_is_an_opt_out(desk: Desk, basis: str) -> None:
    desk.run(f"机构,住院号,依据,用途\nNB01,55,知情同意,research\nNB01,55,{basis},research\n")
    assert [row["opt_out"] for row in desk.rows()] == [False, True]


@pytest.mark.parametrize("blank", ["", "无", "-"])
def test_a_blank_in_a_list_of_nothing_but_opt_outs_refuses_the_import(desk: Desk, blank: str) -> None:
    with pytest.raises(DisclosureRefusedError, match="row 3"):
        desk.run(f"机构,住院号,退出\nNB01,55,是\nNB01,66,{blank}\n")
