"""Symbols and print on labels: what is read, and that nothing wrong is."""

import importlib
import os
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from pathcurate.demo.slides import paint_label
from pathcurate.errors import UsageError
from pathcurate.images import printed
from pathcurate.images.symbols import Symbols, read_symbols
from pathcurate.model.slide import BARCODE_SOURCES
from pathcurate.scan.labels import LABELS_SCHEMA, LABELS_VERSION, lost_label, read_labels
from pathcurate.scan.passes import PASS_INPUT, PassSpec
from pathcurate.storage import LocalRoot, Root
from tests.makers.labels import MODULES, ROTATIONS, WEAR, paint_symbols, paint_worn

NUMBER = "S24-012345-A1"
LEAST = {"data_matrix": 17, "qr": 17, "aztec": 17, "pdf417": 15, "code128": 13, "code39": 7}
"""Of 18 worn labels; a plain call of the decoder reads 15, 15, 15, 5, 8 and 1."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODULES)
def test_worn_labels_are_read_and_none_is_misread(kind: str) -> None:
    steps = product(*map(enumerate, (MODULES[kind], ROTATIONS, WEAR)))
    # Every second: each size is met at each rotation, and either of them in both states of wear.
    cases = [(seed, values) for seed, values in enumerate(steps) if not sum(step for step, _ in values) % 2]
    found = [
        read_symbols(paint_worn(kind, NUMBER, module, turn, wear, seed))
        for seed, ((_, module), (_, turn), (_, wear)) in cases
    ]
    read = [symbol for symbol in found if symbol is not None]
    assert {(symbol.text, symbol.source) for symbol in read} == {(NUMBER, kind)}
    assert all(0 < symbol.confidence <= 1 for symbol in read)
    assert len(found) == 18
    assert len(read) >= LEAST[kind]


def test_a_clear_symbol_is_certain_and_a_hard_one_is_not() -> None:
    clear = read_symbols(paint_worn("qr", NUMBER, 6, 0, WEAR[0], 1))
    hard = read_symbols(paint_worn("code128", NUMBER, 2, 30, WEAR[1], 1))
    assert clear == Symbols(NUMBER, "qr", 1.0)
    assert hard is not None
    assert hard.text == NUMBER
    assert hard.confidence < 0.5


def test_of_several_symbols_the_longest_with_a_digit_counts() -> None:
    label = paint_symbols([("qr", "HAEMATOXYLIN AND EOSIN", 4.5, (420, 420)), ("data_matrix", NUMBER, 6, (170, 400))])
    assert read_symbols(label) == Symbols(NUMBER, "data_matrix", 1.0)


@pytest.mark.parametrize("mode", ["L", "RGBA", "1", "P", "CMYK"])
def test_any_mode_and_light_on_dark_is_read(mode: str) -> None:
    label = paint_symbols([("data_matrix", NUMBER, 6, (300, 400))], noise=1)
    for picture in (label.convert(mode), ImageOps.invert(label).convert(mode)):
        found = read_symbols(picture)
        assert found is not None
        assert found.text == NUMBER


@pytest.mark.parametrize("size", [(1, 1), (15, 15), (16, 16), (3000, 16), (17, 900), (900, 900)])
@pytest.mark.parametrize("shade", [0, 255])
def test_an_empty_label_has_no_symbol(size: tuple[int, int], shade: int) -> None:
    assert read_symbols(Image.new("L", size, shade)) is None


def test_noise_and_print_are_no_symbol() -> None:
    random = np.random.default_rng(5)
    assert read_symbols(Image.fromarray(random.integers(0, 256, (500, 500, 3), np.uint8))) is None
    assert read_symbols(paint_symbols([], lines=("S24-012345 ||||| |||", "#### ////", "||||||||||||"))) is None


def test_the_same_label_gives_the_same_answer() -> None:
    label = paint_worn("pdf417", NUMBER, 2.2, 30, WEAR[1], 3)
    assert read_symbols(label) == read_symbols(label) != None  # noqa: E711


# ---- print ----


def _boxed(text: str, left: float, top: float, score: float = 0.9) -> list[object]:
    return [[[left, top], [left + 80, top + 2], [left + 80, top + 32], [left, top + 30]], text, score]


def test_lines_come_in_reading_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        _boxed("HE", 200, 64, 0.8),
        _boxed("病理科", 10, 120, 0.7),
        _boxed("S24-012345", 10, 10, 1.0),
        _boxed("A1", 10, 60, 0.5),
    ]
    monkeypatch.setattr(printed, "_engine", lambda: lambda image: (found, [0.1]))
    assert printed.read_text(Image.new("RGB", (400, 300))) == ("S24-012345\nA1 HE\n病理科", pytest.approx(0.75))


def test_a_label_without_print_has_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed, "_engine", lambda: lambda image: (None, None))
    assert printed.read_text(Image.new("1", (40, 40))) is None


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    printed._engine.cache_clear()
    with pytest.raises(UsageError, match="optional part `ocr`") as caught:
        printed.require_ocr()
    assert "pathcurate[ocr]" in caught.value.hint


# ---- the pass ----


def _batch(*names: str) -> pa.RecordBatch:
    rows = [{"slide_id": name, "root": 0, "relpath": os.fsencode(name), "format": "svs", "reader": "tiff"} for name in names]
    return pa.RecordBatch.from_pylist(rows, schema=PASS_INPUT)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Image.Image | Exception]:
    """What is beside the pyramid of each slide, by slide and kind."""
    held: dict[tuple[str, str], Image.Image | Exception] = {}

    def opened(root: Root, relpath: bytes, reader: str, kind: str) -> Image.Image | None:
        picture = held.get((os.fsdecode(relpath), kind))
        if isinstance(picture, Exception):
            raise picture
        return picture

    monkeypatch.setattr(importlib.import_module("pathcurate.readers.pictures"), "open_picture", opened)
    return held


def test_the_pass_reads_labels_and_the_ends_of_overviews(
    pictures: dict[tuple[str, str], Image.Image | Exception], tmp_path: Path
) -> None:
    label = paint_label(["S23-00131  A1"], "S23-00131-A1")
    side = label.height
    for name, at in (("left", (0, 0)), ("right", (2 * side, 0))):
        overview = Image.new("RGB", (3 * side, side), (230, 228, 224))
        overview.paste(label.resize((side, side)), at)
        pictures[name, "overview"] = overview
    pictures["upright", "overview"] = overview.rotate(90, expand=True)
    pictures["label", "label"] = label
    pictures["label", "overview"] = ValueError("not looked at")
    spec = PassSpec((LocalRoot(os.fsencode(tmp_path)),))
    result = read_labels(_batch("label", "left", "right", "upright", "none"), spec)
    assert result.schema == LABELS_SCHEMA
    rows = result.to_pylist()
    assert [row["barcode"] for row in rows] == ["S23-00131-A1"] * 4 + [None]
    assert [row["found"] for row in rows] == [True] * 4 + [False]
    assert {row["barcode_source"] for row in rows[:4]} <= set(BARCODE_SOURCES)
    assert {row["labels_version"] for row in rows} == {LABELS_VERSION}
    assert {row["label_text"] for row in rows} == {None}


def test_a_failure_costs_one_row_and_says_no_value(
    pictures: dict[tuple[str, str], Image.Image | Exception], tmp_path: Path
) -> None:
    pictures["damaged", "label"] = ValueError("王小明")
    pictures["offline", "label"] = OSError(5, "王小明")
    pictures["good", "label"] = paint_symbols([("qr", NUMBER, 6, (300, 380))])
    damaged, offline, good = read_labels(_batch("damaged", "offline", "good"), PassSpec((LocalRoot(b"/"),))).to_pylist()
    assert (damaged["failure"], damaged["labels_version"], damaged["found"]) == ("ValueError", LABELS_VERSION, False)
    assert (offline["failure"], offline["labels_version"]) == ("OSError", None)
    assert (good["failure"], good["barcode"]) == (None, NUMBER)


def test_a_lost_label_is_tried_again_only_after_a_timeout() -> None:
    crashed = lost_label(_batch("x"), "reader_crashed").to_pylist()[0]
    late = lost_label(_batch("x"), "timeout").to_pylist()[0]
    assert (crashed["failure"], crashed["labels_version"]) == ("reader_crashed", LABELS_VERSION)
    assert (late["failure"], late["labels_version"]) == ("timeout", None)


def test_print_is_read_when_asked_for(
    pictures: dict[tuple[str, str], Image.Image | Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures["a", "label"] = Image.new("RGB", (300, 300), "white")
    monkeypatch.setattr(printed, "_engine", lambda: lambda image: ([_boxed("S24-1", 1, 1, 0.5)], [0.1]))
    row = read_labels(_batch("a"), PassSpec((LocalRoot(b"/"),), texts=True)).to_pylist()[0]
    assert (row["label_text"], row["label_text_source"], row["label_text_confidence"]) == ("S24-1", "ocr", 0.5)
