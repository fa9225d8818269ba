"""Permission lists that a cohort may rest on: there, imported as they are, and young enough."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pathcurate.disclosure.lists import check_permission_lists, record_permission_lists
from pathcurate.errors import DisclosureRefusedError, InputOutputError
from pathcurate.permissions import import_permissions
from pathcurate.workspace import Workspace, load_workspace

Write = Callable[[str, str | bytes], Path]
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
CONSENT = "机构,住院号,依据,用途\nNB01,欧阳7700177,同意,research\n"
OPT_OUT = "机构,住院号,退出\nNB01,欧阳7700177,是\n"


def workspace(write: Write, lists: str = "[{path: consent.csv}, {path: opt_out.csv, max_age_days: 7}]") -> Workspace:
    return load_workspace(
        write("pathcurate.yaml", f"workspace: 1\nname: t\nsites: [{{code: NB01}}]\npermissions: {lists}\n")
    )


def aged(path: Path, age: timedelta) -> None:
    moment = (NOW - age).timestamp()
    os.utime(path, (moment, moment))


@pytest.fixture
def imported(write: Write) -> Workspace:
    """Two lists, as they were imported a day ago."""
    for name, text in (("consent.csv", CONSENT), ("opt_out.csv", OPT_OUT)):
        aged(write(name, text), timedelta(days=1))
    import_permissions(workspace(write))
    return workspace(write)


def refusal(of: Workspace, now: datetime = NOW) -> str:
    with pytest.raises(DisclosureRefusedError) as caught:
        check_permission_lists(of, now)
    assert caught.value.exit_code == 13
    assert "欧阳" not in str(caught.value)
    return str(caught.value)


def test_lists_as_they_were_imported(imported: Workspace) -> None:
    check_permission_lists(imported, NOW)


def test_no_list_is_configured(write: Write) -> None:
    check_permission_lists(workspace(write, "[]"), NOW)


def test_a_missing_list(imported: Workspace) -> None:
    imported.permissions[1].path.unlink()
    assert "opt_out.csv is missing" in refusal(imported)


def test_a_list_that_was_never_imported(imported: Workspace, write: Write) -> None:
    write("new.csv", OPT_OUT)
    assert "new.csv was never imported" in refusal(
        workspace(write, "[{path: consent.csv}, {path: opt_out.csv}, {path: new.csv}]")
    )


@pytest.mark.parametrize("content", [OPT_OUT + "NB01,2,是\n", OPT_OUT[:-1], ""])
def test_a_changed_list(imported: Workspace, write: Write, content: str) -> None:
    aged(write("opt_out.csv", content), timedelta(days=1))
    assert "opt_out.csv or its mapping has changed" in refusal(imported)
    write("opt_out.csv", OPT_OUT)
    check_permission_lists(imported, datetime.now(UTC))


def test_a_changed_mapping(write: Write) -> None:
    write("list.csv", "机构,住院号,意愿\nNB01,1,0\n")
    write("m.yaml", "columns: {opt_out: 意愿}\n")
    settings = workspace(write, "[{path: list.csv, mapping: m.yaml}]")
    import_permissions(settings)
    check_permission_lists(settings, NOW)
    write("m.yaml", "columns: {opt_out: 意愿}\nvalues: {opt_out: {'0': 是}}\n")
    assert "mapping has changed" in refusal(settings)


def test_one_file_read_in_two_ways(write: Write) -> None:
    write("list.csv", "机构,住院号,依据,用途,意愿\nNB01,1,同意,research,0\n")
    write("a.yaml", "columns: {opt_out: 意愿}\n")
    write("b.yaml", "columns: {opt_out: 意愿}\nvalues: {opt_out: {'0': 是}}\n")
    settings = workspace(write, "[{path: list.csv, mapping: a.yaml}, {path: list.csv, mapping: b.yaml}]")
    assert import_permissions(settings).opt_outs == 1
    check_permission_lists(settings, NOW)


def test_a_list_that_is_no_longer_named(imported: Workspace, write: Write) -> None:
    assert "no longer named" in refusal(workspace(write, "[{path: consent.csv}]"))


@pytest.mark.parametrize(("age", "is_refused"), [(timedelta(days=7), False), (timedelta(days=7, seconds=1), True)])
def test_the_age_of_a_list(imported: Workspace, age: timedelta, is_refused: bool) -> None:
    aged(imported.permissions[0].path, timedelta(days=4000))  # no max_age_days
    aged(imported.permissions[1].path, age)
    if is_refused:
        assert "opt_out.csv is older than the 7 days" in refusal(imported)
    else:
        check_permission_lists(imported, NOW)


def test_a_list_that_changed_while_it_was_imported(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("consent.csv", CONSENT)
    settings = workspace(write, "[{path: consent.csv}]")
    from pathcurate import permissions

    read = permissions.read_sheet

    def read_then_change(*arguments: object) -> object:
        sheet = read(*arguments)  # type: ignore[arg-type]
        path.write_text(CONSENT + "NB01,2,同意,research\n")
        return sheet

    monkeypatch.setattr(permissions, "read_sheet", read_then_change)
    import_permissions(settings)
    assert "has changed" in refusal(settings)


def test_a_list_that_is_a_link_to_the_newest(write: Write, tmp_path: Path) -> None:
    write("consent-2026.csv", CONSENT)
    (tmp_path / "consent.csv").symlink_to("consent-2026.csv")
    settings = workspace(write, "[{path: consent.csv}]")
    import_permissions(settings)
    check_permission_lists(settings, NOW)
    write("consent-2027.csv", CONSENT + "NB01,2,同意,research\n")
    (tmp_path / "consent.csv").unlink()
    (tmp_path / "consent.csv").symlink_to("consent-2027.csv")
    assert "has changed" in refusal(settings)


def test_a_damaged_record_counts_as_none(imported: Workspace) -> None:
    (imported.catalog / "permissions" / "lists.json").write_text('{"')
    assert "never imported" in refusal(imported)


def test_a_mapping_that_is_gone(write: Write, tmp_path: Path) -> None:
    write("list.csv", CONSENT)
    write("m.yaml", "encoding: utf-8\n")
    settings = workspace(write, "[{path: list.csv, mapping: m.yaml}]")
    record_permission_lists(settings)
    (tmp_path / "m.yaml").unlink()
    with pytest.raises(InputOutputError, match=r"list\.csv or its mapping cannot be read \(FileNotFoundError\)"):
        check_permission_lists(settings, NOW)


@pytest.mark.parametrize(
    ("where", "is_telling"),
    [
        ("{received_date: {min: 2023-01-01, max: 2023-12-31}}", False),
        ("{received_date: {min: 2023-01-01}}", False),
        ("{received_date: {min: 2023-01-01, max: 2023-01-28}}", False),
        ("{received_date: {min: 2023-01-01, max: 2023-01-27}}", True),
        ("{received_date: 2023-01-01}", True),
        ("{received_date: {any_of: [2023-01-01, 2023-05-01]}}", True),
        ("{received_date: {missing: true}}", False),
        ("{birth_date: {min: 1950-01-01, max: 1950-01-02}}", True),
        ("{age: {min: 60, max: 90}}", False),
        ("{age: 97}", True),
        ("{age: {any_of: [20, 91]}}", True),
        ("{age: {min: 95}}", True),
    ],
)
def test_criteria_that_would_tell_a_true_value(tmp_path: Path, where: str, is_telling: bool) -> None:
    from pathcurate.cohort import read_recipe
    from pathcurate.disclosure.criteria import telling_criteria

    file = tmp_path / "r.yaml"
    file.write_text(
        "recipe: 1\nname: r\nversion: 1.0.0\ntitle: t\nunit: case\ncolumns: [case_id]\n"
        f"include: [{{id: c, level: case, where: {where}}}]\n"
    )
    assert telling_criteria(read_recipe(file).recipe) == (["c"] if is_telling else [])
