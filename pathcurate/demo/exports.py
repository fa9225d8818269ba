"""Tables of the made-up hospital: laboratory exports, clinical events, permission lists, and the workspace file that names
them."""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from pathcurate.demo.cases import Patient, Report
from pathcurate.demo.events import Event


def write_workspace(directory: Path) -> None:
    """The workspace file, NB02's mapping, and what is said of the product."""
    (directory / "mappings").mkdir()
    (directory / "products").mkdir()
    for name, target in (
        ("workspace.yaml", "pathcurate.yaml"),
        ("mapping.yaml", "mappings/nb02.yaml"),
        ("product.yaml", "products/demo_he_2023.yaml"),
    ):
        (directory / target).write_bytes(files("pathcurate.demo").joinpath(name).read_bytes())


def write_exports(directory: Path, reports: Mapping[str, Sequence[Report]]) -> None:
    """Each site's laboratory export: one in GB18030, one with a vendor's heads, one as a spreadsheet saves UTF-8."""
    for site, name, encoding, row_of, delimiter in (
        ("NB01", "reports_2023.csv", "gb18030", _row_in_words, ","),
        ("NB02", "reports.tsv", "utf-8", _row_of_vendor, "\t"),
        ("NB03", "reports.csv", "utf-8-sig", _row_in_words, ","),
    ):
        rows = [row_of(report) for report in reports[site]]
        path = directory / "hospital" / site / "lis" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(_table(rows[0], (row.values() for row in rows), delimiter).encode(encoding))


def write_events(directory: Path, followup: Sequence[Event], courses: Sequence[Event]) -> None:
    """NB01's follow-up table, and NB03's table of clinical events, which has a column for the side of the body."""
    rows = [event.cells() for event in followup]
    (directory / "hospital/NB01/followup.csv").write_bytes(_table(rows[0], (row.values() for row in rows)).encode("gb18030"))
    rows = [{**event.cells(), "侧别": event.side} for event in courses]
    (directory / "hospital/NB03/events.csv").write_bytes(_table(rows[0], (row.values() for row in rows)).encode("utf-8-sig"))


_TYPES = {"primary": "常规报告", "supplementary": "补充报告", "frozen": "冰冻报告", "cytology": "细胞学报告"}


def _row_in_words(report: Report) -> dict[str, str]:
    """Columns of NB01 and NB03, headed in words."""
    case, patient = report.case, report.case.patient
    return {
        "病理号": case.accession,
        "姓名": patient.name,
        "性别": "女" if patient.sex == "F" else "男",
        "年龄": case.age_text,
        "身份证号": patient.id_number,
        "住院号": patient.number,
        "门诊号": patient.outpatient_number,
        "联系电话": patient.phone,
        "送检科室": report.department,
        "送检医师": report.submitting_doctor,
        "送检单位": report.unit,
        "标本名称": report.specimen,
        "临床诊断": report.clinical,
        "肉眼所见": report.gross,
        "镜下所见": report.microscopy,
        "病理诊断": report.diagnosis,
        "免疫组化": report.ihc,
        "报告医师": report.pathologist,
        "审核医师": report.reviewer,
        "接收日期": f"{case.received:%Y-%m-%d %H:%M}",
        "报告日期": f"{report.reported:%Y-%m-%d}",
        "报告类型": _TYPES[report.type],
        "报告状态": "已审核",
    }


def _row_of_vendor(report: Report) -> dict[str, str]:
    """NB02's columns, headed as its vendor's database has them."""
    case, patient = report.case, report.case.patient
    return {
        "F_BLH": case.accession,
        "F_XM": patient.name,
        "F_XB": "女" if patient.sex == "F" else "男",
        "F_NL": case.age_text,
        "F_ZYH": patient.number,
        "F_SFZH": patient.id_number,
        "F_BLZD": report.diagnosis,
        "F_RYSJ": report.gross,
        "F_JXSJ": report.microscopy,
        "F_ZDYZ3": report.ihc,
        "F_BGRQ": f"{report.reported:%Y/%m/%d}",
        "F_SDRQ": f"{case.received:%Y/%m/%d %H:%M:%S}",
    }


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], delimiter: str = ",") -> str:
    """CSV or TSV with lines ended as Windows does; cells may hold line breaks."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return out.getvalue()


_BASES = {"consent": "知情同意", "waiver": "伦理豁免", "expired": "consent", "other_purpose": "consent"}


def write_authorisations(directory: Path, sites: Iterable[str]) -> None:
    """The paper on which each site's data is used."""
    for site in sites:
        file = directory / "hospital" / site / "authorisation.txt"
        file.write_text(f"（示例）{site} 数据授权使用书：同意将本机构的去标识化病理数据用于科研。\n", "utf-8")


def write_permissions(directory: Path, patients: Sequence[Patient]) -> None:
    """The list of consents and waivers, and the list of those who opted out."""
    rows = []
    for patient in patients:
        if patient.permission == "no_permission":
            continue
        until = "2020-12-31" if patient.permission == "expired" else "2079-12-31"
        purpose = "education" if patient.permission == "other_purpose" else "research"
        document = hashlib.sha256(f"consent form of {patient.id_number}".encode()).hexdigest()
        basis = _BASES.get(patient.permission, "知情同意")
        kinds = "slides;reports;events;series" if patient.site == "NB03" else "slides;reports;events"
        rows.append((patient.site, patient.number, basis, purpose, kinds, "2018-01-01", until, document))
    heads = ("机构", "住院号", "依据", "用途", "数据类型", "有效期起", "有效期止", "文件摘要")
    (directory / "hospital/consent.csv").write_bytes(_table(heads, rows).encode("utf-8-sig"))
    left = [(patient.site, patient.number, "是") for patient in patients if patient.permission == "opted_out"]
    (directory / "hospital/opt_out.csv").write_bytes(_table(("机构", "住院号", "退出"), left).encode("utf-8-sig"))
