"""The manual, which is the README: its sections by topic, so that a machine without a network can be asked for them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.errors import UsageError
from pathcurate.resources import shipped
from pathcurate.yamlsource import did_you_mean

_HEADING = re.compile(r"(#{2,3}) (.+)")
_FENCE = "```"


@dataclass(frozen=True, slots=True)
class Topic:
    """A section of the manual.

    Attributes:
        name: its heading as one word, such as ``exit-codes``.
        title: its heading.
        depth: 2 for a chapter, 3 for a section of one.
        text: in Markdown, heading and sections below it included.
    """

    name: str
    title: str
    depth: int
    text: str


def topics() -> list[Topic]:
    """Every section of the manual, in its order."""
    lines = shipped("README.md").read_text(encoding="utf-8").splitlines()
    found = list(_headings(lines))
    return [
        Topic(_name(title), title, depth, "\n".join(lines[start : _end(found, index, len(lines))]).rstrip())
        for index, (start, depth, title) in enumerate(found)
    ]


def topic(name: str) -> Topic:
    """The section of this name.

    Raises:
        UsageError: there is none.
    """
    known = {one.name: one for one in topics()}
    if name not in known:
        raise UsageError(
            f"the manual has no topic `{name}`{did_you_mean(name, list(known))}", "`pathcurate docs` lists all of them."
        )
    return known[name]


def _headings(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """Line, depth and title of each heading; what stands in an example is none."""
    is_example = False
    for number, line in enumerate(lines):
        is_example ^= line.startswith(_FENCE)
        heading = None if is_example else _HEADING.fullmatch(line)
        if heading is not None:
            yield number, len(heading[1]), heading[2]


def _end(found: list[tuple[int, int, str]], index: int, last: int) -> int:
    """The line behind a section: that of the next heading of its depth or above."""
    return next((start for start, depth, _ in found[index + 1 :] if depth <= found[index][1]), last)


def _name(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()).strip("-")
