"""Report sources to rows of the ``reports`` table. A parser says whether a file is of its kind, then parses it."""

from types import ModuleType

from pathcurate.parsers import cda, fhir, hl7, lis, text

PARSERS: tuple[ModuleType, ...] = (hl7, fhir, cda, text, lis)
"""In the order in which they are asked."""
