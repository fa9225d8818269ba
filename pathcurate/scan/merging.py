"""Slides and series made of the facts of their DICOM instances, whatever the order and names of the files."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from pathcurate.model.series import BODY_PARTS, MODALITIES, REGION_CODES, VIEW_CODES, VIEWS
from pathcurate.model.slide import Part, SlideHeader, judged

_READABLE: Final = frozenset({
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
})  # fmt: skip
"""Transfer syntaxes that OpenSlide 4.0 decodes in slides."""
_UNREAD: Final = "unsupported:dicom"
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
        main: path of the file that stands for it: the smallest image of its VOLUME instances, or any if it has none.
        paths: of all its files.
    """

    header: SlideHeader
    main: bytes
    paths: tuple[bytes, ...]


def merge_slides(instances: Iterable[Instance]) -> list[MergedSlide]:
    """The slides of one series: one for each glass and, if several pyramids were scanned of it, for each pyramid."""
    instances = sorted(instances, key=lambda instance: instance.path)
    containers: dict[str | None, list[Instance]] = defaultdict(list)
    for instance in instances:
        containers[instance.part.facts.get("container")].append(instance)
    if len(containers.keys() - {None}) <= 1:
        containers = defaultdict(list, {None: instances})
    return _mixed([slide for members in containers.values() for slide in _merged_pyramids(members)])


def _merged_pyramids(files: Sequence[Instance]) -> Iterator[MergedSlide]:
    """The slides of one glass. Its label and overview go with the first of its pyramids, what they say with all."""
    pyramids = _pyramids(files)
    texts = _texts(_distinct(files))
    for name in sorted(pyramids):
        yield _merged(pyramids[name], texts)


def _pyramids(files: Sequence[Instance]) -> dict[str, list[Instance]]:
    """The files of each pyramid: by PyramidUID (0008,0019) or, where it is missing, by FrameOfReferenceUID (0020,0052).

    Some writers give each image a frame of its own, so frames tell pyramids apart only where one holds several images.
    """
    volumes = [file for file in files if file.part.facts.get("role") == "VOLUME"]
    for fact in ("pyramid", "frame_of_reference"):
        images = {(str(file.part.facts.get(fact, "")), _matrix(file.part.facts)) for file in volumes}
        names = {name for name, _ in images}
        if len(names) < 2 or "" in names or (fact == "frame_of_reference" and len(images) == len(names)):
            continue
        first = min(names)
        pyramids: dict[str, list[Instance]] = defaultdict(list)
        for file in files:
            name = str(file.part.facts.get(fact, ""))
            pyramids[name if name in names else first].append(file)
        return pyramids
    return {"": list(files)}


def _merged(files: Sequence[Instance], texts: Mapping[str, Any]) -> MergedSlide:
    parts = _distinct(files)
    volumes = [part for part in parts if part.facts.get("role") == "VOLUME"]
    base = max(volumes or parts, key=lambda part: _area(part.facts))
    ordered = [base, *(part for part in (*volumes, *parts) if part is not base)]
    status, detail = _state(parts, volumes)
    levels = sorted({_matrix(part.facts) for part in volumes if _area(part.facts)}, reverse=True)
    largest = [part.facts for part in volumes if _matrix(part.facts) == _matrix(base.facts)]
    roles = {part.facts.get("role") for part in parts}
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
        **(_pixels(base.facts, largest) if volumes else {}),
        objective_power=_first(volumes, "power"),
        icc_profile=any(part.facts.get("icc", False) for part in volumes) if volumes else None,
        has_label="LABEL" in roles,
        has_overview="OVERVIEW" in roles,
        has_thumbnail="THUMBNAIL" in roles,
        header_fingerprint=_fingerprint(parts),
        shape_fingerprint=_shape(volumes) if status in {"ok", _UNREAD} else None,
        **texts,
    )
    main = min(files, key=_size_order)
    return MergedSlide(judged(header), main.path, tuple(file.path for file in files))


def _size_order(file: Instance) -> tuple[bool, int, int, float, int, bytes]:
    """Orders the smallest VOLUME image first, whose frames tell slides apart at the least cost; by path only at last."""
    facts = file.part.facts
    is_volume = facts.get("role") == "VOLUME"
    within = facts.get("concatenation_number", 0), facts.get("z", 0.0), facts.get("instance", 0)
    return not is_volume, _area(facts) if is_volume else 0, *within, file.path


def _texts(parts: Sequence[Part]) -> dict[str, Any]:
    """What is said of the glass; its label says it best."""
    ordered = sorted(parts, key=lambda part: part.facts.get("role") != "LABEL")
    return {
        "barcode": _first(ordered, "barcode"),
        "label_text": _first(ordered, "label_text"),
        "patient_id": _one(parts, "patient_id"),
        "metadata_texts": tuple(sorted({text for part in parts for text in part.facts.get("texts", ())})),
    }


def _pixels(base: Mapping[str, Any], largest: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Columns on the pixels of the largest level, whose instances may each hold one focal plane or one optical path."""
    spacing, volume = base.get("mpp"), base.get("mpp_volume")
    mpp_x, mpp_y = spacing or volume or (None, None)
    heights = {facts["z"] for facts in largest if "z" in facts}
    samples, paths = base.get("samples"), {path for facts in largest for path in facts.get("paths", ())}
    return {
        "tile_width": base.get("tile_width"),
        "tile_height": base.get("tile_height"),
        "compression": base.get("compression"),
        "mpp_x": mpp_x,
        "mpp_y": mpp_y,
        "mpp_source": "pixel_spacing" if spacing else "imaged_volume" if volume else None,
        "focal_planes": max(_planes(base) or 0, len(heights)) or None,
        "channels": samples and samples * max(len(paths), base.get("path_count", 0), 1),
    }


def _planes(facts: Mapping[str, Any]) -> int | None:
    """Focal planes of an image: as said or, where it is tiled in full, as many as its frames fill."""
    planes: int | None = facts.get("planes")
    if planes is None and facts.get("organization") == "TILED_FULL" and "concatenation" not in facts and _area(facts):
        per_plane = _tiles(facts) * facts.get("path_count", max(1, len(facts.get("paths", ()))))
        planes, rest = divmod(facts.get("frames", 1), max(1, per_plane))
        return planes if planes and not rest else None
    return planes


def _tiles(facts: Mapping[str, Any]) -> int:
    return int(-(-facts["width"] // facts["tile_width"]) * -(-facts["height"] // facts["tile_height"]))


def _shape(volumes: Sequence[Part]) -> str | None:
    """Digest of what de-identification does not change: geometry, and the bytes of the smallest level's frames."""
    smallest = min((part.facts for part in volumes), key=_area)
    members = [part.facts for part in volumes if _matrix(part.facts) == _matrix(smallest)]
    shape = [
        sorted({(*_matrix(part.facts), *_frame(part.facts)) for part in volumes}),
        sorted((facts.get("frames", 1), facts.get("stored_bytes") or 0) for facts in members),
    ]
    return f"sha256:{hashlib.sha256(json.dumps(shape).encode()).hexdigest()}"


def _frame(facts: Mapping[str, Any]) -> tuple[int, int, str, int, int]:
    names = ("tile_width", "tile_height", "compression", "samples", "bits")
    width, height, compression, samples, bits = (facts.get(name) or 0 for name in names)
    return width, height, str(compression), samples, bits


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
    return _incomplete(volumes) or _unsupported(parts, volumes) or ("ok", None)


def _unsupported(parts: Sequence[Part], volumes: Sequence[Part]) -> tuple[str, str] | None:
    """Why OpenSlide 4.0 cannot decode a slide."""
    images = {(_matrix(part.facts), part.facts.get("concatenation", number)) for number, part in enumerate(volumes)}
    detail: str | None = None
    if any(part.facts.get("syntax") not in _READABLE for part in volumes):
        detail = "OpenSlide does not decode the transfer syntax (0002,0010)"
    elif any((part.facts.get("samples"), part.facts.get("bits")) != (3, 8) or part.facts.get("planar") for part in volumes):
        detail = "OpenSlide reads colour images of 8 bits only, their samples beside each other"
    elif any((part.facts.get("planes") or 1) > 1 for part in parts):
        detail = "OpenSlide reads a single focal plane only"
    elif len({matrix for matrix, _ in images}) < len(images):
        detail = "OpenSlide reads a single image of each size only, and several differ in focal plane or optical path"
    return None if detail is None else (_UNREAD, detail)


def _mixed(slides: Sequence[MergedSlide]) -> list[MergedSlide]:
    """The slides of one series; those are marked that lie in one folder, where OpenSlide takes all for one slide."""
    folders = [{path.rpartition(b"/")[0] for path in slide.paths} for slide in slides]
    found = []
    for number, slide in enumerate(slides):
        others = set[bytes]().union(*(folder for other, folder in enumerate(folders) if other != number))
        header = slide.header
        if header.status == "ok" and folders[number] & others:
            detail = "OpenSlide takes the several slides of this series in one folder for one"
            header = replace(header, status=_UNREAD, status_detail=detail)
        found.append(replace(slide, header=header))
    return found


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
        needed = _tiles(facts) * max(facts.get("planes", 1), 1) * max(facts.get("path_count", 1), 1)
        frames = sum(member.get("frames", 1) for member in members)
        if facts.get("organization") == "TILED_FULL" and frames < needed:
            detail = f"{frames} frames where a fully tiled image needs {needed}"
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
    body_part, view = _one(parts, "body_part"), _one(parts, "view")
    region = _known(re.sub(r"[\s_-]", "", body_part or "").upper(), BODY_PARTS)
    view = _known(view, VIEWS)
    modality = _known(_one(parts, "modality"), MODALITIES)
    return {
        "relpath": files[0].path,
        **{name: _first(parts, name) for name in _FROM_FIRST},
        "study_uid": _first(parts, "study"),
        "series_uid": _first(parts, "series"),
        "modality": modality,
        "is_image": modality not in _DERIVED and any(part.facts.get("is_image", False) for part in parts),
        "body_part": region or REGION_CODES.get(_one(parts, "region_code") or ""),
        "body_part_raw": body_part,
        "laterality": _known(_one(parts, "laterality"), ("L", "R", "U", "B")),
        "view": view or VIEW_CODES.get(_one(parts, "view_code") or ""),
        "description_raw": _first(parts, "description"),
        "instance_count": len(parts),
        "study_date": _day(_first(parts, "study_date")),
        "series_date": _day(_first(parts, "series_date")),
        "acquisition_date": _day(
            min((part.facts["acquisition_date"] for part in parts if "acquisition_date" in part.facts), default=None)
        ),
        "slice_thickness": _one(parts, "thickness"),
        "slice_spacing": _one(parts, "spacing"),
        "burned_in": True if "YES" in burned else False if burned == {"NO"} else None,
        "status": bad[0][0] if bad else "ok",
        "status_detail": detail if not bad or len(parts) == 1 else f"{count} of {len(parts)} instances: {detail}",
    }


def _one(parts: Iterable[Part], name: str) -> Any:
    """The value on which all instances that have one agree."""
    values = Counter(part.facts[name] for part in parts if name in part.facts)
    return next(iter(values)) if len(values) == 1 else None


def _known(value: str | None, values: Sequence[str]) -> str | None:
    return value if value in values else None


_FROM_FIRST: Final = ("patient_id", "patient_name", "accession", "institution", "manufacturer", "model", "serial", "station")
_DERIVED: Final = frozenset({"DOC", "KO", "PR", "REG", "RTDOSE", "RTPLAN", "RTSTRUCT", "RWV", "SEG", "SR"})
"""Modalities of what is drawn on, measured in or written about images, some of it stored as pixels."""


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
