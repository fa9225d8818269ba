"""Two buyers of one release, on the command line: from the application to the deletion that one of them signs for."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openslide
import pyarrow.parquet as pq
import pytest
import yaml

from tests.commandline import Done, pathcurate
from tests.products import a_pdf

SECRETS = {"steward": "correct horse battery", "compliance": "staple 示例 clerk", "alpha": "alpha lab lamp 1", "beta": "beta lab lamp 22"}
BUYERS = ("alpha", "beta")
PRODUCT = "demo_he_2023"


@dataclass(frozen=True)
class Market:
    """A hospital whose release is on offer, and two buyers with their keys and contracts."""

    beside: Path

    @property
    def root(self) -> Path:
        return self.beside / "w"

    def __call__(self, *words: str | Path, given: str | None = None) -> Done:
        return pathcurate(*words, "-w", self.root, given=given)

    def ok(self, *words: str | Path, given: str | None = None) -> str:
        done = self(*words, given=given)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def json(self, *words: str | Path, given: str | None = None) -> dict[str, Any]:
        document = json.loads(self.ok(*words, "--json", given=given))
        assert isinstance(document, dict)
        return document

    def at_the_buyer(self, *words: str | Path) -> Done:
        """What a buyer runs: without the workspace."""
        return pathcurate(*words, cwd=self.beside)

    def key(self, who: str) -> list[str | Path]:
        return ["--key", self.beside / who / "recipient.pem" if who in BUYERS else self.beside / f"{who}.pem",
                "--passphrase-file", self.beside / f"{who}.pass"]  # fmt: skip

    def identity(self, who: str) -> list[str | Path]:
        return ["--identity", self.beside / who / "recipient.age", *self.key(who)]

    def contract(self, who: str) -> str:
        found = [one["id"] for one in self.json("product", "contracts")["contracts"] if one["facts"]["recipient"] == who]
        assert len(found) == 1
        return str(found[0])
