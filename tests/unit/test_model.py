"""Declarations: what a column may say of itself, and that everything declared keeps to it."""

import importlib
import pkgutil
import re
from typing import Any

import pytest

import pathcurate.model
from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.deidentified import (
    AGE_BANDS,
    CRITERIA_TABLES,
    DEID_TABLES,
    PERMISSION_CODES,
    PSEUDONYM_KINDS,
    VIEWS,
    age_band,
    criterion,
    deidentified,
    pseudonym_pattern,
    released,
)
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.text.vocabulary import vocabulary_names


def declared() -> dict[str, Table]:
    found: dict[str, Table] = {}
    for module in pkgutil.iter_modules(pathcurate.model.__path__):
        for name, value in vars(importlib.import_module(f"pathcurate.model.{module.name}")).items():
            if isinstance(value, Table):
                found[f"{module.name}.{name}"] = value
    return found


TABLES = declared() | {f"criteria {name}": table for name, table in CRITERIA_TABLES.items()}


# --- what a column may say ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", Action)
def test_a_direct_identifier_is_never_kept(action: Action) -> None:
    allowed = {Action.DROP, Action.PSEUDONYM, Action.WITHHOLD}
    arguments: dict[str, Any] = {"pseudonym": "P"} if action is Action.PSEUDONYM else {}
    if action in allowed:
        assert Column("name", Type.STRING, "Name.", Identifying.DIRECT, action, **arguments).action is action
    else:
        with pytest.raises(ValueError, match="cannot have action"):
            Column("name", Type.STRING, "Name.", Identifying.DIRECT, action, values=("a",), **arguments)


@pytest.mark.parametrize(
    ("type_", "identifying", "action", "more", "complaint"),
    [
        (Type.STRING, Identifying.CRITERION_ONLY, Action.KEEP, {"values": ("a",)}, "cannot have action keep"),
        (Type.INTEGER, Identifying.CRITERION_ONLY, Action.DROP, {}, "cannot have action drop"),
        (Type.STRING, Identifying.NONE, Action.WITHHOLD, {}, "cannot have action withhold"),
        (Type.STRING, Identifying.NONE, Action.KEEP, {}, "needs a closed set"),
        (Type.STRINGS, Identifying.SENSITIVE, Action.KEEP, {}, "needs a closed set"),
        (Type.BYTES, Identifying.NONE, Action.KEEP, {}, "cannot be kept"),
        (Type.BYTES, Identifying.NONE, Action.KEEP, {"pattern": "a"}, "cannot be kept"),
        (Type.STRING, Identifying.DIRECT, Action.PSEUDONYM, {}, "names its kind"),
        (Type.STRING, Identifying.DIRECT, Action.DROP, {"pseudonym": "P"}, "names its kind"),
        (Type.BYTES, Identifying.DIRECT, Action.PSEUDONYM, {"pseudonym": "P"}, "does not fit"),
        (Type.STRING, Identifying.QUASI, Action.SHIFT, {}, "does not fit"),
        (Type.FLOAT, Identifying.QUASI, Action.TOP_CODE, {}, "does not fit"),
    ],
)
def test_a_declaration_that_would_leak_is_refused(
    type_: Type, identifying: Identifying, action: Action, more: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Column("column", type_, "Meaning.", identifying, action, **more)


def test_a_table_knows_its_columns() -> None:
    one, two = Column("one", Type.INTEGER, ""), Column("two", Type.INTEGER, "")
    table = Table("t", "row", ("one",), (one, two))
    assert (table.names, "one" in table, "three" in table, table["two"]) == (("one", "two"), True, False, two)
    assert table.select(["two", "one"]).names == ("two", "one")
    assert table.select(["two", "one"]).key == ("one",)
    assert table.select(["two"]).key == ()
    for key, columns, complaint in ((("one",), (one, one), "twice"), (("three",), (one,), "not declared")):
        with pytest.raises(ValueError, match=complaint):
            Table("t", "row", key, columns)
    with pytest.raises(KeyError):
        table.select(["three"])


# --- what is declared --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_every_declared_column_can_be_used(name: str) -> None:
    for column in TABLES[name].columns:
        assert column.meaning.endswith(".") or not column.meaning, column.name
        assert not column.pseudonym or column.pseudonym in PSEUDONYM_KINDS
        assert not column.vocabulary or column.vocabulary in vocabulary_names()
        assert len(set(column.values)) == len(column.values)
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)


@pytest.mark.parametrize("name", DEID_TABLES)
def test_no_de_identified_column_holds_an_identifier_or_a_true_value(name: str) -> None:
    for column in DEID_TABLES[name].columns:
        assert column.identifying not in {Identifying.DIRECT, Identifying.CRITERION_ONLY}, column.name
        assert column.action is Action.KEEP
        assert column.type not in {Type.TIMESTAMP, Type.BYTES}
        assert column.is_closed or column.type not in {Type.STRING, Type.STRINGS}


@pytest.mark.parametrize("table", [SLIDES, REPORTS], ids=["slides", "reports"])
def test_every_column_is_kept_changed_or_gone_as_its_action_says(table: Table) -> None:
    for column in table.columns:
        kept, twin = deidentified(column), criterion(column)
        in_deid = column.action in {Action.KEEP, Action.PSEUDONYM, Action.SHIFT, Action.TOP_CODE}
        in_vault = column.action in {Action.SHIFT, Action.TOP_CODE, Action.CRITERION}
        assert (kept is not None, twin is not None) == (in_deid, in_vault), column.name
        # What `deid/` calls patient_id is the code of the person; the site's number is gone.
        assert (column.name in DEID_TABLES[table.name]) == (in_deid or column.name == "patient_id")
        assert (column.name in CRITERIA_TABLES[table.name]) == (in_vault or column.name in table.key)
        if column.action is Action.PSEUDONYM:
            assert kept is not None
            assert kept.pattern == pseudonym_pattern(column.pseudonym)


def test_criteria_may_be_named_but_never_released() -> None:
    for name, view in VIEWS.items():
        hidden = set(view.names) - set(DEID_TABLES[name].names)
        assert {view[column].identifying for column in hidden} <= {Identifying.CRITERION_ONLY}
        for column in hidden:
            with pytest.raises(KeyError):
                released(DEID_TABLES[name], (column,))
    assert {"birth_date", "year"} <= set(VIEWS["cases"].names)
    assert "subject_value" not in PERMISSION_CODES


@pytest.mark.parametrize(
    ("age", "band"),
    [(0, "0-4"), (4, "0-4"), (5, "5-9"), (89, "85-89"), (90, "90+"), (91, "90+"), (150, "90+"), (None, None), (-1, None)],
)
def test_age_bands(age: int | None, band: str | None) -> None:
    assert age_band(age) == band
    assert band is None or band in AGE_BANDS
