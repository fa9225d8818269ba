"""The made-up hospital: two sites with slides, laboratory exports, a follow-up table, permission lists, and an answer key.

It holds what makes real archives hard: folders in GB18030, cut and broken files, a vendor without a reader, rescans, a
barcode that contradicts its file name, numbers the laboratory does not have, one number in use at two sites, namesakes,
patients over 89, consents that expired. ``hospital/answers.json`` says what is right for each of them.
"""

import csv
import hashlib
import io
import json
import os
import random
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from pathcurate.demo.cases import Case, Patient, Report, make_cases, make_reports, texts
from pathcurate.demo.events import Event, make_events
from pathcurate.demo.registers import write_registers
from pathcurate.demo.slides import write_svs, write_tiff
from pathcurate.demo.tiffwriter import ascii_text
from pathcurate.errors import InputOutputError

SITES = ("NB01", "NB02")
_SIZES = ((1024, 768), (1536, 1152), (1300, 1000), (2048, 1536), (1024, 1024), (1800, 1300))
_SCANNERS = {"NB01": ("SS12345", "SS12377"), "NB02": ("SS20418",)}


@dataclass(frozen=True, slots=True)
class Hospital:
    """What was written.

    Attributes:
        directory: holds ``pathcurate.yaml``, ``mappings/`` and ``hospital/``.
        workspace: the workspace file.
        answers: the answer key.
        slides: slide files, good and bad; ``others`` are files that are none.
        reports: rows of both laboratory exports.
        cases: accessions, each counted once per site.
        patients: patients of both sites.
        events: rows of the follow-up table.
    """

    directory: Path
    workspace: Path
    answers: Path
    slides: int
    others: int
    reports: int
    cases: int
    patients: int
    events: int


@dataclass(frozen=True, slots=True)
class _Slide:
    """A slide to write, and what is right about it."""

    site: str
    path: str
    encoding: str = "utf-8"
    case: Case | None = None
    tier: str = "none"
    number: str = ""
    header: dict[str, str] = field(default_factory=dict)
    stain: str | None = None
    specimen: str | None = None
    block: str | None = None
    painted: str = "HE"
    label: tuple[str, ...] = ()
    label_barcode: str = ""
    scanned: datetime | None = None
    scanner: str = ""
    scan_number: str = ""
    size: tuple[int, int] = (1024, 768)
    mpp: float = 0.2498
    status: str = "ok"
    format: str | None = "svs"
    vendor: str | None = "aperio"
    has_header: bool = True
    is_control: bool = False
    ifds_first: bool = False
    rescan_of: "_Slide | None" = None

    @property
    def relpath(self) -> bytes:
        return self.path.encode(self.encoding)

    @property
    def file(self) -> bytes:
        """Path below the hospital's directory."""
        return f"hospital/{self.site}/slides/".encode() + self.relpath


def make_hospital(directory: Path, *, seed: int = 1) -> Hospital:
    """Write the made-up hospital into an empty directory; the same seed gives the same bytes.

    Raises:
        InputOutputError: the directory is missing or not empty.
    """
    if not directory.is_dir() or any(directory.iterdir()):
        raise InputOutputError("the made-up hospital needs an empty directory", "Create one, or name another.")
    rng = random.Random(seed)  # noqa: S311 - made-up data must be the same each time; nothing here is secret
    cases = {site: make_cases(site, rng) for site in SITES}
    cases["NB02"] = _share_number(cases["NB01"], cases["NB02"])
    reports = {site: make_reports(cases[site], rng) for site in SITES}
    slides = _plan(cases, rng)
    _write_workspace(directory)
    events = make_events(cases["NB01"], seed)
    _write_exports(directory, reports, events)
    patients = _patients(cases)
    _write_permissions(directory, patients)
    for index, slide in enumerate(slides):
        _write_slide(directory, slide, seed * 1000 + index)
    right = [_slide_answer(slide) for slide in slides]
    write_registers(directory, right, {(site, case.key): case.accession for site in SITES for case in cases[site]})
    others, answers = _write_others(directory), directory / "hospital/answers.json"
    key = {
        "seed": seed,
        "slides": right,
        "others": others,
        "reports": [_report_answer(report) for site in SITES for report in reports[site]],
        "patients": [_patient_answer(patient) for patient in patients],
        "events": [event.answer(row, cases["NB01"]) for row, event in enumerate(events, 2)],
        "planted": _planted(slides, [report for site in SITES for report in reports[site]], events),
    }
    answers.write_text(json.dumps(key, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return Hospital(
        directory=directory, workspace=directory / "pathcurate.yaml", answers=answers,
        slides=len(slides), others=len(others),
        reports=sum(len(rows) for rows in reports.values()),
        cases=sum(len(rows) for rows in cases.values()),
        patients=len(patients),
        events=len(events),
    )  # fmt: skip


def _share_number(first: Sequence[Case], second: Sequence[Case]) -> list[Case]:
    """The second site's cases, one of them with a number that the first site gave to another patient."""
    number = next(case.accession for case in first if case.received.year == 2023)
    shared = next(case for case in second if case.received.year == 2023)
    return [replace(case, accession=number) if case is shared else case for case in second]


def _patients(cases: Mapping[str, Sequence[Case]]) -> list[Patient]:
    found = {(case.site, case.patient.number): case.patient for site in SITES for case in cases[site]}
    return [found[key] for key in sorted(found)]


# ---- slides ----


def _plan(cases: Mapping[str, Sequence[Case]], rng: random.Random) -> list[_Slide]:
    """Every slide: one per case, immunostains for some, then those that go wrong."""
    slides: list[_Slide] = []
    # Scanners number their files; drawn without repeats, because some files are named by this number alone.
    numbers = iter(rng.sample(range(100_000, 1_000_000), 200))
    for site in SITES:
        styles = texts()["naming"][site]
        for index, case in enumerate(cases[site]):
            slides.append(_case_slide(case, styles[index % len(styles)], ("HE", "A1"), numbers, rng=rng))
        for index, case in enumerate(cases[site][3::9]):
            stains = texts()["immunostains"]
            slides.append(_case_slide(case, styles[index % 2], (stains[index % len(stains)], "B2"), numbers, rng=rng))
    slides += _special_slides(cases, slides, numbers, rng)
    return slides


def _case_slide(
    case: Case, style: Mapping[str, Any], glass: tuple[str, str], numbers: Iterator[int], *, rng: random.Random
) -> _Slide:
    """A good slide of a case, named in the site's style; ``glass`` is its stain and its part, such as A1."""
    stain, part = glass
    year, digits = f"{case.received.year}", case.accession.split("-")[1]
    prefix = case.accession[: case.accession.index("-") - 2]
    scan_number = f"{next(numbers)}"
    words = {
        "number": case.accession,
        "compact": f"{prefix}{year[2:]}{digits}",
        "long": f"{prefix.lower()}{year}-{digits}",
        "part": part,
        "stain": stain,
        "scan": scan_number,
        "year": year,
        "organ": texts()["folders"][case.organ],
        "name": case.patient.name,
    }
    key = style.get("header", "")
    template = texts()["headers"][key] if key else ""
    says = style["path"] + template
    slide = _Slide(
        site=case.site,
        path=style["path"].format_map(words),
        encoding=style.get("encoding", "utf-8"),
        case=case,
        tier=style["tier"],
        number=case.accession,
        header={key: template.format_map(words)} if key else {},
        stain=stain if "{stain}" in says else None,
        specimen=part[0] if "{part}" in says else None,
        block=part[1:] if "{part}" in says else None,
        painted=stain,
        label=(f"{case.accession}  {part}", stain, case.patient.latin) if style.get("label", True) else (),
        label_barcode=f"{case.accession}-{part}" if style.get("label", True) else "",
    )
    return _scanned(slide, case.received, scan_number, rng)


def _scanned(slide: _Slide, received: datetime, scan_number: str, rng: random.Random) -> _Slide:
    """The slide with what the scanner adds: when, by which device, how large."""
    seen = replace(
        slide,
        scanned=received + timedelta(days=rng.randrange(3, 11), minutes=rng.randrange(180), seconds=rng.randrange(60)),
        scanner=rng.choice(_SCANNERS[slide.site]),
        scan_number=scan_number,
        size=rng.choice(_SIZES),
        mpp=rng.choice((0.2498, 0.2498, 0.2498, 0.4990)),
    )
    if not slide.path.endswith(".tif"):
        return seen
    # A generic TIFF has neither a scanner's name nor a label.
    return replace(seen, format="tiff", vendor="generic-tiff", mpp=0.25, scanner="", label=(), label_barcode="")


def _special_slides(
    cases: Mapping[str, Sequence[Case]], good: Sequence[_Slide], numbers: Iterator[int], rng: random.Random
) -> list[_Slide]:
    """Slides that go wrong, each in a way of its own."""
    first, second = cases["NB01"], cases["NB02"]

    def scanned(slide: _Slide, case: Case) -> _Slide:
        return _scanned(slide, case.received, f"{next(numbers)}", rng)

    def of_case(case: Case, path: str, **known: Any) -> _Slide:
        name = path.format(number=case.accession)
        return scanned(_Slide(case.site, name, case=case, number=case.accession, tier="file_name", **known), case)

    original = next(slide for slide in good if slide.tier == "exact" and "-A1-HE.svs" in slide.path)
    rescan = replace(original, path=original.path.replace(".svs", "_2.svs"), rescan_of=original)
    barcode = f"{first[7].accession}-A1"
    conflict = _Slide("NB01", f"2023年/乳腺/{first[9].accession}-A1-HE.svs", tier="conflict", number=first[9].accession,
                      header={"Barcode": barcode}, label=(f"{first[7].accession}  A1", "HE"), label_barcode=barcode,
                      stain="HE", specimen="A", block="1")  # fmt: skip
    strays = []
    for case, number in ((first[-1], "S23-09901"), (second[-1], "23-09902")):
        stray = _Slide(case.site, f"外借/{number}-A1-HE.svs", number=number, label=(f"{number}  A1", "HE"),
                       label_barcode=f"{number}-A1", stain="HE", specimen="A", block="1")  # fmt: skip
        strays.append(scanned(stray, case))
    unknown: dict[str, Any] = {"format": None, "vendor": None, "has_header": False}
    return [
        of_case(first[12], "2023年/{number}-A2-HE.svs", status="truncated", ifds_first=True,
                stain="HE", specimen="A", block="2"),
        of_case(second[3], "切片/{number}-A2-HE.svs", status="truncated", stain="HE", specimen="A", block="2", **unknown),
        of_case(first[14], "2023年/{number}-A3-HE.svs", status="corrupt", stain="HE", specimen="A", block="3", **unknown),
        of_case(second[5], "切片/{number}-A1.sdpc", status="unsupported:sqray", format="other", vendor="sqray",
                has_header=False, specimen="A", block="1"),
        _Slide("NB01", "扫描/新建文本文档.svs", status="not_a_slide", **unknown),
        rescan,
        scanned(conflict, first[9]),
        *strays,
        scanned(_Slide("NB01", "扫描/未编号 HE.svs", stain="HE"), first[20]),
        scanned(_Slide("NB01", "对照/HER2 阳性对照 2023-03.svs", stain="HER2", painted="HER2", is_control=True,
                       label=("HER2", "CONTROL")), first[11]),
    ]  # fmt: skip


def _write_slide(directory: Path, slide: _Slide, seed: int) -> None:
    path = directory / os.fsdecode(slide.file)
    path.parent.mkdir(parents=True, exist_ok=True)
    if slide.rescan_of:
        shutil.copyfile(directory / os.fsdecode(slide.rescan_of.file), path)
    elif slide.status == "not_a_slide":
        path.write_text("扫描仪故障，此片待重扫。\r\n", "gb18030")
    elif slide.status.startswith("unsupported"):
        noise = random.Random(seed).randbytes(50_000)  # noqa: S311 - filling, not a secret
        path.write_bytes(b"SQ" + struct.pack("<HII", 3, 50_000, 0) + noise)
    elif slide.format == "tiff":
        stamp = f"{slide.scanned:%Y:%m:%d %H:%M:%S}"
        fields = {305: ascii_text("MadeUpScan 2.1"), 306: ascii_text(stamp)}
        write_tiff(path, seed=seed, size=slide.size, mpp=slide.mpp, fields=fields, stain=slide.painted)
    else:
        write_svs(
            path,
            seed=seed,
            size=slide.size,
            description=_description(slide),
            label_lines=slide.label,
            label_barcode=slide.label_barcode,
            stain=slide.painted,
            ifds_first=slide.ifds_first,
        )
        _damage(path, slide)


def _damage(path: Path, slide: _Slide) -> None:
    """Cut the file, or write garbage over its first directory."""
    data = path.read_bytes()
    (directory_offset,) = struct.unpack_from("<I", data, 4)
    if slide.status == "truncated":
        path.write_bytes(data[: len(data) * 3 // 5 if slide.ifds_first else directory_offset // 2])
    elif slide.status == "corrupt":
        entries = struct.unpack_from("<H", data, directory_offset)[0]
        start = directory_offset + 2
        path.write_bytes(data[:start] + b"\xee" * (12 * entries) + data[start + 12 * entries :])


def _description(slide: _Slide) -> dict[str, str]:
    """Keys of the ImageDescription, in the order in which Aperio writes them."""
    magnification = "40" if slide.mpp < 0.3 else "20"
    return {
        "AppMag": magnification,
        "StripeWidth": "2040",
        "ScanScope ID": slide.scanner,
        "Filename": slide.scan_number,
        "Date": f"{slide.scanned:%m/%d/%y}",
        "Time": f"{slide.scanned:%H:%M:%S}",
        "Time Zone": "GMT+08:00",
        "User": texts()["technicians"][SITES.index(slide.site)],
        "MPP": f"{slide.mpp:.4f}",
        "Left": "25.691574",
        "Top": "23.449873",
        **slide.header,
        "ImageID": slide.scan_number,
        "OriginalWidth": f"{slide.size[0]}",
        "OriginalHeight": f"{slide.size[1]}",
        "Filtered": "5",
    }


def _write_others(directory: Path) -> list[dict[str, str]]:
    """Files of an archive that are no slides."""
    contents = {
        ("NB01", "2023年/Thumbs.db"): bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504),
        ("NB01", "扫描/扫描说明.txt"): "本目录为夜间批量扫描。\r\n".encode("gb18030"),
        ("NB02", "切片/切片登记表.xlsx"): b"PK\x03\x04" + bytes(26),
    }
    for (site, relpath), data in contents.items():
        path = directory / "hospital" / site / "slides" / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return [{"site": site, "relpath": relpath} for site, relpath in contents]


# ---- tables ----


def _write_workspace(directory: Path) -> None:
    """The workspace file and NB02's mapping."""
    (directory / "mappings").mkdir()
    for name, target in (("workspace.yaml", "pathcurate.yaml"), ("mapping.yaml", "mappings/nb02.yaml")):
        (directory / target).write_bytes(files("pathcurate.demo").joinpath(name).read_bytes())


def _write_exports(directory: Path, reports: Mapping[str, Sequence[Report]], events: Sequence[Event]) -> None:
    for site, name, encoding, row_of, delimiter in (
        ("NB01", "reports_2023.csv", "gb18030", _row_in_words, ","),
        ("NB02", "reports.tsv", "utf-8", _row_of_vendor, "\t"),
    ):
        rows = [row_of(report) for report in reports[site]]
        path = directory / "hospital" / site / "lis" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(_table(rows[0], (row.values() for row in rows), delimiter).encode(encoding))
    followup = _table(events[0].cells(), (event.cells().values() for event in events)).encode("gb18030")
    (directory / "hospital/NB01/followup.csv").write_bytes(followup)


def _row_in_words(report: Report) -> dict[str, str]:
    """NB01's columns, headed in words."""
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
        "报告类型": "常规报告" if report.type == "primary" else "补充报告",
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


def _write_permissions(directory: Path, patients: Sequence[Patient]) -> None:
    rows = []
    for patient in patients:
        if patient.permission == "no_permission":
            continue
        until = "2020-12-31" if patient.permission == "expired" else "2079-12-31"
        purpose = "education" if patient.permission == "other_purpose" else "research"
        document = hashlib.sha256(f"consent form of {patient.id_number}".encode()).hexdigest()
        basis = _BASES.get(patient.permission, "知情同意")
        rows.append((patient.site, patient.number, basis, purpose, "slides;reports;events", "2018-01-01", until, document))
    heads = ("机构", "住院号", "依据", "用途", "数据类型", "有效期起", "有效期止", "文件摘要")
    (directory / "hospital/consent.csv").write_bytes(_table(heads, rows).encode("utf-8-sig"))
    left = [(patient.site, patient.number, "是") for patient in patients if patient.permission == "opted_out"]
    (directory / "hospital/opt_out.csv").write_bytes(_table(("机构", "住院号", "退出"), left).encode("utf-8-sig"))


# ---- answer key ----


def _slide_answer(slide: _Slide) -> dict[str, Any]:
    """What scan and link should find; ``tier`` is without reading the label image."""
    linked = slide.case if slide.tier not in {"none", "conflict"} else None
    header = slide.has_header
    svs = header and slide.format == "svs"
    return {
        "site": slide.site,
        "archive": "main",
        "relpath": slide.path,
        "relpath_hex": slide.relpath.hex(),
        "status": slide.status,
        "format": slide.format,
        "vendor": slide.vendor,
        "accession": linked.key if linked else None,
        "patient": linked.patient.number if linked else None,
        "tier": slide.tier,
        "stain": slide.stain,
        "specimen": slide.specimen,
        "block": slide.block,
        "scan_date": f"{slide.scanned:%Y-%m-%d}" if slide.scanned and header else None,
        "width": slide.size[0] if header else None,
        "height": slide.size[1] if header else None,
        "mpp": slide.mpp if header else None,
        "scanner_serial": slide.scanner if svs else None,
        "barcode": slide.header.get("Barcode") if svs else None,
        "has_label": bool(slide.label) if header else None,
        "label_barcode": slide.label_barcode or None if header else None,
        "is_control": slide.is_control,
        "rescan_of": slide.rescan_of.relpath.hex() if slide.rescan_of else None,
    }


def _report_answer(report: Report) -> dict[str, Any]:
    case, patient = report.case, report.case.patient
    return {
        "site": case.site,
        "accession": case.key,
        "accession_raw": case.accession,
        "patient": patient.number,
        "name": patient.name,
        "sex": patient.sex,
        "birth_date": patient.birth_date.isoformat(),
        "age": case.age,
        "age_text": case.age_text,
        "received": case.received.date().isoformat(),
        "reported": report.reported.isoformat(),
        "organ": case.organ,
        "type": report.type,
    }


def _patient_answer(patient: Patient) -> dict[str, Any]:
    return {
        "site": patient.site,
        "patient": patient.number,
        "allowed": patient.permission in {"consent", "waiver"},
        "reason": patient.permission,
    }


def _planted(slides: Sequence[_Slide], reports: Sequence[Report], events: Sequence[Event]) -> dict[str, list[str]]:
    """Every direct identifier that stands somewhere in the hospital's files, by kind, each once.

    Normalised accessions and birth dates are listed too: they stand in no file, but follow from one.
    What identifies nobody is left out: file stems without a digit, stains on labels.
    """
    patients = [report.case.patient for report in reports]
    # Only NB01's export has columns for telephone, out-patient number and doctors.
    worded = [report for report in reports if report.case.site == "NB01"]
    doctors = texts()["submitting_doctors"]
    scanned = [slide.scanned for slide in slides if slide.scanned]
    received = [report.case.received for report in reports]
    stems = [slide.path.rsplit("/", 1)[-1].rsplit(".", 1)[0] for slide in slides]
    planted: dict[str, Iterable[str]] = {
        "names": [patient.name for patient in patients],
        "latin_names": [slide.label[2] for slide in slides if len(slide.label) == 3],
        "doctors": [
            *(name for report in worded for name in (report.submitting_doctor, report.pathologist, report.reviewer)),
            *(doctors[report.submitting_doctor].title() for report in reports if report.told and report.type == "primary"),
            *(report.submitting_doctor for report in reports if report.type == "supplementary"),
        ],
        "users": texts()["technicians"],
        "id_numbers": [patient.id_number for patient in patients],
        "phones": [report.case.patient.phone for report in worded],
        "patient_numbers": [
            *(patient.number for patient in patients),
            *(event.patient for event in events if event.patient),
            *(report.case.patient.outpatient_number for report in worded),
        ],
        "accessions": [
            *(text for report in reports for text in (report.case.accession, report.case.key)),
            *(slide.number for slide in slides if slide.number),
        ],
        "file_stems": [stem for stem in stems if any(character.isdigit() for character in stem)],
        "scan_numbers": [slide.scan_number for slide in slides if slide.scan_number],
        "barcodes": [text for slide in slides for text in (slide.header.get("Barcode"), slide.label_barcode) if text],
        "label_texts": [line for slide in slides if slide.number for line in slide.label if line != slide.painted],
        "scanner_serials": [slide.scanner for slide in slides if slide.scanner],
        "dates": [
            *(patient.birth_date.isoformat() for patient in patients),
            *(f"{day:{form}}" for day in received for form in ("%Y-%m-%d", "%Y/%m/%d")),
            *(f"{report.reported:{form}}" for report in reports for form in ("%Y-%m-%d", "%Y/%m/%d")),
            *(f"{day:{form}}" for day in scanned for form in ("%Y-%m-%d", "%m/%d/%y", "%Y:%m:%d")),
            *(report.told for report in reports if report.told),
            *(event.day.isoformat() for event in events),
        ],
    }  # fmt: skip
    return {kind: sorted(set(values)) for kind, values in planted.items()}
