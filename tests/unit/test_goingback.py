"""Earlier states of the archive: which one is meant, that it is the same to the byte, and that permissions are today's."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate import deid
from pathcurate.deid import apply
from pathcurate.deid.past import go_back
from pathcurate.deid.pastpermissions import OWNED, permissions_of_then
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError, PlanIncompleteError, UsageError
from pathcurate.goingback import Earlier, erasures_since, lock, numbers, parse_as_of, states_at
from pathcurate.model.deidentified import DEID_TABLES, PERMISSION_CODES
from pathcurate.model.link import LINKS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import internal
from pathcurate.tables import Catalog, arrow_schema, from_rows, read_parquet, write_parquet
from pathcurate.vault import append_event, open_vault
from pathcurate.verification import INPUTS, demand_seal, files
from pathcurate.workspace import Workspace, load_workspace
from tests.archives import Here
from tests.clinic import Row, event, link_again, open_clinic, report, slide

NAMES = [table.name for table in INPUTS]
NOW = datetime.now(UTC) + timedelta(hours=12)  # later than anything that the tests do
NUMBER = {1: "10086001", 2: "10086002", 3: "10086003", 4: "10086004"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as engine:
        yield engine


@pytest.fixture(scope="module", autouse=True)
def _quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Embedded, "run", Here.run)
        # The present tables are verified in many tests; those of the first day are, here.
        patch.setattr(deid, "known", lambda _: None)
        patch.setattr(deid, "find_faults", lambda *_: [])
        yield


def a_report(number: int, **values: Any) -> Row:
    named = {"patient_id": NUMBER[number], "patient_name": f"某患者{number}", "id_number": None}
    return report(number, f"S23-{number:05}", **{**named, **values})


@dataclass(frozen=True)
class History:
    """A clinic of two days. Nobody may change it.

    On the first, four patients have a report, a slide and an event each, and the fourth slide is linked to the first case.
    On the second, reports have changed, the link is right, and the fourth patient has opted out.

    Attributes:
        root: its directory.
        first: the state of the first day.
        before: bytes of the first day's de-identified tables.
    """

    root: Path
    first: Earlier
    before: dict[str, bytes]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    root = tmp_path_factory.mktemp("clinic")
    people = range(1, 5)
    workspace = open_clinic(
        root,
        slides=[slide(number) for number in people],
        reports=[a_report(number) for number in people],
        keys={f"S-{number:016d}": f"S23-{number % 4 or 1:05}" for number in people},
        events=[event(number, patient_id=NUMBER[number]) for number in people],
    )
    assert apply(workspace, actor="tester").faults == ()
    first = Earlier(datetime.now(UTC), numbers(demand_seal(workspace).inputs))
    made = History(root, first, contents(workspace))
    catalog = Catalog(workspace.catalog)
    catalog.replace(REPORTS, from_rows(REPORTS, [a_report(number, organ="lung") for number in people]))
    catalog.upsert(SLIDES, from_rows(SLIDES, [slide(4, barcode="S23-00004-A1")]))
    opt_out = {"subject": "person", "site": "NB01", "subject_value": NUMBER[4], "opt_out": True}
    catalog.replace(PERMISSIONS, from_rows(PERMISSIONS, [{**opt_out, "source": "a", "source_row": 2}]))
    follow(workspace)
    return made


@pytest.fixture
def clinic(history: History, tmp_path: Path) -> Workspace:
    shutil.copytree(history.root, tmp_path / "clinic")
    return load_workspace(tmp_path / "clinic" / "pathcurate.yaml")


def contents(workspace: Workspace) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files(workspace).items()}


def follow(workspace: Workspace) -> None:
    link_again(workspace)
    assert apply(workspace, actor="tester").faults == ()


def some_change(workspace: Workspace) -> None:
    Catalog(workspace.catalog).upsert(REPORTS, from_rows(REPORTS, [a_report(1, organ="skin")]))


def today(workspace: Workspace) -> Mapping[str, int]:
    return numbers(demand_seal(workspace).inputs)


# --- Which state is meant ------------------------------------------------------------------------------------------------


def test_a_table_that_was_not_there_yet_has_no_state(clinic: Workspace) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    assert states_at(clinic.catalog, NAMES, long_ago) == dict.fromkeys(NAMES, 0)
    assert states_at(clinic.catalog, NAMES) == today(clinic)
    assert today(clinic)["series"] == 0 < today(clinic)["slides"]


def test_a_state_that_is_no_longer_kept_is_refused_and_one_that_is_kept_is_not(clinic: Workspace, history: History) -> None:
    some_change(clinic)
    number = history.first.states["reports"]
    (clinic.catalog / "reports" / "_log" / f"{number:08d}.json").unlink()
    assert states_at(clinic.catalog, NAMES, NOW)["reports"] == number + 2
    with pytest.raises(PlanIncompleteError, match="reports had then is no longer kept"):
        states_at(clinic.catalog, NAMES, history.first.at)
    with pytest.raises(PlanIncompleteError, match="no longer kept"):
        Catalog(clinic.catalog, history.first.states).read(REPORTS)


def test_an_earlier_catalog_is_read_whole_and_never_written(clinic: Workspace) -> None:
    states, before = today(clinic), Catalog(clinic.catalog).read(REPORTS)
    some_change(clinic)
    earlier = Catalog(clinic.catalog, states)
    assert earlier.read(REPORTS).equals(before)
    assert earlier.row_count(REPORTS) == 4 < Catalog(clinic.catalog).row_count(REPORTS)
    assert sum(data.num_rows for _, data in earlier.parts(REPORTS, ["report_id"])) == 4
    assert earlier.state(REPORTS) == f"reports@{states['reports']}"
    assert Catalog(clinic.catalog, {"reports": 0}).read(REPORTS).num_rows == 0
    assert Catalog(clinic.catalog, {"reports": 0}).read(SLIDES).num_rows == 4
    batches = arrow_schema(REPORTS).empty_table().to_batches()
    attempts: list[Callable[[], object]] = [
        lambda: earlier.upsert(REPORTS, from_rows(REPORTS, [a_report(3)])),
        lambda: earlier.replace(REPORTS, from_rows(REPORTS, [a_report(3)])),
        lambda: earlier.replace_streamed(REPORTS, batches, "x"),
    ]
    count = len(list((clinic.catalog / "reports").iterdir()))
    for attempt in attempts:
        with pytest.raises(ValueError, match="cannot be written"):
            attempt()
    assert len(list((clinic.catalog / "reports").iterdir())) == count


def test_times_in_every_form(clinic: Workspace) -> None:
    def moment(text: str, now: datetime = NOW) -> datetime:
        return parse_as_of(text, clinic, directory=clinic.root, now=now).at

    assert moment("2026-01-31T18:00:00+08:00") == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert moment("2026-01-31T10:00Z") == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert moment("2026-01-31 10:00") == datetime(2026, 1, 31, 10).astimezone()
    assert moment("2026-01-31") == datetime(2026, 1, 31, 23, 59, 59, 999999).astimezone()
    noon = datetime(2026, 1, 31, 12).astimezone()
    assert moment("2026-01-31", noon) == noon
    for late in ("2026-02-01", "2026-01-31T13:00", "2999-12-31"):
        now = noon if late != "2026-01-31T13:00" else noon - timedelta(days=2)
        with pytest.raises(UsageError, match="has not come yet"):
            moment(late, now)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "../clinic", "nobody", "2026-13-01", "gone.json", "x/y.json", "cohort.json/"]
)
def test_what_is_no_state_is_refused_and_not_repeated(clinic: Workspace, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_as_of(text, clinic, directory=clinic.root, now=NOW)
    assert not text.strip("./") or text not in str(refused.value).replace("cohort.json", "")


def written_lock(workspace: Workspace, name: str = "lungs") -> Path:
    seal = demand_seal(workspace)
    facts = {"states": dict(seal.inputs), "lock": lock(workspace, seal, datetime.now(UTC))}
    file = workspace.cohorts / name / "cohort.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(facts))
    return file


def test_a_cohort_and_a_copy_of_its_file_name_its_state(clinic: Workspace, tmp_path: Path) -> None:
    file = written_lock(clinic)
    states = today(clinic)
    shutil.copy(file, tmp_path / "copy.json")
    some_change(clinic)
    for text in ("lungs", "copy.json", str(tmp_path / "copy.json")):
        assert parse_as_of(text, clinic, directory=tmp_path, now=NOW).states == states


_SPOILT: list[Callable[[dict[str, Any]], object]] = [
    lambda facts: facts.pop("lock"),
    lambda facts: facts["lock"].pop("catalog"),
    lambda facts: facts["lock"].update(at="2026-01-05T10:00:00"),
    lambda facts: facts["lock"].update(at=5),
    lambda facts: facts["states"].update(slides="slides@-1"),
    lambda facts: facts["states"].update(slides="slides@../../x"),
    lambda facts: facts["states"].pop("links"),
    lambda facts: facts.update(states=None),
]


@pytest.mark.parametrize("spoil", _SPOILT)
def test_a_file_that_says_no_state_is_refused(clinic: Workspace, spoil: Callable[[dict[str, Any]], object]) -> None:
    file = written_lock(clinic)
    facts = json.loads(file.read_bytes())
    spoil(facts)
    file.write_text(json.dumps(facts))
    with pytest.raises(InputOutputError, match="does not say what its cohort was made of"):
        parse_as_of("lungs", clinic, directory=clinic.root, now=NOW)


def test_a_lock_of_another_catalog_is_refused(clinic: Workspace, tmp_path: Path) -> None:
    file = written_lock(clinic)
    log = clinic.catalog / "reports" / "_log" / f"{today(clinic)['reports']:08d}.json"
    # As if a backup had been put back, and then other reports had been imported under the same number.
    log.write_text(log.read_text().replace("part-", "part-0"))
    with pytest.raises(PlanIncompleteError, match="of another catalog than this one"):
        parse_as_of(str(file), clinic, directory=tmp_path, now=NOW)


# --- The state itself ----------------------------------------------------------------------------------------------------


def test_an_earlier_state_is_the_same_to_the_byte_with_the_permissions_of_today(
    clinic: Workspace, history: History, engine: Embedded
) -> None:
    untouched, kept = contents(clinic), clinic.catalog / "as_of"
    for age, name in enumerate(("latest", "oldest")):
        (kept / name).mkdir(parents=True)
        os.utime(kept / name, (1000 - age, 1000 - age))
    past = go_back(clinic, history.first, engine, actor="tester")
    assert contents(clinic) == untouched
    then = contents(past)
    assert {name for name in then if then[name] != history.before[name]} == {"criteria/permissions.parquet"}
    # The fourth slide lay in the case of the first patient, who did not opt out: as it stood, that holds another's tissue.
    assert usable(clinic, past) == {1: False, 2: True, 3: True, 4: False}
    assert usable(clinic, clinic) == {1: True, 2: True, 3: True, 4: False}
    assert {path.name for path in kept.iterdir()} == {"latest", past.deid.parent.name}
    assert past.deid.parent.stat().st_mode & 0o777 == 0o700
    assert past.criteria.joinpath("cases.parquet").stat().st_mode & 0o777 == 0o600
    demand_seal(past)
    made = (past.deid / "slides.parquet").stat().st_ino
    assert go_back(clinic, history.first, engine, actor="tester") == past
    assert (past.deid / "slides.parquet").stat().st_ino == made
    # What was tampered with is made again, and never sealed as it is.
    write_parquet(past.deid / "slides.parquet", read_parquet(past.deid / "slides.parquet").slice(1))
    assert contents(go_back(clinic, history.first, engine, actor="tester")) == then


def usable(workspace: Workspace, past: Workspace) -> dict[int, bool]:
    """Which slides of then nobody's opt-out keeps out, by number: from the statements alone, as one reads them."""
    statements = read_parquet(past.criteria / "permissions.parquet").to_pylist()
    out = {row["subject_code"] for row in statements if row["opt_out"]}
    codes = internal(open_vault(workspace.vault).key).codes
    numbered = {codes.code("S", f"S-{number:016d}"): number for number in NUMBER}
    rows = read_parquet(past.deid / "slides.parquet").to_pylist()
    return {numbered[row["slide_id"]]: not out & {row["group_id"], row["case_id"]} for row in rows}


def test_the_state_of_today_is_the_workspace_itself(clinic: Workspace, engine: Embedded) -> None:
    assert go_back(clinic, Earlier(NOW, today(clinic)), engine, actor="tester") is clinic


def test_before_anything_was_linked_there_is_no_state_to_go_back_to(clinic: Workspace, engine: Embedded) -> None:
    with pytest.raises(PlanIncompleteError, match="nothing was linked yet"):
        go_back(clinic, Earlier(NOW, {**today(clinic), LINKS.name: 0}), engine, actor="tester")


def test_a_lost_file_of_a_state_is_said_before_anything_is_made(
    clinic: Workspace, history: History, engine: Embedded
) -> None:
    snapshot = Catalog(clinic.catalog, history.first.states).snapshot(REPORTS)
    assert snapshot is not None
    (clinic.catalog / "reports" / snapshot.parts[0]).unlink()
    with pytest.raises(PlanIncompleteError, match="files of the state that catalog table reports had then are missing"):
        go_back(clinic, history.first, engine, actor="tester")
    assert not (clinic.catalog / "as_of").exists()


# --- Permissions of today ----------------------------------------------------------------------------------------------

Owner = tuple[str | None, str | None, str | None]
_ALLOWED: Row = {"basis": "consent", "purposes": ["research"], "data_kinds": ["slides"], "opt_out": False}
_OUT: Row = {"purposes": [], "data_kinds": [], "opt_out": True}


def state_of(root: Path, owners: Mapping[str, Owner], *statements: Row) -> Workspace:
    """De-identified tables with slides alone, each with its case, patient and group; and statements."""
    root.mkdir()
    (root / "pathcurate.yaml").write_text("workspace: 1\nname: x\n")
    workspace = load_workspace(root / "pathcurate.yaml")
    columns = ("slide_id", "case_id", "patient_id", "group_id")
    slides = [dict(zip(columns, (code, *owner), strict=True)) for code, owner in owners.items()]
    for name in OWNED:
        table = DEID_TABLES[name]
        # A table of four columns is read as one of forty.
        few = table.select([column for column in dict.fromkeys((*table.key, *columns[1:])) if column in table])
        write_parquet(workspace.deid / f"{name}.parquet", from_rows(few, slides if name == "slides" else ()))
    write_parquet(workspace.criteria / "permissions.parquet", from_rows(PERMISSION_CODES, statements))
    return workspace


def allows(code: str, subject: str = "person", **terms: Any) -> Row:
    return {"subject": subject, "subject_code": code, **_ALLOWED, **terms}


def out(code: str, subject: str = "person") -> Row:
    return {"subject": subject, "subject_code": code, **_OUT}


ONE, TWO = ("C-1", "P-1", "Q-1"), ("C-2", "P-2", "Q-2")
_CASES: dict[str, tuple[Mapping[str, Owner], Mapping[str, Owner], list[Row], list[Row], set[tuple[str, str, bool]]]] = {
    "nothing has changed": ({"S-1": ONE}, {"S-1": ONE}, [allows("P-1"), out("Q-9")], [],
                            {("person", "P-1", False), ("person", "Q-9", True)}),
    "a wrong link, its true patient has opted out": (
        {"S-1": ONE, "S-2": ONE}, {"S-1": ONE, "S-2": TWO}, [out("Q-2")], [],
        {("person", "Q-2", True), ("case", "C-1", True)}),
    "a wrong link, the true case is out": (
        {"S-1": ONE, "S-2": ONE}, {"S-1": ONE, "S-2": TWO}, [out("C-2", "case")], [],
        {("case", "C-2", True), ("case", "C-1", True)}),
    "a wrong link, only the wrong patient agrees": (
        {"S-1": ONE, "S-2": ONE}, {"S-1": ONE, "S-2": TWO}, [allows("P-1")], [],
        {("person", "P-1", False), ("case", "C-1", True)}),
    "a wrong link, both agree": (
        {"S-1": ONE, "S-2": ONE}, {"S-1": ONE, "S-2": TWO}, [allows("P-1"), allows("P-2")], [],
        {("person", "P-1", False), ("person", "P-2", False)}),
    "a wrong link, both agree to other things": (
        {"S-1": ONE, "S-2": ONE}, {"S-1": ONE, "S-2": TWO}, [allows("P-1"), allows("P-2", purposes=["teaching"])], [],
        {("person", "P-1", False), ("person", "P-2", False), ("case", "C-1", True)}),
    "a wrong link, the true one agrees for a shorter time": (
        {"S-1": ONE, "S-2": ONE}, {"S-1": ONE, "S-2": TWO}, [allows("P-1"), allows("P-2", valid_to=date(2026, 1, 1))], [],
        {("person", "P-1", False), ("person", "P-2", False), ("case", "C-1", True)}),
    "a wrong link, nobody's today": (
        {"S-1": ONE, "S-2": ONE}, {"S-1": ONE, "S-2": (None, None, None)}, [allows("P-1")], [],
        {("person", "P-1", False), ("case", "C-1", True)}),
    "a link that came later": (
        {"S-1": (None, None, None)}, {"S-1": ONE}, [allows("P-1"), out("Q-1")], [],
        {("person", "P-1", False), ("person", "Q-1", True)}),
    "two persons were found to be one, who agrees": (
        {"S-1": ONE, "S-2": TWO}, {"S-1": ONE, "S-2": ("C-2", "P-1", "Q-1")}, [allows("P-1")], [],
        {("person", "P-1", False), ("person", "P-2", False)}),
    "two persons were found to be one, who has opted out": (
        {"S-1": ONE, "S-2": TWO}, {"S-1": ONE, "S-2": ("C-2", "P-1", "Q-1")}, [out("Q-1")], [],
        {("person", "Q-1", True), ("case", "C-2", True)}),
    "one person was found to be two, and one agrees": (
        {"S-1": ONE, "S-2": ("C-2", "P-1", "Q-1")}, {"S-1": ONE, "S-2": TWO}, [allows("P-1")], [],
        {("person", "P-1", False), ("case", "C-2", True)}),
    "a new code for all, of whom one agrees": (
        {"S-1": ONE, "S-2": ("C-2", "P-1", "Q-1")}, {"S-1": ("C-1", "P-3", "Q-3"), "S-2": TWO}, [allows("P-3")], [],
        {("person", "P-3", False)}),
    "a new code for all, of whom nobody has refused": (
        {"S-1": ONE}, {"S-1": ("C-1", "P-3", "Q-3")}, [allows("P-3")], [],
        {("person", "P-3", False), ("person", "P-1", False)}),
    "possibly one person since, who has opted out": (
        {"S-1": ONE}, {"S-1": ("C-1", "P-1", "Q-0")}, [out("Q-0")], [], {("person", "Q-0", True), ("case", "C-1", True)}),
    "a slide without a case": (
        {"S-1": (None, "P-1", "Q-1")}, {"S-1": TWO}, [out("Q-2")], [], {("person", "Q-2", True), ("person", "Q-1", True)}),
    "gone since, and its number is out": ({"S-1": ONE}, {}, [], [out("Q-1")], {("person", "Q-1", True)}),
    "a permission that only the persons of then give": ({"S-1": ONE}, {}, [], [allows("P-1")], set()),
    "a site and everybody": (
        {"S-1": ONE}, {"S-1": TWO}, [allows("NB01", "site"), allows("population", "population")], [],
        {("site", "NB01", False), ("population", "population", False)}),
}  # fmt: skip


def _of_case(code: str | None, number: int) -> str | None:
    """A code of one case's own, so that all can be asked at once."""
    return f"{code}.{number}" if code is not None and code[1] == "-" else code


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, engine: Embedded) -> list[tuple[str, str, bool]]:
    """Statements for the states of all cases together, each with codes of its own."""
    then: dict[str, Owner] = {}
    now: dict[str, Owner] = {}
    statements, of_then = [], []
    for number, case in enumerate(_CASES.values()):
        for rows, owners in ((then, case[0]), (now, case[1])):
            for code, (where, who, group) in owners.items():
                rows[f"{code}.{number}"] = _of_case(where, number), _of_case(who, number), _of_case(group, number)
        statements += [{**row, "subject_code": _of_case(row["subject_code"], number)} for row in case[2]]
        of_then += [{**row, "subject_code": _of_case(row["subject_code"], number)} for row in case[3]]
    root = tmp_path_factory.mktemp("states")
    past, present = state_of(root / "then", then), state_of(root / "now", now, *statements)
    found = permissions_of_then(present, past, from_rows(PERMISSION_CODES, of_then), engine)
    return [(row["subject"], row["subject_code"], row["opt_out"]) for row in found.to_pylist()]


@pytest.mark.parametrize("name", _CASES)
def test_what_holds_for_a_row_is_what_holds_for_its_owner_of_today(answers: list[tuple[str, str, bool]], name: str) -> None:
    number, expected = list(_CASES).index(name), _CASES[name][4]
    is_of_all = [row for row in answers if "." not in row[1]]
    rows = [(subject, code.rpartition(".")[0], is_out) for subject, code, is_out in answers if code.endswith(f".{number}")]
    assert set(rows) == {row for row in expected if row[1][1] == "-"}
    assert len(rows) == len(set(rows))
    assert answers == sorted(answers)
    assert is_of_all == [("population", "population", False), ("site", "NB01", False)]


_owners = st.one_of(
    st.tuples(
        st.sampled_from(["C-1", "C-2", "C-3"]), st.sampled_from(["P-1", "P-2", "P-3"]), st.sampled_from(["Q-1", "Q-2"])
    ),
    st.tuples(st.none(), st.sampled_from(["P-1", "P-2"]), st.sampled_from(["Q-1", "Q-2"])),
    st.just((None, None, None)),
)
_states = st.dictionaries(st.sampled_from([f"S-{number}" for number in range(5)]), _owners, max_size=5)
_statements = st.lists(
    st.sampled_from([
        *(allows(code) for code in ("P-1", "P-2", "P-3")), allows("C-1", "case"), allows("P-1", purposes=["teaching"]),
        *(out(code) for code in ("Q-1", "Q-2")), out("C-2", "case"),
    ]),
    max_size=4,
)  # fmt: skip


def may_be_used(owner: Owner, statements: list[Row]) -> bool:
    """Whether a cohort for research may take a row, as anybody reads the statements."""
    case, patient, group = owner
    if any(row["opt_out"] and row["subject_code"] in {case, group} for row in statements):
        return False
    return any(not row["opt_out"] and row["subject_code"] in {patient, case} and "research" in row["purposes"]
               for row in statements)  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(_states, _states, _statements)
def test_nothing_of_then_is_used_that_may_not_be_used_today(
    engine: Embedded, then: Mapping[str, Owner], now: Mapping[str, Owner], statements: list[Row]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        past, present = state_of(Path(directory) / "then", then), state_of(Path(directory) / "now", now, *statements)
        found = permissions_of_then(present, past, from_rows(PERMISSION_CODES, []), engine).to_pylist()
    for code in then.keys() & now.keys():
        if may_be_used(then[code], found):
            assert may_be_used(now[code], statements)
    if then.items() <= now.items():
        assert all(may_be_used(owner, found) == may_be_used(owner, statements) for owner in then.values())


def test_erasures_are_counted_from_a_moment_on(clinic: Workspace) -> None:
    append_event(clinic.vault, "tester", "forget --patient", {})
    append_event(clinic.vault, "tester", "forget", {})
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert [erasures_since(clinic, when) for when in (start, NOW)] == [1, 0]
