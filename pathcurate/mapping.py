"""Mapping files: how one export names things."""

import codecs
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.yamlsource import did_you_mean


def _heads(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _text_encoding(name: str) -> str:
    try:
        "".encode(name)
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError(f"`{name}` is not a known encoding, such as utf-8 or gb18030") from None


Text = Annotated[str, StringConstraints(min_length=1)]
Heads = Annotated[tuple[Text, ...], Field(min_length=1), BeforeValidator(_heads)]


class Mapping(BaseModel):
    """How one export names things.

    Attributes:
        encoding: the export's encoding, by Python's name for it; None to detect it.
        sheet: name of the sheet of a workbook; None for the first with known heads.
        columns: our column to the export's heads, of which the first that is there counts.
        constants: our column to the text that stands in every row.
        values: our column to what the export writes and what we write for it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoding: Annotated[str, AfterValidator(_text_encoding)] | None = None
    sheet: Text | None = None
    columns: dict[str, Heads] = Field(default_factory=dict)
    constants: dict[str, str] = Field(default_factory=dict)
    values: dict[str, dict[str, str]] = Field(default_factory=dict)


def load_mapping(file: Path, columns: Collection[str]) -> Mapping:
    """Read a mapping file.

    Args:
        file: the file.
        columns: the columns that the kind of export may have.

    Raises:
        UsageError: with all problems and where they are.
    """
    document = yamlsource.load(file, str(file), UsageError)
    mapping = yamlsource.validate(document, Mapping, UsageError)
    problems = [
        document.problem((part, name), f"unknown column `{name}`{did_you_mean(name, columns)}", key=True)
        for part in ("columns", "constants", "values")
        for name in getattr(mapping, part)
        if name not in columns
    ]
    problems += [
        document.problem(("constants", name), f"column `{name}` is under `columns` too", key=True)
        for name in mapping.constants
        if name in mapping.columns
    ]
    yamlsource.fail(document, problems, UsageError)
    return mapping
