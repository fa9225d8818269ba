"""Annotation files: QuPath's GeoJSON and ASAP's XML, as the tools write them; and a workspace that imports them."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from pathcurate.annotations import import_annotations
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import slide

Row = dict[str, Any]

Corner = tuple[float, float]
SQUARE = ((100.0, 100.0), (300.0, 120.5), (310.25, 300.0), (90.0, 280.0))


def polygon(*rings: Sequence[Corner]) -> dict[str, Any]:
    """A GeoJSON polygon; its rings are closed here."""
    return {"type": "Polygon", "coordinates": [[list(corner) for corner in (*ring, ring[0])] for ring in rings]}


def qupath(geometry: Any = None, *, label: str | None = "Tumor", object_type: str = "annotation", **members: Any) -> dict:
    """A feature as QuPath 0.4 and later write it."""
    properties: dict[str, Any] = {"objectType": object_type, **members.pop("properties", {})}
    if label is not None:
        properties["classification"] = {"name": label, "color": [200, 0, 0]}
    return {
        "type": "Feature", "id": "1b0b1b0e-0000-4000-8000-000000000000",
        "geometry": polygon(SQUARE) if geometry is None else geometry, **members, "properties": properties,
    }  # fmt: skip


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    """A feature of another tool."""
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def collection(*features: Any, **members: Any) -> bytes:
    """A file with a collection of features."""
    return json.dumps({"type": "FeatureCollection", **members, "features": list(features)}, ensure_ascii=False).encode()


def cell(number: int, corners: int = 24) -> dict[str, Any]:
    """A made-up cell detection with measurements; another number is another cell."""
    x, y = 50 + 37.31 * (number % 2000), 50 + 41.07 * (number // 2000)
    ring = [
        (
            round(x + (9 + math.sin(number + 3 * step)) * math.cos(2 * math.pi * step / corners), 2),
            round(y + (9 + math.sin(number + 3 * step)) * math.sin(2 * math.pi * step / corners), 2),
        )
        for step in range(corners)
    ]
    measured = {f"Nucleus: {name}": round(math.sin(number * step) * 100, 4) for step, name in enumerate("abcdefgh", 1)}
    return qupath(polygon(ring), object_type="detection", properties={"measurements": measured})


def asap(shapes: Iterable[tuple[str, str, Sequence[Any]]], groups: Iterable[tuple[str, str]] = ()) -> str:
    """A file of ASAP: type, group and corners of each shape; name and colour of each group."""
    drawn = "".join(
        f'<Annotation Name="Annotation {number}" Type={quoteattr(kind)} PartOfGroup={quoteattr(group)} Color="#F4FA58">'
        "<Coordinates>"
        + "".join(f'<Coordinate Order="{order}" X="{x}" Y="{y}" />' for order, (x, y) in enumerate(corners))
        + "</Coordinates></Annotation>\n"
        for number, (kind, group, corners) in enumerate(shapes)
    )
    named = "".join(
        f'<Group Name={quoteattr(name)} PartOfGroup="None" Color="{colour}"><Attributes /></Group>'
        for name, colour in groups
    )
    return (
        f'<?xml version="1.0"?>\n<ASAP_Annotations>\n<Annotations>{drawn}</Annotations>\n'
        f"<AnnotationGroups>{named}</AnnotationGroups>\n</ASAP_Annotations>\n"
    )


# --- A workspace -----------------------------------------------------------------------------------------------------


def make_workspace(root: Path) -> Workspace:
    """A workspace that imports whatever lies below ``drawn``."""
    (root / "drawn").mkdir()
    sources = "{code: NB01, annotations: [{path: 'drawn/**/*.*'}]}"
    (root / "pathcurate.yaml").write_text(f"workspace: 1\nname: w\nsites: [{sources}, {{code: NB02}}]\n")
    return load_workspace(root / "pathcurate.yaml")


def put(workspace: Workspace, name: str, content: bytes | str) -> Path:
    """Write a file of the source."""
    path = workspace.root / "drawn" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def scan(workspace: Workspace, *relpaths: str | bytes, **values: Any) -> list[str]:
    """Put slides into the catalog, numbered in this order; their identifiers."""
    paths = [path.encode() if isinstance(path, str) else path for path in relpaths]
    rows = [slide(number, relpath=path, **values) for number, path in enumerate(paths, 1)]
    put_slides(workspace, *rows)
    return [row["slide_id"] for row in rows]


def put_slides(workspace: Workspace, *rows: Row) -> None:
    """Put rows of slides into the catalog."""
    Catalog(workspace.catalog).upsert(SLIDES, from_rows(SLIDES, rows))


def rows(workspace: Workspace) -> list[Row]:
    """The annotations."""
    return list(Catalog(workspace.catalog).read(ANNOTATIONS).to_pylist())


def ties(workspace: Workspace) -> dict[str, str | None]:
    """Source file, below the source's folder, to slide."""
    return {row["source_file"].removeprefix("drawn/"): row["slide_id"] for row in rows(workspace)}


def rules(workspace: Workspace, **arguments: Any) -> dict[str, int]:
    """Import, and count what was found by rule."""
    found: Counter[str] = Counter()
    for finding in import_annotations(workspace, **arguments).findings:
        found[finding.rule.removeprefix("annotations.")] += finding.count
    return dict(found)
