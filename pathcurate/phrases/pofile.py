"""Reads translations in the form of GNU gettext (``.po``), as far as one template and its translation need it."""

import json
from collections.abc import Iterator
from typing import NamedTuple

_KEYS = {"msgid": 0, "msgstr": 1}


class Entry(NamedTuple):
    """A sentence in two languages; see :class:`~pathcurate.phrases.template.Template`."""

    english: str
    translated: str


def read_entries(text: str) -> Iterator[Entry]:
    """The entries of a file, without its head (the entry whose ``msgid`` is empty).

    Raises:
        ValueError: a line is neither a comment nor a part of an entry.
    """
    entry = ["", ""]
    key = -1
    for number, line in enumerate([*text.splitlines(), 'msgid ""'], start=1):
        word, _, quoted = line.partition(" ")
        if word in _KEYS:
            if _KEYS[word] == 0:
                if entry[0]:
                    yield Entry(*entry)
                entry = ["", ""]
            key = _KEYS[word]
        elif line.startswith('"') and key >= 0:
            quoted = line
        elif not line or line.startswith("#"):
            continue
        else:
            raise ValueError(f"line {number} is no part of an entry")
        # The strings of gettext are those of JSON, as far as they are used here.
        entry[key] += json.loads(quoted)
