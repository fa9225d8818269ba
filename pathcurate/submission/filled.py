"""What filling a template gives."""

from dataclasses import dataclass

from pathcurate.model.finding import Finding


@dataclass(frozen=True, slots=True)
class Filled:
    """A filled template.

    Attributes:
        content: the file.
        findings: names that are unknown or not given, values that were cut, placeholders where nothing is filled.
    """

    content: bytes
    findings: tuple[Finding, ...]
