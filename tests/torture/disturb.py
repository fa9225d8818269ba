"""Ways to disturb a command from outside: kills, small disks, other users, modes."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.torture.house import Ended, House, Running, clear, copy_tree

PRIVATE = "TORTURE_PRIVATE_MOUNTS"
"""Set in a process whose mounts nobody else sees."""
_PARTS = ("catalog", "vault", "deid", "releases", "hospital")


class ImpossibleError(Exception):
    """This cannot be done here; the text says why."""


def killed_after(running: Running, seconds: float) -> Ended:
    """Kill a command after a time, if it has not ended before."""
    until = time.monotonic() + seconds
    while running.process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    running.kill()
    return running.wait()


@contextmanager
def small_disk(house: House, state: str, rng: random.Random) -> Iterator[tuple[str, int | None, Callable[[], None]]]:
    """A state of the house on a disk with little room: what was done, a limit on the size of files, and what makes room.

    As root it is a file system of its own. Otherwise no file may grow beyond some size, which fails writes likewise.
    """
    if os.environ.get(PRIVATE) != "yes":
        limit = rng.choice((1, 100, 4_000, 30_000, 100_000))
        yield f"no file beyond {limit} bytes (no root, or no mounts here)", limit, lambda: None
        return
    taken = sum(-(-path.lstat().st_size // 4096) * 4096 for path in (house.base / state).rglob("*")) + (1 << 20)
    room = int(2 ** rng.uniform(12, 23))
    clear(house.here)
    _mount(house.here, taken + (64 << 20))
    try:
        copy_tree(house.base / state, house.here)
        used = shutil.disk_usage(house.here).used
        size = used + room
        subprocess.run(["mount", "-o", f"remount,size={size}", str(house.here)], check=True, capture_output=True)
        room_again = ["mount", "-o", f"remount,size={size + (1 << 30)}", str(house.here)]
        yield f"{room} bytes free", None, lambda: subprocess.run(room_again, check=True, capture_output=True) and None
    finally:
        subprocess.run(["umount", "-l", str(house.here)], check=True, capture_output=True)


def _mount(place: Path, size: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "torture", str(place)], check=True, capture_output=True)


def bound_by_modes(house: House) -> House:
    """The house as somebody's whom modes of files bind: root may read and write anything, whatever they say.

    Raises:
        ImpossibleError: root cannot give up that right here.
    """
    if os.geteuid() != 0:
        return house
    tool = shutil.which("setpriv")
    if tool is None:
        raise ImpossibleError("there is no setpriv, by which root is bound by modes")
    return replace(house, before_all=(tool, "--bounding-set=-dac_override,-dac_read_search"))


@contextmanager
def locked_out(house: House, rng: random.Random, seconds: float) -> Iterator[str]:
    """Take away the right to read, write or enter some part of the workspace after a moment, and give it back at the end."""
    parts = list(house.root.iterdir())
    parts += [path for name in _PARTS for path in (house.root / name).rglob("*")]
    chosen = [path for path in rng.sample(sorted(parts), k=min(len(parts), rng.choice((1, 1, 3)))) if path.exists()]
    delay = rng.choice((0.0, rng.uniform(0, seconds)))
    time.sleep(delay)
    modes = {}
    for path in chosen:
        # What a command removes in the meantime has no mode any more.
        if path.exists():
            modes[path] = path.stat().st_mode & 0o7777
            path.chmod(rng.choice((0, 0o400, 0o500, 0o200)))
    try:
        yield f"{', '.join(str(path.relative_to(house.root)) for path in chosen)} after {delay:.2f} s"
    finally:
        for path, mode in modes.items():
            if path.exists():
                path.chmod(mode)
