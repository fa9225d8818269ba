"""Lines of JSON of which each holds the digest of the one before, so that none can be changed, moved or left out unseen."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import DigestMismatchError
from pathcurate.model.feed import FIRST_PREVIOUS

MOST_BYTES = 256 << 20
"""Of a whole list. A line about a patient with a thousand slides has 50 kB."""
_HINT = "Nothing that it says can be relied on; get it again from whoever keeps it."


def read_lines(content: bytes, where: str) -> list[dict[str, Any]]:
    """The lines of a list, oldest first, each a mapping with ``seq``, ``previous``, ``digest`` and what else it says.

    Args:
        content: of the file.
        where: its name, for messages.

    Raises:
        DigestMismatchError: a line is missing, was changed or moved, is cut off, or could be read in two ways.
    """
    if len(content) > MOST_BYTES:
        raise DigestMismatchError(f"{where} is larger than {MOST_BYTES >> 20} MiB", _HINT)
    *lines, rest = content.split(b"\n")
    if rest:
        raise DigestMismatchError(f"the last line of {where} is cut off", _HINT)
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        said = _parsed(line)
        if said is None or said.get("seq") != number or isinstance(said["seq"], bool):
            raise DigestMismatchError(
                f"line {number} of {where} is no line of such a list, or not the one of that number", _HINT
            )
        if said.get("previous") != (found[-1]["digest"] if found else FIRST_PREVIOUS):
            raise DigestMismatchError(f"line {number} of {where} does not follow the line before it", _HINT)
        if said.get("digest") != line_digest(said):
            raise DigestMismatchError(f"line {number} of {where} was changed", _HINT)
        found.append(said)
    return found


def next_line(lines: Sequence[Mapping[str, Any]], members: Mapping[str, Any]) -> dict[str, Any]:
    """A line that follows these, with its number and digests."""
    line = {**members, "seq": len(lines) + 1, "previous": lines[-1]["digest"] if lines else FIRST_PREVIOUS}
    return {**line, "digest": line_digest(line)}


def line_digest(line: Mapping[str, Any]) -> str:
    """The digest of all that a line says, but itself."""
    return sha256_text(canonical_json({name: value for name, value in line.items() if name != "digest"}))


def head_of(lines: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
    """How many lines there are, and the digest of the last."""
    return (len(lines), str(lines[-1]["digest"])) if lines else (0, FIRST_PREVIOUS)


def content_of(lines: Sequence[Mapping[str, Any]]) -> bytes:
    """The file of these lines."""
    return b"".join(canonical_json(line) + b"\n" for line in lines)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line, if it has the one form in which it is written: then nobody can read it in another way."""
    try:
        said = json.loads(line.decode())
        is_plain = isinstance(said, dict) and canonical_json(said) == line
    except (ValueError, TypeError, RecursionError):
        return None
    return said if is_plain else None
