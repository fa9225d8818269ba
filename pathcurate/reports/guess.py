"""What the columns of an export seem to be, as a mapping file to edit."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pathcurate.delimited import Sheet, shown_head
from pathcurate.errors import UsageError
from pathcurate.mapping import Mapping
from pathcurate.parsers import lis
from pathcurate.reports.recognised import find_parser
from pathcurate.text import reportrow
from pathcurate.text.heads import Heads, resolve
from pathcurate.text.kinds import kind

_PLAIN = re.compile(r"[^\W\d]\w*")
_YAML_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True, slots=True)
class Guess:
    """What a file's columns seem to be.

    Attributes:
        rows: rows of the file.
        encoding: its encoding; None for a workbook.
        columns: our columns to the heads that are imported into them.
        open_columns: number of columns that are not imported.
        mapping: text of a mapping file that says the same; no cell of the file is in it.
    """

    rows: int
    encoding: str | None
    columns: dict[str, tuple[str, ...]]
    open_columns: int
    mapping: str


def guess_mapping(path: Path, *, encoding: str | None = None, sheet: str | None = None) -> Guess:
    """How a file that nobody has described names things, as a mapping file to edit.

    Args:
        path: the file; it need not be configured.
        encoding: Python's name of its encoding; detected if None.
        sheet: name of the sheet of a workbook.

    Raises:
        InputOutputError: the file cannot be read.
        UsageError: it is no table, or it is broken.
    """
    parser = find_parser("auto", path)
    if parser is not lis:
        # The first line of a report that is taken for a table may hold the patient's name.
        raise UsageError(
            f"{path.name} is no table: it is read as {parser.NAME}, which has no heads of columns",
            "Name it under `reports:` of its site and run `pathcurate reports import`.",
        )
    mapping = Mapping.model_construct(encoding=encoding, sheet=sheet)
    table = lis.read_mapped(path, mapping)
    heads = resolve("reports", table.heads, {}, path.name)
    lies = lis.lying_heads(table, heads, mapping)
    heads = lis.without(heads, lies)
    lines = [
        f"# How {_quoted(path.name)} names things; {len(table.rows):,} rows below the heads in row {table.head_row}.",
        "# Correct it, and name it as `mapping` of the report source in pathcurate.yaml.",
        *([f"encoding: {table.encoding}"] if table.encoding else ["# A workbook needs no encoding."]),
        *([f"sheet: {_quoted(sheet)}"] if sheet else []),
        "columns:" if heads.columns else "columns: {}",
        *_imported_lines(heads),
        *_open_lines(table, heads, lies),
        *_values_lines(table, heads),
    ]
    return Guess(
        len(table.rows), table.encoding, dict(heads.columns), len(heads.unknown) + len(lies) + len(table.unnamed),
        "".join(f"{line}\n" for line in lines),
    )  # fmt: skip


def _imported_lines(heads: Heads) -> Iterator[str]:
    if "accession" not in heads.columns:
        yield "  # Needed, and not found: the case number. Remove `{}` above.\n  # accession: HEAD"
    for name, chosen in heads.columns.items():
        quoted = [_quoted(head) for head in chosen]
        text = quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"
        initials = [head for head in chosen if head in heads.by_pinyin]
        yield f"  {name}: {text}  # {'by initials of a known head' if initials else 'known head'}"


def _open_lines(table: Sheet, heads: Heads, lies: dict[str, tuple[str, str]]) -> Iterator[str]:
    for head, (name, held) in lies.items():
        yield f"  # {name}: {_quoted(head)}  # not imported: the values are of another kind ({held})"
    for index in heads.unknown:
        shown = shown_head(table.heads, index)
        head = _quoted(table.heads[index]) if shown.startswith("`") else f"({shown})"
        by_values = _by_values(table, table.heads[index])
        yield f"  # COLUMN: {head}  # {heads.left_out.get(index, f'not known; {by_values}')}"
    for number in table.unnamed:
        yield f"  # column {number} has cells but no head"


def _by_values(table: Sheet, head: str) -> str:
    held = kind([row.cells[head] for row in table.rows])
    return f"{held} by its values" if held else "its values say nothing"


def _values_lines(table: Sheet, heads: Heads) -> Iterator[str]:
    """Stubs for columns with a closed set of values, in whose cells there is something else."""
    stubs = []
    for name, codes in reportrow.CODES.items():
        texts = [heads.cell(row.cells, name) for row in table.rows] if name in heads.columns else []
        count = sum(1 for text in texts if text and not reportrow.is_understood(name, text))
        if count:
            stubs.append(
                f"#   {name}: {{WHAT THE FILE WRITES: {codes[0]}}}  # {count:,} cells mean none of {', '.join(codes)}"
            )
    return iter(["# values:", *stubs] if stubs else [])


def _quoted(text: str) -> str:
    """A text as YAML, on one line whatever is in it."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
