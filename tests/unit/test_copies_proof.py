"""The proof of a copy fails when it should: good copies are tampered with, and no fault ever quotes a value."""

import base64
import io
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
import tifffile
from PIL import Image

from pathcurate.copies.kernel import companions
from pathcurate.copies.proof import Proof, prove
from pathcurate.model.filescrub import FilePlan, OwnValue, WrittenFiles
from pathcurate.pseudonyms import Pseudonyms
from pathcurate.scrubbers import dicom, tiff
from pathcurate.scrubbers.files import scrubber_of
from pathcurate.slidefiles import LayerCodes, ScrubJob
from tests import dicomjudge
from tests.dicoms import radiology, slide_part
from tests.makers import planted
from tests.makers.kfb import make_planted_kfb
from tests.makers.mrxs import make_planted

CASE, NAME, SHORT = "S24-90817", "Ottilie Wurzelbacher", "张三"
KNOWN = (OwnValue("case", CASE), OwnValue("name", NAME), OwnValue("name", SHORT), OwnValue("name", "欧阳建国"))


class Made:
    """A source, its copies in a folder of their own, and what the scrubber says of them."""

    def __init__(self, job: ScrubJob, folder: Path, plan: FilePlan, written: WrittenFiles) -> None:
        self.job, self.folder, self.plan, self.written = job, folder, plan, written

    def proof(self) -> Proof:
        proof = prove(self.job, self.plan, self.folder, self.written)
        for fault in proof.faults:
            assert not any(value.value.casefold() in fault.casefold() for value in (*self.job.known, *self.plan.own))
        return proof

    def copied(self, folder: Path) -> "Made":
        shutil.copytree(self.folder, folder)
        return Made(self.job, folder, self.plan, self.written)

    @property
    def main(self) -> Path:
        return self.folder / self.written.main

    def edit(self, change: Callable[[bytearray], object]) -> tuple[str, ...]:
        """Faults after a change to the main copy's bytes."""
        data = bytearray(self.main.read_bytes())
        changed = change(data)
        self.main.write_bytes(data if changed is None else changed)
        return self.proof().faults


def scrubbed(job: ScrubJob, folder: Path) -> Made:
    folder.mkdir()
    job = replace(job, known=KNOWN)
    job = replace(job, members=(*job.members, *companions(job.root, job.format, job.members)))
    plan, written = scrubber_of(job.format).write(job, folder)
    assert written is not None, plan.refusal
    return Made(job, folder, plan, written)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Made:
    top = tmp_path_factory.mktemp("svs")
    made = scrubbed(planted.job_of(planted.svs().write(top), "svs"), top / "copy")
    proof = made.proof()
    assert proof.faults == ()
    assert (proof.images, proof.readers) == (2, ("openslide", "tifffile"))
    return made


@pytest.fixture
def svs(good: Made, tmp_path: Path) -> Made:
    return good.copied(tmp_path / "copy")


def pages(made: Made) -> list[tuple[int, dict[int, tuple[int, int]], tuple[int, ...], int]]:
    """Of each directory: where it is, where each tag's entry and value are, where its pixels are, and its entries."""
    with tifffile.TiffFile(made.main) as file:
        return [
            (page.offset, {tag.code: (tag.offset, tag.valueoffset) for tag in page.tags}, page.dataoffsets, len(page.tags))
            for page in file.pages
        ]


def linked(made: Made, number: int, text: bytes | None, pixels: bytes | None = None) -> Callable[[bytearray], None]:
    """Append a copy of a directory, with another description and picture, and link it behind the last one."""
    places = pages(made)
    offset, tags, _, count = places[number]
    last, *_, entries = places[-1]

    def change(data: bytearray) -> None:
        new = bytearray(data[offset : offset + 2 + 12 * count] + bytes(4))
        for tag, value in ((270, text), (273, pixels)):
            if value is not None:
                at = tags[tag][0] - offset
                long_count = len(value) if tag == 270 else 1
                struct.pack_into("<II", new, at + 4, long_count, len(data))
                if tag == 273:
                    struct.pack_into("<I", new, tags[279][0] - offset + 8, len(value))
                data += value + bytes(len(value) % 2)
        struct.pack_into("<I", data, last + 2 + 12 * entries, len(data))
        data += new

    return change


def test_one_bit_of_a_tile(svs: Made) -> None:
    _, _, tiles, _ = pages(svs)[0]

    def change(data: bytearray) -> None:
        data[tiles[3] + 200] ^= 1

    assert "pixels of an image are not those of the source" in svs.edit(change)


def test_a_tile_table_that_points_elsewhere(svs: Made) -> None:
    _, tags, tiles, _ = pages(svs)[0]
    whole = svs.main.read_bytes()
    other = next(number for number, at in enumerate(tiles) if whole[at : at + 900] != whole[tiles[0] : tiles[0] + 900])

    def change(data: bytearray) -> None:
        for tag in (324, 325):
            at = tags[tag][1]
            data[at : at + 4] = data[at + 4 * other : at + 4 * other + 4]

    assert "pixels of an image are not those of the source" in svs.edit(change)


def test_a_copy_that_is_cut(svs: Made) -> None:
    assert svs.edit(lambda data: data[: len(data) // 2])


def test_another_resolution(svs: Made) -> None:
    faults = svs.edit(lambda data: bytes(data).replace(b"MPP = 0.4990", b"MPP = 0.2990"))
    assert "mpp_x is not as in the source" in faults
    assert "openslide sees another geometry than in the source" in faults


def test_a_level_too_many(svs: Made) -> None:
    faults = svs.edit(linked(svs, 2, None))
    assert any("level" in fault or "images" in fault for fault in faults)
    assert "tifffile sees another geometry than in the source" in faults


@pytest.mark.parametrize("kind", [b"label", b"macro", b""])
def test_an_image_that_is_linked_again(svs: Made, kind: bytes) -> None:
    faults = svs.edit(linked(svs, 1, b"Aperio Image Library v12.0.15 \r\n%b 200x150\0" % kind))
    assert [fault for fault in faults if "a label" in fault or "an overview" in fault]


def test_a_thumbnail_that_shows_the_label(svs: Made) -> None:
    out = io.BytesIO()
    picture = planted.tissue().resize((200, 150))
    picture.paste(Image.new("RGB", (60, 150), "black"), (140, 0))
    picture.save(out, "JPEG", subsampling=0)
    _, tags, *_ = pages(svs)[1]

    def change(data: bytearray) -> None:
        struct.pack_into("<I", data, tags[273][0] + 8, len(data))
        struct.pack_into("<I", data, tags[279][0] + 8, len(out.getvalue()))
        data += out.getvalue()

    assert "openslide finds an image beside the pyramid that may show the label" in svs.edit(change)


ENCODINGS = {
    "utf-8": lambda text: text.encode(),
    "upper case": lambda text: text.upper().encode(),
    "without separators": lambda text: text.replace("-", "").replace(" ", "").encode(),
    "utf-16-le": lambda text: text.encode("utf-16-le"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
    "gb18030": lambda text: text.encode("gb18030"),
    "misread": lambda text: text.encode("gb18030").decode("latin-1").encode(),
    "base64": lambda text: base64.b64encode(b"<name>" + text.encode() + b"</name>"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("value", [CASE, NAME, "欧阳建国"])
def test_an_identifier_behind_the_end(svs: Made, encoding: str, value: str) -> None:
    faults = svs.edit(lambda data: data + b"\0\0" + ENCODINGS[encoding](value) + b"\0")
    assert [fault for fault in faults if "stands at offset" in fault]


def test_an_identifier_in_a_text_that_stays(svs: Made) -> None:
    faults = svs.edit(lambda data: bytes(data).replace(b"Left = 25", CASE.encode()))
    assert "what tifffile reads still says what identifies (case)" in faults
    assert "what openslide reads still says what identifies (case)" in faults
    assert [fault for fault in faults if "stands at offset" in fault]


def test_an_identifier_in_a_name(svs: Made) -> None:
    name = f"{planted.CODE} s2490817.svs"
    svs.main.rename(svs.folder / name)
    svs.written = replace(svs.written, main=name, files=(name,), copied={})
    assert "the name of a copy says what identifies (case)" in svs.proof().faults


@pytest.mark.parametrize(("value", "is_found"), [(NAME.encode(), True), (SHORT.encode("gb18030"), False)])
def test_an_identifier_in_a_tile(svs: Made, value: bytes, is_found: bool) -> None:
    """A short one is met there by chance; but no byte of a tile can be another than in the source."""
    tile = pages(svs)[0][2][5] + 700

    def change(data: bytearray) -> None:
        data[tile : tile + len(value)] = value

    faults = svs.edit(change)
    assert "pixels of an image are not those of the source" in faults
    assert any("stands at offset" in fault for fault in faults) == is_found


def test_a_short_identifier_beside_the_tiles(svs: Made) -> None:
    assert [fault for fault in svs.edit(lambda data: data + b"\0" + SHORT.encode("gb18030")) if "gb18030" in fault]


def test_a_study_label_is_the_only_label(tmp_path: Path) -> None:
    """With `--relabel`: the label says the code; another one in its place is a fault."""
    slide = planted.svs().write(tmp_path)
    made = scrubbed(planted.job_of(slide, "svs", relabel=True), tmp_path / "copy")
    assert made.proof().faults == ()
    made.job = replace(made.job, code="S-FEDCBA9876543210")
    assert "our reader finds a label in the copy" in made.proof().faults
    made.job = replace(made.job, code=planted.CODE, relabel=False)
    assert "our reader finds a label in the copy" in made.proof().faults


@pytest.mark.parametrize("name", ["ndpi", "scn", "bif", "generic", "ome"])
def test_other_formats_of_tiff_hold_their_proof_and_lose_it(name: str, tmp_path: Path) -> None:
    regions = ((5_000_000, 9_000_000, 1000, 700), (5_000_000, 19_000_000, 600, 900))
    make = {
        "ndpi": planted.ndpi, "scn": lambda: planted.scn_slide(regions=regions), "bif": planted.bif_slide,
        "generic": planted.generic_slide, "ome": lambda: planted.ome_slide(tmp_path),
    }[name]  # fmt: skip
    slide = make()
    (tmp_path / "archive").mkdir()
    made = scrubbed(planted.job_of(slide.write(tmp_path / "archive"), slide.format), tmp_path / "copy")
    assert made.proof().faults == ()
    with tifffile.TiffFile(made.main) as file:
        tiles = max(file.pages, key=lambda page: page.imagewidth).dataoffsets

    def change(data: bytearray) -> None:
        data[tiles[-1] + 30] ^= 64

    assert "pixels of an image are not those of the source" in made.edit(change)


# --- Formats of their own --------------------------------------------------------------------------------------------


def test_kfb_as_it_is(tmp_path: Path) -> None:
    made = scrubbed(planted.job_of(make_planted_kfb(tmp_path), "kfb"), tmp_path / "copy")
    proof = made.proof()
    assert (proof.faults, proof.readers) == ((), ())
    assert made.edit(lambda data: data + CASE.encode())


def test_kfb_converted_has_the_same_tiles(tmp_path: Path) -> None:
    made = scrubbed(planted.job_of(make_planted_kfb(tmp_path), "kfb", convert=True), tmp_path / "copy")
    proof = made.proof()
    assert (proof.faults, proof.readers, proof.images) == ((), ("openslide", "tifffile"), 3)
    _, tags, tiles, _ = pages(made)[0]

    def swap(data: bytearray) -> None:
        for tag in (324, 325):
            at = tags[tag][1]
            data[at : at + 8] = data[at + 4 : at + 8] + data[at : at + 4]

    def darken(data: bytearray) -> None:
        data[data.index(b"\xff\xda", tiles[-1]) + 20] ^= 255

    for change in (swap, darken):
        assert "pixels of an image are not those of the source" in made.copied(tmp_path / change.__name__).edit(change)


def test_every_file_of_a_mirax_slide_is_searched(tmp_path: Path) -> None:
    made = scrubbed(planted.job_of(Path(make_planted(tmp_path)), "mrxs"), tmp_path / "copy")
    assert made.proof().faults == ()
    assert len(made.written.files) > 2
    for number, name in enumerate(made.written.files):
        tampered = made.copied(tmp_path / str(number))
        with (tampered.folder / name).open("ab") as file:
            file.write(b"\0" + CASE.encode())
        assert [fault for fault in tampered.proof().faults if "stands at offset" in fault], number


# --- DICOM -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Made:
    top = tmp_path_factory.mktemp("dicom")
    (top / "in").mkdir()
    (top / "in" / "a.dcm").write_bytes(slide_part())
    made = scrubbed(dicomjudge.job(top / "in"), top / "copy")
    assert made.job.root.path == os.fsencode(top / "in")
    proof = made.proof()
    assert (proof.faults, proof.readers, proof.images) == ((), ("pydicom",), 1)
    return made


def saved(made: Made, folder: Path, change: Callable[[pydicom.Dataset], object]) -> tuple[str, ...]:
    tampered = made.copied(folder / "tampered")
    data = pydicom.dcmread(tampered.main)
    change(data)
    data.save_as(tampered.main)
    return tampered.proof().faults


def test_other_pixels_of_an_instance(instance: Made, tmp_path: Path) -> None:
    def change(data: pydicom.Dataset) -> None:
        data.PixelData = data.PixelData[:-1] + b"\xee"

    assert "pixels of an image are not those of the source" in saved(instance, tmp_path, change)


@pytest.mark.parametrize("name", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_a_uid_of_somebody_else(instance: Made, tmp_path: Path, name: str) -> None:
    faults = saved(instance, tmp_path, lambda data: setattr(data, name, "2.25.7"))
    assert "a UID is not the one that stands for that of the source" in faults


def test_a_file_meta_group_of_another_instance(instance: Made, tmp_path: Path) -> None:
    faults = saved(instance, tmp_path, lambda data: setattr(data.file_meta, "MediaStorageSOPInstanceUID", "2.25.7"))
    assert "its file meta group names another instance" in faults


def test_codes_of_another_key(instance: Made, tmp_path: Path) -> None:
    other = instance.copied(tmp_path / "copy")
    other.job = replace(other.job, codes=LayerCodes((Pseudonyms(b"x" * 32),)))
    assert "a UID is not the one that stands for that of the source" in other.proof().faults


@pytest.mark.parametrize("charset", ["ISO_IR 192", "GB18030", "\\ISO 2022 IR 58"])
def test_a_name_deep_in_a_sequence(instance: Made, tmp_path: Path, charset: str) -> None:
    def change(data: pydicom.Dataset) -> None:
        inner = pydicom.Dataset()
        inner.SpecificCharacterSet = charset
        inner.PatientName = "Ouyang^Jianguo=欧阳^建国"
        outer = pydicom.Dataset()
        outer.add_new(0x0040A730, "SQ", [inner])
        data.SpecimenDescriptionSequence[0].add_new(0x00400610, "SQ", [outer])

    assert "what pydicom reads still says what identifies (name)" in saved(instance, tmp_path, change)


def test_retained_uids_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(slide_part())
    made = scrubbed(dicomjudge.job(tmp_path / "in", retain_uids=True), tmp_path / "copy")
    assert made.proof().faults == ()


def test_scrubbers_are_the_ones_meant() -> None:
    assert (scrubber_of("svs"), scrubber_of("dicom"), scrubber_of("other")) == (tiff, dicom, None)


MASK = {"modality": "us", "rows": 6, "columns": 8, "rectangles": [[0, 0, 8, 2], [6, 4, 100, 100]]}


@pytest.mark.parametrize(("samples", "planar", "bits"), [(1, 0, 16), (3, 0, 8), (3, 1, 8)])
def test_masks_may_change_what_they_cover_and_nothing_else(tmp_path: Path, samples: int, planar: int, bits: int) -> None:
    (tmp_path / "in").mkdir()
    of_colours = {"SamplesPerPixel": 3, "PlanarConfiguration": planar, "PhotometricInterpretation": "RGB"}
    colours = of_colours if samples > 1 else {}
    pixels = bytes(number * 7 % 251 for number in range(2 * 6 * 8 * samples * bits // 8))
    shape = {"Rows": 6, "Columns": 8, "NumberOfFrames": 2, "BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1}
    data = radiology(1, rows=6, modality="US", **shape, **colours, PixelData=pixels)
    (tmp_path / "in" / "a.dcm").write_bytes(data)
    made = scrubbed(dicomjudge.job(tmp_path / "in", masks=[MASK]), tmp_path / "copy")
    assert made.proof().faults == ()

    def outside(made_of: bytearray) -> None:
        # In the third row of the first frame, left: no mask covers it.
        first = len(made_of) - len(pixels)
        made_of[first + 2 * 8 * (1 if planar else samples) * bits // 8] ^= 1

    def inside(made_of: bytearray) -> None:
        made_of[len(made_of) - len(pixels) + 3] ^= 1

    for number, change in enumerate((outside, inside)):
        tampered = made.copied(tmp_path / str(number))
        assert "pixels of an image are not those of the source" in tampered.edit(change)
    made.job = replace(made.job, rules=dicomjudge.rules())
    assert "pixels of an image are not those of the source" in made.proof().faults
