"""What is wrong with a part of a recipe, before it is shown at its place."""

from typing import NamedTuple

from pathcurate.yamlsource import KeyPath


class Fault(NamedTuple):
    """A fault at a path into the recipe.

    Attributes:
        path: the part.
        message: what is wrong with it.
        on_key: whether the key there is wrong and not its value.
        within: beginning and length of what is wrong inside a text; None for all of it.
    """

    path: KeyPath
    message: str
    on_key: bool = False
    within: tuple[int, int] | None = None
