"""What a slide's path, barcode and header texts say about it."""

from collections.abc import Sequence

import pytest

from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.slidenames import SOURCES, SlideNames, read_names
from pathcurate.workspace import DEFAULT_PATTERNS

PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)


def names(
    path: str | bytes, barcode: str | None = None, label: str | None = None, metadata: Sequence[str] | None = None
) -> SlideNames:
    return read_names(path.encode() if isinstance(path, str) else path, barcode, label, metadata, PATTERNS)


def found(read: SlideNames) -> list[tuple[str, str]]:
    return [(key.key, key.source) for key in read.keys]


@pytest.mark.parametrize(
    ("path", "specimen", "block", "stain"),
    [
        ("S23-00123-A1-HE.svs", "A", "1", "HE"),
        ("S23-00123_A1_HE.svs", "A", "1", "HE"),
        ("S2300123 A1 HE.svs", "A", "1", "HE"),
        ("S23-00123-A1-2-HE.svs", "A", "1", "HE"),
        ("S23-00123.svs", None, None, None),
        ("S23-00123-A.svs", "A", None, None),
        # A stain is no specimen: P53 is not block 53 of part P.
        ("S23-00123-P53.svs", None, None, "IHC:P53"),
        ("S23-00123P53.svs", None, None, "IHC:P53"),
        ("S2300123 P53.svs", None, None, "IHC:P53"),
        ("S23-00123-A1-P53.svs", "A", "1", "IHC:P53"),
        ("S23-00123-S100.svs", None, None, "IHC:S-100"),
        ("S23-00123-P16-HE.svs", None, None, "IHC:P16"),
        # A prefix or a UUID is no stain.
        ("ER23-00123.svs", None, None, None),
        ("cd34abcd-cd34-cd34-cd34-cd34cd34cd34.svs", None, None, None),
        ("S23-00123-A1-Ki－67.svs", "A", "1", "IHC:Ki-67"),
        ("S23-00123-A1-THE.svs", "A", "1", None),
        ("S23-00123-A1-苏木素伊红.svs", "A", "1", "HE"),
        ("免疫/S23-00123/ER.svs", None, None, "IHC:ER"),
        ("HE/S23-00123-A1.svs", "A", "1", "HE"),
        ("S23-00123-B2.ome.tif", "B", "2", None),
        ("S23-00123-A1-HE", "A", "1", "HE"),
    ],
)
def test_names_of_people(path: str, specimen: str | None, block: str | None, stain: str | None) -> None:
    read = names(path)
    assert (read.specimen, read.block, read.stain) == (specimen, block, stain)


def test_sources_in_order_of_trust() -> None:
    read = names("S23-00004/2023/S23-00005-A1.svs", "S23-00001-C3", "S23-00002", ["S23-00003", "x"])
    assert found(read) == [
        ("S23-1", "barcode"), ("S23-2", "label"), ("S23-3", "metadata"), ("S23-5", "file_name"), ("S23-4", "folder")
    ]  # fmt: skip
    assert (read.accession_raw, read.specimen, read.block) == ("S23-00001-C3", "C", "3")
    assert {source for _, source in found(read)} == set(SOURCES)


def test_the_nearest_folder_comes_first() -> None:
    assert found(names("S23-00001/S23-00002/x.svs")) == [("S23-2", "folder"), ("S23-1", "folder")]


def test_one_number_of_one_source_is_one_key_with_its_specimen() -> None:
    read = names("x.svs", metadata=["S23-00002", "S23-00001", "S23-00002-A1"])
    assert [(key.key, key.specimen, key.block, key.raw) for key in read.keys] == [
        ("S23-2", "A", "1", "S23-00002-A1"), ("S23-1", None, None, "S23-00001")
    ]  # fmt: skip
    assert read.accession_raw == "S23-00002"


def test_a_component_is_read_alone() -> None:
    assert found(names("S23/00123.svs")) == []
    assert found(names("S23-/00123-S23.svs")) == []


def test_names_that_windows_wrote() -> None:
    read = names("外院会诊/S23-00123-A1-HE.svs".encode("gb18030"))
    assert found(read) == [("S23-123", "file_name")]
    assert read.stain == "HE"
    damaged = names(b"\xff\xfe/S23-00123-A1.svs")
    assert found(damaged) == [("S23-123", "file_name")]


@pytest.mark.parametrize(
    ("path", "is_control"),
    [("对照/HER2.svs", True), ("质控片.svs", True), ("S23-00001 CONTROL.svs", True), ("controls/1.svs", True),
     ("S23-00001 uncontrolled.svs", False), ("S23-00001.svs", False)],
)  # fmt: skip
def test_controls(path: str, is_control: bool) -> None:
    assert names(path).is_control is is_control


def test_nothing_said() -> None:
    assert names("扫描/123456.svs") == SlideNames((), None, None, None, None, None, None, False)


@pytest.mark.parametrize(
    ("path", "preparation"),
    [
        ("TCGA-AG-3598-01Z-00-DX1.033cee69-8540-4584-83f5-c08e37cc7170.svs", "FFPE"),
        ("TCGA-AA-3986-01A-02-BS2.875d87b2-3941-4c43-960b-ab762f3cdc5f.svs", "frozen"),
        ("S23-00123-A1-HE 石蜡.svs", "FFPE"),
        ("术中冰冻/S23-00123.svs", "frozen"),
        ("液基细胞/S23-00123.svs", "cytology"),
        ("S23-00123-A1-HE.svs", None),
        ("DX100/S23-00123.svs", None),
    ],
)
def test_preparation_is_named_by_whole_words(path: str, preparation: str | None) -> None:
    assert names(path).preparation == preparation
