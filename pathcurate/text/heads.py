"""Which column of an export is which: by its mapping first, then by the shipped table of known heads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from pathcurate.delimited import fold_head
from pathcurate.errors import UsageError


@dataclass(frozen=True, slots=True)
class Heads:
    """Resolved heads.

    Attributes:
        columns: canonical name to heads, in order of preference; the first cell that is not empty counts.
        unknown: indices of heads that are imported nowhere.
    """

    columns: Mapping[str, tuple[str, ...]]
    unknown: tuple[int, ...]

    def cell(self, cells: Mapping[str, str], name: str) -> str:
        """The row's text for a canonical name, empty if it has none."""
        return next((cells[head] for head in self.columns.get(name, ()) if cells[head]), "")


def resolve(table: str, heads: Sequence[str], mapped: Mapping[str, Sequence[str]], source: str) -> Heads:
    """Resolve the heads of a sheet.

    Args:
        table: table that is imported, for its known heads.
        heads: the sheet's heads.
        mapped: canonical name to heads, from the mapping file; a mapped head has no other meaning.
        source: name of the file, for messages.

    Raises:
        UsageError: the mapping names a head that the sheet does not have.
    """
    by_fold = {fold_head(head): head for head in reversed(heads) if head}
    columns: dict[str, tuple[str, ...]] = {}
    for name, wanted in mapped.items():
        there = tuple(by_fold[fold_head(head)] for head in wanted if fold_head(head) in by_fold)
        if not there:
            raise UsageError(
                f"{source} has no column `{wanted[0]}`, which its mapping gives for {name}",
                "Correct the head in the mapping, or remove the line.",
            )
        columns[name] = there
    taken = {head for chosen in columns.values() for head in chosen}
    for name, aliases in known_heads()[table].items():
        if name not in columns:
            free = [by_fold[alias] for alias in aliases if alias in by_fold and by_fold[alias] not in taken]
            if free:
                columns[name] = tuple(dict.fromkeys(free))
                taken.update(free)
    unknown = tuple(index for index, head in enumerate(heads) if head and head not in taken)
    return Heads(columns, unknown)


@cache
def known_heads() -> dict[str, dict[str, list[str]]]:
    """Table to canonical name to folded heads, in order of preference."""
    path = Path(__file__).with_name("aliases.yaml")
    tables: dict[str, dict[str, list[str]]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        table: {name: [fold_head(str(head)) for head in heads] for name, heads in columns.items()}
        for table, columns in tables.items()
    }
