"""Which parser reads a file."""

from pathlib import Path
from types import ModuleType

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.parsers import PARSERS

_HEAD_BYTES = 4096


def find_parser(named: str, path: Path) -> ModuleType:
    """The parser that a source names, or the first that knows the file by its first bytes.

    Args:
        named: name of a parser, or ``auto``.
        path: the file.

    Raises:
        InputOutputError: the file cannot be read.
        UsageError: it is empty, or no parser knows it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise InputOutputError(
            f"{path.name} cannot be read ({type(error).__name__})", "Check the path in pathcurate.yaml and its permissions."
        ) from None
    if not head:
        raise UsageError(f"{path.name} is empty", "Export it again, or take it out of pathcurate.yaml.")
    for parser in PARSERS:
        if named == parser.NAME or (named == "auto" and parser.detects(head)):
            return parser
    raise UsageError(f"{path.name} is in no report format that is known", "Export it as CSV or TSV with a head row.")
