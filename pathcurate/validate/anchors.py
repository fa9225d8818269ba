"""Where to point an editor to: the line of the recipe, or of product.yaml, that a finding comes from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pathcurate.model.manifest import COMMITMENTS_PATH
from pathcurate.model.productfile import PRODUCT_FILE
from pathcurate.model.validation import Breach, KeyPath, Place
from pathcurate.recipefile import RecipeSource, load_recipe
from pathcurate.validate.breaches import breach
from pathcurate.validate.opened import LOCK, Opened

_BY_COLUMN = ("PC-SCH", "PC-LNK", "PC-PRIV", "PC-QLT", "PC-SPL")


class Anchors:
    """Finds the places of findings about a release.

    Args:
        opened: the release.
        recipe: the recipe's own file, whose lines are meant instead of those of the lock; None for the lock.
        shown: how reports call that file.

    Raises:
        RecipeError: the recipe cannot be read.
    """

    def __init__(self, opened: Opened, recipe: Path | None, shown: str) -> None:
        self._source: RecipeSource | None = None if recipe is None else load_recipe(recipe)
        self._own = {} if recipe is None else {str(recipe): shown}
        self._opened = opened

    def is_other_recipe(self) -> Iterator[Breach]:
        """Whether the recipe is not the one that the release was built from."""
        if self._source is not None and self._source.sha256 != self._opened.manifest["recipe"]["canonical_sha256"]:
            yield breach("PC-RCP-003", "the recipe given with --recipe is not the one that the release was built from")

    def placed(self, findings: Iterable[Breach]) -> Iterator[Breach]:
        """The findings with their places; what no part of a recipe causes has none."""
        for found in findings:
            yield replace(found, at=self._place(found))

    def _place(self, found: Breach) -> Place | None:
        if found.file == PRODUCT_FILE:
            return self._within(PRODUCT_FILE, found.cause or ())
        path = found.cause
        if found.file == COMMITMENTS_PATH:
            return None  # no part of a recipe lets it out
        if found.table is not None and (path == ("columns",) or (path is None and found.rule.startswith(_BY_COLUMN))):
            path = cause_of(self._data(), found.table, found.column)
        elif path == ("disclosure", "k"):
            path = _first_known(self._data(), path)
        if path is None:
            return None
        if self._source is None:
            return self._within(LOCK, path)
        file, line, column = self._source.origin(path)
        return Place(self._own.get(file, file), line, column)

    def _within(self, relpath: str, path: KeyPath) -> Place | None:
        """A part of a file of the release, which is only read where something is wrong."""
        document = self._opened.yaml(relpath)
        return None if document is None else Place(relpath, *document.position(path), is_within=True)

    def _data(self) -> Any:
        document = self._source.document if self._source is not None else self._opened.yaml(LOCK)
        return document.data if document is not None else None


def cause_of(recipe: Any, table: str, column: str | None) -> KeyPath | None:
    """The part of a recipe that lets a column of a table out: its place in a list, else its label, else the table's.

    Args:
        recipe: its data.
        table: name of the table.
        column: name of the column, None for the table as a whole.
    """
    if not isinstance(recipe, Mapping):
        return None
    names = column.split(", ") if column else []
    tables = recipe.get("tables")
    at: KeyPath = ("columns",)
    columns = recipe.get("columns")
    if isinstance(tables, Mapping):
        at = ("tables", table) if table in tables else ("texts",) if "texts" in recipe else ("tables",)
        part = tables.get(table)
        columns = part.get("columns") if isinstance(part, Mapping) else None
        if isinstance(columns, list):
            at = (*at, "columns")
    for place, one in enumerate(columns if isinstance(columns, list) else ()):
        if one in names:
            return (*at, place)
    labels = recipe.get("labels")
    for place, label in enumerate(labels if isinstance(labels, list) else ()):
        name = label.get("name") if isinstance(label, Mapping) else None
        if isinstance(name, str) and any(f"_{name}_" in f"_{one}_" for one in names):
            return ("labels", place)
    return ("split",) if names == ["split"] else at


def _first_known(recipe: Any, path: KeyPath) -> KeyPath:
    """A path of which the first part is there, else that of what goes out."""
    known = recipe if isinstance(recipe, Mapping) else {}
    return next((one for one in (path, ("columns",)) if one[0] in known), ("tables",))
