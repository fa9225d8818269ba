"""Today's permissions for the tables of an earlier state, in which rows may have been other people's.

What holds for a row is what holds for its owner of today: a slide that was linked to the wrong case then is its true
patient's, and a person who was found to be two gives leave for one of them. Where the row's owner is still the same, today's
statements hold as they are.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa

from pathcurate.engines import Engine
from pathcurate.model.deidentified import DEID_TABLES, PERMISSION_CODES
from pathcurate.tables import from_rows, read_parquet
from pathcurate.workspace import Workspace

OWNED = ("slides", "reports", "events", "series", "materials")
"""Tables whose rows belong to somebody by themselves."""
_OWNERS = ("case_id", "patient_id", "group_id")

_Subject = tuple[str, str]
_Terms = tuple[Any, ...]
_Row = dict[str, Any]


def permissions_of_then(today: Workspace, past: Workspace, of_then: pa.Table, engine: Engine) -> pa.Table:
    """Statements for the tables of an earlier state.

    Args:
        today: the workspace, whose tables are up to date.
        past: the same with the tables of then.
        of_then: today's statements by the persons of then. Only their opt-outs count: those of numbers that only the
            archive of then knows.
        engine: compares the tables.

    Returns:
        Rows of :data:`~pathcurate.model.deidentified.PERMISSION_CODES`.
    """
    statements = read_parquet(today.criteria / "permissions.parquet").to_pylist()
    statements += [row for row in of_then.to_pylist() if row["opt_out"]]
    moved = list(_moved(today, past, engine))
    statements += _for_lost_codes(statements, moved, _still_there(today, moved, engine))
    statements += _kept_out(statements, moved)
    unique = {_sorted_by(row): row for row in statements}
    return from_rows(PERMISSION_CODES, (unique[key] for key in sorted(unique)))


def _moved(today: Workspace, past: Workspace, engine: Engine) -> Iterator[_Row]:
    """Owners then and now (``now_…``) of rows that both states have and that are no longer the same person's or case's."""
    for name in OWNED:
        table = DEID_TABLES[name]
        engine.view("then_rows", [past.deid / f"{name}.parquet"])
        engine.view("now_rows", [today.deid / f"{name}.parquet"])
        (key,) = table.key
        columns = [column for column in _OWNERS if column in table]
        owners = ", ".join(f"t.{column} AS {column}, n.{column} AS now_{column}" for column in columns)
        differ = " OR ".join(f"t.{column} IS DISTINCT FROM n.{column}" for column in columns)
        found = engine.table(
            f"SELECT DISTINCT {owners} FROM then_rows t JOIN now_rows n ON n.{key} = t.{key} WHERE {differ}"
        )
        yield from ({"case_id": None, "now_case_id": None, **row} for row in found.to_pylist())


def _still_there(today: Workspace, moved: Iterable[_Row], engine: Engine) -> set[str]:
    """Patients of then who have rows of their own today too."""
    asked = {row["patient_id"] for row in moved}
    engine.view("asked", pa.table({"patient_id": pa.array(sorted(asked - {None}), pa.string())}))
    there: set[str] = set()
    for name in OWNED:
        engine.view("now_rows", [today.deid / f"{name}.parquet"])
        found = engine.table("SELECT DISTINCT a.patient_id AS patient_id FROM asked a JOIN now_rows n"
                             " ON n.patient_id = a.patient_id")  # fmt: skip
        there.update(map(str, found["patient_id"].to_pylist()))
    return there


def _for_lost_codes(statements: Sequence[_Row], moved: Iterable[_Row], there: set[str]) -> Iterator[_Row]:
    """Permissions for patients of then whose code nobody has today: what all who have their rows today agree to."""
    heirs = defaultdict(set)
    for row in moved:
        if row["patient_id"] is not None and row["patient_id"] not in there:
            heirs[row["patient_id"]].add(row["now_patient_id"])
    granted = _granted(statements)
    for patient, persons in heirs.items():
        agreed = reduce(set.intersection, (set(granted.get(("person", person), {})) for person in persons))
        first = granted.get(("person", min(persons)), {}) if None not in persons else {}
        yield from ({**first[terms], "subject_code": patient} for terms in agreed)


def _kept_out(statements: Sequence[_Row], moved: Iterable[_Row]) -> Iterator[_Row]:
    """Opt-outs of cases of then, as they stood, that hold rows of which today's owners do not allow what theirs did.

    A row without a case keeps out all who may have been its patient.
    """
    opted = {(row["subject"], row["subject_code"]) for row in statements if row["opt_out"]}
    granted = _granted(statements)
    for row in moved:
        case, group = ("case", row["case_id"]), ("person", row["group_id"])
        owner = case if row["case_id"] is not None else group
        if owner[1] is None:
            continue
        then = _terms_of(granted, row["patient_id"], row["case_id"])
        now = _terms_of(granted, row["now_patient_id"], row["now_case_id"])
        has_left = ("case", row["now_case_id"]) in opted or ("person", row["now_group_id"]) in opted
        if has_left or not then <= now:
            empty = dict.fromkeys(PERMISSION_CODES.names)
            yield {**empty, "subject": owner[0], "subject_code": owner[1], "purposes": [], "data_kinds": [], "opt_out": True}


def _granted(statements: Iterable[_Row]) -> Mapping[_Subject, Mapping[_Terms, _Row]]:
    granted: dict[_Subject, dict[_Terms, _Row]] = defaultdict(dict)
    for row in statements:
        if not row["opt_out"]:
            granted[row["subject"], row["subject_code"]][_terms(row)] = row
    return granted


def _terms_of(granted: Mapping[_Subject, Mapping[_Terms, _Row]], patient: str | None, case: str | None) -> set[_Terms]:
    subjects = (("person", patient), ("case", case))
    return {terms for subject, code in subjects if code is not None for terms in granted.get((subject, code), {})}


def _terms(row: Mapping[str, Any]) -> _Terms:
    """What a statement allows, whoever makes it."""
    purposes, kinds = (tuple(sorted(row[name] or ())) for name in ("purposes", "data_kinds"))
    return purposes, kinds, str(row["valid_from"] or ""), str(row["valid_to"] or "")


def _sorted_by(row: Mapping[str, Any]) -> _Terms:
    return row["subject"], row["subject_code"], row["opt_out"], row["basis"] or "", *_terms(row)
