"""What is known of a recipe beside what it says: how it was written, and what an archive holds."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathcurate.errors import InputOutputError
from pathcurate.recipefile import RecipeSource
from pathcurate.recipefile.merged import Merged
from pathcurate.recipelint.of_archives import in_short
from pathcurate.recipelint.rule import Subject

_PROFILE = 1
"""The version of files of ``describe --export`` that is read."""
_MEANT = re.compile(r"is not a value of column `(\w+)`; did you mean `([^`]+)`\?")


def subject_of(source: RecipeSource, archive: Mapping[str, Any] | None = None) -> Subject:
    """A recipe as it was written, and what is known of the archive's columns and values."""
    document = source.document
    if not isinstance(document, Merged):
        return Subject(source.recipe, archive=archive)
    used = frozenset(name for name, _ in document.values.values())
    unpinned = frozenset(name for name in source.recipe.codelists or {} if _is_unpinned(document, name))
    return Subject(source.recipe, used_parameters=used, unpinned=unpinned, archive=archive)


def _is_unpinned(document: Merged, name: str) -> bool:
    origin, path = document.place(("codelists", name))
    written: Any = origin.data
    for step in path:
        written = written[step]
    return "file" in written and "sha256" not in written


def read_archive(file: Path) -> Mapping[str, Any]:
    """What ``describe --export`` wrote.

    Raises:
        InputOutputError: it is no such file.
    """
    try:
        content: Mapping[str, Any] = json.loads(file.read_bytes())
        is_known = content["profile"] == _PROFILE
        for table in content["tables"].values():
            _ = table["rows"], [column["name"] for column in table["columns"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        is_known = False
        content = {}
    if not is_known:
        raise InputOutputError(
            f"{file} is no profile of an archive", "Make one with `pathcurate describe --export profile.json`."
        )
    return content


def with_counts(message: str, archive: Mapping[str, Any]) -> str:
    """A message about values that no column can have, with how many rows have the value that was probably meant."""

    def told(found: re.Match[str]) -> str:
        column, value = found[1], found[2]
        counts = (
            one.get("counts", {}).get(value)
            for table in archive["tables"].values()
            for one in table["columns"]
            if one["name"] == column
        )
        count = next((one for one in counts if one is not None), 0)
        return f"{found[0].removesuffix('?')} ({in_short(count)})?"

    return _MEANT.sub(told, message)
