"""Report sources to rows of the ``reports`` table. A parser says whether a file is of its kind, then parses it."""

from types import ModuleType

from pathcurate.parsers import lis

PARSERS: tuple[ModuleType, ...] = (lis,)
"""In the order in which they are asked."""
