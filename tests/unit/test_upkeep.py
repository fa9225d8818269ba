"""Care of the catalog: what may be gone back to stays readable, what may not goes whole, and damage is found."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pathcurate.errors import PlanIncompleteError
from pathcurate.goingback import states_at
from pathcurate.model.report import REPORTS
from pathcurate.tables import Catalog, from_rows, read_snapshot
from pathcurate.upkeep import check, expire, plan_expiry
from pathcurate.vault import read_events
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import report
from tests.commandline import pathcurate

NOW = datetime.now(UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Reports of a state a year: five, the first four years ago; the third replaces all before it."""
    (tmp_path / "pathcurate.yaml").write_text("workspace: 1\nname: w\n")
    workspace = load_workspace(tmp_path / "pathcurate.yaml")
    catalog = Catalog(workspace.catalog)
    for number, operation in enumerate(("upsert", "upsert", "replace", "upsert", "upsert")):
        getattr(catalog, operation)(REPORTS, from_rows(REPORTS, [report(number)]))
        log = workspace.catalog / "reports" / "_log" / f"{number + 1:08d}.json"
        entry = json.loads(log.read_bytes()) | {"at": years_ago(4 - number).isoformat()}
        log.write_text(json.dumps(entry))
    filters = workspace.catalog / "reports" / "_filters"
    filters.mkdir(exist_ok=True)
    for part in (workspace.catalog / "reports").glob("part-*"):
        (filters / f"{part.stem}.patient_id").write_bytes(b"bits")
    return workspace


def years_ago(count: float) -> datetime:
    return NOW - timedelta(days=365 * count)


def ids(workspace: Workspace, when: datetime) -> list[str]:
    states = states_at(workspace.catalog, [REPORTS.name], when)
    rows = Catalog(workspace.catalog, states).read(REPORTS, columns=["report_id"])
    return sorted(code[-1] for code in rows["report_id"].to_pylist())


def left(workspace: Workspace) -> tuple[int, int]:
    """Snapshots and parts; beside each part its filter lies."""
    folder = workspace.catalog / "reports"
    parts = {path.stem for path in folder.glob("part-*")}
    assert {path.stem for path in (folder / "_filters").iterdir()} == parts
    return len(list((folder / "_log").iterdir())), len(parts)


@pytest.mark.parametrize(
    ("years", "kept", "states"), [(9, (5, 5), 0), (3.5, (5, 5), 0), (2.5, (4, 5), 1), (1.5, (3, 3), 2), (0.5, (2, 3), 3)]
)
def test_every_state_from_the_horizon_on_can_be_read_and_none_before(
    workspace: Workspace, years: float, kept: tuple[int, int], states: int
) -> None:
    moments = [years_ago(4 - number / 2) for number in range(9)]
    before = {moment: ids(workspace, moment) for moment in moments}
    plan = plan_expiry(workspace, years_ago(years))
    assert left(workspace) == (5, 5)
    assert expire(workspace, years_ago(years)) == plan
    assert sum(plan.states.values()) == states
    assert left(workspace) == kept
    for moment in moments:
        if moment >= years_ago(years) or not states:
            assert ids(workspace, moment) == before[moment]
        elif moment < datetime.fromisoformat(read_snapshot(_logs(workspace)[0]).at):
            with pytest.raises(PlanIncompleteError, match="no longer kept"):
                ids(workspace, moment)
    assert list(check(workspace)) == []
    assert expire(workspace, years_ago(years)).states == {}


def _logs(workspace: Workspace) -> list[Path]:
    return sorted((workspace.catalog / "reports" / "_log").iterdir())


def test_a_run_that_was_killed_between_is_ended_by_the_next(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left_over = Path.unlink, [0]

    def dying(path: Path, *, missing_ok: bool = False) -> None:
        left_over[0] -= 1
        if not left_over[0]:
            raise KeyboardInterrupt
        real(path, missing_ok=missing_ok)

    pristine = workspace.root.parent / "pristine"
    shutil.copytree(workspace.catalog, pristine)
    for killed in (1, 2, 4, 7):
        shutil.rmtree(workspace.catalog)
        shutil.copytree(pristine, workspace.catalog)
        left_over[0] = killed
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", dying)
            try:
                expire(workspace, years_ago(0.5))
            except KeyboardInterrupt:
                assert ids(workspace, NOW) == ["2", "3", "4"]
        expire(workspace, years_ago(0.5))
        assert left(workspace) == (2, 3)
        assert list(check(workspace)) == []


def test_a_cohort_of_a_state_that_goes_is_named(workspace: Workspace) -> None:
    from pathcurate.verification import INPUTS

    states = {table.name: f"{table.name}@0" for table in INPUTS} | {"permissions": "permissions@1"}
    for name, number in (("old", 2), ("young", 4)):
        file = workspace.cohorts / name / "cohort.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"states": states | {"reports": f"reports@{number}"}}))
    (workspace.cohorts / "broken").mkdir()
    (workspace.cohorts / "broken" / "cohort.json").write_text("{")
    assert plan_expiry(workspace, years_ago(1.5)).cohorts == ("old",)
    assert plan_expiry(workspace, years_ago(9)).cohorts == ()


def test_damage_is_found_wherever_it_is(workspace: Workspace) -> None:
    parts = sorted((workspace.catalog / "reports").glob("part-*"))
    whole = parts[0].read_bytes()
    middle = whole.index(b"PAR1") + 40
    parts[0].write_bytes(whole[:middle] + bytes(60) + whole[middle + 60 :])
    parts[1].write_bytes(b"")
    parts[4].unlink()
    (workspace.catalog / "reports" / "_log" / "00000002.json").unlink()
    faults = dict(fault.split(" ", 1) for _, fault in check(workspace))
    assert faults[parts[0].name].startswith("cannot be read (")
    # The second part was named by the second state alone, which is gone, and by none after the third replaced all.
    assert faults.keys() == {parts[0].name, parts[1].name, parts[4].name, "snapshots"}
    assert faults[parts[1].name].startswith("is named by no state")
    assert faults[parts[4].name] == "is missing, which the newest state needs"
    assert faults["snapshots"] == "are missing between others"
    (workspace.catalog / "reports" / "_log" / "00000004.json").write_text("{")
    assert ("reports", "snapshot 00000004.json is damaged") in list(check(workspace))


def test_the_commands_say_first_and_do_then(workspace: Workspace) -> None:
    here = ("-w", workspace.root)
    said = pathcurate("catalog", "expire", "--keep", "400d", *here)
    assert (said.returncode, said.stderr) == (0, "")
    assert "would go: 2 earlier states" in said.stdout
    assert "--yes" in said.stdout
    assert left(workspace) == (5, 5)
    done = json.loads(pathcurate("catalog", "expire", "--keep", "400d", "--yes", "--json", *here).stdout)
    assert (done["done"], done["states"], done["files"]) == (True, {"reports": 2}, 4)
    assert [event.action for event in read_events(workspace.vault)] == ["catalog expire"]
    checked = pathcurate("catalog", "check", *here)
    assert (checked.returncode, checked.stdout) == (0, "every file of the catalog can be read\n")
    next((workspace.catalog / "reports").glob("part-*")).write_bytes(os.urandom(40))
    assert pathcurate("catalog", "check", *here).returncode == 1


@pytest.mark.parametrize("keep", ["", "0d", "-3d", "400", "1h", "d"])
def test_a_time_to_keep_that_is_none_is_refused(workspace: Workspace, keep: str) -> None:
    refused = pathcurate("catalog", "expire", "--yes", f"--keep={keep}", "-w", workspace.root)
    assert refused.returncode == 2
    assert left(workspace) == (5, 5)
