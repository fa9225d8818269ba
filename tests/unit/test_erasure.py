"""A person is erased: from every state of every table and from all that was made of them, for good, and nobody else is."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pathcurate import doctor, erasure, forgotten
from pathcurate.cli.main import run
from pathcurate.engines.embedded import Embedded
from pathcurate.erasure import erase_person, finish, plan_erasure
from pathcurate.erasure.elsewhere import codes_of
from pathcurate.erasure.scope import Scope
from pathcurate.errors import UsageError
from pathcurate.events import import_events
from pathcurate.findings import read_findings
from pathcurate.forgotten import read_forgotten, remember
from pathcurate.identities import import_merges
from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.leaksearch.search import search_directory
from pathcurate.link import link
from pathcurate.materials import import_materials
from pathcurate.model.catalog import CATALOG_TABLES
from pathcurate.model.column import Table
from pathcurate.model.event import EVENTS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.permissions import import_permissions
from pathcurate.reports import import_reports
from pathcurate.rewriting import all_parts
from pathcurate.scan.listing import Listing
from pathcurate.scanner_index import import_index
from pathcurate.storage import LocalRoot
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import open_vault, read_events
from pathcurate.vault.crosswalk import check_crosswalk, held
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import slide

YAML = """\
workspace: 1
name: w
sites:
  - code: NB01
    archives: [{name: archive, root: slides}]
    reports: [{path: 'lis/*.csv'}]
    events: [{path: ev.csv}]
    materials: [{path: glass.csv}]
    index: [{path: index.csv}]
  - {code: NB02, reports: [{path: 'other/*.csv'}]}
permissions: [{path: consent.csv}]
identities: [{path: merges.csv, site: NB01}]
"""
NAME, CARD, PHONE = "欧阳靖远", "11010519491231002X", "13800138000"
TELLING = {
    "name": [NAME], "number": ["10086001", "10086002", CARD, PHONE, "S23-00001", "S23-00002"],
    "report": ["灰白组织一枚壹佰"],
}  # fmt: skip
HEADS = "病理号,病案号,姓名,身份证号,联系电话,报告类型,报告日期,病理诊断"
RECIPE = """\
recipe: 1
name: all
version: 1.0.0
title: All
unit: slide
columns: [slide_id, case_id, patient_id]
"""


def reports_of(word: str = "") -> dict[str, str]:
    """The laboratory's two exports; the person has a case in each, under two numbers that a merge list joins."""
    others = [f"S23-1{n:04},2000{n},王{n}小明,,1390000000{n},常规,2023-02-01,胃炎{word}" for n in range(1, 5)]
    mine = [
        f"S23-00001,10086001,{NAME},{CARD},{PHONE},常规,2023-01-01,灰白组织一枚壹佰{word} {NAME}",
        f"S23-00002,10086002,{NAME},,{PHONE},常规,2023-01-09,灰白组织一枚壹佰{word}",
    ]
    files = {"lis/1.csv": [*others[:2], mine[0]], "lis/2.csv": [*others[2:], mine[1]], "lis/S23-00001.csv": [mine[0]]}
    return {name: "\n".join([HEADS, *lines, ""]) for name, lines in files.items()}


class Desk:
    """A workspace with one person to erase, and a few others."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self) -> None:
        """Write its sources."""
        files = {
            "pathcurate.yaml": YAML, "all.yaml": RECIPE, **reports_of(),
            "other/1.csv": f"{HEADS}\nS23-10001,20001,李四,,,常规,2023-03-01,另一人\n",
            "ev.csv": "病案号,类别,日期\n20001,随访,2023-03-01\n10086001,随访,2023-04-01\n",
            "glass.csv": "病理号,切片号,染色\nS23-10001,G1,HE\nS23-00001,G2,HE\n",
            "index.csv": "文件路径,病理号\n2023/11.svs,S23-10001\n2023/1.svs,S23-00001\n",
            "merges.csv": "保留病案号,被合并病案号\n20001,20009\n10086001,10086002\n",
            "consent.csv": "机构,病案号,依据,用途\nNB01,20001,知情同意,research\nNB01,10086001,知情同意,research\n",
        }  # fmt: skip
        for name, content in files.items():
            self.put(name, content)

    def put(self, name: str, content: str) -> None:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    @property
    def workspace(self) -> Workspace:
        """As it is configured."""
        return load_workspace(self.root / "pathcurate.yaml")

    @property
    def catalog(self) -> Catalog:
        """Its tables."""
        return Catalog(self.workspace.catalog)

    def imports(self) -> None:
        """Import everything that has changed."""
        for stage in (import_reports, import_events, import_materials, import_index, import_merges, import_permissions):
            stage(self.workspace)

    def link(self) -> None:
        """Link."""
        with Embedded(workers=1, temp_directory=self.workspace.catalog / ".spill") as engine:
            link(self.workspace, engine)

    def make(self) -> None:
        """Everything, and imports again, so that there are earlier states."""
        self.write()
        rows = [slide(n, relpath=f"2023/{NAME}_S23-{n:05}-A1.svs".encode(), barcode=f"S23-{n:05}-A1") for n in (1, 2)]
        rows += [slide(10 + n, barcode=f"S23-1{n:04}-A1") for n in range(1, 5)]
        self.catalog.upsert(SLIDES, from_rows(SLIDES, rows))
        self.imports()
        for name, content in reports_of("改").items():
            self.put(name, content)
        self.imports()
        self.link()

    def rows(self, table: Table, *leaving: str) -> list[dict[str, Any]]:
        """Rows of a table but for some columns, in an order of their own."""
        names = [name for name in table.names if name not in leaving]
        return sorted(self.catalog.read(table, columns=names).to_pylist(), key=str)

    def leaks(self, *folders: str) -> set[str]:
        """Files below these folders that tell of the person."""
        known = Identifiers(TELLING.items())
        found = ((name, leak) for name in folders for leak in search_directory(self.root / name, known))
        return {f"{name}/{leak.file} {leak.kind}" for name, leak in found}

    def pathcurate(self, *arguments: str) -> int:
        """Run a command."""
        return run([*arguments, "-w", str(self.root), "-q"])


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that nobody may change."""
    desk = Desk(tmp_path_factory.mktemp("erasure") / "w")
    desk.make()
    assert desk.pathcurate("deid", "apply") == 0
    assert desk.pathcurate("cohort", str(desk.root / "all.yaml")) == 0
    (desk.workspace.catalog / "review").mkdir()
    for name, text in (("find-1.txt", f"{NAME} S23-00001"), ("find-2.txt", "S23-10001")):
        (desk.workspace.catalog / "review" / name).write_text(text)
    return desk.root


@pytest.fixture
def desk(pristine: Path, tmp_path: Path) -> Desk:
    """A workspace of the test's own."""
    shutil.copytree(pristine, tmp_path / "w")
    return Desk(tmp_path / "w")


def scope_of(desk: Desk, number: str = "10086001", site: str | None = "NB01") -> Scope:
    planned = plan_erasure(desk.workspace, number, site)
    assert planned is not None
    return planned[1]


def erase(desk: Desk) -> None:
    erase_person(desk.workspace, scope_of(desk), actor="tester")


def test_nothing_of_the_person_is_left_anywhere(desk: Desk) -> None:
    before = desk.leaks("catalog/reports", "catalog/review")
    assert {leak.split()[-1] for leak in before} == {"name", "number", "report"}, "positive control"
    vault, scope = open_vault(desk.workspace.vault), scope_of(desk)
    codes = [code for codes in codes_of(scope, vault).values() for code in codes]
    assert len(held(vault, codes)) >= 6, "a person, two cases, two slides, their reports"
    erase(desk)
    assert desk.leaks("catalog", "vault", "deid", "cohorts") == set()
    assert held(vault, codes) == {}
    assert check_crosswalk(vault) is not None


def test_what_an_earlier_state_calls_the_person_goes_too(desk: Desk) -> None:
    former, others = "P-FFFFFFFFFFFFFFF1", "P-FFFFFFFFFFFFFFF2"
    now = {table: desk.catalog.read(table) for table in (IDENTITIES, PERSONS)}
    rows = now[IDENTITIES].to_pylist()
    was = [{**row, "person_id": former} if row["id_value"] == "10086002" else row for row in rows]
    was = [{**row, "person_id": others} if row["id_value"] == "20002" else row for row in was]
    persons = [*now[PERSONS].to_pylist(), *({"person_id": code, "group_id": code} for code in (former, others))]
    desk.catalog.replace(IDENTITIES, from_rows(IDENTITIES, was))
    desk.catalog.replace(PERSONS, from_rows(PERSONS, persons))
    for table, data in now.items():
        desk.catalog.replace(table, data)
    erase(desk)
    for table in (IDENTITIES, PERSONS):
        parts = [pq.read_table(path) for path in all_parts(desk.workspace.catalog, table)]
        codes = {code for part in parts for code in part["person_id"].to_pylist()}
        assert (former in codes, others in codes) == (False, True)


def test_nothing_of_anybody_else_goes(desk: Desk) -> None:
    tables = [table for table in CATALOG_TABLES if desk.catalog.snapshot(table)]
    before = {table.name: desk.rows(table) for table in tables}
    texts = {*TELLING["name"], *TELLING["number"], "S23-1", "S23-2", "S23-00001.csv"}
    for _ in range(2):  # rows that tell, and then rows that name them
        for table in tables:
            found = [row for row in before[table.name] if tells(row, texts)]
            texts |= {row[table.key[0]] for row in found if str(row[table.key[0]])[1:2] == "-"}
            texts |= {row["person_id"] for row in found if row.get("person_id")}
    erase(desk)
    for table in tables:
        assert desk.rows(table) == [row for row in before[table.name] if not tells(row, texts)], table.name
    assert sum(map(len, before.values())) > 80


def tells(row: dict[str, Any], texts: set[str]) -> bool:
    """Whether a row has one of the texts as a cell, or in a path or report."""
    cells = [cell.decode(errors="replace") if isinstance(cell, bytes) else cell for cell in row.values()]
    return any(
        cell in texts or any(len(text) > 6 and text in cell for text in texts) for cell in cells if isinstance(cell, str)
    )


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Make the n-th change of a file the last thing that a run does."""
    calls = [0]

    def arm(limit: int) -> list[int]:
        calls[0] = 0

        def counts(function: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*arguments: Any, **named: Any) -> Any:
                calls[0] += 1
                if calls[0] == limit:
                    raise KeyboardInterrupt
                return function(*arguments, **named)

            return counted

        for owner, name in ((Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
            monkeypatch.setattr(owner, name, counts(getattr(owner, name)))
        return calls

    return arm


def state(desk: Desk) -> dict[str, Any]:
    """Everything that lies in the workspace: content of tables, names of all other files."""
    found: dict[str, Any] = {}
    for path in sorted(desk.root.rglob("*")):
        name = str(path.relative_to(desk.root))
        if path.suffix == ".parquet":
            found[name] = pq.read_table(path).to_pylist()
        elif path.is_file() and path.name not in {".lock", "audit.jsonl", "audit.head", "forgotten.json", "crosswalk.db"}:
            found[name] = path.read_bytes()
    return found


def test_an_erasure_that_is_killed_and_run_again_ends_in_the_same_state(
    pristine: Path, tmp_path: Path, counted: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fresh(name: str) -> Desk:
        shutil.copytree(pristine, tmp_path / name)
        return Desk(tmp_path / name)

    whole = fresh("whole")
    calls = counted(0)
    erase(whole)
    total, expected = calls[0], state(whole)
    assert total > 30
    for limit in (2, total // 2, total):
        monkeypatch.undo()
        desk = fresh(f"killed-{limit}")
        scope = scope_of(desk)
        counted(limit)
        with pytest.raises(KeyboardInterrupt):
            erase_person(desk.workspace, scope, actor="tester")
        monkeypatch.undo()
        if forgotten.is_unfinished(desk.workspace.vault):
            assert desk.pathcurate("link") == 12, "no other command works meanwhile"
            checks = doctor._workspace(desk.workspace, datetime.now(UTC), {})
            assert [check.status for check in checks if check.name == "erasure"] == ["error"]
            assert finish(desk.workspace)
        else:
            erase_person(desk.workspace, scope, actor="tester")
        assert not finish(desk.workspace)
        assert state(desk) == expected, limit
        noted = [event for event in read_events(desk.workspace.vault) if event.action == "forget --patient"]
        assert len(noted) == 1
        shutil.rmtree(desk.root)


def test_no_import_brings_the_person_back(desk: Desk) -> None:
    erase(desk)
    kept = desk.rows(REPORTS)
    for name, content in reports_of("再").items():
        desk.put(name, content)
    desk.put("ev.csv", "病案号,类别,日期\n20001,随访,2023-03-01\n10086002,随访,2023-05-01\n 10086001 ,随访,2023-06-01\n")
    desk.put("lis/3.csv", f"{HEADS}\nS23-77777,NEW7,{NAME},{CARD.lower()},,常规,2023-08-01,新号同人\n")
    desk.imports()
    rows = desk.rows(REPORTS)
    assert {row["accession"] for row in rows} == {row["accession"] for row in kept}
    assert [row["patient_id"] for row in desk.rows(EVENTS)] == ["20001"]
    findings = {finding.rule: finding.count for finding in read_findings(desk.catalog)}
    assert findings["events.forgotten_patient"] == 2
    assert "reports.forgotten_patient" in findings
    assert desk.leaks("catalog") == set()


def test_the_number_of_another_site_is_another_person(desk: Desk) -> None:
    with pytest.raises(UsageError, match="2 persons") as error:
        plan_erasure(desk.workspace, "20001", None)
    assert "20001" not in str(error.value)
    other = scope_of(desk, "20001", "NB02")
    assert {mark[1] for mark in other.numbers} == {"NB02"}
    mine = scope_of(desk, number="11010519491231002x", site=None)
    assert {mark[-1] for mark in mine.numbers} >= {"10086001", "10086002", CARD, "S23-1", "S23-2"}


def test_the_command_says_what_would_go_and_no_number(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    arguments = ("forget", "--patient", "-", "--site", "NB01", "--json")
    typed("10086001\n")
    assert run([*arguments, "-w", str(desk.root)]) == 0
    shown = capsys.readouterr()
    plan = json.loads(shown.out)
    assert (plan["erased"], plan["rows"]["reports"], plan["rows"]["slides"], plan["cohorts"]) == (False, 2, 2, ["all"])
    assert plan["pages"] == 1
    assert not forgotten.read_forgotten(desk.workspace.vault)
    typed("10086001\n")
    assert run([*arguments, "--yes", "-w", str(desk.root)]) == 0
    typed("10086001\n")
    assert run([*arguments, "--yes", "-w", str(desk.root)]) == 1, "nothing here has that number"
    shown = capsys.readouterr()
    assert "10086001" not in shown.out + shown.err
    trail = (desk.workspace.vault / "audit.jsonl").read_text()
    assert "10086001" not in trail
    assert not (desk.workspace.deid / "slides.parquet").exists()
    assert not list((desk.root / "cohorts").glob("all"))
    assert [path.name for path in (desk.workspace.catalog / "review").iterdir()] == ["find-2.txt"]
    assert desk.pathcurate("deid", "apply") == 0


def test_a_slide_of_another_patient_that_bears_the_number_stays(desk: Desk) -> None:
    key = {"slide_id": "S-0000000000000011", "site": "NB01", "archive": "archive", "key": "S23-1", "is_only": False}
    desk.catalog.upsert(SLIDE_KEYS, from_rows(SLIDE_KEYS, [key]))
    scope = scope_of(desk)
    assert (scope.bearing, key["slide_id"] in scope.ids) == (1, False)
    erase(desk)
    assert [row["key"] for row in desk.rows(SLIDE_KEYS) if row["slide_id"] == key["slide_id"]] == ["S23-10001"]
    assert key["slide_id"] in {row["slide_id"] for row in desk.rows(SLIDES)}


def test_files_of_the_person_are_passed_over_by_scans(desk: Desk) -> None:
    erase(desk)
    for name in (f"2023/{NAME}_S23-00001-A1.svs", "2023/11.svs"):
        desk.put(f"slides/{name}", "x")
    site = desk.workspace.site("NB01")
    root = LocalRoot(str(desk.root / "slides").encode())
    listing = Listing(site, site.archives[0], root, read_forgotten(desk.workspace.vault))
    assert listing.open()
    assert [found.relpath for found in listing.entries()] == [b"2023/11.svs"]
    (finding,) = listing.findings()
    assert (finding.rule, finding.count) == ("scan.forgotten_patient", 1)


def test_every_table_of_the_catalog_is_gone_through() -> None:
    gone_through = {table.name for table, _ in erasure._BY_ID}
    about_nobody = {"link_runs", "link_questions", "waivers"}
    assert {table.name for table in CATALOG_TABLES} == gone_through | about_nobody


def test_a_mark_tells_nobody_what_it_is_of(tmp_path: Path) -> None:
    remember(tmp_path, [("patient", "NB01", "1")])
    first = read_forgotten(tmp_path)
    remember(tmp_path, [("patient", "NB02", "2")])
    both = read_forgotten(tmp_path)
    assert first.key == both.key
    assert both.holds(("patient", "NB01", "1"))
    assert both.holds(("patient", "NB02", "2"))
    assert not both.holds(("patient", "NB01", "2"))
    assert not both.holds(("patient", "NB", "011")), "parts do not run into each other"
    assert "NB01" not in repr(both) + (tmp_path / "forgotten.json").read_text()
    assert both.key.hex() not in repr(both)
    assert (tmp_path / "forgotten.json").stat().st_mode & 0o077 == 0
