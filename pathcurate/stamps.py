"""What each stage of the last run was given and left behind, so that a run skips a stage that would do the same again."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pathcurate import __version__
from pathcurate.digests import canonical_json, file_sha256, sha256_text
from pathcurate.model.column import Table
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import Catalog


class Stamps:
    """The stamps of one workspace, in ``catalog/run.json``: a digest per stage, no values.

    Args:
        directory: the catalog.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "run.json"
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            # Without stamps every stage runs, which is slower and never wrong.
            content = {}
        self._stamps: dict[str, str] = content if isinstance(content, dict) else {}

    def is_current(self, stage: str, facts: Mapping[str, Any]) -> bool:
        """Whether the stage ended well with just these facts, under this version of pathcurate."""
        return self._stamps.get(stage) == _digest(facts)

    def forget(self, stage: str) -> None:
        """Before a stage runs: if it is interrupted, it runs again."""
        if self._stamps.pop(stage, None) is not None:
            self._write()

    def record(self, stage: str, facts: Mapping[str, Any]) -> None:
        """After a stage ended well: the facts as they are now, what it left behind among them."""
        self._stamps[stage] = _digest(facts)
        self._write()

    def _write(self) -> None:
        private_directory(self._path.parent)
        write_bytes(self._path, json.dumps(self._stamps, indent=1, sort_keys=True).encode(), mode=0o600)


def _digest(facts: Mapping[str, Any]) -> str:
    return sha256_text(canonical_json({"facts": dict(facts), "version": __version__}))


def file_facts(paths: Iterable[Path]) -> dict[str, str]:
    """Digest of each file, or that it is missing."""
    return {str(path): file_sha256(path) if path.is_file() else "missing" for path in paths}


def table_facts(catalog: Catalog, tables: Iterable[Table]) -> dict[str, str]:
    """State of each catalog table."""
    return {table.name: catalog.state(table) for table in tables}
