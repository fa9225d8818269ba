"""What the benches read: made-up slides of realistic tile counts in holes, each under several names, and scans of them."""

import itertools
import json
import os
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pathcurate.workspace import Workspace, load_workspace
from tests.makers.tiff import TILE, Sparse, pack, sparse_svs

ORIGINALS = 48
STEPS = 2048
NAMED = b"ImageID = 5533"


def make_svs(archive: Path, count: int, names: int) -> None:
    """Aperio files of 20,000 to 100,000 tiles in three to five levels, no two alike, each under so many names.

    Half of them are laid out as scanners before the GT450 did, half as it does; a few have their directories first.
    """
    kinds = min(ORIGINALS, count)
    for kind in range(kinds):
        side = (142 + kind * 175 // kinds) * TILE
        levels = 3 + kind % 3
        sides = [side // factor for factor in (1, 4, 16, 32, 64)[:levels]]
        layout = "gt450" if kind % 2 else "classic"
        original = sparse_svs(sides, layout=layout, ifds_first=kind % 8 == 7)
        table = pack(4, sizes_of(sides[-1], 0))
        for number in range(kind, count, kinds):
            folder = archive / f"0-{number // 1000:03}"
            folder.mkdir(exist_ok=True)
            renumbered(original, table, sides[-1], number // kinds, number).save(folder / f"S23-{number:05}-B1 HE.svs")
    for path in sorted(archive.rglob("*.svs")):
        for name in range(1, names):
            folder = archive / f"{name}{path.parent.name[1:]}"
            folder.mkdir(exist_ok=True)
            os.link(path, folder / path.name)


def sizes_of(side: int, seed: int) -> list[int]:
    """Bytes of the tiles of a level, as ``sparse_svs`` gives them to it."""
    return [9000 + (tile * 7 + seed) % 500 for tile in range((-(-side // TILE)) ** 2)]


def renumbered(original: Sparse, table: bytes, side: int, seed: int, number: int) -> Sparse:
    """A copy with another number in its description and other bytes in the tiles of its smallest level."""
    new = pack(4, sizes_of(side, seed))
    chunks = {
        offset: data.replace(NAMED, b"ImageID = %04d" % (number % 10_000)).replace(table, new)
        for offset, data in original.chunks.items()
    }
    return Sparse(original.size, original.name, None, chunks)


def make_workspace(directory: Path, archive: Path) -> Workspace:
    """A workspace with one archive."""
    file = directory / "pathcurate.yaml"
    file.write_text(
        f"workspace: 1\nname: bench\nsites:\n  - code: NB01\n    archives: [{{name: main, root: '{archive}'}}]\n"
    )
    return load_workspace(file)


def one_scan(directory: Path, *options: str) -> dict[str, Any]:
    """What a scan in a new process says of itself.

    ``cold`` are its seconds with the start of that process, ``cpu`` those that it and its workers had of the processors.
    """
    program = [sys.executable, str(Path(__file__).with_name("one_scan.py")), str(directory), *options]
    begun, worked = time.perf_counter(), cpu_seconds()
    said: dict[str, Any] = json.loads(subprocess.run(program, check=True, capture_output=True).stdout)
    times = {"cold": time.perf_counter() - begun, "cpu": cpu_seconds() - worked}
    return {**said, **times, **{step["name"]: step["seconds"] for step in said["steps"]}}


def cpu_seconds() -> float:
    """What processes that this one has started, and that have ended, had of the processors; others' work hardly shows."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def say(line: str) -> None:
    """A line for people, at once: a run takes minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def timed(action: Callable[[], object]) -> float:
    """Seconds that something takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def distinct_copies(data: bytes, table: tuple[int, int]) -> Iterator[bytes]:
    """Copies of a slide of which no two have the same tile sizes: by some bytes less of some tiles, which nobody decodes."""
    offset, length = table
    sizes = struct.unpack_from(f"<{length}I", data, offset)
    for number in itertools.count():
        copy = bytearray(data)
        less = [number // STEPS**place % STEPS for place in range(length)]
        struct.pack_into(f"<{length}I", copy, offset, *map(int.__sub__, sizes, less))
        yield bytes(copy).replace(b"ImageID = 0000000", b"ImageID = %07d" % number)
