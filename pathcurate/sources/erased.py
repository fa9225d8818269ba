"""Rows of erased persons are left out of every import, and counted."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pathcurate.forgotten import Forgotten
from pathcurate.model.finding import Finding, Severity


class _Row(Protocol):
    @property
    def row(self) -> dict[str, Any]:
        """Its values by column."""


class _File(Protocol):
    @property
    def site(self) -> str:
        """Code of its site, empty if its rows name theirs."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def source_file(self) -> str:
        """What it is known by."""

    @property
    def shown(self) -> str:
        """What messages call it, if not by its name."""


Item = TypeVar("Item", bound=_Row)


def without(forgotten: Forgotten, table: str, file: _File, items: Iterable[Item | Finding]) -> Iterator[Item | Finding]:
    """The items of a file but for those of erased persons; then a finding that counts these.

    Args:
        forgotten: who was erased.
        table: the table that the rows are of.
        file: the file.
        items: what the file gives.
    """
    count = 0
    for item in items:
        if isinstance(item, Finding) or not forgotten.holds_row(table, {"site": file.site, **item.row}):
            yield item
        else:
            count += 1
    if count:
        yield Finding(
            f"{table}.forgotten_patient", Severity.INFO,
            f"{file.shown or file.path.name} has rows of erased patients, which were left out: {count}",
            stage=table, site=file.site or None, table=table, subject=file.source_file, count=count,
        )  # fmt: skip
