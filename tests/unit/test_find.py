"""Find: by every number, only to eyes that may see it, and with a trace that somebody looked."""

import io
import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pathcurate.cli.main import run
from pathcurate.cohort import read_recipe, select
from pathcurate.deid import apply
from pathcurate.engines.embedded import Embedded
from pathcurate.find import find
from pathcurate.find.facts import Found
from pathcurate.manifest import build
from pathcurate.model.link import LINKS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import column_values, read_parquet
from pathcurate.vault import broken_event
from pathcurate.workspace import Workspace
from tests.built import TODAY
from tests.canaries import Search
from tests.clinic import CANARIES, FULL_REPORT, FULL_SLIDE, report, slide
from tests.drawn import identity, key, link, open_catalog

_RECIPE = """\
recipe: 1
name: found
version: 1.0.0
title: Breast
unit: slide
include: [{id: breast, level: case, where: {organ: breast}}]
columns: [COLUMNS]
"""
_FILE = f"{CANARIES['file name']}.svs"
PERSON, STRANGER = "P-0000000000000001", "P-0000000000000002"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The patient of the canaries, a stranger whose case is not of the breast, and a release with and one without keys."""
    root = tmp_path_factory.mktemp("find")
    slides = [FULL_SLIDE, slide(2), slide(3, relpath=b"2023/\x1b[2J\xe2\x80\xae.svs"), slide(4, status="truncated")]
    first, second, third, fourth = (str(row["slide_id"]) for row in slides)
    reports = [
        {**FULL_REPORT, "accession": "S23-1"},
        report(9, "S23-77", patient_id="9", sex="male", organ="lung", icd10=None),
    ]
    workspace = open_catalog(
        root,
        {
            SLIDES: slides,
            SLIDE_KEYS: [key(first, "S23-1"), key(second, "S23-77"), key(third, "S23-404")],
            REPORTS: reports,
            PERSONS: [
                {"person_id": PERSON, "group_id": "Q" + PERSON[1:], "basis": "site_number"},
                {"person_id": STRANGER, "group_id": "Q" + STRANGER[1:], "basis": "site_number"},
            ],
            IDENTITIES: [
                identity("accession", "S23-1", PERSON), identity("patient_id", CANARIES["number"], PERSON),
                identity("accession", "S23-77", STRANGER), identity("patient_id", "9", STRANGER),
            ],
            LINKS: [
                link(first, "S23-1", report_id=reports[0]["report_id"], person_id=PERSON),
                link(second, "S23-77", report_id=reports[1]["report_id"], person_id=STRANGER),
                link(third, None), link(fourth, None),
            ],
        },
    )  # fmt: skip
    apply(workspace, actor="tester")
    with Embedded(workers=1, temp_directory=root / "spill") as engine:
        for name, columns in (("found", "slide_id, case_id, patient_id, stain"), ("bycase", "case_id"), ("bare", "stain")):
            recipe = root / f"{name}.yaml"
            recipe.write_text(_RECIPE.replace("COLUMNS", columns).replace("name: found", f"name: {name}"))
            source = read_recipe(recipe)
            select(workspace, engine, source, now=datetime(2026, 1, 1, tzinfo=UTC))
            build(workspace, source, actor="tester", today=TODAY, no_permissions=True)
    return workspace


def ids(found: Found) -> tuple[list[str], list[str]]:
    return [item.slide_id for item in found.slides], [item.accession for item in found.cases]


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (CANARIES["slide"], "identifier"), (CANARIES["report"], "identifier"), (CANARIES["accession"], "accession number"),
        ("s23-1", "accession number"), ("Ｓ２３－００００１", "accession number"), ("S2300001", "accession number"),
        (CANARIES["external"], "sender's number"), (CANARIES["barcode"], "barcode"), (CANARIES["number"], "patient number"),
        (CANARIES["identity card"].lower(), "identity card"), (_FILE, "file name"), (CANARIES["file name"], "file name"),
        (f"2023/{_FILE}", "file name"),
    ],
)  # fmt: skip
def test_by_any_number(workspace: Workspace, text: str, how: str) -> None:
    found = find(workspace, text, actor="tester")
    assert how in found.matched
    assert CANARIES["slide"] in ids(found)[0]
    (facts,) = (item for item in found.slides if item.slide_id == CANARIES["slide"])
    assert (facts.site, facts.archive, facts.path, facts.status) == ("NB01", "archive", f"2023/{_FILE}", "ok")
    assert (facts.tier, facts.rule, facts.evidence) == ("barcode", "one_witness", ("barcode",))
    assert facts.cohorts == {"bare": "kept", "bycase": "kept", "found": "kept"}
    assert facts.releases == ("bare@1.0.0 (cannot be told: it has no key)", "bycase@1.0.0 (by case_id)", "found@1.0.0")
    case = next(item for item in found.cases if item.patient_ids == (CANARIES["number"],))
    assert [(one.report_id, one.report_type, one.status) for one in case.reports] == [
        (CANARIES["report"], "primary", "final")
    ]
    assert [block.slides for block in case.blocks] == [(CANARIES["slide"],)]
    assert case.releases == facts.releases


@pytest.mark.parametrize("name", ["slides", "cases", "reports"])
def test_by_the_workspaces_pseudonyms(workspace: Workspace, name: str) -> None:
    table = read_parquet(workspace.deid / f"{name}.parquet")
    for column in {"slide_id", "case_id", "patient_id", "group_id", "report_id"} & set(table.column_names):
        for code, case in zip(column_values(table, column), column_values(table, "case_id"), strict=True):
            if code and case:
                found = find(workspace, code.lower(), actor="tester")
                assert "pseudonym of the workspace" in found.matched
                assert len(found.cases) == 1


def test_by_a_products_pseudonyms(workspace: Workspace) -> None:
    table = read_parquet(workspace.releases / "found" / "1.0.0" / "data" / "slides.parquet")
    for column in ("slide_id", "case_id", "patient_id"):
        (code,) = column_values(table, column)
        found = find(workspace, code, actor="tester")
        assert found.matched == ("pseudonym of product found",)
        assert ids(found)[0] == [CANARIES["slide"]]


def test_one_who_left_says_where(workspace: Workspace) -> None:
    found = find(workspace, "9", actor="tester")
    (facts,) = found.slides
    assert facts.cohorts == {"bare": "breast", "bycase": "breast", "found": "breast"}
    assert facts.releases == ("bare@1.0.0 (cannot be told: it has no key)",)


def test_a_slide_that_bears_an_unknown_number(workspace: Workspace) -> None:
    found = find(workspace, "S23-00404", actor="tester")
    assert ids(found) == (["S-0000000000000003"], [])
    (facts,) = found.slides
    assert (facts.tier, facts.rule) == ("none", "no_known_number")


@pytest.mark.parametrize(
    "text", ["", " ", "S23-99999", "S-0000000000000009", "*", "%", "欧阳", "svs", "2023", "P-XXXXXXXXXXXXXXXX"]
)
def test_nothing(workspace: Workspace, text: str) -> None:
    assert find(workspace, text, actor="tester") == Found()


# ---- the command ----


def call(workspace: Workspace, *arguments: str) -> int:
    return run(["find", *arguments, "-w", str(workspace.root)])


def test_it_refuses_what_is_no_terminal_and_says_nothing(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    before = (workspace.vault / "audit.jsonl").read_bytes()
    for more in ((), ("--json",), ("-v",)):
        assert call(workspace, CANARIES["number"], *more) == 13
    shown = capsys.readouterr()
    assert Search(CANARIES).in_text(shown.out + shown.err) == set()
    assert (workspace.vault / "audit.jsonl").read_bytes() == before


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_it_writes_for_review_where_only_the_owner_reads(
    workspace: Workspace, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(workspace, CANARIES["number"], "--to-review", *more) == 0
    shown = capsys.readouterr()
    assert Search(CANARIES).in_text(shown.out + shown.err) == set()
    assert "process list" in shown.err
    path = Path(json.loads(shown.out)["review"] if more else shown.out.strip())
    assert path.parent == workspace.catalog / "review"
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    text = path.read_text()
    assert CANARIES["accession"] in text
    if more:
        assert json.loads(text)["slides"][0]["slide_id"] == CANARIES["slide"]


def test_the_audit_trail_says_that_somebody_looked_and_not_for_whom(workspace: Workspace) -> None:
    find(workspace, CANARIES["identity card"], actor="dr tester")
    find(workspace, CANARIES["identity card"].lower(), actor="dr tester")
    find(workspace, "nobody", actor="dr tester")
    lines = (workspace.vault / "audit.jsonl").read_text().splitlines()
    assert Search(CANARIES).in_text("\n".join(lines)) == set()
    first, again, other = (json.loads(line) for line in lines[-3:])
    assert (first["action"], first["actor"], first["facts"]["slides"]) == ("find", "dr tester", 1)
    assert first["facts"]["query_hmac"] == again["facts"]["query_hmac"] != other["facts"]["query_hmac"]
    assert broken_event(workspace.vault) is None


def test_nothing_found_is_1_and_a_plain_sentence(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(workspace, "S23-99999", "--to-review", "-q") == 1
    assert capsys.readouterr() == ("nothing here has that number\n", "")


def test_a_text_from_standard_input_and_from_a_file(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{CANARIES['number']}\r\n".encode())))
    assert call(workspace, "-", "--to-review") == 0
    (tmp_path / "number").write_bytes(b"\xef\xbb\xbf" + CANARIES["number"].encode() + b"\n")
    assert call(workspace, f"@{tmp_path}/number", "--to-review") == 0
    assert capsys.readouterr().err == "", "no warning: nobody else sees these"


@pytest.mark.parametrize(
    ("content", "code"), [(b"", 2), (b" \n ", 2), (b"10086001\n10086002\n", 2), (b"\xff\xfe1\x00", 3), (None, 3)]
)
def test_a_file_that_is_no_one_text(
    workspace: Workspace, tmp_path: Path, content: bytes | None, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / CANARIES["name"]
    if content is not None:
        path.write_bytes(content)
    assert call(workspace, f"@{path}", "--to-review") == code
    shown = capsys.readouterr()
    assert Search({**CANARIES, "second": "10086002"}).in_text(shown.out + shown.err) == set()


@pytest.mark.parametrize("texts", [(), ("欧阳靖远", "10086001"), ("-10086001", "10086001"), ("--10086001", "x")])
def test_a_call_that_is_not_understood_is_not_repeated(
    workspace: Workspace, texts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(workspace, *texts, "--to-review") == 2
    shown = capsys.readouterr()
    assert Search(CANARIES).in_text(shown.out + shown.err) == set()


def test_on_a_terminal_nothing_steers_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for more in ((), ("--json",)):
        terminal = Terminal()
        monkeypatch.setattr("sys.stdout", terminal)
        assert call(workspace, "S-0000000000000003", "-q", *more) == 0
        shown = terminal.getvalue()
        assert "S-0000000000000003" in shown
        assert "\\u001b[2J\\u202e.svs" in shown.replace("\\\\", "\\")
        assert not {"\x1b", "\u202e"} & set(shown)


def test_before_anything_was_scanned(tmp_path: Path) -> None:
    (tmp_path / "pathcurate.yaml").write_text("workspace: 1\nname: t\nsites: [{code: NB01}]\n")
    assert run(["find", "1", "--to-review", "-q", "-w", str(tmp_path)]) == 1
    assert not (tmp_path / "catalog").exists()
