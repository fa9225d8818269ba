"""Annotations of ASAP (its ``annotation/XmlRepository.cpp``): shapes with corners in pixels of level 0, in groups."""

from collections.abc import Iterator
from typing import Any, Final, TextIO
from xml.parsers.expat import ExpatError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from pathcurate.annotations.geometry import FaultError, read_geometries
from pathcurate.annotations.shapes import DamagedError, Flaw, Shape, clean, colour_of

_ROOT: Final = "ASAP_Annotations"
_BLOCK: Final = 1 << 18
_DEEPEST: Final = 16
_LONGEST_TOKEN: Final = 4 << 20
_MOST_GROUPS: Final = 10_000
_MOST_POINTS: Final = 2_000_000
_NO_GROUP: Final = "None"
_CLOSED: Final = frozenset({"Polygon", "Spline", "Rectangle"})
_GEOMETRY: Final = {"Measurement": "LineString", "PointSet": "MultiPoint"}


class _Target:
    """What the parser tells: the groups' colours, and one drawn shape after another."""

    def __init__(self) -> None:
        self.colours: dict[str, str] = {}
        self.ended: list[tuple[dict[str, str], list[tuple[str, str, str]]]] = []
        self.told = 0
        self._depth = 0
        self._open: tuple[dict[str, str], list[tuple[str, str, str]]] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.told += 1
        name = tag.rpartition("}")[2]
        if self._depth == 0 and name != _ROOT:
            raise DamagedError("is no annotation file of ASAP")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise DamagedError("nests too deeply")
        if name == "Annotation":
            self._open = (dict(attributes), [])
        elif name == "Coordinate" and self._open is not None:
            points = self._open[1]
            points.append((attributes.get("Order", ""), attributes.get("X", ""), attributes.get("Y", "")))
            if len(points) > _MOST_POINTS:
                raise DamagedError(f"holds a shape of more than {_MOST_POINTS:,} corners")
        elif name == "Group":
            colour = colour_of(attributes.get("Color"))
            if colour is not None and len(self.colours) < _MOST_GROUPS:
                self.colours.setdefault(attributes.get("Name", ""), colour)

    def data(self, text: str) -> None:
        """Texts between elements are layout."""

    def end(self, tag: str) -> None:
        self.told += 1
        self._depth -= 1
        if self._open is not None and tag.rpartition("}")[2] == "Annotation":
            self.ended.append(self._open)
            self._open = None

    def close(self) -> None:
        """The parser asks for it."""


def read_shapes(text: TextIO, again: TextIO) -> Iterator[Shape | Flaw]:
    """The shapes of a file, in its order.

    Args:
        text: the file; read whole for the colours of groups, which stand behind the shapes.
        again: the same from its beginning.

    Raises:
        DamagedError: it is no such file, is no valid XML, or declares a document type or entities.
    """
    first = _Target()
    for _ in _told(text, first):
        first.ended.clear()
    target = _Target()
    number = 0
    for _ in _told(again, target):
        for attributes, points in target.ended:
            number += 1
            yield from _shape(number, attributes, points, first.colours)
        target.ended.clear()


def _told(text: TextIO, target: _Target) -> Iterator[None]:
    """Come back after every block of the file."""
    parser: Any = XMLParser(target=target, encoding="utf-8", forbid_dtd=True)
    silent = told = 0
    try:
        while block := text.read(_BLOCK):
            # What a declaration says of the encoding is no longer true of a text; the parser was told.
            parser.feed(block.lstrip("\ufeff").encode("utf-8", "replace"))
            # Expat reads a token that does not end again with every block.
            silent = silent + len(block) if target.told == told else 0
            if silent > _LONGEST_TOKEN:
                raise DamagedError("holds a tag or comment without end")
            told = target.told
            yield
        parser.close()
        yield
    except DefusedXmlException:
        raise DamagedError("declares entities or a document type, which ASAP does not,") from None
    except (ParseError, ExpatError) as error:
        line = getattr(error, "position", (getattr(error, "lineno", 0), 0))[0]
        raise DamagedError(f"is no valid XML, or cut off (line {line})") from None


def _shape(
    number: int, attributes: dict[str, str], points: list[tuple[str, str, str]], colours: dict[str, str]
) -> Iterator[Shape | Flaw]:
    kind, group = attributes.get("Type", ""), attributes.get("PartOfGroup", _NO_GROUP)
    label = clean(group) if group != _NO_GROUP else None
    colour = colours.get(group) or colour_of(attributes.get("Color"))
    try:
        geometry = {"type": _geometry(kind, points), "coordinates": _coordinates(kind, points)}
    except FaultError as fault:
        yield Flaw(number, fault.fault)
        return
    if kind == "Spline":
        yield Flaw(number, "spline_as_polygon")
    for found in read_geometries(geometry):
        if isinstance(found, FaultError):
            yield Flaw(number, found.fault)
        else:
            yield Shape(number, "asap", found, label, colour)


def _geometry(kind: str, points: list[tuple[str, str, str]]) -> str:
    if kind in _CLOSED:
        return "Polygon"
    if kind == "Dot":
        return "Point" if len(points) == 1 else "MultiPoint"
    if kind not in _GEOMETRY:
        raise FaultError("unknown_type")
    return _GEOMETRY[kind]


def _coordinates(kind: str, points: list[tuple[str, str, str]]) -> object:
    if not points:
        raise FaultError("too_few_points")
    try:
        if all(order for order, _, _ in points):
            points = sorted(points, key=lambda point: int(point[0]))
        corners = [[_number(x), _number(y)] for _, x, y in points]
    except ValueError:
        raise FaultError("bad_coordinates") from None
    if kind in _CLOSED:
        return [corners]
    return corners[0] if kind == "Dot" and len(corners) == 1 else corners


def _number(text: str) -> float:
    """A coordinate; on some systems ASAP writes it with a comma."""
    return float(text.replace(",", "."))
