"""What a scan needs of an instance: its *facts*, of which slides and series are made without opening a file again."""

import math
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from pathcurate.readers.dicom.elements import PRESENCE, Elements, Wanted

IMPLICIT: Final = "1.2.840.10008.1.2"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
COMPRESSIONS: Final = {
    IMPLICIT: "none", "1.2.840.10008.1.2.1": "none", BIG_ENDIAN: "none", DEFLATED: "deflate",
    "1.2.840.10008.1.2.4.50": "jpeg", "1.2.840.10008.1.2.4.51": "jpeg", "1.2.840.10008.1.2.4.57": "jpeg",
    "1.2.840.10008.1.2.4.70": "jpeg", "1.2.840.10008.1.2.4.90": "jpeg2000", "1.2.840.10008.1.2.4.91": "jpeg2000",
    "1.2.840.10008.1.2.4.110": "jpegxl", "1.2.840.10008.1.2.4.111": "jpegxl", "1.2.840.10008.1.2.4.112": "jpegxl",
    "1.2.840.10008.1.2.4.107": "hevc", "1.2.840.10008.1.2.4.108": "hevc",
}  # fmt: skip
"""Transfer syntaxes (DICOM PS3.6 table A-1); any other is ``other``."""
NATIVE: Final = frozenset(syntax for syntax, method in COMPRESSIONS.items() if method in {"none", "deflate"})

_IMAGE_CLASSES: Final = re.compile(
    r"1\.2\.840\.10008\.5\.1\.4\.1\.1\."
    r"(1|1\.[123](\.1)?|2(\.[12])?|3\.1|4(\.[14])?|6\.1|7(\.[1-4])?|12\.[12](\.1)?|20|77\.1\.\S+|128(\.1)?)"
)
"""SOP classes whose instances all have pixel data (PS3.4 table B.5-1): radiography, CT, MR, ultrasound, angiography …"""

_CODE: Final[Wanted] = {0x0008_0100: "SH", 0x0008_0104: "LO", 0x0008_0119: "UC"}
_MEASURES: Final[Wanted] = {0x0028_0030: "DS", 0x0018_0050: "DS", 0x0018_0088: "DS"}

META: Final[Wanted] = {0x0002_0002: "UI", 0x0002_0010: "UI"}
DATA_SET: Final[Wanted] = {
    0x0008_0005: "CS", 0x0008_0008: "CS", 0x0008_0016: "UI", 0x0008_0018: "UI", 0x0008_0019: "UI", 0x0008_0020: "DA",
    0x0008_0021: "DA", 0x0008_0022: "DA", 0x0008_0023: "DA", 0x0008_002A: "DT", 0x0008_0032: "TM", 0x0008_0033: "TM",
    0x0008_0050: "SH", 0x0008_0060: "CS", 0x0008_0070: "LO", 0x0008_0080: "LO", 0x0008_1010: "SH", 0x0008_103E: "LO",
    0x0008_1090: "LO", 0x0008_2218: _CODE, 0x0010_0010: "PN", 0x0010_0020: "LO", 0x0018_0015: "CS", 0x0018_0050: "DS",
    0x0018_0088: "DS", 0x0018_1000: "LO", 0x0018_5101: "CS", 0x0020_000D: "UI", 0x0020_000E: "UI", 0x0020_0010: "SH",
    0x0020_0013: "IS", 0x0020_0052: "UI", 0x0020_0060: "CS", 0x0020_0062: "CS", 0x0020_9161: "UI", 0x0020_9162: "US",
    0x0020_9163: "US", 0x0020_9311: "CS", 0x0028_0002: "US", 0x0028_0004: "CS", 0x0028_0006: "US", 0x0028_0008: "IS",
    0x0028_0010: "US", 0x0028_0011: "US", 0x0028_0100: "US", 0x0028_0301: "CS", 0x0028_2000: PRESENCE,
    0x0040_0512: "LO", 0x0040_06FA: "LO",
    0x0040_0560: {
        0x0008_0005: "CS", 0x0008_2228: _CODE, 0x0040_0551: "LO", 0x0040_0600: "LO", 0x0040_0602: "UT",
        0x0040_0610: {0x0040_0612: {0x0040_A043: _CODE, 0x0040_A160: "UT", 0x0040_A168: _CODE}},
    },
    0x0048_0001: "FL", 0x0048_0002: "FL", 0x0048_0006: "UL", 0x0048_0007: "UL", 0x0048_0008: {0x0040_074A: "DS"},
    0x0048_0105: {0x0028_2000: PRESENCE, 0x0048_0106: "SH", 0x0048_0112: "DS"},
    0x0048_0302: "UL", 0x0048_0303: "UL", 0x0054_0220: _CODE,
    0x2200_0002: "UT", 0x2200_0005: "LT",
    0x5200_9229: {0x0028_9110: _MEASURES, 0x0020_9071: {0x0020_9072: "CS", 0x0008_2218: _CODE}},
}  # fmt: skip
"""The attributes that are read, with the value representations of PS3.6 chapter 6."""

_SUBSTANCE: Final = frozenset({"424361007", "G-C350"})
"""Concept "Using substance" (SCT, SRT) of a preparation step: a stain, where it is not a fixative or a medium, which have
concepts of their own (PS3.16 TID 8001 and 8003)."""
_IDENTIFIERS: Final = frozenset({"121041", "111705"})
"""Concepts "Specimen Identifier" and "Parent Specimen Identifier" (DCM) of a preparation step: the slide's section, block
and part (PS3.16 TID 8001 and 8002)."""
MEANINGS: Final = {
    "12710003": "hematoxylin", "36879007": "eosin", "83600004": "eosin", "255808002": "periodic acid-schiff",
    "373646006": "giemsa", "255803006": "may-grunwald giemsa", "45106005": "congo red", "406452004": "prussian blue",
    "406964001": "mucicarmine", "40808006": "oil red o", "385484003": "gram stain", "406989007": "trichrome",
    "406957003": "van gieson", "255813003": "ziehl-neelsen", "406976001": "acid fast", "29522004": "toluidine blue",
    "255797007": "feulgen", "406967008": "phosphotungstic acid-hematoxylin", "406958008": "luxol fast blue",
    "406959000": "cresyl violet", "310805002": "sudan black", "255810000": "romanowsky",
    "76752008": "breast", "39607008": "lung", "10200004": "liver", "64033007": "kidney", "71854001": "colon",
    "69695003": "stomach", "41216001": "prostate", "69748006": "thyroid", "39937001": "skin", "35039007": "uterus",
    "71252005": "cervix", "15497006": "ovary", "89837001": "bladder", "15776009": "pancreas", "12738006": "brain",
    "59441001": "lymph node", "34402009": "rectum", "32849002": "oesophagus", "78961009": "spleen",
    "28231008": "gallbladder", "23451007": "adrenal", "40689003": "testis", "9875009": "thymus", "272673000": "bone",
    "14016003": "bone marrow", "4596009": "larynx", "21974007": "tongue", "45289007": "parotid", "66754008": "appendix",
    "30315005": "small intestine", "3120008": "pleura", "78067005": "placenta", "76784001": "vagina", "18911002": "penis",
    "2739003": "endometrium", "111002": "parathyroid", "360955006": "nasopharynx", "80891009": "heart",
    "87953007": "ureter", "2748008": "spinal cord", "87784001": "soft tissue", "45292006": "vulva",
    "31435000": "fallopian tube",
}  # fmt: skip
"""SNOMED CT codes of stains (PS3.16 CID 8112) and anatomic structures (CID 8134), in words that stand for them whatever
language CodeMeaning (0008,0104) is in."""
_MOST_WORDS: Final = 16
_MOST_SPECIMENS: Final = 64
_MOST_PATHS: Final = 64


def common_facts(data: Elements, syntax: str | None, sop_class: str) -> dict[str, Any]:
    """Identity, pixels and equipment."""
    rows, columns = data.integer(0x0028_0010), data.integer(0x0028_0011)
    frames, samples, bits = (data.integer(tag) for tag in (0x0028_0008, 0x0028_0002, 0x0028_0100))
    is_image = bool(rows and columns and bits) or _IMAGE_CLASSES.fullmatch(sop_class) is not None
    # Where two pixels share their colour, each takes two samples (PS3.3 C.7.6.3.1.2).
    stored_samples = 2 if data.text(0x0028_0004) in {"YBR_FULL_422", "YBR_PARTIAL_422"} else samples or 1
    frame_bits = (rows or 0) * (columns or 0) * (bits or 0) * stored_samples
    return {
        "series": data.text(0x0020_000E), "study": data.text(0x0020_000D), "sop": data.text(0x0008_0018),
        "instance": data.integer(0x0020_0013),
        "syntax": syntax, "compression": COMPRESSIONS.get(syntax or "", "other"),
        "is_image": is_image, "tile_width": columns, "tile_height": rows, "frames": frames or None,
        "samples": samples, "bits": bits, "pixel_bytes": frame_bits * (frames or 1) // 8 if is_image else None,
        "model": data.text(0x0008_1090), "serial": data.text(0x0018_1000),
    }  # fmt: skip


def slide_facts(data: Elements) -> dict[str, Any]:
    """Facts of an instance of VL Whole Slide Microscopy (PS3.3 A.32.8)."""
    roles = (data.text(0x0008_0008) or "").split("\\")
    paths = data.items(0x0048_0105)[:_MOST_PATHS]
    specimens = data.items(0x0040_0560)
    texts = [data.text(tag) for tag in (0x0008_0050, 0x0020_0010, 0x0040_0512, 0x0040_06FA)]
    texts += [text for specimen in specimens[:_MOST_SPECIMENS] for text in _specimen_texts(specimen)]
    texts += [f"organ: {word}" for word in _regions(data)]
    spacing = next((mpp for measures in _shared(data, 0x0028_9110) if (mpp := _mpp(measures)) is not None), None)
    heights = [origin.number(0x0040_074A, -1e6, 1e6) for origin in data.items(0x0048_0008)]
    scanned = (
        _clock(data.text(0x0008_002A))
        or _clock((data.text(0x0008_0022) or "") + (data.text(0x0008_0032) or ""))
        or _clock((data.text(0x0008_0023) or "") + (data.text(0x0008_0033) or ""))
    )
    return {
        "container": data.text(0x0040_0512), "pyramid": data.text(0x0008_0019), "frame_of_reference": data.text(0x0020_0052),
        "role": roles[2] if len(roles) > 2 else None,
        "width": data.integer(0x0048_0006), "height": data.integer(0x0048_0007),
        "organization": data.text(0x0020_9311), "concatenation": data.text(0x0020_9161),
        "concatenation_number": data.integer(0x0020_9162), "concatenation_total": data.integer(0x0020_9163),
        "mpp": spacing, "mpp_volume": _volume_mpp(data) if spacing is None else None,
        "power": next((power for path in paths if (power := path.number(0x0048_0112, 0.1, 1000))), None),
        "planes": data.integer(0x0048_0303), "z": next((height for height in heights if height is not None), None),
        "paths": sorted({name for path in paths if (name := path.text(0x0048_0106)) is not None}),
        "path_count": data.integer(0x0048_0302),
        "planar": data.integer(0x0028_0006),
        "icc": 0x0028_2000 in data or any(0x0028_2000 in path for path in paths),
        "scanned": scanned.isoformat() if scanned else None,
        "barcode": data.text(0x2200_0005), "label_text": data.text(0x2200_0002),
        "texts": list(dict.fromkeys(filter(None, texts))), "patient_id": data.text(0x0010_0020),
    }  # fmt: skip


def series_facts(data: Elements) -> dict[str, Any]:
    """Facts of any other instance, as radiology has them."""
    tags = {
        "patient_id": 0x0010_0020, "patient_name": 0x0010_0010, "accession": 0x0008_0050, "modality": 0x0008_0060,
        "body_part": 0x0018_0015, "view": 0x0018_5101, "description": 0x0008_103E, "manufacturer": 0x0008_0070,
        "institution": 0x0008_0080, "station": 0x0008_1010, "burned_in": 0x0028_0301,
    }  # fmt: skip
    dates = {"study_date": 0x0008_0020, "series_date": 0x0008_0021, "acquisition_date": 0x0008_0022}
    days = {name: _clock(data.text(tag)) for name, tag in dates.items()}
    days["acquisition_date"] = days["acquisition_date"] or _clock(data.text(0x0008_002A))
    anatomy = list(_shared(data, 0x0020_9071))
    sides = (item.text(0x0020_9072) for item in anatomy)
    measures = [data, *_shared(data, 0x0028_9110)]
    return {
        **{name: data.text(tag) for name, tag in tags.items()},
        **{name: day.date().isoformat() for name, day in days.items() if day is not None},
        "laterality": data.text(0x0020_0062) or data.text(0x0020_0060) or next(filter(None, sides), None),
        "region_code": next(_codes(0x0008_2218, data, *anatomy), None),
        "view_code": next(_codes(0x0054_0220, data), None),
        "thickness": next((value for item in measures if (value := item.number(0x0018_0050, 1e-3, 1e3))), None),
        "spacing": next((value for item in measures if (value := item.number(0x0018_0088, 1e-3, 1e3))), None),
    }


def _shared(data: Elements, tag: int) -> Iterator[Elements]:
    """Items of a sequence in the groups that all frames share (PS3.3 C.7.6.16)."""
    return (item for group in data.items(0x5200_9229) for item in group.items(tag))


def _codes(tag: int, *data: Elements) -> Iterator[str]:
    """Values of the codes in a sequence (PS3.3 section 8.1)."""
    codes = (item.text(0x0008_0100) for elements in data for item in elements.items(tag))
    return (code for code in codes if code is not None)


def _specimen_texts(specimen: Elements) -> Iterator[str | None]:
    """Numbers of a specimen and of what it was taken from, descriptions, organ and stains (PS3.3 C.7.6.22)."""
    yield from (specimen.text(tag) for tag in (0x0040_0551, 0x0040_0600, 0x0040_0602))
    contents = [content for step in specimen.items(0x0040_0610) for content in step.items(0x0040_0612)]
    numbers = (content.text(0x0040_A160) for content in contents if _is_about(content, _IDENTIFIERS))
    yield from list(dict.fromkeys(numbers))[:_MOST_WORDS]
    yield from (f"organ: {word}" for word in _meanings(specimen.items(0x0008_2228)))
    stains = [
        word
        for content in contents
        if _is_about(content, _SUBSTANCE)
        for word in (content.text(0x0040_A160), *_meanings(content.items(0x0040_A168)))
    ]
    # In one text: haematoxylin and eosin are one stain only together.
    if words := list(dict.fromkeys(filter(None, stains)))[:_MOST_WORDS]:
        yield f"stain: {' + '.join(words)}"


def _regions(data: Elements) -> Iterator[str]:
    """The anatomic region of the whole image, where it is not given for its specimens (PS3.3 C.8.12.1)."""
    return _meanings(data.items(0x0008_2218))


def _is_about(content: Elements, concepts: frozenset[str]) -> bool:
    return not concepts.isdisjoint(_codes(0x0040_A043, content))


def _meanings(codes: Iterable[Elements]) -> Iterator[str]:
    """Coded concepts in words."""
    for code in codes:
        word = MEANINGS.get(code.text(0x0008_0100) or "") or code.text(0x0008_0104)
        if word is not None:
            yield word


def _mpp(measures: Elements) -> tuple[float, float] | None:
    """Microns per pixel, across and down, from PixelSpacing: millimetres, that between rows first (PS3.3 10.7.1.3)."""
    spacing = measures.numbers(0x0028_0030)
    if len(spacing) != 2 or not all(0 < value < math.inf for value in spacing):
        return None
    down, across = spacing
    return across * 1000, down * 1000


def _volume_mpp(data: Elements) -> tuple[float, float] | None:
    """Microns per pixel, across and down, from ImagedVolumeWidth and Height in millimetres (PS3.3 C.8.12.4).

    Both are measured along the rows and columns of the frames, not of the glass.
    """
    sizes = (data.number(tag, 1e-3, 1e4) for tag in (0x0048_0001, 0x0048_0002))
    pixels = (data.integer(tag) for tag in (0x0048_0006, 0x0048_0007))
    across, down = (size * 1000 / count if size and count else 0 for size, count in zip(sizes, pixels, strict=True))
    return (across, down) if across > 0 and down > 0 else None


def _clock(text: str | None) -> datetime | None:
    """A date and time as DT or as DA and TM together write it (PS3.5 section 6.2); the zone is left out."""
    match = re.match(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)?(\d\d)?)?", text or "", re.ASCII)
    if match is None:
        return None
    try:
        return datetime(*(int(part or 0) for part in match.groups()))  # type: ignore[arg-type]  # noqa: DTZ001 -- local time
    except ValueError:
        return None
