"""What processes show of themselves to others: command lines and environments of a process and all that it starts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROC = Path("/proc")
_EVERY_SECONDS = 0.01


@contextmanager
def watched(pid: int) -> Iterator[set[bytes]]:
    """Gathers the command line and the environment of every process below one, and of itself, as long as the block lasts."""
    seen: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY_SECONDS):
            for one in (pid, *_below(pid)):
                for name in ("cmdline", "environ"):
                    # It may end at any moment.
                    with suppress(OSError):
                        seen.add((PROC / str(one) / name).read_bytes())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _below(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                for child in map(int, (task / "children").read_text().split()):
                    yield child
                    yield from _below(child)
