"""A de-identification profile: what it does to each column of the catalog, and which columns of ``deid/`` have values then.

The schema of ``deid/`` is the same under every profile; a profile decides which of its columns are filled. What a column's
declaration says is the most that a profile can show of it: a profile is only ever stricter.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, Strict, StringConstraints

from pathcurate.model.column import Action, Column, Table
from pathcurate.model.deidentified import COMPANIONS, DEID_TABLES, ORIGINS, SCRUBBED, age_bands, stays

LANGUAGE = 1
"""The version of profile files that is read."""


class Coarse(StrEnum):
    """What stands for a value in a column of its own."""

    BAND5 = "band5"
    BAND10 = "band10"
    BAND20 = "band20"
    YEAR = "year"
    QUARTER = "quarter"
    """The quarter, beside the year."""
    PROVINCE = "province"


_COARSE: Mapping[str, tuple[Coarse, ...]] = {
    "age": (Coarse.BAND5, Coarse.BAND10, Coarse.BAND20),
    "date": (Coarse.YEAR, Coarse.QUARTER),
    "place": (Coarse.PROVINCE,),
}
WIDTHS = {Coarse.BAND5: 5, Coarse.BAND10: 10, Coarse.BAND20: 20}
"""Years of each age band."""
UNTOUCHED = {Action.WITHHOLD, Action.CRITERION}
"""What no profile decides: free texts have a part of the profile to themselves, and what is for criteria only stays so."""
_PLAIN = (Action.DROP, Action.PSEUDONYM, Action.SHIFT, Action.KEEP)


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to one column.

    Attributes:
        action: see :class:`~pathcurate.model.column.Action`.
        coarse: what takes the value's place, for :attr:`Action.GENERALISE`.
    """

    action: Action
    coarse: Coarse | None = None

    def __str__(self) -> str:
        """As a profile writes it, but for what only declarations say."""
        kind = next((kind for kind, known in _COARSE.items() if self.coarse in known), None)
        return f"{{{kind}: {self.coarse}}}" if kind else self.action


Rule = tuple[Treatment, ...]
"""What a profile asks for: the first of these that can be done with a column."""


def _rule(value: object) -> Rule:
    if isinstance(value, str) and value in _PLAIN:
        return (Treatment(Action(value)),)
    if not isinstance(value, dict) or not value:
        raise ValueError(f"must be one of {', '.join(_PLAIN)}, or a mapping such as {{date: year}}")
    wanted = []
    for kind, name in value.items():
        known = _COARSE.get(str(kind))
        if known is None:
            raise ValueError(f"`{kind}` cannot be generalised; known: {', '.join(_COARSE)}")
        if name not in known:
            raise ValueError(f"`{kind}` is generalised to {' or '.join(known)}")
        wanted.append(Treatment(Action.GENERALISE, Coarse(name)))
    return tuple(wanted)


def _version(value: object) -> int:
    if value is True or value != LANGUAGE or not isinstance(value, int):
        raise ValueError(f"`profile` is the version of this file; this version of pathcurate reads {LANGUAGE}")
    return value


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Words = Annotated[str, StringConstraints(min_length=1)]
_RuleOf = Annotated[Rule, PlainValidator(_rule)]


class Title(_Part):
    """A name for people, in both languages."""

    en: _Words
    zh: _Words


class Texts(_Part):
    """What becomes of free texts.

    Attributes:
        released: whether a release may hold scrubbed texts.
        names: a tag for every name, or a made-up name that is the same wherever the person is meant.
        dates: moved by the person's offset as in the columns, or a tag.
    """

    released: Annotated[bool, Strict()]
    names: Literal["tag", "surrogate"] = "tag"
    dates: Literal["shift", "drop"]


class Profile(_Part):
    """A profile file.

    Attributes:
        profile: version of the file's language.
        name: its name.
        title: for people.
        sharing: for whom: everybody, partners by agreement, users of an enclave (GB/T 37964-2019, 3.12 to 3.14), or nobody
            outside.
        k: least persons who share each combination of quasi-identifiers; None for no limit.
        most_suppressed: share of persons of whom rows may be left out to reach it.
        classes: for each identifying class what is done to its columns; what cannot be done with a column drops it.
        columns: the same for single columns of the catalog, as ``table.column``.
        texts: what becomes of free texts.
    """

    model_config = ConfigDict(title="profile")

    profile: Annotated[int, PlainValidator(_version)]
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    title: Title
    sharing: Literal["public", "agreement", "enclave", "internal"]
    k: Annotated[int, Strict(), Field(ge=2)] | None = None
    most_suppressed: Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    classes: dict[Literal["direct", "quasi", "sensitive", "none"], _RuleOf] = Field(default_factory=dict)
    columns: dict[str, _RuleOf] = Field(default_factory=dict)
    texts: Texts

    @property
    def digest(self) -> str:
        """Digest of what it does to columns and texts: another one makes ``deid/`` out of date, another title does not."""
        done = {place: str(treatment) for place, treatment in self.treatments().items()}
        content = json.dumps({"columns": done, "texts": self.texts.model_dump()}, sort_keys=True)
        return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"

    def treatments(self) -> dict[str, Treatment]:
        """What is done to each column of the catalog that ``deid/`` is made of, by ``table.column``."""
        return {
            f"{name}.{column.name}": self.treatment(table, column)
            for name, table in SCRUBBED.items()
            for column in table.columns
        }

    def treatment(self, table: Table, column: Column) -> Treatment:
        """What is done to a column of the catalog."""
        declared = Treatment(column.action)
        rule = self.columns.get(f"{table.name}.{column.name}")
        if rule is None:
            rule = next((rule for name, rule in self.classes.items() if name == column.identifying), None)
        if rule is None or rule == (Treatment(Action.KEEP),) or column.action in UNTOUCHED:
            return declared
        fitting = next((asked for asked in rule if fits(table, column, asked)), None)
        if fitting is None:
            return declared if stays(table, column) else Treatment(Action.DROP)
        return declared if fitting.action is Action.KEEP else fitting

    def filled(self, name: str) -> frozenset[str]:
        """The columns of a table of ``deid/`` that have values under this profile."""
        origins = ORIGINS[name]
        return frozenset(
            column.name
            for column in DEID_TABLES[name].columns
            if all(self._gives(place, column.name) for place in origins.get(column.name, ()))
        )

    def _gives(self, place: str, name: str) -> bool:
        table, _, column = place.partition(".")
        is_companion = any(companion.name == name for companion in COMPANIONS.get(place, ()))
        given = gives(place, self.treatment(SCRUBBED[table], SCRUBBED[table][column]))
        return (name if is_companion else column) in given

    @property
    def bands(self) -> tuple[str, ...]:
        """The age bands that it shows, none if it shows no age."""
        treatment = self.treatment(SCRUBBED["reports"], SCRUBBED["reports"]["age"])
        if treatment.coarse is not None:
            return age_bands(WIDTHS[treatment.coarse])
        return age_bands(5) if treatment.action is Action.TOP_CODE else ()


def every_treatment() -> Iterator[Treatment]:
    """Whatever a profile can ask for."""
    yield from map(Treatment, _PLAIN)
    yield from (Treatment(Action.GENERALISE, coarse) for coarse in Coarse)


def fits(table: Table, column: Column, asked: Treatment) -> bool:
    """Whether a treatment can be done with a column, and shows no more of it than its declaration allows."""
    if column.action in UNTOUCHED:
        return False
    match asked.action:
        case Action.KEEP:
            return column.action in {Action.KEEP, Action.TOP_CODE}
        case Action.DROP:
            return not stays(table, column)
        case Action.GENERALISE:
            companions = COMPANIONS.get(f"{table.name}.{column.name}", ())
            kind = {Action.TOP_CODE: "age", Action.SHIFT: "date"}.get(column.action, "place")
            return bool(companions) and asked.coarse in _COARSE[kind]
        case action:
            return column.action is action


def gives(place: str, treatment: Treatment) -> tuple[str, ...]:
    """Names of the columns of ``deid/`` that a column of the catalog gives a value.

    Args:
        place: the column as ``table.column``.
        treatment: what is done to it.
    """
    companions = tuple(column.name for column in COMPANIONS.get(place, ()))
    match treatment.action:
        case Action.KEEP | Action.PSEUDONYM | Action.SHIFT:
            return (place.partition(".")[2],)
        case Action.TOP_CODE:
            return (place.partition(".")[2], *companions)
        case Action.GENERALISE:
            return companions[:1] if treatment.coarse is Coarse.YEAR else companions
        case _:
            return ()
