"""Office Open XML files (ISO/IEC 29500-2) from outside: what is measured and refused before one is opened."""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element, ParseError
from xml.parsers.expat import ExpatError, ParserCreate

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from pathcurate.errors import UsageError

LARGEST_FILE = 32 << 20
_MOST_CONTENT = 128 << 20
_MOST_PARTS = 2000
_TYPES = "[Content_Types].xml"
_MAIN: Mapping[str, tuple[str, str]] = {
    ".docx": ("wordprocessingml.document.main+xml", "Word"),
    ".xlsx": ("spreadsheetml.sheet.main+xml", "Excel"),
}
# Macros and what else runs when a person opens the file, and links to other files.
_ACTIVE = re.compile(
    r"vbaproject|activex|macrosheets|dialogsheets|oleobject|/embeddings/|externallinks|customui|webextension"
)
_ACTIVE_TYPES = re.compile(r"macroenabled|vbaproject|activex|macrosheet|intlmacro|oleobject|externallink")
_CORE = "docProps/core.xml"
_TIMES = re.compile(rb"(<dcterms:(?:created|modified)\b[^>]*>)[^<]*(</dcterms:(?:created|modified)>)")
_DAY_OF_ZIP = (1980, 1, 1, 0, 0, 0)
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, OSError, KeyError, NotImplementedError)
_TAG = re.compile(rb"<[^>]*>")

Parts = dict[str, bytes]
"""Name of a part to its bytes."""


def read_parts(data: bytes, name: str) -> Parts:
    """The parts of a template, if it is what its extension says and nothing in it runs or leads elsewhere.

    Refused are more than 32 MB, 128 MB of content or 2,000 parts, whatever the file says of its sizes; a document type
    declaration; macros, controls and embedded objects; and relations to anything outside but hyperlinks.

    Args:
        data: the file.
        name: its name; its extension is ``.docx`` or ``.xlsx``.

    Raises:
        UsageError: it is one of these, or no such file.
    """
    suffix = name[-5:].lower()
    if suffix not in _MAIN:
        raise UsageError(f"{name} is no .docx or .xlsx", "Save the template as .docx or .xlsx, without macros.")
    if len(data) > LARGEST_FILE:
        raise _too_large(name)
    parts = _inflated(data, name)
    kind, program = _MAIN[suffix]
    types = _types(parts, name)
    if any(_ACTIVE.search(f"/{part}".lower()) for part in parts) or any(_ACTIVE_TYPES.search(one.lower()) for one in types):
        raise UsageError(
            f"{name} holds macros, controls, embedded objects or links to other files",
            f"Open it in {program}, remove them, and save it as {suffix}.",
        )
    if not any(one.endswith(kind) for one in types):
        raise UsageError(f"{name} is no {suffix} file", f"Open it in {program} and save it as {suffix}.")
    for part, content in parts.items():
        if part.endswith((".xml", ".rels", ".vml")):
            _check_xml(content, part, name)
    return parts


def _inflated(data: bytes, name: str) -> Parts:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = {info.filename.lower() for info in infos}
            if len(infos) > _MOST_PARTS or sum(info.file_size for info in infos) > _MOST_CONTENT:
                raise _too_large(name)
            if len(names) < len(infos) or any(".." in part or part.startswith(("/", "\\")) for part in names):
                raise zipfile.BadZipFile
            # A part is read no further than the size that was added up; one that is longer fails its checksum.
            return {info.filename: archive.read(info) for info in infos if not info.is_dir()}
    except _BROKEN as error:
        kind = type(error).__name__
    raise UsageError(
        f"{name} is no .docx or .xlsx that can be read ({kind})",
        "Open it in the program that it is for, and save it again, without a password.",
    )


def _too_large(name: str) -> UsageError:
    return UsageError(
        f"{name} is too large for a template (32 MB, 128 MB of content or 2,000 parts), or packed like a bomb",
        "Take large pictures out of it.",
    )


def _types(parts: Parts, name: str) -> list[str]:
    root = _parsed(parts.get(_TYPES, b""), _TYPES, name)
    return [element.get("ContentType", "") for element in root]


def _parsed(content: bytes, part: str, name: str) -> Element:
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise _no_xml(part, name, error) from None
    return root


def _no_xml(part: str, name: str, error: Exception) -> UsageError:
    return UsageError(
        f"{name}: its part {part[:80]} is no XML that may be read ({type(error).__name__})",
        "Open it in the program that it is for, and save it again.",
    )


def _refuse_doctype(*_: object) -> None:
    raise ValueError("a document type may declare entities")


def _check_xml(content: bytes, part: str, name: str) -> None:
    # Most of a file is style sheets: they are parsed, but no tree is made of them.
    parser = ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(content, True)
    except (ExpatError, ValueError, LookupError) as error:
        raise _no_xml(part, name, error) from None
    for relation in _parsed(content, part, name) if part.endswith(".rels") else ():
        leads_out = relation.get("TargetMode", "").lower() == "external"
        if leads_out and not relation.get("Type", "").endswith("/hyperlink"):
            raise UsageError(
                f"{name} loads something from outside ({relation.get('Type', '').rpartition('/')[2][:40]})",
                "Put it into the file, or remove it: whoever opens the file would be sent there.",
            )


def placeholders_outside(parts: Parts, filled: re.Pattern[str]) -> Iterator[str]:
    """Parts with a placeholder in them that are not filled."""
    for part, content in parts.items():
        if part.endswith(".xml") and not filled.fullmatch(part) and b"{{" in _TAG.sub(b"", content):
            yield part


def packed(data: bytes, template: Parts) -> bytes:
    """A filled file with the same bytes whenever it is made: without times of its making, and not compressed.

    Other builds of zlib compress to other bytes; such files are small.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    if _CORE in template:
        parts[_CORE] = template[_CORE]
    elif _CORE in parts:
        parts[_CORE] = _TIMES.sub(rb"\g<1>1980-01-01T00:00:00Z\g<2>", parts[_CORE])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(parts, key=lambda part: (part != _TYPES, part)):
            info = zipfile.ZipInfo(name, _DAY_OF_ZIP)
            info.create_system = 3
            info.external_attr = 0o600 << 16
            archive.writestr(info, parts[name])
    return out.getvalue()
