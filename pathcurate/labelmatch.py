"""Does a file hold the sealed labels? Each of its columns is compared with them, whatever it is called."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from unicodedata import normalize

import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate.delimited import clean, open_export
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.benchmark import WITH_CLASSES, BenchmarkTask
from pathcurate.tables import column_values

IMPROBABLE = 1e-6
"""Below this chance of guessing all of them rightly, labels that all agree were not guessed."""
_PARQUET = b"PAR1"
_MOST_COLUMNS = 500

Cells = dict[str, Sequence[str | None]]


@dataclass(frozen=True, slots=True)
class Match:
    """How far a file holds the sealed labels.

    Attributes:
        column: that agrees best; empty if none names a unit's label.
        units: how many of the sealed units the file names.
        equal: of these, how many have the sealed label in that column.
        chance: of guessing the labels of all the units that it names, from 0 to 1.
        rows: units in all.
    """

    column: str
    units: int
    equal: int
    chance: float
    rows: int

    @property
    def is_whole(self) -> bool:
        """Whether it holds the label of every unit."""
        return self.rows > 0 and self.equal == self.rows

    @property
    def is_taken(self) -> bool:
        """Whether nobody can have guessed them: all labels that it names are right, and too many for luck."""
        return 0 < self.units == self.equal and self.chance < IMPROBABLE


def match_labels(path: Path, task: BenchmarkTask, labels: pa.Table) -> Match:
    """Compare a file with the sealed labels.

    Units are found by their codes in any column. A column agrees where it says the label, its number, or with certainty
    the class that the label is (1 and 0 in columns of probabilities).

    Args:
        path: CSV, workbook, JSON lines or Parquet.
        task: of the sealed evaluation.
        labels: :data:`~pathcurate.model.benchmark.SEALED_LABELS`.

    Raises:
        InputOutputError: it cannot be read.
        UsageError: it is no table, or has too many columns.
    """
    columns = read_columns(path)
    known = dict(zip(column_values(labels, "unit_id"), _truths(task, labels), strict=True))
    named = [(sum(cell in known for cell in cells), name) for name, cells in columns.items()]
    count, units = max(named, default=(0, ""))
    if not count:
        return Match("", 0, 0, 1.0, len(known))
    places = {code: place for place, code in enumerate(columns[units]) if code in known}
    truths = [known[code] for code in places if code is not None]
    chance = _chance(known, truths)
    best = Match("", len(places), 0, chance, len(known))
    for name, said in _says(task, {name: cells for name, cells in columns.items() if name != units}):
        equal = sum(truth == said[place] for truth, place in zip(truths, places.values(), strict=True))
        if equal > best.equal:
            best = Match(name, len(places), equal, chance, len(known))
    return best


def _chance(known: Mapping[str, str], truths: Sequence[str]) -> float:
    """Of guessing all of these labels rightly, when each is guessed as often as it occurs."""
    often = Counter(known.values())
    return math.prod(often[truth] / len(known) for truth in truths)


def _truths(task: BenchmarkTask, labels: pa.Table) -> list[str]:
    name = "days" if task.task == "survival" else "truth"
    return [_plain(task, str(value)) for value in column_values(labels, name)]


def _plain(task: BenchmarkTask, text: str) -> str:
    """A label in the one form that is compared: numbers as numbers, several answers in any order."""
    text = normalize("NFC", text.strip())
    if task.task == "choice":
        return ";".join(sorted(part.strip() for part in text.split(";")))
    if task.task in WITH_CLASSES:
        return text
    try:
        number = Decimal(text)
        return str(number.normalize()) if number.is_finite() else text
    except InvalidOperation:
        return text


def _says(task: BenchmarkTask, columns: Cells) -> Iterator[tuple[str, list[str]]]:
    """What each column says of the labels, and what columns of certain probabilities say together."""
    for name, cells in columns.items():
        yield name, [_plain(task, cell or "") for cell in cells]
        if task.task == "binary" and (certain := _certain(cells)) is not None:
            other = next(one for one in task.classes if one != task.positive)
            yield name, [task.positive if sure else other for sure in certain]
        if task.task == "survival":
            yield name, [_plain(task, (cell or "").removeprefix("-")) for cell in cells]
    of_classes = [_certain(columns[f"p_{one}"]) if f"p_{one}" in columns else None for one in task.classes]
    if task.task in WITH_CLASSES and None not in of_classes:
        rows = zip(*[one for one in of_classes if one is not None], strict=True)
        yield "p_…", [task.classes[row.index(True)] if True in row else "" for row in rows]


def _certain(cells: Sequence[str | None]) -> list[bool] | None:
    """Which cells are 1; None if one is neither 1 nor 0."""
    found = []
    for cell in cells:
        try:
            number = float(cell or "")
        except ValueError:
            return None
        if number not in (0.0, 1.0):
            return None
        found.append(number == 1.0)
    return found


# --- Files ---------------------------------------------------------------------------------------------------------------


def read_columns(path: Path) -> Cells:
    """The columns of a table as text, by their heads.

    Raises:
        InputOutputError: it cannot be read.
        UsageError: it is no table, or has more than 500 columns.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise InputOutputError(f"{path.name} cannot be read ({type(error).__name__})", "Check its path.") from None
    if start.startswith(_PARQUET):
        columns = _of_parquet(path)
    elif start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
        columns = _of_lines(path)
    else:
        columns = _of_sheet(path)
    if len(columns) > _MOST_COLUMNS:
        raise UsageError(f"{path.name} has more than {_MOST_COLUMNS} columns", "Leave out those that are not needed.")
    return columns


def _of_parquet(path: Path) -> Cells:
    try:
        data = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise InputOutputError(
            f"{path.name} cannot be read as Parquet ({type(error).__name__})",
            "Run `pathcurate cohort RECIPE` again, which writes it.",
        ) from None
    return {
        name: [None if value is None else str(value) for value in column_values(data, name)]
        for name in dict.fromkeys(data.column_names)
        if data.column_names.count(name) == 1
    }


def _of_sheet(path: Path) -> Cells:
    export = open_export(path)
    rows = [list(map(clean, cells)) for _, cells in export.lines() if not isinstance(cells, str)]
    return {
        head: [row[place] if place < len(row) else "" for row in rows] for place, head in enumerate(export.heads) if head
    }


def _of_lines(path: Path) -> Cells:
    """JSON, an object a line."""
    rows: list[dict[str, str | None]] = []
    heads: dict[str, None] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                if line.strip():
                    rows.append({name: _text(value) for name, value in json.loads(line).items()})
                    heads |= dict.fromkeys(rows[-1])
                    if len(heads) > _MOST_COLUMNS:
                        break
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputOutputError(
            f"{path.name} cannot be read as JSON lines, at object {len(rows) + 1} ({type(error).__name__})",
            "Each line is one JSON object in UTF-8.",
        ) from None
    return {head: [row.get(head) for row in rows] for head in heads}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return ";".join(str(one) for one in value)
    return json.dumps(value, ensure_ascii=False)
