"""GeoJSON (RFC 7946) of QuPath and of any other tool: a collection, an array or one feature, read shape by shape.

What QuPath adds (from its sources, ``qupath.lib.io``): ``objectType``, ``classification`` with a colour, ``isEllipse`` in a
geometry, ``nucleusGeometry`` beside it, and ``childObjects`` in the properties.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TextIO

from pathcurate.annotations.geometry import FaultError, read_geometries
from pathcurate.annotations.jsonstream import JsonStream
from pathcurate.annotations.said import ANNOTATORS, IMAGES, Said
from pathcurate.annotations.shapes import DamagedError, Flaw, Shape, clean, colour_of

_GEOMETRIES: Final = frozenset(
    {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"}
)
_SHAPES: Final = frozenset({"geometry", "nucleusGeometry", "geometries", "coordinates", "features", "bbox"})
"""Members in which nothing is said but by shapes; those of features are heard one by one."""
_LABELS: Final = ("classification", "label", "class", "name", "type")
_COLOURS: Final = ("color", "colour", "colorRGB")
_QUPATH_0_2: Final = ("PathAnnotationObject", "PathDetectionObject", "PathCellObject", "PathTileObject", "TMACoreObject")
_LONGEST_PATH: Final = 4096
_KEPT: Final = frozenset({"type", "id", "geometry", "properties", "coordinates", "geometries", "isEllipse", "version"}) | {
    *IMAGES
}
"""Members of the outermost object that say something; the others are not held."""


@dataclass(frozen=True, slots=True)
class _About:
    """What a file says of all its shapes."""

    slide_raw: str | None = None
    annotator: str | None = None
    version: str | None = None


class _Count:
    """Numbers the shapes of a file, and hears what is said in it."""

    def __init__(self, said: Said | None) -> None:
        self.number = 0
        self.said = said

    def hear(self, item: Mapping[str, Any]) -> None:
        """Tell what an object says beside its shapes to whoever asked for it."""
        if self.said is not None:
            self.said.hear({name: part for name, part in item.items() if name not in _SHAPES})

    def next(self) -> int:
        self.number += 1
        return self.number


def read_shapes(text: TextIO, said: Said | None = None) -> Iterator[Shape | Flaw]:
    """The shapes of a file, in its order; the features of a collection must stand behind what it says of all of them.

    Args:
        text: the file.
        said: filled with what the file says of its slide and of people, wherever it stands; then a shape's own name, which
            is free text, is no class.

    Raises:
        DamagedError: it is no GeoJSON, or is cut off.
    """
    stream, count = JsonStream(text), _Count(said)
    while begin := stream.peek():
        if begin == "[":
            for element in stream.elements():
                yield from _read(element, _About(), count)
        elif begin == "{":
            yield from _object(stream, count)
        else:
            stream.value()
            raise DamagedError("is no GeoJSON")


def _object(stream: JsonStream, count: _Count) -> Iterator[Shape | Flaw]:
    """The outermost object, whose features are not held at once."""
    kept: dict[str, Any] = {}
    has_features = False
    for name in stream.members():
        if name == "features" and stream.peek() == "[":
            has_features = True
            about = _about(kept, _About())
            for element in stream.elements():
                yield from _read(element, about, count)
        else:
            value = stream.value()
            count.hear({name: value})
            if name in _KEPT:
                kept[name] = value
    if has_features:
        return
    if kept.get("type") != "Feature" and kept.get("type") not in _GEOMETRIES:
        raise DamagedError("is no GeoJSON")
    yield from _read(kept, _About(), count)


def _read(value: object, about: _About, count: _Count) -> Iterator[Shape | Flaw]:
    """The shapes of a feature, of the features below it, or of a geometry that stands alone."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, dict):
            yield Flaw(count.next(), "unknown_type")
            continue
        count.hear(item)
        inner = item.get("features")
        if item.get("type") == "FeatureCollection" and isinstance(inner, list):
            waiting += reversed(inner)
            continue
        if item.get("type") in _GEOMETRIES:
            item = {"geometry": item}
        properties = item.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        yield from _feature(item, properties, about, count)
        children = properties.get("childObjects")
        if isinstance(children, list):
            waiting += reversed(children)


def _feature(item: Mapping[str, Any], properties: Mapping[str, Any], about: _About, count: _Count) -> Iterator[Shape | Flaw]:
    is_qupath = "objectType" in properties or "object_type" in properties or item.get("id") in _QUPATH_0_2
    label = _label(properties, is_qupath=is_qupath, is_named=count.said is None)
    colour, said = _colour(properties), _about(item, about)
    tool = "qupath" if is_qupath else "geojson"
    if item.get("nucleusGeometry") is not None:
        yield Flaw(count.number + 1, "nucleus_left_out")
    for geometry in read_geometries(item.get("geometry")):
        number = count.next()
        if isinstance(geometry, FaultError):
            yield Flaw(number, geometry.fault)
        else:
            yield Shape(number, tool, geometry, label, colour, said.slide_raw, said.annotator, said.version)


def _label(properties: Mapping[str, Any], *, is_qupath: bool, is_named: bool) -> str | None:
    """The class: what the tool calls classification, else what others call it, else the shape's own name."""
    # QuPath takes a `type` as another name of the object's type.
    left_out = {"type"} if is_qupath else set[str]()
    names = (name for name in _LABELS if name not in left_out and (is_named or name != "name"))
    return next((label for name in names if (label := _name(properties.get(name)))), None)


def _name(value: object) -> str | None:
    if isinstance(value, dict):
        # A class derived from others has their names; QuPath shows them so.
        value = value["names"] if isinstance(value.get("names"), list) else value.get("name")
    if isinstance(value, list):
        parts = [clean(part) for part in value]
        value = ": ".join(part for part in parts if part)
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}" if abs(value) < 1e15 else None
    return clean(value)


def _colour(properties: Mapping[str, Any]) -> str | None:
    chosen = properties.get("classification")
    places = (chosen, properties) if isinstance(chosen, dict) else (properties,)
    found = (colour_of(place.get(name)) for place in places for name in _COLOURS)
    return next((colour for colour in found if colour), None)


def _about(item: Mapping[str, Any], above: _About) -> _About:
    """What an object and its properties say of all shapes in it."""
    properties = item.get("properties")
    places = (item, properties) if isinstance(properties, dict) else (item,)
    images = (_image(place.get(name)) for place in places for name in IMAGES)
    people = (clean(place.get(name)) for place in places for name in ANNOTATORS)
    return _About(
        next(filter(None, images), above.slide_raw),
        next(filter(None, people), above.annotator),
        clean(item.get("version")) or above.version,
    )


def _image(value: object) -> str | None:
    """A name or path of an image; of what a server says of its image, the first that is one."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("path", "uri", "name") if isinstance(value.get(name), str)), None)
    return clean(value, _LONGEST_PATH)
