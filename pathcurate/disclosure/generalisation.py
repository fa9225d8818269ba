"""Makes a table coarser, one step at a time, until enough persons share each combination of quasi-identifiers.

Greedy, in the manner of Datafly (Sweeney 2002, section 4.2) with a loss of information: each step is the one that puts most
persons into classes that are large enough, for what it takes away. The loss of a step is the share that it takes of what the
release tells of a trait (age, say), in Shannon entropy. When few enough persons are left, steps that later ones made
needless are taken back, the dearest first, and the rows in classes that are still too small are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pathcurate.disclosure.risk import Classes, Codes, classes, codes, combined
from pathcurate.errors import DisclosureRefusedError
from pathcurate.model.deidentified import BAND_WIDTHS, age_band, age_bands

Columns = Mapping[str, "pa.ChunkedArray[Any]"]


@dataclass(frozen=True, slots=True)
class Ladder:
    """What is shown of a trait, from the finest to nothing.

    Attributes:
        trait: what people call it.
        columns: those that tell it, the finest first; of those in a table the finest is taken away first.
        is_last: whether it is touched only when the others have no step left.
    """

    trait: str
    columns: tuple[str, ...]
    is_last: bool = False


LADDERS = (
    Ladder("age", ("age", "age_band")),
    Ladder("scan date", ("scan_datetime", "scan_quarter", "scan_year")),
    Ladder("date of receipt", ("received_date", "received_quarter", "received_year")),
    Ladder("date of report", ("reported_date", "reported_quarter", "reported_year")),
    Ladder("province", ("province",)),
    Ladder("scanner", ("scanner_model",)),
    Ladder("site", ("site",)),
    Ladder("sex", ("sex",), is_last=True),
)
"""Where two steps are equally good, the earlier ladder's is taken. Between an age and none there are bands of five, ten and
twenty years. A column without a ladder has one of its own: it is shown or left out."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What may go out of a table.

    Attributes:
        columns: what is left of the quasi-identifiers, by name, for every row of the table.
        is_kept: for each row whether it goes out.
        steps: what was made coarser, in words.
        suppressed: persons of whom rows stay behind.
    """

    columns: Columns
    is_kept: npt.NDArray[np.bool_]
    steps: tuple[str, ...]
    suppressed: int


def reach(data: pa.Table, quasi: Sequence[str], persons: "pa.ChunkedArray[Any]", k: int, most_suppressed: float) -> Reached:
    """Make quasi-identifiers coarser until each combination is that of ``k`` persons, and leave out what cannot be.

    Args:
        data: the table.
        quasi: its quasi-identifiers.
        persons: whose each row is, by any codes.
        k: least persons in a class.
        most_suppressed: share of the persons of whom rows may be left out.

    Raises:
        DisclosureRefusedError: it cannot be reached.
    """
    owners = codes(persons)
    ladders = [ladder for ladder in _ladders(quasi) if set(ladder.columns) & set(quasi)]
    shown = [{name: data[name] for name in ladder.columns if name in quasi} for ladder in ladders]
    rungs = [_rungs(ladder, columns, data.num_rows) for ladder, columns in zip(ladders, shown, strict=True)]
    search = _Search(rungs, [ladder.is_last for ladder in ladders], owners, k, most_suppressed)
    if not search.climb():
        raise DisclosureRefusedError(
            f"k = {k} cannot be reached: the cohort has {search.people} persons, and with every quasi-identifier left out "
            f"all of them are one class (k = {search.people}, persons below: {search.people})",
            f"Widen the recipe to at least {k} persons, or lower its `disclosure.k` or the profile's k: one asks for {k}.",
        )
    search.climb_down()
    chosen = [steps[height] for steps, height in zip(rungs, search.heights, strict=True)]
    found = classes([rung.codes for rung in chosen], owners)
    return Reached(
        {name: column for rung in chosen for name, column in rung.columns.items()},
        found.sizes[found.of_row] >= k,
        tuple(rung.words for rung in chosen if rung.words),
        int((found.smallest < k).sum()),
    )


def _ladders(quasi: Sequence[str]) -> Iterator[Ladder]:
    yield from LADDERS
    known = {name for ladder in LADDERS for name in ladder.columns}
    yield from (Ladder(name, (name,)) for name in quasi if name not in known)


@dataclass(frozen=True, slots=True)
class _Rung:
    """One state of a trait.

    Attributes:
        columns: what is shown of it.
        words: what that means; empty for what was there at first.
        codes: of each row's values.
        entropy: what they tell, in bits a row.
    """

    columns: Columns
    words: str
    codes: Codes
    entropy: float


def _rungs(ladder: Ladder, shown: Columns, rows: int) -> list[_Rung]:
    """The states of a trait, each of which shows less than the one before."""
    rungs = [_rung(shown, "", rows)]
    for coarser, words in _states(shown):
        rung = _rung(coarser, f"{ladder.trait} is {words}", rows)
        if rung.codes.max(initial=0) < rungs[-1].codes.max(initial=0):  # else nobody is more alike than before
            rungs.append(rung)
    return rungs


def _rung(shown: Columns, words: str, rows: int) -> _Rung:
    found = combined([codes(column) for column in shown.values()], rows)
    share = np.bincount(found) / rows
    return _Rung(shown, words, found, float(-(share * np.log2(share)).sum()))


def _states(shown: Columns) -> Iterator[tuple[Columns, str]]:
    """What is shown of a trait on each step below, and what that means."""
    left = dict(shown)
    for name, column in shown.items():
        del left[name]
        if left:
            means = f"shown in bands of {_width(left['age_band'])} years" if "age_band" in left else _only(left)
            yield dict(left), means
        elif name in {"age", "age_band"}:
            shown_now = _width(column) if name == "age_band" else 0
            for width in BAND_WIDTHS:
                if width > shown_now:
                    yield {"age_band": _banded(column, width)}, f"shown in bands of {width} years"
    yield {}, "left out"


def _only(left: Columns) -> str:
    return f"shown as {' and '.join(name.rpartition('_')[2] for name in left)} only"


def _width(bands: "pa.ChunkedArray[Any]") -> int:
    """Years of the bands in a column; the narrowest that they can be."""
    values = set(bands.unique().drop_null().to_pylist())
    return next((width for width in BAND_WIDTHS if values <= set(age_bands(width))), BAND_WIDTHS[-1])


def _banded(values: "pa.ChunkedArray[Any]", width: int) -> "pa.ChunkedArray[Any]":
    """Ages, or narrower bands of them, as bands."""
    encoded = values.combine_chunks().dictionary_encode()
    ages = [_least(value) for value in encoded.dictionary.to_pylist()]
    bands = pa.array([age_band(age, width) for age in ages], pa.string())
    return pa.chunked_array([bands.take(encoded.indices)])


def _least(value: Any) -> int:
    """An age, or the least of a band, which is written ``5-9`` or ``90+``."""
    return value if isinstance(value, int) else int(str(value).partition("-")[0].rstrip("+"))


class _Search:
    """Where on each ladder a table stands.

    Attributes:
        heights: how many steps were taken on each ladder.
        people: persons in the table.
    """

    def __init__(
        self, rungs: Sequence[Sequence[_Rung]], is_last: Sequence[bool], owners: Codes, k: int, most_suppressed: float
    ) -> None:
        self._rungs, self._is_last, self._k = rungs, is_last, k
        self.people = int(owners.max(initial=-1)) + 1
        # A person's rows that are alike from the beginning stay alike.
        alike = combined([owners, *(steps[0].codes for steps in rungs)], len(owners))
        first = np.unique(alike, return_index=True)[1]
        self._owners = owners[first]
        self._codes = [[rung.codes[first] if rung.columns else None for rung in steps] for steps in rungs]
        # Exact: 0.07 of 100 persons are 7, and not a hair more.
        self._allowed = min(floor(Fraction(str(most_suppressed)) * self.people), self.people - 1)
        self.heights = [0] * len(rungs)

    def climb(self) -> bool:
        """Take steps until few enough persons are in classes that are too small; False if that cannot be."""
        found = self._classes(self.heights)
        while self._below(found) > self._allowed:
            tried = [(self._worth(step, found), step) for step in self._steps()]
            if not tried:
                return False
            self.heights = max(tried, key=lambda pair: pair[0])[1]
            found = self._classes(self.heights)
        return True

    def climb_down(self) -> None:
        """Take back what is not needed, the dearest step first."""
        while needless := [lower for lower in self._neighbours(-1) if self._below(self._classes(lower)) <= self._allowed]:
            self.heights = max(needless, key=lambda lower: round(self._loss(lower, self.heights), 9))

    def _steps(self) -> list[list[int]]:
        """Where one step leads, on the ladders that are to be taken first."""
        steps = list(self._neighbours(1))
        early = [step for step in steps if not self._is_last[_moved(self.heights, step)]]
        return early or steps

    def _neighbours(self, by: int) -> Iterator[list[int]]:
        for number, height in enumerate(self.heights):
            if 0 <= height + by < len(self._rungs[number]):
                yield [*self.heights[:number], height + by, *self.heights[number + 1 :]]

    def _worth(self, step: list[int], now: Classes) -> tuple[float, float, int]:
        """Persons that come into classes large enough, and how much nearer the others come, for what is lost."""
        found = self._classes(step)
        loss = max(self._loss(self.heights, step), 1e-9)
        near = np.minimum(found.smallest, self._k).sum() - np.minimum(now.smallest, self._k).sum()
        gained = self._below(now) - self._below(found)
        return round(gained / loss, 9), round(float(near) / loss, 9), -_moved(self.heights, step)

    def _loss(self, finer: list[int], coarser: list[int]) -> float:
        steps = self._rungs[_moved(finer, coarser)]
        number = _moved(finer, coarser)
        return (steps[finer[number]].entropy - steps[coarser[number]].entropy) / steps[0].entropy

    def _classes(self, heights: Sequence[int]) -> Classes:
        chosen = [steps[height] for steps, height in zip(self._codes, heights, strict=True)]
        return classes([column for column in chosen if column is not None], self._owners)

    def _below(self, found: Classes) -> int:
        return int((found.smallest < self._k).sum())


def _moved(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of the ladder on which two states differ."""
    return next(number for number, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
