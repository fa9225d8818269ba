"""Progress of long work: a bar on a terminal, one line every 30 seconds elsewhere, of JSON with ``--log-json``."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import click

from pathcurate.cli import runlog
from pathcurate.cli.language import said

_SECONDS = 30.0


@contextmanager
def progress(what: str, unit: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how much is done and how much there is.

    Args:
        what: what is going on, ``scan``.
        unit: what is counted, ``slides``.
        quiet: show nothing.
    """
    asked = runlog.current()
    if asked is not None:
        with _logged(asked, what, unit) as advance_log:
            yield advance_log
    elif quiet:
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
                click.echo(said(f"{what}: {done:,} of {total:,} {unit}"), err=True)

        yield log


@contextmanager
def _logged(log: runlog.RunLog, what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    last = time.monotonic()
    state: tuple[int, int] | None = None

    def advance(done: int, total: int) -> None:
        nonlocal last, state
        state = done, total
        if time.monotonic() - last >= _SECONDS:
            last = time.monotonic()
            log.progress(what, done, total, unit)

    try:
        yield advance
    finally:
        # Also of what was interrupted: how far it came.
        if state is not None:
            log.progress(what, *state, unit)


@contextmanager
def phases(what: str, unit: str, *, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """As :func:`progress`, for work in several phases: the function is also told the name of the phase, first of all.

    Args:
        what: what is going on, ``scan``.
        unit: what is counted, ``files``.
        quiet: show nothing.
    """
    with ExitStack() as shown:
        phase = ""
        advance: Callable[[int, int], None] = lambda done, total: None  # noqa: E731

        def step(name: str, done: int, total: int) -> None:
            nonlocal phase, advance
            if name != phase:
                shown.close()
                phase = name
                advance = shown.enter_context(progress(f"{what} {name}", unit, quiet=quiet))
            advance(done, total)

        yield step
