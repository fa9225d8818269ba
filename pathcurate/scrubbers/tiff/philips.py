"""Philips TIFF: XML in the first directory, with attributes named after DICOM, and the JPEG of label and macro in Base64.

The scanned images that are label and macro go from the XML, or with a study label the label's JPEG is replaced; so do
directories of their own. Source: OpenSlide's description of the format, the XML of public slides.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pathcurate import ifd
from pathcurate.images.studylabel import study_label
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers.tiff import markup
from pathcurate.scrubbers.tiff.judging import Judge
from pathcurate.scrubbers.tiff.pictures import strip_of
from pathcurate.scrubbers.tiff.slide import Role, Slide, described

if TYPE_CHECKING:
    # Names a type; what parses is defusedxml.
    from xml.etree.ElementTree import Element

HEAD_TEXT: Final = False
_ATTRIBUTES: Final = "attribute"
_LEVEL: Final = re.compile(r"level=[0-9]{1,3}( mag=[0-9.]{1,12})?( quality=[0-9]{1,3})?")
_BESIDE: Final = re.compile("Label|Macro")
_SETTING: Final = re.compile(
    r"tiff|useBigTIFF=[01]|useRgb=[01]|levels=[0-9]{1,6}(,[0-9]{1,6}){0,20}|processing=[0-9]|q[0-9]{1,3}"
)
_IMAGE_DATA: Final = "PIM_DP_IMAGE_DATA"


def roles(slide: Slide) -> Sequence[Role]:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`."""
    first = slide.directories[0]
    if not first.is_tiled or b'"DPUfsImport"' not in first.raw_value(ifd.IMAGE_DESCRIPTION, 1024):
        raise UnscrubbableError("its first directory is not a level that Philips's XML describes")
    return [Role.LEVEL if directory.is_tiled and not described(directory) else Role.GONE for directory in slide.directories]


def clean(slide: Slide, index: int, tag: int, table: str, data: bytes) -> bytes | None:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`: the XML, or a level's line."""
    if index:
        line = data.partition(b"\0")[0].decode("utf-8", errors="replace").strip()
        found = _LEVEL.match(line) or _BESIDE.match(line)
        slide.judge.gone("description", line[found.end() :] if found else line)
        return found[0].encode() + b"\0" if found and found.re is _LEVEL else None
    text = markup.decoded(data)
    keeps_label = slide.judge.job.relabel
    gone = frozenset(_sensitive(markup.tree(text), keeps_label=keeps_label))
    place = slide.place(index, tag)
    made = _Filter(slide.judge, table, place, {"DataObject": gone}, is_relabelled=keeps_label).filtered(text)
    return f'<?xml version="1.0" encoding="UTF-8" ?>\n{made}'.encode() + b"\0"


def _sensitive(root: "Element", *, keeps_label: bool) -> list[int]:
    """Which data objects, counted in document order, are images that go: all but the slide's own."""
    found = []
    objects = [element for element in root.iter() if markup.local(element.tag) == "DataObject"]
    for ordinal, element in enumerate(objects):
        if element.get("ObjectType") == "DPScannedImage":
            kinds = [
                (item.text or "").strip()
                for item in markup.children(element, "Attribute")
                if item.get("Name") == "PIM_DP_IMAGE_TYPE"
            ]
            if kinds != ["WSI"] and not (kinds == ["LABELIMAGE"] and keeps_label):
                found.append(ordinal)
    return found


class _Filter(markup.Filter):
    """The document's elements are all called ``Attribute``: their names say what they are."""

    def __init__(
        self, judge: Judge, table: str, place: str, drop: Mapping[str, frozenset[int]], *, is_relabelled: bool
    ) -> None:
        super().__init__(judge, table, place, drop)
        self._label = base64.b64encode(strip_of(study_label(judge.job.code))).decode() if is_relabelled else None

    def blanks(self, text: str) -> str:
        """None: our reader looks into 16 KiB of the document, and of the rest it cannot say that nothing is there."""
        return ""

    def subject(self, name: str, attributes: Mapping[str, str]) -> tuple[str, str]:
        """An attribute by its name, anything else as it is called."""
        if name != "Attribute":
            return super().subject(name, attributes)
        return _ATTRIBUTES, attributes.get("Name", "")

    def _attribute(self, name: str, attribute: str, value: str) -> str | None:
        if (name, attribute) != ("Attribute", "Name"):
            return super()._attribute(name, attribute, value)
        # The element is there because a rule knows this name.
        return value

    def is_stock(self, name: str, attribute: str, value: str) -> bool:
        """See :meth:`markup.Filter.is_stock`; names of attributes are."""
        return attribute == "Name" or super().is_stock(name, attribute, value)

    def cleaned(self, name: str, about: str | None, text: str) -> str | None:
        """The settings of the export without its file name; a study label for the label's picture."""
        if name == _IMAGE_DATA:
            return self._label
        settings, _, file_name = text.partition("-sourceFilename=")
        self._judge.gone("file", file_name.strip().strip('"'))
        return "-".join(part for part in settings.split("-") if _SETTING.fullmatch(part))
