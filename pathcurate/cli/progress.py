"""Progress of long work: a bar on a terminal, one line every 30 seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

_SECONDS = 30.0


@contextmanager
def progress(what: str, unit: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how much is done and how much there is.

    Args:
        what: what is going on, ``scan``.
        unit: what is counted, ``slides``.
        quiet: show nothing.
    """
    if quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(desc=what, unit=f" {unit}", file=sys.stderr, leave=False) as bar:

            def advance(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield advance
    else:
        last = time.monotonic()

        def log(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _SECONDS:
                last = time.monotonic()
                click.echo(f"{what}: {done:,} of {total:,} {unit}", err=True)

        yield log
