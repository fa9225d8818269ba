"""Figures that a benchmark measured, for the one table of all of them.

A script prints what it likes; each figure that somebody named a limit or a peer for it also records as a row. Rows go to the
file that ``PATHCURATE_BENCH_ROWS`` names, a line of JSON each; without one nothing is written.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

ROWS_FILE = "PATHCURATE_BENCH_ROWS"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        what: what was measured, and on what.
        ours: our figure; None if nothing could be measured.
        unit: of both figures and the limit.
        peer: the peer's figure in the same run, None if nobody else does this.
        peer_name: who that is.
        wanted: the limit, None if none was named.
        at_least: whether the limit is the least that is wanted, and more is better; else the most.
        peak_bytes: the most memory of the process that did it, None if that was not looked at.
    """

    what: str
    ours: float | None
    unit: str
    peer: float | None = None
    peer_name: str = ""
    wanted: float | None = None
    at_least: bool = True
    peak_bytes: int | None = None

    @property
    def ratio(self) -> float | None:
        """How many times better ours is than the peer: more than 1 is a win, whichever way the figure counts."""
        if not self.ours or not self.peer:
            return None
        return self.ours / self.peer if self.at_least else self.peer / self.ours

    @property
    def is_met(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        if self.wanted is None:
            return None
        if self.ours is None:
            return False
        return self.ours >= self.wanted if self.at_least else self.ours <= self.wanted


def record(row: Row) -> None:
    """Note a row for the table."""
    name = os.environ.get(ROWS_FILE)
    if name:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")


def read_rows(path: Path) -> list[Row]:
    """The rows that were noted, in their order; none if there is no file."""
    names = {field.name for field in fields(Row)}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    noted: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
    return [Row(**{name: value for name, value in one.items() if name in names}) for one in noted]
