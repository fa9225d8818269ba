"""The kept copies of annotations that recipients sent back: where they lie, how they are written, and read again.

``products/deliveries/<delivery>/returned/annotator-<n>/<recipient's code>.geojson`` holds shapes, classes and colours and
nothing else that the recipient wrote. It is GeoJSON that QuPath opens; its member ``pathcurate`` says where it comes from.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

from pathcurate import __version__
from pathcurate.annotations import geojson
from pathcurate.annotations.jsonstream import JsonStream
from pathcurate.annotations.shapes import DamagedError, Flaw, Shape
from pathcurate.annotations.textfile import AnnotationText
from pathcurate.errors import UsageError
from pathcurate.model.annotation import TOOLS
from pathcurate.model.delivery import DELIVERY_ID
from pathcurate.sources import SourceFile, digest
from pathcurate.storage import private_directory, replacing, sweep
from pathcurate.workspace import Workspace

RETURNED: Final = "returned"
"""Folder below that of the delivery."""
CODE: Final = r"S-[0-9A-Z]{16}"
"""A recipient's code of a slide."""
MOST_ANNOTATORS: Final = 999
_VERSION: Final = 1
_KEPT: Final = re.compile(rf"products/deliveries/({DELIVERY_ID})/{RETURNED}/annotator-([1-9][0-9]{{0,2}})/({CODE})\.geojson")
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class KeptName:
    """What the place of a copy says.

    Attributes:
        delivery: the id of the delivery.
        annotator: number of whoever drew it, among those of the delivery.
        code: the recipient's code of the slide.
    """

    delivery: str
    annotator: int
    code: str

    @property
    def source_file(self) -> str:
        """The path of the copy from the workspace."""
        folder = f"products/deliveries/{self.delivery}/{RETURNED}/annotator-{self.annotator}"
        return f"{folder}/{self.code}.geojson"

    @property
    def shown(self) -> str:
        """What messages call it."""
        return f"what annotator {self.annotator} sent back of a slide of {self.delivery}"


def kept_name(source_file: str) -> KeptName | None:
    """The copy that a path from the workspace is of; None if it is another file."""
    found = _KEPT.fullmatch(source_file)
    return KeptName(found[1], int(found[2]), found[3]) if found else None


def returned_directory(workspace: Workspace, delivery: str) -> Path:
    """Where the copies of a delivery lie."""
    return workspace.products / "deliveries" / delivery / RETURNED


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A copy, and the slide that it is of.

    Attributes:
        file: the copy.
        name: what its place says.
        slide_id: the original; None if it is not known any more, as after an erasure: then its shapes are nobody's.
    """

    file: SourceFile
    name: KeptName
    slide_id: str | None

    def shapes(self, flaws: dict[str, int]) -> Iterator[Shape]:
        """The shapes; filled in on the way is what of the recipient's file could not be used, by rule.

        Raises:
            UsageError: it is not as it was written.
        """
        if self.slide_id is None:
            return
        source = AnnotationText(self.file)
        try:
            with source.opened() as text:
                tool = _head(text, flaws)
            with source.opened() as text:
                for shape in geojson.read_shapes(text):
                    if isinstance(shape, Flaw):
                        raise DamagedError("holds a shape that was not written so")
                    yield replace(shape, tool=tool, slide_raw=self.name.code, annotator=f"annotator {self.name.annotator}")
        except DamagedError as damage:
            raise UsageError(f"{self.file.shown} {damage}", "Import the delivery's files again.") from None


def kept_plan(workspace: Workspace, name: KeptName, site: str, slide_id: str | None) -> KeptPlan:
    """How a copy is read.

    Args:
        workspace: the workspace.
        name: its place.
        site: of the slide.
        slide_id: see :class:`KeptPlan`.
    """
    path = workspace.root / name.source_file
    read_as = digest([__version__, str(_VERSION), RETURNED]).hex()
    return KeptPlan(SourceFile(site, path, name.source_file, read_as, name.shown), name, slide_id)


def _head(text: Any, flaws: dict[str, int]) -> str:
    """The tool that a copy says its shapes are of; and what of the file could not be used."""
    stream = JsonStream(text)
    for member in stream.members():
        if member == "features":
            break
        said = stream.value()
        if member == "pathcurate" and isinstance(said, dict) and said.get("tool") in TOOLS:
            counted = said.get("flaws")
            for rule, count in (counted if isinstance(counted, dict) else {}).items():
                if isinstance(count, float) and count.is_integer() and count > 0:
                    flaws[rule] = int(count)
            return str(said["tool"])
    raise DamagedError("does not say where it comes from")


# --- Writing -----------------------------------------------------------------------------------------------------


def feature_text(shape: Shape) -> str:
    """A shape as a feature that QuPath opens."""
    geometry: dict[str, Any] = json.loads(shape.geometry.text)
    if shape.geometry.kind == "ellipse":
        geometry["isEllipse"] = True
    properties: dict[str, Any] = {"objectType": "annotation"}
    if shape.label is not None:
        properties["classification"] = {"name": shape.label}
    if shape.colour is not None:
        colour = [int(shape.colour[at : at + 2], 16) for at in (1, 3, 5)]
        properties.setdefault("classification", {})["color"] = colour
    return _dumped({"type": "Feature", "geometry": geometry, "properties": properties})


def write_kept(workspace: Workspace, name: KeptName, tool: str, flaws: Mapping[str, int], body: IO[bytes]) -> bool:
    """Write a copy; False if it is there already, as it would be written.

    Args:
        workspace: the workspace.
        name: its place.
        tool: program that the recipient's file is of.
        flaws: what of the file could not be used, by rule.
        body: the features, with commas between them, read from its beginning.
    """
    said = {"delivery": name.delivery, "annotator": name.annotator, "tool": tool, "flaws": dict(sorted(flaws.items()))}
    members = {"type": "FeatureCollection", "image": name.code, "pathcurate": said}
    parts = (f'{_dumped(members)[:-1]}, "features": [\n'.encode(), b"\n]}\n")
    target = workspace.root / name.source_file
    made = _sha256(_pieces(parts, body))
    if target.is_file() and not target.is_symlink() and _sha256(_file(target)) == made:
        return False
    private_directory(private_directory(target.parent.parent) / target.parent.name)
    sweep(target)
    with replacing(target, 0o600) as temporary, temporary.open("wb") as out:
        for piece in _pieces(parts, body):
            out.write(piece)
    return True


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _pieces(parts: tuple[bytes, bytes], body: IO[bytes]) -> Iterator[bytes]:
    body.seek(0)
    yield parts[0]
    while block := body.read(_BLOCK):
        yield block
    yield parts[1]


def _file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _sha256(pieces: Iterable[bytes]) -> str:
    made = hashlib.sha256()
    for piece in pieces:
        made.update(piece)
    return made.hexdigest()


def relative_name(workspace: Workspace, path: Path) -> KeptName | None:
    """The copy that a path is of; None if it is another file."""
    return kept_name(os.path.relpath(path, workspace.root).replace(os.sep, "/"))
