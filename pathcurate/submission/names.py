"""The names that a template may use, and what stands there: fields of a form first, then the neutral dossier.

A template comes from outside, so it meets neither Python's objects nor their attributes, only names and texts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pathcurate.errors import UsageError
from pathcurate.model.finding import Finding, Severity

LONGEST = 100_000
"""Characters of one value; a product file has texts of 20,000."""
UNKNOWN = "is no name of the form or the dossier; it stays empty"
_MOST_ENTRIES = 200_000
_SHOWN = 80
_BETWEEN = "、"
_YES_NO = {True: "是", False: "否"}
# What XML 1.0 cannot hold, and what Word takes for the end of a page or paragraph.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
# A reader would see the text in another order than it is registered in.
_TURNED = re.compile("[\u202a-\u202e\u2066-\u2069]")

Scalar = str | int | float | bool


def printable(text: str) -> str:
    """A text without what XML cannot hold and without signs that turn its direction; lines end with ``\\n``."""
    return _TURNED.sub("", _UNPRINTABLE.sub(" ", _LINE_ENDS.sub("\n", text)))


@dataclass(slots=True)
class Notes:
    """What goes wrong while one template is filled.

    Attributes:
        template: its file name, the subject of every finding.
    """

    template: str
    _seen: dict[tuple[str, str], Finding] = field(default_factory=dict)
    _entries: int = 0

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Each once, in the order in which they were met."""
        return tuple(self._seen.values())

    def add(self, rule: str, severity: Severity, what: str, message: str) -> None:
        """Note something about one place of the template."""
        shown = printable(" ".join(what.split()))[:_SHOWN]
        finding = Finding(
            f"submission.{rule}", severity, f"`{shown}` {message}", stage="submission", subject=self.template
        )  # fmt: skip
        self._seen.setdefault((rule, shown), finding)

    def count_entry(self) -> None:
        """One turn of a loop.

        Raises:
            UsageError: there were too many of them: loops inside of loops.
        """
        self._entries += 1
        if self._entries > _MOST_ENTRIES:
            raise UsageError(
                f"{self.template} goes round its loops more than {_MOST_ENTRIES:,} times",
                "Take the loops out of one another.",
            )


class Place:
    """A name of a template, and what stands there.

    Args:
        path: the name with those that lead to it, joined by dots.
        found: what each source has there, the one that counts first.
        notes: told what is asked for in vain.
    """

    __slots__ = ("_found", "_notes", "path")

    def __init__(self, path: str, found: Sequence[object], notes: Notes) -> None:
        self.path = path
        self._found = tuple(found)
        self._notes = notes

    def child(self, name: str) -> "Place":
        """What is called so below this place; below a list, what each entry has there. An unknown name is noted."""
        found = self._below(name)
        path = f"{self.path}.{name}" if self.path else name
        if self._found and not found:
            self._notes.add("unknown_name", Severity.ERROR, path, UNKNOWN)
        return Place(path, found, self._notes)

    def has(self, name: str) -> bool:
        """Whether anything below this place is called so."""
        return bool(self._below(name))

    def _below(self, name: str) -> list[object]:
        found: list[object] = [value for each in self._found for value in _below(each, name)]
        # Nobody gave what the name would be a part of; but a field of the form that is empty is no reason to say so, if
        # the dossier has something of the same name.
        return found or ([None] if any(each is None or each == [] for each in self._found) else [])

    @property
    def value(self) -> object:
        """What counts: the first that is a text, number, truth or list of them, else the first; None if that is not given.

        A field that the form leaves empty stays so: the dossier's word for it may have no code there.
        """
        first = self._found[0] if self._found else None
        return None if first is None else next((value for value in self._found if _is_plain(value)), first)

    def entries(self, name: str) -> list["Place"] | None:
        """The entries of the list whose entries have this name; None if there is no such list."""
        for value in self._found:
            if isinstance(value, list) and any(isinstance(entry, Mapping) and name in entry for entry in value):
                return [Place(self.path, [entry], self._notes) for entry in value]
        return None

    @property
    def text(self) -> str:
        """The value as people read it, empty if there is none, which is noted."""
        value = self.value
        if not self._found:
            return ""
        if value is None:
            self._notes.add("not_given", Severity.WARNING, self.path, "is not given; it stays empty")
            return ""
        if not _is_plain(value):
            self._notes.add("not_a_value", Severity.ERROR, self.path, "has parts; name one of them; it stays empty")
            return ""
        text = printable(_BETWEEN.join(map(_text, value)) if isinstance(value, list) else _text(value))
        if len(text) > LONGEST:
            self._notes.add("too_long", Severity.ERROR, self.path, f"is cut after {LONGEST:,} characters")
        return text[:LONGEST]

    def __str__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return bool(self.value)

    def __len__(self) -> int:
        value = self.value
        return len(value) if isinstance(value, list | str) else 0

    def __iter__(self) -> Iterator["Place"]:
        value = next((each for each in self._found if isinstance(each, list)), [])
        for entry in value:
            self._notes.count_entry()
            yield Place(self.path, [entry], self._notes)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, Place) else other))

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Values:
    """What the names of templates stand for.

    Attributes:
        sources: plain JSON values by name; a name is looked for in the first, then in the next.
    """

    sources: tuple[Mapping[str, object], ...]

    def root(self, notes: Notes) -> Place:
        """The place that all names are below."""
        return Place("", self.sources, notes)

    @property
    def names(self) -> frozenset[str]:
        """The names at the top."""
        return frozenset(name for source in self.sources for name in source)


def _below(value: object, name: str) -> Iterator[object]:
    if isinstance(value, Mapping):
        if name in value:
            yield value[name]
    elif isinstance(value, list) and value:
        inner = [found for entry in value for found in _below(entry, name)]
        if inner:
            yield [part for each in inner for part in (each if isinstance(each, list) else [each]) if part is not None]


def _is_plain(value: object) -> bool:
    return all(isinstance(entry, str | int | float) for entry in (value if isinstance(value, list) else [value]))


def _text(value: object) -> str:
    return _YES_NO[value] if isinstance(value, bool) else str(value)
