"""Fifty-four products by one table: three are refused, are repaired, and a second run touches those three alone."""
# ruff: noqa: F811 -- fixtures are imported by their names

from collections.abc import Sequence
from pathlib import Path

import pytest

from pathcurate import product
from pathcurate.errors import PathcurateError
from pathcurate.model.product import Command, State, Step
from pathcurate.model.registration import RowOutcome
from pathcurate.product.batch import Goal, Pen, run_batch
from pathcurate.registrationtable import read_batch
from pathcurate.registries.sql import SqlRegistry
from pathcurate.rights.sources import sources_path
from tests.products import (  # noqa: F401 -- fixtures among them
    ETHICS,
    FAILED,
    PASSED,
    At,
    House,
    actions,
    at,
    enter,
    houses,
    no_sync,
    renamed,
    tree,
)

FIFTY_FOUR = 54


def pen_of(house: House) -> Pen:
    return Pen([(house.people.steward, None), (house.people.compliance, None)], house.root.parent / "out", lambda _: PASSED)


def run(house: House, goals: Sequence[Goal], pen: Pen | None = None) -> list[RowOutcome]:
    with house.desk() as desk:
        return run_batch(desk, goals, pen or pen_of(house), lambda _: None)


def goals_of(*releases: str, regime: str = "zj-data-ip") -> list[Goal]:
    return [Goal(number, one, regime) for number, one in enumerate(releases, 2)]


@pytest.fixture(scope="module")
def many(houses, tmp_path_factory: pytest.TempPathFactory) -> tuple[House, Path]:  # type: ignore[no-untyped-def]
    """A workspace with 54 products, and the table that names them as a hospital writes it."""
    house = houses.at("new", tmp_path_factory.mktemp("many") / "w")
    names = [f"dataset_{number:02}" for number in range(1, FIFTY_FOUR + 1)]
    for name in names:
        renamed(house.root, name)
    table = house.root.parent / "批量登记.csv"
    lines = [
        "产品代码,版本号,登记类型,备注",
        *(f"{name},1.0.0,zj-data-ip,第{number}批" for number, name in enumerate(names, 1)),
    ]
    table.write_bytes("\r\n".join([*lines, ""]).encode("gb18030"))
    return house, table


def test_fifty_four_of_which_three_are_refused_and_repaired(many: tuple[House, Path]) -> None:
    house, table = many
    rows, findings = read_batch(table)
    assert [finding.rule for finding in findings] == ["registration.unknown_column"]
    goals = [Goal(row.row, row.release, row.regime) for row in rows]
    assert len(goals) == FIFTY_FOUR
    # One without ethics approval, one of a site whose authorisation has expired, one whose bytes were changed.
    unapproved = house.root / "products" / "dataset_07.yaml"
    text = unapproved.read_text(encoding="utf-8")
    unapproved.write_text(text.replace(f"  {ETHICS}\n", ""), encoding="utf-8")
    changed = house.directory("dataset_33@1.0.0") / "metadata" / "policy.odrl.jsonld"
    content = changed.read_bytes()
    changed.write_bytes(content + b"\n")
    source = sources_path(house.workspace, "dataset_21", "1.0.0")
    said = source.read_text(encoding="utf-8")
    source.write_text(said.replace('"NB02"', '"NB03"'), encoding="utf-8")
    old = "valid_until: 2027-06-30, share: 0.25}"
    third = (
        "  - code: NB03\n    rights: {holder: 某医院, authorisation: docs/nb02.pdf, valid_until: 2026-01-01, share: 0.25}"
    )
    house.edit("pathcurate.yaml", old, f"{old}\n{third}")

    outcomes = run(house, goals)
    refused = {one.release: one for one in outcomes if one.lacks}
    assert len(outcomes) - len(refused) == 51
    assert {one.state for one in outcomes if not one.lacks} == {State.SUBMITTED}
    assert all(one.is_changed for one in outcomes if not one.lacks)
    is_changed = "dataset_33/1.0.0 is not what was built: metadata/policy.odrl.jsonld was changed since it was built"
    told = {name: (one.state, [(lack.what, lack.exit_code) for lack in one.lacks]) for name, one in refused.items()}
    assert told == {
        "dataset_07@1.0.0": ("validated", [("the approval of the ethics committee is not named", 12)]),
        "dataset_21@1.0.0": ("validated", [("rows of site NB03: its authorisation was valid until 2026-01-01", 6)]),
        "dataset_33@1.0.0": ("", [(is_changed, 4)]),
    }  # fmt: skip
    assert all(lack.how for one in refused.values() for lack in one.lacks)
    assert [one.row for one in refused.values()] == [8, 22, 34]  # as a spreadsheet counts them
    assert len(list((house.root.parent / "out").iterdir())) == 51

    # Repaired.
    unapproved.write_text(text, encoding="utf-8")
    changed.write_bytes(content)
    house.edit("pathcurate.yaml", "valid_until: 2026-01-01", "valid_until: 2028-01-01")
    before = {one.release: house.events(one.release) for one in outcomes}
    files = tree(house.root)
    again = run(house, goals)
    assert not [one for one in again if one.lacks]
    assert {one.release for one in again if one.is_changed} == set(refused)
    assert {name for name, events in before.items() if house.events(name) != events} == set(refused)
    touched = {path.split("/")[1] for path, now in tree(house.root).items() if files.get(path) != now}
    assert touched == {"dataset_07", "dataset_21", "dataset_33"}
    assert actions(house.events("dataset_07@1.0.0")) == ["register", "check", "!sign", "sign", "approve", "submit"]

    # And a third time nothing at all.
    head, files = house.head(), tree(house.root)
    assert not [one for one in run(house, goals) if one.lacks or one.is_changed]
    assert (house.head(), tree(house.root)) == (head, files)
    assert house.faults() == []


def test_a_batch_that_was_killed_goes_on(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    house = at("new")
    goals = goals_of(*(f"{renamed(house.root, name).parent.name}@1.0.0" for name in ("a", "b", "c")))
    real = SqlRegistry.transition
    for number in (1, 2, 4, 6):  # in the middle of whatever it is doing then
        left = [number]

        def until_killed(self: SqlRegistry, command: Command, left: list[int] = left) -> Step:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return real(self, command)

        with monkeypatch.context() as patch:
            patch.setattr(SqlRegistry, "transition", until_killed)
            with pytest.raises(KeyboardInterrupt):
                run(house, goals)
        assert house.faults() == []
    assert not [one for one in run(house, goals) if one.lacks]
    for name in ("a", "b", "c"):
        assert actions(house.events(f"{name}@1.0.0")) == ["register", "check", "sign", "approve", "submit"]


def test_a_row_that_cannot_go_on_lets_the_others_go(at: At) -> None:
    house = at("offered")
    for name in ("gone", "bad", "good"):
        renamed(house.root, name)
    house.register("gone@1.0.0")
    with house.desk() as desk:
        product.withdraw(desk, "gone", "1.0.0", "over")

    def tester(directory: Path) -> object:
        return FAILED if directory.parent.name == "bad" else PASSED

    outcomes = run(
        house, goals_of("gone@1.0.0", "unknown@1.0.0", "bad@1.0.0", "good@1.0.0", "small@1.0.0"),
        Pen(pen_of(house).signers, house.root.parent / "out", tester),  # type: ignore[arg-type]
    )  # fmt: skip
    assert [(one.state, one.is_changed, [lack.exit_code for lack in one.lacks]) for one in outcomes] == [
        ("withdrawn", False, [12]), ("", False, [2]), ("frozen", True, [12]), ("submitted", True, []),
        ("offered", False, []),
    ]  # fmt: skip
    assert "it is withdrawn" in outcomes[0].lacks[0].what
    assert "there is no release `unknown@1.0.0`" in outcomes[1].lacks[0].what


def test_a_release_is_submitted_in_one_form(at: At) -> None:
    """A second row of another form is not silently done."""
    house = at("new")
    goals = [*goals_of("small@1.0.0"), *goals_of("small@1.0.0", regime="ndi-catalog")]
    first, second = run(house, goals)
    assert (first.state, first.lacks) == ("submitted", ())
    assert [lack.what for lack in second.lacks] == ["it was submitted in the form zj-data-ip"]
    assert house.entry().facts["submission"]["regime"] == "zj-data-ip"


def test_a_form_that_there_is_not_is_refused_in_its_row(at: At) -> None:
    house = at("new")
    (one,) = run(house, goals_of("small@1.0.0", regime="zj-data-iq"))
    assert (one.state, one.lacks[0].exit_code) == ("compliance_checked", 2)
    assert "zj-data-ip" in one.lacks[0].what
    assert not run(house, goals_of("small@1.0.0"))[0].lacks


def test_more_keys_than_are_needed_do_no_harm(at: At) -> None:
    house = at("new")
    more = [(enter(house.root, "C", ["steward"]), None), (enter(house.root, "D", ["steward", "compliance"]), "compliance")]
    pen = Pen([*pen_of(house).signers, *more], house.root.parent / "out", lambda _: PASSED)
    (one,) = run(house, goals_of("small@1.0.0"), pen)
    assert (one.state, one.lacks) == ("submitted", ())
    assert len(house.entry().facts["signatures"]) == 2


def test_too_few_keys_stop_before_the_authority(at: At) -> None:
    house = at("new")
    pen = Pen([(house.people.steward, None)], house.root.parent / "out", lambda _: PASSED)
    (one,) = run(house, goals_of("small@1.0.0"), pen)
    assert (one.state, [lack.exit_code for lack in one.lacks]) == ("validated", [12])
    assert not (house.root.parent / "out").exists()
    assert not run(house, goals_of("small@1.0.0"))[0].lacks


def test_what_was_sent_back_is_not_sent_again_by_a_table(at: At) -> None:
    house = at("submitted")
    with house.desk() as desk:
        product.told(desk, house.directory(), "return", "材料不全")
    (one,) = run(house, goals_of("small@1.0.0"))
    assert (one.state, [lack.what for lack in one.lacks]) == ("returned", ["it is returned"])


def test_a_release_whose_folder_is_closed_is_one_rows_trouble(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    house = at("new")
    renamed(house.root, "other")

    def cannot(self: SqlRegistry, command: Command) -> Step:
        if command.subject.startswith("other@"):
            raise PathcurateError("the disk is full", "Make room.")
        return real(self, command)

    real = SqlRegistry.transition
    monkeypatch.setattr(SqlRegistry, "transition", cannot)
    outcomes = run(house, goals_of("other@1.0.0", "small@1.0.0"))
    assert [(one.state, len(one.lacks)) for one in outcomes] == [("frozen", 1), ("submitted", 0)]
    assert [path.name for path in (house.root.parent / "out").iterdir()] == ["small-1.0.0-zj-data-ip"]
