"""How the time of some work grows with the length of its input: the only word on time that every machine can keep."""

import gc
import time
from collections.abc import Callable


def is_proportional(work: Callable[[str], object], text: Callable[[int], str], short: int = 5_000, factor: int = 4) -> bool:
    """Whether work on a text ``factor`` times as long takes about ``factor`` times as long, not ``factor`` squared.

    A machine that does something else for a moment is not the work's fault, so a pair that looks bad is measured again.

    Args:
        work: what is timed.
        text: makes a text of a length; not timed.
        short: characters of the shorter text; work on it must take more than nothing for a verdict.
        factor: how many times as long the other one is.
    """
    few, many = text(short), text(short * factor)
    work(few)  # what is loaded when it is first needed is not counted
    return any(_seconds(work, many) < 2.5 * factor * _seconds(work, few) + 0.1 for _ in range(4))


def _seconds(work: Callable[[str], object], text: str) -> float:
    # Collecting garbage takes time in proportion to all that other tests have left in this process.
    gc.disable()
    try:
        began = time.process_time()
        work(text)
        return time.process_time() - began
    finally:
        gc.enable()
