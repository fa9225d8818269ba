"""What is found in a text, and where."""

from typing import NamedTuple


class Found(NamedTuple):
    """A value found in a text.

    Attributes:
        name: the column that it is a value of.
        value: the value, in the column's spelling and type.
        start: index of the first character that says it.
        end: index after the last.
    """

    name: str
    value: str | int | float
    start: int
    end: int
