"""The made-up hospital against independent readers, and its answer key against its files."""

import csv
import datetime as dt
import hashlib
import io
import json
import os
import random
import re
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import tifffile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pathcurate.demo.cases import id_check_digit, make_cases, make_reports, texts
from pathcurate.demo.hospital import GENERAL_SITES, SITES, Hospital, make_hospital
from pathcurate.demo.slides import code39, paint_label, paint_tissue, write_svs, write_tiff
from pathcurate.demo.tiffwriter import Field, Page, ascii_text, encode_lzw, encode_tiff, long8s, longs, rational, shorts
from pathcurate.errors import InputOutputError

# ---- the TIFF writer ----


def gray_page(width: int, height: int, strips: list[bytes], rows: int, compression: int = 1) -> Page:
    fields = {
        256: longs(width), 257: longs(height), 258: shorts(8), 259: shorts(compression), 262: shorts(1),
        277: shorts(1), 278: longs(rows),
    }  # fmt: skip
    return Page(fields, strips)


def decode_lzw(data: bytes) -> bytes:
    """What libtiff makes of an LZW strip, through Pillow."""
    page = gray_page(len(data), 1, [encode_lzw(data)], 1, compression=5)
    with Image.open(io.BytesIO(encode_tiff([page]))) as picture:
        return picture.tobytes()


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 900)), min_size=1, max_size=12).map(
        lambda runs: b"".join(piece * times for piece, times in runs)
    )
)
@settings(max_examples=60, deadline=None)
def test_libtiff_decodes_lzw_of_runs(data: bytes) -> None:
    assert decode_lzw(data) == data


# Around the places where codes widen (511, 1023, 2047 entries) and the table is cleared (4094).
@pytest.mark.parametrize(
    "length", [1, 2, *range(250, 260), *range(764, 772), *range(1788, 1796), *range(3834, 3842), 60_000]
)
def test_libtiff_decodes_lzw_of_noise(length: int) -> None:
    data = np.random.default_rng(length).bytes(length)
    assert decode_lzw(data) == data


def test_lzw_of_nothing_is_clear_and_end() -> None:
    assert encode_lzw(b"") == bytes([0b10000000, 0b01000000, 0b01000000])


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("ifds_first", [False, True])
def test_tifffile_reads_back_every_page_field_and_strip(bigtiff: bool, ifds_first: bool) -> None:
    strips = [[bytes([page * 10 + strip]) * 35 for strip in range(3)] for page in range(4)]
    pages = []
    for page in range(4):
        made = gray_page(7, 15, strips[page], 5)
        extra = {270: ascii_text(f"page {page} 乳腺"), 282: rational(7, 2), 65000: shorts(*range(9)), 305: ascii_text("x")}
        pages.append(Page({**made.fields, **extra}, made.segments))
    data = encode_tiff(pages, bigtiff=bigtiff, ifds_first=ifds_first)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        assert tiff.is_bigtiff == bigtiff
        assert len(tiff.pages) == 4
        for number, page in enumerate(tiff.pages):
            assert page.tags[270].value == f"page {number} 乳腺"
            assert page.tags[282].value == (7, 2)
            assert page.tags[65000].value == tuple(range(9))
            found = [data[o : o + c] for o, c in zip(page.dataoffsets, page.databytecounts, strict=True)]
            assert found == strips[number]
            assert page.asarray().tobytes() == b"".join(strips[number])
        first_data = min(offset for page in tiff.pages for offset in page.dataoffsets)
        assert all(page.offset < first_data for page in tiff.pages) == ifds_first
        assert (tiff.pages[0].dataoffsets[0] > tiff.pages[3].dataoffsets[0]) == ifds_first
        assert all(page.offset % 2 == 0 for page in tiff.pages)


def test_a_given_field_wins_over_the_added_one() -> None:
    page = gray_page(4, 1, [b"abcd"], 1)
    data = encode_tiff([Page({**page.fields, 273: longs(999_999)}, page.segments)])
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        assert tiff.pages[0].dataoffsets == (999_999,)


def test_unknown_types_and_false_counts_are_written_as_given() -> None:
    page = gray_page(4, 1, [b"abcd"], 1)
    data = encode_tiff([Page({**page.fields, 65001: Field(77, 123_456, b"\1\2")}, page.segments)])
    entry = struct.pack("<HHI", 65001, 77, 123_456) + b"\1\2\0\0"
    assert entry in data


def test_bigtiff_holds_64_bit_values() -> None:
    page = gray_page(4, 1, [b"abcd"], 1)
    data = encode_tiff([Page({**page.fields, 65001: long8s(2**40, 5)}, page.segments)], bigtiff=True)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        assert tiff.pages[0].tags[65001].value == (2**40, 5)


def test_a_file_without_pages_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one page"):
        encode_tiff([])


# ---- slides ----

DESCRIPTION = {"AppMag": "40", "MPP": "0.2498", "Barcode": "S23-00131-A1"}


def open_slide(path: Path) -> openslide.OpenSlide:
    return openslide.OpenSlide(os.fsencode(path))


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("ifds_first", [False, True])
def test_openslide_sees_an_aperio_slide(tmp_path: Path, bigtiff: bool, ifds_first: bool) -> None:
    path = tmp_path / "a.svs"
    write_svs(path, seed=3, size=(1100, 700), description=DESCRIPTION, label_lines=["S23-00131  A1", "HE"],
              label_barcode="S23-00131-A1", bigtiff=bigtiff, ifds_first=ifds_first)  # fmt: skip
    with open_slide(path) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.level_dimensions == ((1100, 700), (275, 175), (68, 43))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.2498)
        assert slide.properties["openslide.objective-power"] == "40"
        assert slide.properties["aperio.Barcode"] == "S23-00131-A1"
        assert set(slide.associated_images) == {"label", "macro", "thumbnail"}
        label = slide.associated_images["label"].convert("RGB")
        assert label.tobytes() == paint_label(["S23-00131  A1", "HE"], "S23-00131-A1").tobytes()
        # JPEG at quality 70 blurs, but a wrong colour space or a tile in the wrong place would be far off.
        seen = np.asarray(slide.read_region((0, 0), 0, (1100, 700)).convert("RGB"), dtype=int)
        painted = np.asarray(paint_tissue(3, (1100, 700)), dtype=int)
        assert np.abs(seen - painted).mean() < 6


def test_tifffile_sees_aperios_page_order(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    write_svs(path, seed=3, size=(1100, 700), description=DESCRIPTION, label_lines=["A"])
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_svs
        told = [(page.is_tiled, int(page.subfiletype), int(page.compression)) for page in tiff.pages]
        assert told == [(True, 0, 7), (False, 0, 7), (True, 0, 7), (True, 0, 7), (False, 1, 5), (False, 9, 7)]
        assert tiff.pages[0].description.startswith(
            "Aperio Image Library v12.0.15 \r\n1100x700 [0,0 1100x700] (256x256) JPEG/RGB Q=70|AppMag = 40|MPP = 0.2498|"
        )
        assert tiff.pages[4].description.splitlines()[1] == "label 420x300"
        assert tiff.pages[5].description.splitlines()[1] == "macro 640x240"
        page = tiff.pages[0]
        data = path.read_bytes()
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            with Image.open(io.BytesIO(data[offset : offset + count])) as tile:
                tile.load()
                assert (tile.format, tile.size, tile.mode) == ("JPEG", (256, 256), "RGB")


def test_a_slide_without_label_lines_has_no_label(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    write_svs(path, seed=3, size=(600, 500), description=DESCRIPTION)
    with open_slide(path) as slide:
        assert set(slide.associated_images) == {"macro", "thumbnail"}


@pytest.mark.parametrize("bigtiff", [False, True])
def test_openslide_sees_a_generic_tiff(tmp_path: Path, bigtiff: bool) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, seed=4, size=(900, 640), mpp=0.25, fields={305: ascii_text("maker")}, bigtiff=bigtiff)
    with open_slide(path) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert slide.level_dimensions == ((900, 640), (450, 320), (225, 160))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.25)
        assert not slide.associated_images
        assert slide.properties["tiff.Software"] == "maker"


def test_a_generic_tiff_without_resolution_has_no_mpp(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, seed=4, size=(300, 300), mpp=None)
    with open_slide(path) as slide:
        assert "openslide.mpp-x" not in slide.properties


def test_seeds_make_different_tissue_and_the_same_seed_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for number, seed in enumerate((1, 1, 2)):
        path = os.fsencode(tmp_path / f"{number}.svs")
        write_svs(path, seed=seed, size=(600, 500), description=DESCRIPTION, label_lines=["A"])
        digests.append(hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("seed", range(12))
def test_tissue_covers_a_part_of_the_glass_and_is_pink_or_violet(seed: int) -> None:
    pixels = np.asarray(paint_tissue(seed, (512, 384)), dtype=int)
    tissue = pixels.min(axis=2) < 215
    assert 0.08 < tissue.mean() < 0.8
    red, green, blue = pixels[tissue].mean(axis=0)
    assert red > green + 25
    assert blue > green + 25


def test_code39_characters_have_three_wide_elements_and_no_two_are_alike() -> None:
    seen = set()
    for character in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%":
        elements = code39(character)
        assert len(elements) == 3 * 9 + 2
        symbol = elements[10:19]
        assert sum(width == 2 for width, _ in symbol) == 3
        assert [dark for _, dark in symbol] == [True, False] * 4 + [True]
        seen.add(tuple(symbol))
    assert len(seen) == 43
    with pytest.raises(ValueError, match="substring not found"):
        code39("中")


def test_zxing_reads_the_label() -> None:
    import zxingcpp

    found = zxingcpp.read_barcodes(paint_label(["S23-00131  A1"], "S23-00131-A1"))
    assert [code.text for code in found] == ["S23-00131-A1"]


# ---- patients ----


def test_check_digit_of_the_standards_examples() -> None:
    # GB 11643-1999 annex A gives 11010519491231002X and 440524188001010014.
    assert id_check_digit("11010519491231002") == "X"
    assert id_check_digit("44052418800101001") == "4"


@pytest.mark.parametrize("seed", range(80))
def test_every_seed_makes_a_plausible_hospital(seed: int) -> None:
    for site in GENERAL_SITES:
        rng = random.Random(seed)
        cases = make_cases(site, rng)
        reports = make_reports(cases, rng)
        patients = {case.patient.number: case.patient for case in cases}
        assert len(patients) == len(texts()["patients"][site])
        for column in ("id_number", "phone", "outpatient_number"):
            assert len({getattr(patient, column) for patient in patients.values()}) == len(patients)
        assert len({(patient.name, patient.birth_date) for patient in patients.values()}) == len(patients)
        # Only the planned namesake shares a name, whoever else the seed draws.
        shared = len(patients) - len({patient.name for patient in patients.values()})
        assert shared == (site == "NB01")
        assert len({case.key for case in cases}) == len(cases)
        assert {case.received.year for case in cases} == {2022, 2023, 2024}
        assert [case.accession for case in cases] == sorted(case.accession for case in cases)
        for case in cases:
            low, high = texts()["reports"][case.template]["ages"]
            assert low <= case.age <= high
            assert case.age == 0 or case.age_text == f"{case.age}岁"
            if case.age == 0:
                assert re.fullmatch(r"[1-9]月|1[01]月", case.age_text)
            assert texts()["reports"][case.template]["sex"] in {case.patient.sex, "any"}
        for report in reports:
            assert report.reported > report.case.received.date()
            assert "{" not in report.gross + report.microscopy + report.diagnosis + report.ihc + report.clinical


# ---- the hospital ----

# The workspace's default accession patterns.
PART = r"(?:-?(?P<specimen>[A-Z])(?P<block>\d{1,3})?)?(?:-(?P<slide>\d{1,3}))?(?:$|[^0-9A-Z])"
PATTERNS = (
    r"(?:^|[^0-9A-Z])(?P<prefix>[A-Z]{0,3})(?P<year>(?:19|20)\d{2}|\d{2})-(?P<number>\d{3,7})" + PART,
    r"(?:^|[^0-9A-Z])(?P<prefix>[A-Z]{1,3})(?P<year>(?:19|20)\d{2}|\d{2})(?P<number>\d{4,7})" + PART,
)


def numbers_in(text: str) -> set[str]:
    found = set()
    for pattern in PATTERNS:
        for hit in re.finditer(pattern, text.upper()):
            found.add(f"{hit['prefix']}{hit['year'][-2:]}-{int(hit['number'])}")
    return found


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return make_hospital(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def key(hospital: Hospital) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(hospital.answers.read_text("utf-8"))
    return loaded


def path_of(hospital: Hospital, slide: dict[str, Any]) -> Path:
    root = hospital.directory / "hospital" / slide["site"] / "slides"
    return root / os.fsdecode(bytes.fromhex(slide["relpath_hex"]))


def export_rows(hospital: Hospital, site: str) -> list[dict[str, str]]:
    name, encoding, delimiter = {
        "NB01": ("reports_2023.csv", "gb18030", ","),
        "NB02": ("reports.tsv", "utf-8", "\t"),
        "NB03": ("reports.csv", "utf-8-sig", ","),
    }[site]
    text = (hospital.directory / "hospital" / site / "lis" / name).read_bytes().decode(encoding)
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def archive_files(hospital: Hospital) -> set[tuple[str, str]]:
    found = set()
    for site in SITES:
        root = os.fsencode(hospital.directory / "hospital" / site / "slides")
        for folder, _, names in os.walk(root):
            found |= {(site, os.path.relpath(os.path.join(folder, name), root).hex()) for name in names}  # noqa: PTH118
    return found


def test_the_key_lists_exactly_the_files_on_disk(hospital: Hospital, key: dict[str, Any]) -> None:
    slides = [(slide["site"], slide["relpath_hex"]) for slide in key["slides"]]
    others = [(other["site"], other["relpath"].encode().hex()) for other in key["others"]]
    assert len(set(slides)) == len(slides) == hospital.slides
    assert len(others) == hospital.others == 3
    assert set(slides) | set(others) == archive_files(hospital)


def test_every_status_and_tier_is_there(key: dict[str, Any]) -> None:
    statuses = Counter(slide["status"] for slide in key["slides"])
    assert statuses.pop("ok") >= 55
    assert statuses == {"truncated": 2, "corrupt": 1, "unsupported:sqray": 1, "not_a_slide": 1}
    tiers = Counter(slide["tier"] for slide in key["slides"])
    assert set(tiers) == {"exact", "barcode", "metadata", "file_name", "conflict", "none"}
    assert tiers["conflict"] == 1
    assert Counter(slide["site"] for slide in key["slides"] if slide["is_control"]) == {"NB01": 1, "NB03": 1}
    formats = Counter(slide["format"] for slide in key["slides"])
    assert formats["svs"] > 40
    assert 14 <= formats["tiff"] <= 18


def test_openslide_and_tifffile_open_every_good_slide(hospital: Hospital, key: dict[str, Any]) -> None:
    for slide in key["slides"]:
        if slide["status"] != "ok":
            continue
        path = path_of(hospital, slide)
        with open_slide(path) as opened:
            assert opened.properties["openslide.vendor"] == slide["vendor"]
            assert opened.dimensions == (slide["width"], slide["height"])
            assert opened.level_count >= 2
            assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(slide["mpp"])
            expected = {"macro", "thumbnail"} if slide["format"] == "svs" else set()
            assert set(opened.associated_images) == expected | ({"label"} if slide["has_label"] else set())
            assert opened.properties.get("aperio.ScanScope ID") == slide["scanner_serial"]
            assert opened.properties.get("aperio.Barcode") == slide["barcode"]
            if slide["format"] == "svs":
                scanned = dt.datetime.strptime(opened.properties["aperio.Date"], "%m/%d/%y").date()  # noqa: DTZ007
                power = float(opened.properties["openslide.objective-power"])
                assert power == (40 if slide["mpp"] < 0.3 else 20)
            else:
                scanned = dt.datetime.strptime(opened.properties["tiff.DateTime"], "%Y:%m:%d %H:%M:%S").date()  # noqa: DTZ007
            assert scanned.isoformat() == slide["scan_date"]
            width, height = opened.dimensions
            opened.read_region((width // 2, height // 2), 0, (64, 64))
        with tifffile.TiffFile(os.fsdecode(path)) as tiff:
            size = path.stat().st_size
            for page in tiff.pages:
                ends = [o + c for o, c in zip(page.dataoffsets, page.databytecounts, strict=True)]
                assert max(ends) <= size


def test_cut_and_broken_slides_fail_as_told(hospital: Hospital, key: dict[str, Any]) -> None:
    cut = [slide for slide in key["slides"] if slide["status"] == "truncated"]
    opens = next(slide for slide in cut if slide["width"])
    with open_slide(path_of(hospital, opens)) as slide:
        assert slide.dimensions == (opens["width"], opens["height"])
        assert slide.associated_images["macro"].size == (640, 240)
        with pytest.raises(openslide.OpenSlideError):
            slide.read_region((0, 0), 0, slide.dimensions)
    closed = path_of(hospital, next(slide for slide in cut if not slide["width"]))
    (directory,) = struct.unpack("<I", closed.read_bytes()[4:8])
    assert directory > closed.stat().st_size
    with pytest.raises(openslide.OpenSlideError):
        open_slide(closed)
    corrupt = path_of(hospital, next(slide for slide in key["slides"] if slide["status"] == "corrupt"))
    data = corrupt.read_bytes()
    (directory,) = struct.unpack("<I", data[4:8])
    assert directory < len(data)
    assert data[directory + 2 : directory + 14] == b"\xee" * 12
    with pytest.raises(openslide.OpenSlideError):
        open_slide(corrupt)


@pytest.mark.parametrize("status", ["unsupported:sqray", "not_a_slide"])
def test_openslide_does_not_know_the_rest(hospital: Hospital, key: dict[str, Any], status: str) -> None:
    for slide in key["slides"]:
        if slide["status"] == status:
            assert openslide.OpenSlide.detect_format(os.fsencode(path_of(hospital, slide))) is None


def test_the_rescan_is_a_byte_copy_of_the_same_case(hospital: Hospital, key: dict[str, Any]) -> None:
    (rescan,) = [slide for slide in key["slides"] if slide["rescan_of"]]
    original = next(slide for slide in key["slides"] if slide["relpath_hex"] == rescan["rescan_of"])
    assert path_of(hospital, rescan).read_bytes() == path_of(hospital, original).read_bytes()
    assert rescan["accession"] == original["accession"]
    digests = Counter(hashlib.sha256(path_of(hospital, slide).read_bytes()).digest() for slide in key["slides"])
    assert sorted(digests.values())[-2:] == [1, 2]


def test_one_folder_is_gb18030_and_not_utf8(key: dict[str, Any]) -> None:
    folders = set()
    for slide in key["slides"]:
        raw = bytes.fromhex(slide["relpath_hex"])
        try:
            assert raw.decode() == slide["relpath"]
        except UnicodeDecodeError:
            assert raw.decode("gb18030") == slide["relpath"]
            folders.add(raw.split(b"/")[0])
    assert len(folders) == 1


def test_a_patients_name_is_a_folder(key: dict[str, Any]) -> None:
    names = set(key["planted"]["names"])
    assert any(names & set(slide["relpath"].split("/")[:-1]) for slide in key["slides"])


def header_numbers(path: Path) -> tuple[set[str], set[str]]:
    """Numbers of the barcode, and of the other texts, in the header of a readable slide."""
    with open_slide(path) as opened:
        barcode = opened.properties.get("aperio.Barcode", "")
        others = [
            value for name, value in opened.properties.items() if name.startswith("aperio.") and name != "aperio.Barcode"
        ]
    return numbers_in(barcode), {number for text in others for number in numbers_in(text)}


def test_tiers_follow_from_the_files_themselves(hospital: Hospital, key: dict[str, Any]) -> None:
    known: dict[str, dict[str, str]] = {site: {} for site in SITES}
    for report in key["reports"]:
        known[report["site"]][report["accession"]] = report["patient"]
    for slide in key["slides"]:
        lis = known[slide["site"]]
        folders, stem = slide["relpath"].split("/")[:-1], slide["relpath"].split("/")[-1].rsplit(".", 1)[0]
        found = {"file_name": {number for part in [*folders, stem] for number in numbers_in(part)} & lis.keys()}
        if slide["width"]:
            barcode, metadata = header_numbers(path_of(hospital, slide))
            found |= {"barcode": barcode & lis.keys(), "metadata": metadata & lis.keys()}
        sources = {source: numbers for source, numbers in found.items() if numbers}
        numbers = set().union(*sources.values())
        if len(numbers) > 1:
            tier = "conflict"
        elif len(sources) > 1:
            tier = "exact"
        else:
            tier = next(iter(sources), "none")
        accession = numbers.pop() if len(numbers) == 1 else None
        assert (tier, accession) == (slide["tier"], slide["accession"]), slide["relpath"]
        assert slide["patient"] == (lis[accession] if accession else None)


def test_scans_follow_receipt_by_days(key: dict[str, Any]) -> None:
    received = {(report["site"], report["accession"]): report["received"] for report in key["reports"]}
    checked = 0
    for slide in key["slides"]:
        if slide["accession"] and slide["scan_date"]:
            start = dt.date.fromisoformat(received[slide["site"], slide["accession"]])
            assert 3 <= (dt.date.fromisoformat(slide["scan_date"]) - start).days <= 11
            checked += 1
    assert checked > 50


# ---- reports ----


def test_the_export_is_gb18030_and_neither_utf8_nor_gbk(hospital: Hospital) -> None:
    data = (hospital.directory / "hospital/NB01/lis/reports_2023.csv").read_bytes()
    for encoding in ("utf-8", "gbk"):
        with pytest.raises(UnicodeDecodeError):
            data.decode(encoding)
    assert "䶮" in data.decode("gb18030")


def test_rows_and_key_agree(hospital: Hospital, key: dict[str, Any]) -> None:
    rows = {site: export_rows(hospital, site) for site in SITES}
    assert sum(len(found) for found in rows.values()) == len(key["reports"]) == hospital.reports
    heads = {
        "NB01": ("病理号", "姓名", "性别", "年龄", "住院号", "接收日期", "报告日期"),
        "NB02": ("F_BLH", "F_XM", "F_XB", "F_NL", "F_ZYH", "F_SDRQ", "F_BGRQ"),
    }
    heads["NB03"] = heads["NB01"]
    for site in SITES:
        answers = [report for report in key["reports"] if report["site"] == site]
        for row, answer in zip(rows[site], answers, strict=True):
            accession, name, sex, age, patient, received, reported = (row[head] for head in heads[site])
            assert numbers_in(accession) == {answer["accession"]}
            assert accession == answer["accession_raw"]
            assert (name, patient, age) == (answer["name"], answer["patient"], answer["age_text"])
            assert {"女": "F", "男": "M"}[sex] == answer["sex"]
            assert received[:10].replace("/", "-") == answer["received"]
            assert reported.replace("/", "-") == answer["reported"]
            assert int(age[:-1]) == answer["age"] if age.endswith("岁") else answer["age"] == 0
    assert all(None not in row and None not in row.values() for found in rows.values() for row in found)
    assert any("\n" in row["病理诊断"] for row in rows["NB01"])
    assert any('"' in row["肉眼所见"] for row in rows["NB01"])
    assert Counter(row["报告类型"] for row in rows["NB01"])["补充报告"] == 1
    assert {row["F_ZDYZ3"] for row in rows["NB02"]} > {""}


def test_id_numbers_are_valid_and_of_no_region(hospital: Hospital) -> None:
    heads = {"NB01": "身份证号", "NB02": "F_SFZH", "NB03": "身份证号"}
    cards = {row[head] for site, head in heads.items() for row in export_rows(hospital, site)}
    assert len(cards) == hospital.patients
    for card in cards:
        assert re.fullmatch(r"999999\d{11}[\dX]", card)
        # ISO 7064 MOD 11-2: the weighted sum with the check character is 1.
        digits = [10 if character == "X" else int(character) for character in card]
        assert sum(digit * 2 ** (17 - place) for place, digit in enumerate(digits)) % 11 == 1
        dt.date.fromisoformat(f"{card[6:10]}-{card[10:12]}-{card[12:14]}")


def test_the_traps_are_set(key: dict[str, Any]) -> None:
    reports = [report for report in key["reports"] if report["site"] in GENERAL_SITES]
    people = {(report["site"], report["patient"]): report for report in reports}
    assert sum(person["age"] > 89 for person in people.values()) == 2
    assert any(re.fullmatch(r"\d+月", report["age_text"]) for report in reports)
    patients_of: dict[str, set[tuple[str, str]]] = {}
    for report in reports:
        patients_of.setdefault(report["accession_raw"], set()).add((report["site"], report["patient"]))
    (shared,) = [found for found in patients_of.values() if len(found) > 1]
    assert {site for site, _ in shared} == set(GENERAL_SITES)
    namesakes = Counter((person["site"], person["name"]) for person in people.values())
    assert sorted(namesakes.values())[-2:] == [1, 2]
    types = Counter((report["site"], report["accession"]) for report in reports)
    assert types.most_common(2)[0][1] == 2
    organs = Counter(report["organ"] for report in reports)
    assert set(organs) == {"breast", "stomach", "colon", "lung", "thyroid"}
    assert organs["breast"] > len(reports) / 2
    years = Counter(report["received"][:4] for report in reports)
    assert min(years["2022"], years["2024"]) >= 3
    assert years["2023"] > 15


# ---- permissions, workspace, planted values ----


def read_list(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


def test_permissions_follow_from_the_lists(hospital: Hospital, key: dict[str, Any]) -> None:
    consents = read_list(hospital.directory / "hospital/consent.csv")
    left = {
        (row["机构"], row["住院号"]) for row in read_list(hospital.directory / "hospital/opt_out.csv") if row["退出"] == "是"
    }
    given = {(row["机构"], row["住院号"]) for row in consents}
    assert {site for site, _ in left} == set(SITES)
    assert len(left) == 3
    assert left < given
    valid = {
        (row["机构"], row["住院号"])
        for row in consents
        if row["用途"] == "research" and row["有效期起"] < "2024-01-01" and row["有效期止"] > "2060-01-01"
    }
    allowed = {(patient["site"], patient["patient"]) for patient in key["patients"] if patient["allowed"]}
    assert allowed == valid - left
    assert len(allowed) > len(key["patients"]) / 2
    assert len(key["patients"]) == hospital.patients
    assert {row["依据"] for row in consents} <= {"consent", "知情同意", "waiver", "伦理豁免"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", row["文件摘要"]) for row in consents)
    reasons = {patient["reason"] for patient in key["patients"] if not patient["allowed"]}
    assert reasons == {"no_permission", "expired", "other_purpose", "opted_out"}


def test_the_workspace_names_files_that_exist(hospital: Hospital) -> None:
    workspace = yaml.safe_load(hospital.workspace.read_text("utf-8"))
    assert [site["code"] for site in workspace["sites"]] == list(SITES)
    named = [entry["path"] for entry in workspace["permissions"]]
    for site in workspace["sites"]:
        named += [archive["root"] for archive in site["archives"]] + [report["path"] for report in site["reports"]]
        named += [report["mapping"] for report in site["reports"] if "mapping" in report]
        named += [event["path"] for event in site.get("events", ())]
    assert len(named) == 12
    assert all((hospital.directory / name).exists() for name in named)
    mapping = yaml.safe_load((hospital.directory / "mappings/nb02.yaml").read_text("utf-8"))
    assert set(mapping["columns"].values()) <= export_rows(hospital, "NB02")[0].keys()


def test_the_follow_up_is_what_its_answer_key_says(hospital: Hospital, key: dict[str, Any]) -> None:
    rows = list(
        csv.DictReader(io.StringIO((hospital.directory / "hospital/NB01/followup.csv").read_bytes().decode("gb18030")))
    )
    events = [event for event in key["events"] if event["site"] == "NB01"]
    assert len(rows) == len(events)
    assert len(key["events"]) == hospital.events
    reported = {report["patient"] for report in key["reports"] if report["site"] == "NB01"}
    for number, (row, answer) in enumerate(zip(rows, events, strict=True), 2):
        assert answer["row"] == number
        assert (row["住院号"] or None, row["日期"], row["单位"] or None) == (
            answer["patient"],
            answer["date"],
            answer["unit"],
        )
        assert answer["has_reports"] is (answer["patient"] in reported)
        assert answer["value"] == (float(row["结果"]) if re.fullmatch(r"[\d.]+", row["结果"]) else None)
    assert {answer["kind"] for answer in events} == {"diagnosis", "laboratory", "follow_up", "death"}
    stages = {answer["code"] for answer in events if answer["code_system"] == "ajcc"}
    assert stages == {"Stage 0", "Stage IA", "Stage IIA", "Stage IIB", "Stage IIIA", "Stage IV"}
    # The traps: a stranger, nobody, a result that is no number, a name in a text.
    assert [answer["has_reports"] for answer in events[-3:]] == [True, False, False]
    assert events[-1]["patient"] is None
    assert rows[-3]["结果"] == "<0.5"
    names = {report["name"] for report in key["reports"]}
    assert any(name in row["项目"] for row in rows for name in names)


def test_planted_values_stand_in_the_files(hospital: Hospital, key: dict[str, Any]) -> None:
    seen = [json.dumps([export_rows(hospital, site) for site in SITES], ensure_ascii=False)]
    seen.append((hospital.directory / "hospital/NB01/followup.csv").read_bytes().decode("gb18030"))
    films = hospital.directory / "hospital" / "NB03" / "radiology"
    seen += [path.read_bytes().decode(errors="replace") for path in sorted(films.rglob("*.dcm"))]
    for slide in key["slides"]:
        seen.append(slide["relpath"])
        if slide["width"]:
            with open_slide(path_of(hospital, slide)) as opened:
                seen += [value for name, value in opened.properties.items() if not name.startswith("openslide.")]
    text = "\n".join(seen)
    planted = key["planted"]
    for kind in ("names", "doctors", "users", "id_numbers", "phones", "patient_numbers", "file_stems", "scanner_serials",
                 "uids"):  # fmt: skip
        assert planted[kind]
        assert [value for value in planted[kind] if value not in text] == [], kind
    for report in key["reports"]:
        assert report["name"] in planted["names"]
        assert report["patient"] in planted["patient_numbers"]
        assert {report["accession"], report["accession_raw"]} <= set(planted["accessions"])
        assert {report["received"], report["reported"]} <= set(planted["dates"])


def test_the_same_seed_gives_the_same_bytes(hospital: Hospital, pristine_hospital: Path) -> None:
    def tree(root: Path) -> dict[bytes, bytes]:
        return {
            os.fsencode(path.relative_to(root)): hashlib.sha256(path.read_bytes()).digest()
            for path in root.rglob("*")
            if path.is_file()
        }

    assert tree(pristine_hospital) == tree(hospital.directory)
    assert sum(path.stat().st_size for path in pristine_hospital.rglob("*") if path.is_file()) < 40_000_000


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", "utf-8")
    with pytest.raises(InputOutputError):
        make_hospital(tmp_path)
    with pytest.raises(InputOutputError):
        make_hospital(tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
