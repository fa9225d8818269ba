"""The table of transitions that ships with the package: ``lifecycle.yaml``."""

from functools import cache
from pathlib import Path

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.model.lifecycle import Lifecycle, Machine


@cache
def lifecycle() -> Lifecycle:
    """The machines, their states and what moves them."""
    file = Path(__file__).with_name("lifecycle.yaml")
    return yamlsource.validate(yamlsource.load(file, file.name, UsageError), Lifecycle, UsageError)


def state_words(machine: Machine, state: str) -> tuple[str, str]:
    """What a state is called, in Chinese and in English."""
    words = lifecycle().table(machine).states[state]
    return words.zh, words.en
