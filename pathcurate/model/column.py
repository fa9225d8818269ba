"""One declaration per column: type, meaning, identifying class, and what de-identification does with it.

The declaration drives the Parquet schema, ``schemas/*.json``, the table scrubber, the validator and the data dictionary
of a release. De-identification is default-deny: a column without a rule, or a text value outside the column's closed set,
never leaves the catalog.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Type(StrEnum):
    """The types a column can have; ``tables`` maps them to Arrow."""

    STRING = "string"
    BYTES = "bytes"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    STRINGS = "strings"
    FLOATS = "floats"


class Identifying(StrEnum):
    """How a column identifies a person (ISO 25237, HIPAA 45 CFR 164.514, GB/T 35273)."""

    DIRECT = "direct"
    """Identifies alone: name, number, path, label text, UID, barcode, device serial, file digest."""
    QUASI = "quasi"
    """Identifies in combination: age, date, sex, institution."""
    SENSITIVE = "sensitive"
    """To protect, not identifying: diagnosis, genetics."""
    CRITERION_ONLY = "criterion_only"
    """True value that criteria may use and nothing may show; lives in the vault area."""
    NONE = "none"


class Action(StrEnum):
    """What de-identification does with a column."""

    KEEP = "keep"
    DROP = "drop"
    PSEUDONYM = "pseudonym"
    """Replaced by a keyed pseudonym (:attr:`Column.pseudonym` names its kind)."""
    SHIFT = "shift"
    """Date moved by the patient's offset, time of day dropped; the true date becomes criterion-only."""
    TOP_CODE = "top_code"
    """Age in years, 90 standing for 90 and older; the true age becomes criterion-only."""
    WITHHOLD = "withhold"
    """Free text: kept in the catalog until a scrubber has cleaned it."""
    CRITERION = "criterion"
    """Only for criteria: moved to the vault area, not to ``deid/``."""
    GENERALISE = "generalise"
    """Replaced by a coarser value in a column of its own: no declaration asks for it, only a profile does."""


_ALLOWED = {
    Identifying.DIRECT: {Action.DROP, Action.PSEUDONYM, Action.WITHHOLD},
    Identifying.QUASI: {Action.KEEP, Action.DROP, Action.SHIFT, Action.TOP_CODE, Action.CRITERION},
    Identifying.SENSITIVE: {Action.KEEP, Action.DROP, Action.WITHHOLD},
    Identifying.CRITERION_ONLY: {Action.CRITERION},
    Identifying.NONE: {Action.KEEP, Action.DROP},
}


_TYPES = {
    Action.PSEUDONYM: {Type.STRING},
    Action.SHIFT: {Type.DATE, Type.TIMESTAMP},
    Action.TOP_CODE: {Type.INTEGER},
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: the field's standard word, the same in code, tables, recipes and documents.
        type: see :class:`Type`.
        meaning: one sentence for the data dictionary.
        identifying: see :class:`Identifying`.
        action: see :class:`Action`.
        unit: only where it is not obvious.
        values: the closed set of values, if the column has one.
        vocabulary: name of a shipped vocabulary whose codes are the closed set.
        pattern: regular expression that a value must match as a whole, its classes in ASCII (Python and RE2 then agree).
        pseudonym: kind of pseudonym, one of ``PSEUDONYM_KINDS`` in ``model.deidentified``; for ``Action.PSEUDONYM``.
        required: whether a missing value is an error.
    """

    name: str
    type: Type
    meaning: str
    identifying: Identifying = Identifying.NONE
    action: Action = Action.KEEP
    unit: str = ""
    values: tuple[str, ...] = ()
    vocabulary: str = ""
    pattern: str = ""
    pseudonym: str = ""
    required: bool = False

    def __post_init__(self) -> None:
        if self.action not in _ALLOWED[self.identifying]:
            raise ValueError(f"{self.name}: a column of class {self.identifying} cannot have action {self.action}")
        if (self.action is Action.PSEUDONYM) != bool(self.pseudonym):
            raise ValueError(f"{self.name}: a pseudonymised column names its kind of pseudonym, and no other does")
        if self.action is Action.KEEP and self.type in {Type.STRING, Type.STRINGS} and not self.is_closed:
            raise ValueError(f"{self.name}: a kept text column needs a closed set of values")
        if self.action is Action.KEEP and self.type is Type.BYTES:
            raise ValueError(f"{self.name}: bytes have no closed set of values, so they cannot be kept")
        if self.type not in _TYPES.get(self.action, set(Type)):
            raise ValueError(f"{self.name}: action {self.action} does not fit a column of type {self.type}")
        if self.pattern:
            re.compile(self.pattern)

    @property
    def is_closed(self) -> bool:
        """Whether the column's values come from a closed set."""
        return bool(self.values or self.vocabulary or self.pattern)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name, what one row is, its key and its columns.

    Attributes:
        name: a plural noun.
        row: what one row stands for.
        key: names of the columns that identify a row.
        columns: in the order in which they are written.
        version: schema version; raised when a column changes its meaning or type.
    """

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    version: int = 1
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name.update((column.name, column) for column in self.columns)
        if len(self._by_name) != len(self.columns):
            raise ValueError(f"table {self.name} declares a column twice")
        missing = [name for name in self.key if name not in self._by_name]
        if missing:
            raise ValueError(f"table {self.name}: key column {missing[0]} is not declared")

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(self._by_name)

    def select(self, names: Iterable[str]) -> "Table":
        """The same table with only these columns, in the order given."""
        chosen = tuple(self._by_name[name] for name in names)
        kept = {column.name for column in chosen}
        key = self.key if kept.issuperset(self.key) else ()
        return replace(self, columns=chosen, key=key)
