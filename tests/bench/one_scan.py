"""One scan of a workspace in a new process, as the command makes it; prints its steps as JSON.

A program of its own, because its workers load again what the program loads that started them.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate import scan as stage
from pathcurate.engines.embedded import Embedded
from pathcurate.scan import ScanOptions, scan
from pathcurate.storage import LocalRoot
from pathcurate.workspace import Archive, load_workspace
from tests.bench.phases import watched
from tests.bench.slow import SlowRoot


def main() -> None:
    """Scan and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="the workspace")
    parser.add_argument("--workers", type=int, default=2, help="processes  [%(default)s]")
    parser.add_argument("--io-threads", type=int, default=1, help="threads of each  [%(default)s]")
    parser.add_argument("--milliseconds", type=float, default=0.0, help="that every read takes  [%(default)s]")
    options = parser.parse_args()
    if options.milliseconds:
        slow_down(options.milliseconds / 1000)
    steps = watched()
    begun = time.perf_counter()
    workspace = load_workspace(options.directory / "pathcurate.yaml")
    with Embedded(workers=options.workers, temp_directory=options.directory / "sql") as engine:
        summary = scan(workspace, engine, ScanOptions(io_threads=options.io_threads))
    seconds = time.perf_counter() - begun
    said = {
        "seconds": seconds,
        "statuses": summary.statuses,
        "read": summary.read,
        "steps": [asdict(step) for step in steps],
    }
    sys.stdout.write(json.dumps(said))


def slow_down(seconds: float) -> None:
    """From now on scans of this process take every archive for one on slow storage."""

    def slow(_: Any, archive: Archive) -> SlowRoot:
        assert isinstance(archive.root, Path)
        return SlowRoot(LocalRoot(os.fsencode(archive.root)), seconds)

    stage._Scan._root = slow  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    main()
