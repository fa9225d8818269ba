"""Nights that only bring new files: a catalog made of them is what one import of all files makes, whatever comes between."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.forgotten import PATIENT, remember
from pathcurate.tables import Catalog
from tests.property.test_import_property import EXPORT, REPORT, SETTINGS, Desk

NAMES = ("1.csv", "2.csv", "3.csv", "4.csv", "5.csv")
NIGHT = st.tuples(st.lists(REPORT, max_size=4), st.integers(-1, 7))
"""What a new file holds, and before which write the import is killed; -1 for none."""


class KilledError(Exception):
    """The process is no more."""


def killed(desk: Desk, before: int) -> None:
    """An import that comes to an end before it writes for the time given, or does not."""
    write, left = Catalog._log, [before]

    def writes(*args: Any, **named: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError
        write(*args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Catalog, "_log", writes)
        with suppress(KilledError):
            desk.run()


@settings(SETTINGS, max_examples=10)
@given(st.permutations(NAMES), st.lists(NIGHT, min_size=2, max_size=5), st.booleans(), EXPORT, st.integers(0, 5))
def test_nights_give_what_one_import_gives(
    names: list[str], nights: list[tuple[list[Any], int]], is_erased: bool, changed: list[Any] | None, at: int
) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        daily, once = Desk(root / "daily"), Desk(root / "once")
        for desk in (daily, once):
            if is_erased:
                remember(desk.workspace.vault, [(PATIENT, "NB01", "P2")])
        daily.run()
        state: dict[str, Any] = {}
        for number, (name, (rows, death)) in enumerate(zip(names, nights, strict=False)):
            state[name] = rows
            daily.put({name: rows})
            if number == at:
                # A file of before is another now, or gone, in the night in which a new one comes.
                state[names[0]] = changed
                daily.put({names[0]: changed})
            if death >= 0:
                killed(daily, death)
                if number == at - 1:
                    # What the killed import has read is taken away before the next one.
                    state[name] = None
                    daily.put({name: None})
            daily.run()
        once.put(state)
        once.run()
        assert daily.kept() == once.kept()
    finally:
        shutil.rmtree(root)
