"""Tissue, focus, pen and light on thumbnails of which the truth is known.

The seeds here were not used to choose thresholds (those were 100,000 to 100,349, 730,000 to 730,199 and 910,000 to 910,199).
"""

import importlib
import os
from io import BytesIO
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pathcurate.images.likeness import SAME_THUMBNAIL, hash_distance, thumbnail_hash
from pathcurate.images.quality import Quality, assess_thumbnail
from pathcurate.model.slide import SLIDES
from pathcurate.scan.passes import PASS_INPUT, PassSpec
from pathcurate.scan.quality import QC_VERSION, QUALITY_SCHEMA, assess, lost_quality
from pathcurate.storage import LocalRoot, Root
from tests.makers.thumbnails import Thumbnail, paint_thumbnail

FIRST_SEED = 1_300_000


class Judged(NamedTuple):
    tissue: float
    is_empty: bool
    is_blurred: bool
    is_penned: bool
    is_dark: bool
    quality: Quality


def judged(thumbnail: Thumbnail) -> Judged:
    found = assess_thumbnail(thumbnail.image)
    assert found is not None
    flags = (thumbnail.is_empty, thumbnail.is_blurred, thumbnail.is_penned, thumbnail.is_dark)
    return Judged(float(thumbnail.tissue.mean()), *flags, found)


@pytest.fixture(scope="module")
def sample() -> list[Judged]:
    return [judged(paint_thumbnail(FIRST_SEED + number)) for number in range(160)]


def rates(pairs: list[tuple[bool, bool]]) -> tuple[float, float]:
    """Sensitivity and specificity of (truth, answer)."""
    positive = [answer for truth, answer in pairs if truth]
    negative = [answer for truth, answer in pairs if not truth]
    assert len(positive) >= 10
    assert len(negative) >= 10
    return sum(positive) / len(positive), 1 - sum(negative) / len(negative)


@pytest.mark.slow
def test_tissue_fraction_is_within_a_twentieth(sample: list[Judged]) -> None:
    errors = np.array([abs(item.quality.tissue_fraction - item.tissue) for item in sample])
    # The rest is pale tissue in the dark or without much glass, whose density is near that of the noise.
    assert (errors <= 0.05).mean() >= 0.98
    assert errors.mean() < 0.015


@pytest.mark.slow
def test_blur_pen_empty_and_dark_are_flagged(sample: list[Judged]) -> None:
    with_tissue = [item for item in sample if not item.is_empty]
    found = {
        "blur": rates([(item.is_blurred, item.quality.is_blurred) for item in with_tissue]),
        "pen": rates([(item.is_penned, item.quality.is_penned) for item in sample]),
        "empty": rates([(item.is_empty, item.quality.is_empty) for item in sample]),
        "dark": rates([(item.is_dark, item.quality.is_dark) for item in sample]),
    }
    assert {name: rate for name, rate in found.items() if min(rate) < (0.75 if name == "empty" else 0.95)} == {}
    assert found["empty"][1] >= 0.98


@pytest.mark.parametrize("ink", ["blue", "black", "green", "red"])
def test_a_marker_is_seen_on_the_usual_stain(ink: str) -> None:
    drawn = [paint_thumbnail(seed, stain="he", ink=ink, blurred=False, dark=False, empty=False) for seed in range(900, 904)]
    assert [item.quality.is_penned for item in map(judged, drawn)] == [item.is_penned for item in drawn]


def test_no_marker_is_seen_where_there_is_none() -> None:
    plain = [paint_thumbnail(seed, stain="he", ink="", blurred=False, dark=False, empty=False) for seed in range(900, 904)]
    assert not any(item.quality.is_penned for item in map(judged, plain))


@pytest.mark.parametrize("stain", ["masson", "alcian", "silver", "congo", "giemsa", "pas", "ihc"])
def test_no_stain_is_taken_for_a_marker(stain: str) -> None:
    for seed in (31, 32):
        assert (
            judged(paint_thumbnail(seed, stain=stain, ink="", blurred=False, dark=False, empty=False)).quality.verdict
            == "ok"
        )


@pytest.mark.parametrize(
    ("quality_", "verdict"),
    [
        (Quality(0.0, 0.9, 0.2, 20), "empty"), (Quality(0.3, 0.9, 0.2, 20), "blur"), (Quality(0.3, 0.4, 0.2, 20), "pen"),
        (Quality(0.3, None, 0.0, 20), "dark"), (Quality(0.3, 0.1, 0.0, 240), "ok"),
    ],
)  # fmt: skip
def test_verdicts_have_an_order_and_are_values_of_the_column(quality_: Quality, verdict: str) -> None:
    assert quality_.verdict == verdict
    assert verdict in SLIDES["qc"].values


@pytest.mark.parametrize("size", [(1, 1), (8, 900), (31, 31), (40, 40), (2500, 33)])
@pytest.mark.parametrize("shade", ["black", "white", "grey"])
def test_a_plain_picture_has_no_tissue(size: tuple[int, int], shade: str) -> None:
    found = assess_thumbnail(Image.new("RGB", size, shade))
    assert found is None or (found.is_empty and not found.is_penned and found.is_dark == (shade == "black"))


@pytest.mark.parametrize("mode", ["L", "RGBA", "1", "P", "CMYK", "I;16", "F"])
def test_any_mode_is_judged(mode: str) -> None:
    noisy = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120), np.uint8))
    picture = (
        noisy.convert("F") if mode == "F" else noisy.convert("I").convert(mode) if mode == "I;16" else noisy.convert(mode)
    )
    found = assess_thumbnail(picture)
    assert found is not None
    assert 0 <= found.tissue_fraction <= 1
    assert len(thumbnail_hash(picture)) == 64


# ---- likeness ----


def encoded(image: Image.Image, factor: float, quality_: int) -> Image.Image:
    buffer = BytesIO()
    size = (round(image.width * factor), round(image.height * factor))
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality_)
    return Image.open(buffer)


@pytest.mark.slow
def test_copies_are_alike_and_slides_of_one_stain_are_not() -> None:
    slides = [paint_thumbnail(7_000 + n, stain="he", ink="", dark=False, empty=False).image for n in range(46)]
    hashes = [thumbnail_hash(slide) for slide in slides]
    pairs = [hash_distance(*pair) for pair in combinations(hashes, 2)]
    assert len(pairs) > 1_000
    assert min(pairs) > SAME_THUMBNAIL
    for turn, (factor, quality_) in enumerate(((0.5, 60), (0.73, 50), (1, 40), (2, 80))):
        copies = (thumbnail_hash(encoded(slide, factor, quality_)) for slide in slides[turn::4])
        assert max(hash_distance(*pair) for pair in zip(hashes[turn::4], copies, strict=True)) <= SAME_THUMBNAIL


def test_distance_counts_bits() -> None:
    assert hash_distance("0" * 64, "0" * 64) == 0
    assert hash_distance("0" * 64, "f" * 64) == 256
    assert hash_distance("1" + "0" * 63, "0" * 64) == 1


# ---- the pass ----


def batch(*names: str) -> pa.RecordBatch:
    rows = [{"slide_id": name, "root": 0, "relpath": os.fsencode(name), "format": "svs", "reader": "tiff"} for name in names]
    return pa.RecordBatch.from_pylist(rows, schema=PASS_INPUT)


def test_the_pass_fills_its_columns_and_survives_what_it_meets(monkeypatch: pytest.MonkeyPatch) -> None:
    good = paint_thumbnail(3, ink="", dark=False, blurred=False, empty=False).image
    good.info["comment"] = good.info["exif"] = "王小明".encode()
    empty = paint_thumbnail(4, ink="", dark=False, blurred=False, empty=True).image
    held = {"good": good, "empty": empty, "tiny": Image.new("RGB", (5, 5))}

    def opened(root: Root, relpath: bytes, reader: str, kind: str) -> Image.Image | None:
        assert kind == "thumbnail", "no other picture may be shown"
        if relpath == b"hostile":
            raise ValueError("王小明")
        if relpath == b"offline":
            raise OSError(5, "王小明")
        return held.get(relpath.decode())

    monkeypatch.setattr(importlib.import_module("pathcurate.scan.quality"), "open_picture", opened)
    result = assess(batch("good", "empty", "tiny", "none", "hostile", "offline"), PassSpec((LocalRoot(b"/"),)))
    assert result.schema == QUALITY_SCHEMA
    rows = dict(zip(("good", "empty", "tiny", "none", "hostile", "offline"), result.to_pylist(), strict=True))
    assert rows["good"]["qc"] == "ok"
    assert rows["good"]["thumbnail_hash"] == thumbnail_hash(good)
    picture = Image.open(BytesIO(rows["good"]["picture"]))
    assert (picture.format, max(picture.size)) == ("JPEG", 240)
    assert "王小明".encode() not in rows["good"]["picture"]
    assert (rows["empty"]["qc"], rows["empty"]["thumbnail_hash"]) == ("empty", None)
    assert (rows["tiny"]["qc"], rows["tiny"]["qc_version"]) == (None, QC_VERSION)
    assert (rows["none"]["picture"], rows["none"]["qc_version"]) == (None, QC_VERSION)
    assert (rows["hostile"]["failure"], rows["hostile"]["qc_version"]) == ("ValueError", QC_VERSION)
    assert (rows["offline"]["failure"], rows["offline"]["qc_version"]) == ("OSError", None)


def test_a_lost_thumbnail_is_tried_again_only_after_a_timeout() -> None:
    assert lost_quality(batch("x"), "reader_crashed").to_pylist()[0]["qc_version"] == QC_VERSION
    assert lost_quality(batch("x"), "timeout").to_pylist()[0]["qc_version"] is None
