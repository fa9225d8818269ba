"""An annotation file as text, whether packed by gzip or not, a block at a time; its bytes say what it is, not its name."""

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, TextIO, cast

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.sources import SourceFile

_BLOCK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_MOST_BYTES: Final = 16 << 30
"""A detection export of half a million cells has 1 GB; what unpacks to more than this is a bomb."""
_BLANK: Final = " \t\r\n\ufeff\0"
FORMATS: Final = {"{": "geojson", "[": "geojson", "<": "asap"}
"""First character of a file to its format."""


class AnnotationText:
    """The text of a file.

    Args:
        file: the file.

    Raises:
        InputOutputError: it cannot be read.
        UsageError: it is empty, is no text, or is packed and damaged.
    """

    def __init__(self, file: SourceFile) -> None:
        self._path, self._shown = file.path, file.shown
        self._encoding = self._found()

    @contextmanager
    def opened(self) -> Iterator[TextIO]:
        """The text from its beginning."""
        with self._bytes() as file:
            yield cast(TextIO, codecs.getreader(self._encoding)(file))

    def format(self) -> str:
        """The format by the first character that is not blank, as ``pathcurate.yaml`` names it.

        Raises:
            UsageError: it is neither JSON nor XML.
        """
        with self.opened() as text:
            while block := text.read(_BLOCK):
                if begin := block.lstrip(_BLANK):
                    if begin[0] in FORMATS:
                        return FORMATS[begin[0]]
                    raise UsageError(
                        f"{self._shown} is neither GeoJSON nor an XML file of ASAP",
                        "Export it again, or take it out of the source's folder.",
                    )
        raise UsageError(f"{self._shown} is empty", "Export it again, or take it out of the source's folder.")

    def _found(self) -> str:
        with self._bytes() as file:
            encoding = json.detect_encoding(file.read(4))
        # Older QuPath on a Chinese Windows writes in the system's encoding.
        for candidate in [encoding] if encoding not in {"utf-8", "utf-8-sig"} else [encoding, "gb18030"]:
            if self._is_in(candidate):
                return candidate
        raise UsageError(f"{self._shown} is not text in a known encoding", "Export it again, in UTF-8.")

    def _is_in(self, encoding: str) -> bool:
        decoder, total = codecs.getincrementaldecoder(encoding)(), 0
        with self._bytes() as file:
            try:
                while block := file.read(_BLOCK):
                    total += len(block)
                    if total > _MOST_BYTES:
                        raise UsageError(
                            f"{self._shown} holds more than {_MOST_BYTES >> 30} GiB",
                            "Split it, or leave out the detections.",
                        )
                    decoder.decode(block)
                decoder.decode(b"", final=True)
            except UnicodeError:
                return False
        return True

    @contextmanager
    def _bytes(self) -> Iterator[BinaryIO]:
        try:
            with self._path.open("rb") as file:
                is_packed = file.read(len(_GZIP)) == _GZIP
                file.seek(0)
                yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_packed else file
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise UsageError(f"{self._shown} is packed, and damaged or cut off", "Copy or export it again.") from None
        except UnicodeError:
            raise UsageError(f"{self._shown} changed while it was read", "Import it again.") from None
        except OSError as error:
            raise InputOutputError(
                f"{self._shown} cannot be read ({type(error).__name__})",
                "Check the path in pathcurate.yaml and its permissions.",
            ) from None


def source_name(name: str) -> str:
    """What the name of a file says of its slide: the name without the endings that annotation tools add."""
    for ending in (".gz", ".geojson", ".json", ".xml"):
        if name.lower().endswith(ending) and len(name) > len(ending):
            name = name[: -len(ending)]
    return name
