"""The made-up archive: slide files named in each laboratory's way, those that went wrong, and what is right about each."""

import os
import random
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pathcurate.demo.cases import Case, texts
from pathcurate.demo.slides import write_svs, write_tiff
from pathcurate.demo.tiffwriter import ascii_text

_SIZES = ((1024, 768), (1536, 1152), (1300, 1000), (2048, 1536), (1024, 1024), (1800, 1300))
_SCANNERS = {"NB01": ("SS12345", "SS12377"), "NB02": ("SS20418",)}


@dataclass(frozen=True, slots=True)
class SlideFile:
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
    rescan_of: "SlideFile | None" = None

    @property
    def relpath(self) -> bytes:
        """Path below the archive root, as the file system holds it."""
        return self.path.encode(self.encoding)

    @property
    def file(self) -> bytes:
        """Path below the hospital's directory."""
        return f"hospital/{self.site}/slides/".encode() + self.relpath


def plan_slides(cases: Mapping[str, Sequence[Case]], rng: random.Random) -> list[SlideFile]:
    """Every slide: one per case, immunostains for some, then those that go wrong."""
    slides: list[SlideFile] = []
    # Scanners number their files; drawn without repeats, because some files are named by this number alone.
    numbers = iter(rng.sample(range(100_000, 1_000_000), 200))
    for site in cases:
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
) -> SlideFile:
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
    slide = SlideFile(
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


def _scanned(slide: SlideFile, received: datetime, scan_number: str, rng: random.Random) -> SlideFile:
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
    cases: Mapping[str, Sequence[Case]], good: Sequence[SlideFile], numbers: Iterator[int], rng: random.Random
) -> list[SlideFile]:
    """Slides that go wrong, each in a way of its own."""
    first, second = cases["NB01"], cases["NB02"]

    def scanned(slide: SlideFile, case: Case) -> SlideFile:
        return _scanned(slide, case.received, f"{next(numbers)}", rng)

    def of_case(case: Case, path: str, **known: Any) -> SlideFile:
        name = path.format(number=case.accession)
        return scanned(SlideFile(case.site, name, case=case, number=case.accession, tier="file_name", **known), case)

    original = next(slide for slide in good if slide.tier == "exact" and "-A1-HE.svs" in slide.path)
    rescan = replace(original, path=original.path.replace(".svs", "_2.svs"), rescan_of=original)
    barcode = f"{first[7].accession}-A1"
    conflict = SlideFile("NB01", f"2023年/乳腺/{first[9].accession}-A1-HE.svs", tier="conflict", number=first[9].accession,
                      header={"Barcode": barcode}, label=(f"{first[7].accession}  A1", "HE"), label_barcode=barcode,
                      stain="HE", specimen="A", block="1")  # fmt: skip
    strays = []
    for case, number in ((first[-1], "S23-09901"), (second[-1], "23-09902")):
        stray = SlideFile(case.site, f"外借/{number}-A1-HE.svs", number=number, label=(f"{number}  A1", "HE"),
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
        SlideFile("NB01", "扫描/新建文本文档.svs", status="not_a_slide", **unknown),
        rescan,
        scanned(conflict, first[9]),
        *strays,
        scanned(SlideFile("NB01", "扫描/未编号 HE.svs", stain="HE"), first[20]),
        scanned(SlideFile("NB01", "对照/HER2 阳性对照 2023-03.svs", stain="HER2", painted="HER2", is_control=True,
                       label=("HER2", "CONTROL")), first[11]),
    ]  # fmt: skip


def write_slide(directory: Path, slide: SlideFile, seed: int) -> None:
    """Write a slide below the hospital's directory; a rescan copies its original, which must be there."""
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


def _damage(path: Path, slide: SlideFile) -> None:
    """Cut the file, or write garbage over its first directory."""
    data = path.read_bytes()
    (directory_offset,) = struct.unpack_from("<I", data, 4)
    if slide.status == "truncated":
        path.write_bytes(data[: len(data) * 3 // 5 if slide.ifds_first else directory_offset // 2])
    elif slide.status == "corrupt":
        entries = struct.unpack_from("<H", data, directory_offset)[0]
        start = directory_offset + 2
        path.write_bytes(data[:start] + b"\xee" * (12 * entries) + data[start + 12 * entries :])


def _description(slide: SlideFile) -> dict[str, str]:
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
        "User": texts()["technicians"][slide.site],
        "MPP": f"{slide.mpp:.4f}",
        "Left": "25.691574",
        "Top": "23.449873",
        **slide.header,
        "ImageID": slide.scan_number,
        "OriginalWidth": f"{slide.size[0]}",
        "OriginalHeight": f"{slide.size[1]}",
        "Filtered": "5",
    }


def write_others(directory: Path) -> list[dict[str, str]]:
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


def slide_answer(slide: SlideFile) -> dict[str, Any]:
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
