"""The rule language of scrubbing files: by format and table of names, what is done to each. What is not named is unknown.

One language for TIFF tags, keys of descriptions, keys of INI files, attributes of XML and DICOM attributes: a *table* is one
kind of name. Names compare without regard to case, width and spaces; one that ends in ``*`` stands for all that begin so.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from pathcurate.model.filescrub import Deed

LANGUAGE = 1
"""The version of rule files that is read."""


def folded(name: str) -> str:
    """A name in the form in which it is compared."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _texts(value: object) -> object:
    """Names are written as numbers too: ``270``."""
    if isinstance(value, list):
        return [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value]
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_texts)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class RuleTable(_Part):
    """What is done to the names of one table.

    Attributes:
        keep: as it is.
        remove: it goes, and its name.
        empty: its value goes.
        shift: dates, each with the format in which it is written (``%m/%d/%y``), or ``auto``.
        pseudonym: each with whose code takes its place.
        uid: another UID takes its place.
        clean: each with the table that decides about what it holds.
    """

    keep: Names = ()
    remove: Names = ()
    empty: Names = ()
    shift: Mapping[Name, str] = {}
    pseudonym: Mapping[Name, Literal["slide", "case", "patient"]] = {}
    uid: Names = ()
    clean: Mapping[Name, str] = {}

    def rules(self) -> Iterator[tuple[str, Deed, str | None]]:
        """Name, deed, and what it is about."""
        for deed in Deed:
            names = getattr(self, deed)
            yield from ((name, deed, names[name] if isinstance(names, Mapping) else None) for name in names)


class FormatRules(_Part):
    """Rules of one format.

    Attributes:
        tables: by the name of the table.
        options: further choices, which the format's scrubber reads and checks.
    """

    tables: Mapping[Name, RuleTable] = {}
    options: Mapping[Name, Any] = {}


class RulePack(FormatRules):
    """A shipped file: the rules of one format."""

    files: Literal[1]
    format: Name
    title: Mapping[Literal["en", "zh"], str]


class SiteRulesFile(_Part):
    """A file of the workspace: what it says otherwise, by format."""

    files: Literal[1]
    formats: Mapping[Name, FormatRules]


@dataclass(frozen=True, slots=True)
class FileRule:
    """One rule.

    Attributes:
        name: as written.
        deed: what is done.
        about: format of a date, whose code, or table of what it holds.
        is_of_site: whether the workspace's own file says so.
    """

    name: str
    deed: Deed
    about: str | None = None
    is_of_site: bool = False


@dataclass(frozen=True, slots=True)
class FileRules:
    """The rules of one format, shipped ones and the site's together.

    Attributes:
        format: the format.
        digest: of all of it; another one scrubs files again.
        tables: of each table the rules by folded name; those of beginnings end in ``*``.
        options: see :class:`FormatRules`.
    """

    format: str
    digest: str
    tables: Mapping[str, Mapping[str, FileRule]]
    options: Mapping[str, Any] = field(default_factory=dict)

    def find(self, table: str, name: str) -> FileRule | None:
        """The rule for a name: its own, else that of its longest beginning; None if it is unknown."""
        rules = self.tables.get(table, {})
        key = folded(name)
        if (own := rules.get(key)) is not None:
            return own
        for end in range(len(key), -1, -1):
            if (rule := rules.get(f"{key[:end]}*")) is not None:
                return rule
        return None
