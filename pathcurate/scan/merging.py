"""Slides and series made of the facts of their DICOM instances, whatever the order and names of the files."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from pathcurate.model.series import BODY_PARTS, MODALITIES, VIEWS
from pathcurate.model.slide import Part, SlideHeader

_READABLE: Final = frozenset({
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
})  # fmt: skip
"""Transfer syntaxes that OpenSlide 4.0 decodes in slides."""
_GRAVEST_FIRST: Final = ("reader_crashed", "timeout", "unreadable", "corrupt", "truncated")


# --- Slides ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Instance:
    """One part and the path of its file, by which it is named when parts are merged."""

    path: bytes
    part: Part


@dataclass(frozen=True, slots=True)
class MergedSlide:
    """A slide made of its parts.

    Attributes:
        header: its header.
        main: path of the file that stands for it: the smallest of its VOLUME instances, or of all if it has none.
        paths: of all its files.
    """

    header: SlideHeader
    main: bytes
    paths: tuple[bytes, ...]


def merge_slides(instances: Iterable[Instance]) -> list[MergedSlide]:
    """The slides of one series: one, or one for each ContainerIdentifier where instances name several."""
    instances = sorted(instances, key=lambda instance: instance.path)
    containers: dict[str | None, list[Instance]] = defaultdict(list)
    for instance in instances:
        containers[instance.part.facts.get("container")].append(instance)
    if len(containers.keys() - {None}) <= 1:
        return [_merged(instances)]
    return [_merged(members) for members in containers.values()]


def _merged(files: Sequence[Instance]) -> MergedSlide:
    parts = _distinct(files)
    volumes = [part for part in parts if part.facts.get("role") == "VOLUME"]
    base = max(volumes or parts, key=lambda part: _area(part.facts))
    ordered = [base, *(part for part in (*volumes, *parts) if part is not base)]
    status, detail = _state(parts, volumes)
    levels = sorted({_matrix(part.facts) for part in volumes if _area(part.facts)}, reverse=True)
    roles = {part.facts.get("role") for part in parts}
    spacing = base.facts.get("mpp") or (None, None)
    header = SlideHeader(
        status=status,
        status_detail=detail,
        format="dicom",
        vendor="dicom",
        scanner_model=_first(ordered, "model"),
        scanner_serial=_first(ordered, "serial"),
        scan_datetime=_moment(_first(ordered, "scanned")),
        width=levels[0][0] if levels else None,
        height=levels[0][1] if levels else None,
        level_count=len(levels) or None,
        level_downsamples=tuple((levels[0][0] / width + levels[0][1] / height) / 2 for width, height in levels) or None,
        tile_width=base.facts.get("tile_width") if volumes else None,
        tile_height=base.facts.get("tile_height") if volumes else None,
        compression=base.facts.get("compression") if volumes else None,
        mpp_x=spacing[0] if volumes else None,
        mpp_y=spacing[1] if volumes else None,
        mpp_source="pixel_spacing" if volumes and spacing != (None, None) else None,
        objective_power=_first(volumes, "power"),
        focal_planes=base.facts.get("planes") if volumes else None,
        channels=base.facts.get("samples") if volumes else None,
        icc_profile=any(part.facts.get("icc", False) for part in volumes) if volumes else None,
        has_label="LABEL" in roles,
        has_overview="OVERVIEW" in roles,
        has_thumbnail="THUMBNAIL" in roles,
        barcode=_first(ordered, "barcode"),
        label_text=_first(ordered, "label_text"),
        metadata_texts=tuple(sorted({text for part in parts for text in part.facts.get("texts", ())})),
        header_fingerprint=_fingerprint(parts),
    )
    main = next((file for file in files if file.part.facts.get("role") == "VOLUME"), files[0])
    return MergedSlide(header, main.path, tuple(file.path for file in files))


def _distinct(files: Sequence[Instance]) -> list[Part]:
    """The instances, of copies of one the whole one; in an order that does not depend on paths."""
    by_uid: dict[str, Part] = {}
    nameless = []
    for file in files:
        uid = file.part.facts.get("sop")
        if uid is None:
            nameless.append(file.part)
        elif uid not in by_uid or (by_uid[uid].status != "ok" and file.part.status == "ok"):
            by_uid[uid] = file.part
    return [*(by_uid[uid] for uid in sorted(by_uid)), *sorted(nameless, key=lambda part: _canonical(part.facts))]


def _state(parts: Sequence[Part], volumes: Sequence[Part]) -> tuple[str, str | None]:
    """The worst state among the instances, or what the slide as a whole lacks."""
    for status in _GRAVEST_FIRST:
        if bad := [part for part in parts if part.status == status]:
            detail = bad[0].status_detail or status
            return status, detail if len(parts) == 1 else f"{len(bad)} of {len(parts)} instances: {detail}"
    if not volumes:
        return "companion_missing", f"none of the {len(parts)} instances found is a VOLUME image"
    if not all(_area(part.facts) for part in volumes):
        return "corrupt", "a VOLUME instance has no TotalPixelMatrixColumns, TotalPixelMatrixRows, Columns or Rows"
    unread = (reason for part in volumes if (reason := _unsupported(part.facts)))
    return _incomplete(volumes) or next((("unsupported:dicom", reason) for reason in unread), ("ok", None))


def _unsupported(facts: Mapping[str, Any]) -> str | None:
    """Why OpenSlide cannot decode an instance's frames."""
    if facts.get("syntax") not in _READABLE:
        return "OpenSlide does not decode the transfer syntax (0002,0010)"
    if (facts.get("samples"), facts.get("bits")) != (3, 8) or facts.get("planar"):
        return "OpenSlide reads colour images of 8 bits only, their samples beside each other"
    return None


def _incomplete(volumes: Sequence[Part]) -> tuple[str, str] | None:
    """Whether a concatenation (PS3.3 C.7.6.16.2.2.4) lacks members, or an image that is tiled in full lacks frames."""
    images: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for number, part in enumerate(volumes):
        images[part.facts.get("concatenation") or f"instance {number}"].append(part.facts)
    for name, members in images.items():
        total = max(facts.get("concatenation_total", 0) for facts in members)
        numbers = {facts.get("concatenation_number") for facts in members}
        if total and len(numbers) < total:
            return "companion_missing", f"a concatenation of {total} instances lacks {total - len(numbers)}"
        facts = members[0]
        tiles = -(-facts["width"] // facts["tile_width"]) * -(-facts["height"] // facts["tile_height"])
        frames = sum(member.get("frames", 1) for member in members)
        if facts.get("organization") == "TILED_FULL" and frames < tiles:
            detail = f"{frames} frames where a fully tiled image needs {tiles}"
            return ("corrupt" if name.startswith("instance ") else "companion_missing"), detail
    return None


def _fingerprint(parts: Sequence[Part]) -> str | None:
    digests = sorted(hashlib.sha256(_canonical(part.facts)).digest() for part in parts if part.facts)
    return f"sha256:{hashlib.sha256(b''.join(digests)).hexdigest()}" if digests else None


def _canonical(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True).encode()


def _matrix(facts: Mapping[str, Any]) -> tuple[int, int]:
    return facts.get("width", 0), facts.get("height", 0)


def _area(facts: Mapping[str, Any]) -> int:
    """Pixels of an instance whose geometry is whole, else 0."""
    width, height = _matrix(facts)
    return width * height if facts.get("tile_width") and facts.get("tile_height") else 0


def _first(parts: Iterable[Part], name: str) -> Any:
    return next((value for part in parts if (value := part.facts.get(name)) is not None), None)


# --- Series ------------------------------------------------------------------------------------------------------


def merge_series(instances: Iterable[Instance]) -> dict[str, Any]:
    """Columns of the ``series`` table that its instances give; where they disagree on what is one thing, it is missing."""
    files = sorted(instances, key=lambda instance: instance.path)
    parts = _distinct(files)
    bad = [(status, part) for status in _GRAVEST_FIRST for part in parts if part.status == status]
    detail = bad[0][1].status_detail or bad[0][0] if bad else None
    count = sum(status == bad[0][0] for status, _ in bad) if bad else 0
    burned = {part.facts.get("burned_in") for part in parts}
    body_part = _one(parts, "body_part")
    modality = _known(_one(parts, "modality"), MODALITIES)
    return {
        "relpath": files[0].path,
        **{name: _first(parts, name) for name in _FROM_FIRST},
        "study_uid": _first(parts, "study"),
        "series_uid": _first(parts, "series"),
        "modality": modality,
        "is_image": modality not in _DERIVED and any(part.facts.get("is_image", False) for part in parts),
        "body_part": _known(re.sub(r"[\s_-]", "", body_part or "").upper(), BODY_PARTS),
        "body_part_raw": body_part,
        "laterality": _known(_one(parts, "laterality"), ("L", "R", "U", "B")),
        "view": _known(_one(parts, "view"), VIEWS),
        "description_raw": _first(parts, "description"),
        "instance_count": len(parts),
        "study_date": _day(_first(parts, "study_date")),
        "series_date": _day(_first(parts, "series_date")),
        "burned_in": True if "YES" in burned else False if burned == {"NO"} else None,
        "status": bad[0][0] if bad else "ok",
        "status_detail": detail if not bad or len(parts) == 1 else f"{count} of {len(parts)} instances: {detail}",
    }


def _one(parts: Iterable[Part], name: str) -> str | None:
    """The value on which all instances that have one agree."""
    values = Counter(part.facts[name] for part in parts if name in part.facts)
    return next(iter(values)) if len(values) == 1 else None


def _known(value: str | None, values: Sequence[str]) -> str | None:
    return value if value in values else None


_FROM_FIRST: Final = ("patient_id", "patient_name", "accession", "manufacturer", "model", "serial")
_DERIVED: Final = frozenset({"DOC", "KO", "PR", "REG", "RTDOSE", "RTPLAN", "RTSTRUCT", "RWV", "SEG", "SR"})
"""Modalities of what is drawn on, measured in or written about images, some of it stored as pixels."""


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
