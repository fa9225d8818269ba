"""Codes lead back for two people who answer for it, over releases and rotations, and the trail notes it without a value."""

import csv
import io
import json
import shutil
import stat
import sys
from pathlib import Path

import pytest

from pathcurate import reidentify as stage
from pathcurate.cli.main import run
from pathcurate.custody import add, back_up, remove, restore, rotate
from pathcurate.errors import PathcurateError, UsageError, VaultError
from pathcurate.pseudonyms import internal, product
from pathcurate.reidentify import Request, reidentify, write_review
from pathcurate.vault import Vault, broken_event, create_vault, open_vault, read_events
from pathcurate.vault.crosswalk import write_crosswalk
from pathcurate.vault.people import read_people
from pathcurate.vault.shares import read_shares
from pathcurate.workspace import Workspace, load_workspace
from tests.unit.test_shares import TODAY

CANARY = "S23-99887"
PATH = "欧阳靖远/".encode("gb18030") + b"\xffA1.svs"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one row of each kind, and three people; nobody may change it."""
    root = tmp_path_factory.mktemp("pristine")
    (root / "pathcurate.yaml").write_text("workspace: 1\nname: w\nsites: [{code: NB01}]\n")
    workspace = load_workspace(root / "pathcurate.yaml")
    vault = create_vault(workspace.vault)
    for kind, original in ORIGINALS.items():
        write_crosswalk(vault, kind, [code_of(vault, kind)], [original])
    add(workspace, ["Li Wei"], "curator", today=TODAY, actor="owner")
    add(workspace, ["张三", "Wang Wu"], "approver", today=TODAY, actor="owner")
    return root


@pytest.fixture
def workspace(pristine: Path, tmp_path: Path) -> Workspace:
    """One of the test's own."""
    shutil.copytree(pristine, tmp_path, dirs_exist_ok=True)
    return load_workspace(tmp_path / "pathcurate.yaml")


ORIGINALS = {
    "P": ("person-1", f"NB01 {CANARY}; NB02 77"),
    "C": ("NB01", CANARY),
    "S": ("S-1", "NB01", "main", PATH.decode("utf-8", "surrogateescape")),
    "R": ("R-1", "NB01", CANARY),
    "I": ("I-1", "NB01", "main", PATH.decode("utf-8", "surrogateescape")),
    "A": ("A-1", "NB01", "S-1"),
    "M": ("M-1", "NB01", CANARY),
}
KEYED = {"P": 1, "C": 2, "S": 1, "R": 1, "I": 1, "A": 1, "M": 1}


def code_of(vault: Vault, kind: str) -> str:
    return internal(vault.key).codes.code(kind, *ORIGINALS[kind][: KEYED[kind]])


def ask(codes: list[str], product: str | None = None, by: tuple[str, str] = ("Li Wei", "张三")) -> Request:
    return Request(tuple(codes), product, "随访 recall", *by)


def test_each_kind_of_code_leads_back(workspace: Workspace) -> None:
    vault = open_vault(workspace.vault)
    codes = {kind: code_of(vault, kind) for kind in ORIGINALS}
    found = reidentify(workspace, ask(list(codes.values())), actor="me")
    assert found.unknown == 0
    assert found.rows[codes["P"]] == {"person_id": "person-1", "numbers": f"NB01 {CANARY}; NB02 77"}
    assert found.rows[codes["C"]] == {"site": "NB01", "accession": CANARY}
    assert found.rows[codes["S"]]["archive"] == "main"
    assert found.rows[codes["R"]] == {"report_id": "R-1", "site": "NB01", "accession": CANARY}
    assert found.rows[codes["I"]]["series_id"] == "I-1"
    assert found.rows[codes["A"]] == {"annotation_id": "A-1", "site": "NB01", "slide_id": "S-1"}
    assert found.rows[codes["M"]] == {"material_id": "M-1", "site": "NB01", "accession": CANARY}
    assert CANARY not in repr(found)


def test_the_trail_notes_who_why_and_how_many_but_no_value(workspace: Workspace) -> None:
    code = code_of(open_vault(workspace.vault), "C")
    reidentify(workspace, ask([code, code, "C-0000000000000000"]), actor="me")
    event = list(read_events(workspace.vault))[-1]
    assert (event.actor, event.action, event.purpose) == ("me", "deid reidentify", "随访 recall")
    assert {name: event.facts[name] for name in ("codes", "known", "requested_by", "approved_by")} == {
        "codes": 2, "known": 1, "requested_by": "Li Wei", "approved_by": "张三",
    }  # fmt: skip
    assert CANARY not in (workspace.vault / "audit.jsonl").read_text()
    assert code not in (workspace.vault / "audit.jsonl").read_text()
    assert broken_event(workspace.vault) is None


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (("Li Wei", "li  wei"), "same person"),
        (("张三", "张三"), "same person"),
        (("LI WEI", "Ｌｉ Ｗｅｉ"), "same person"),
        (("张三", "Li Wei"), "who may only ask"),
        (("Nobody", "张三"), "--requested-by is not on"),
        (("Li Wei", "Nobody"), "--approved-by is not on"),
        (("", "张三"), "--requested-by is not on"),
    ],
)
def test_it_takes_two_of_whom_one_may_approve(workspace: Workspace, by: tuple[str, str], message: str) -> None:
    code = code_of(open_vault(workspace.vault), "C")
    with pytest.raises(VaultError, match=message) as caught:
        reidentify(workspace, ask([code], by=by), actor="me")
    assert caught.value.exit_code == 11
    last = list(read_events(workspace.vault))[-1]
    assert (last.action, last.facts["requested_by"], last.purpose) == ("deid reidentify refused", by[0], "随访 recall")


def test_nobody_is_led_back_while_the_trail_is_broken(workspace: Workspace) -> None:
    code = code_of(open_vault(workspace.vault), "C")
    trail = workspace.vault / "audit.jsonl"
    trail.write_bytes(trail.read_bytes().replace(b"vault people add", b"vault people axx", 1))
    with pytest.raises(VaultError, match="audit trail was changed"):
        reidentify(workspace, ask([code]), actor="me")


def test_who_has_left_is_no_longer_accepted(workspace: Workspace) -> None:
    code = code_of(open_vault(workspace.vault), "C")
    reidentify(workspace, ask([code]), actor="me")
    assert [person.name for person in remove(workspace, " 张三 ", actor="owner")] == ["Li Wei", "Wang Wu"]
    with pytest.raises(VaultError, match="--approved-by is not on"):
        reidentify(workspace, ask([code]), actor="me")
    with pytest.raises(UsageError, match="nobody on the vault's list"):
        remove(workspace, "张三", actor="owner")
    assert [event.action for event in read_events(workspace.vault)][-2:] == [
        "vault people remove",
        "deid reidentify refused",
    ]
    add(workspace, ["Wang Wu"], "curator", today=TODAY, actor="owner")
    with pytest.raises(VaultError, match="who may only ask"):
        reidentify(workspace, ask([code], by=("Li Wei", "wang wu")), actor="me")
    assert len(read_people(workspace.vault)) == 2


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"name": "x"}]', '[{"name": "x", "role": "king", "since": ""}]'])
def test_a_damaged_list_of_people_is_refused(workspace: Workspace, content: str) -> None:
    (workspace.vault / "people.json").write_text(content)
    with pytest.raises(VaultError, match="list of people is damaged"):
        reidentify(workspace, ask(["C-0000000000000000"]), actor="me")


@pytest.mark.parametrize("text", ["", CANARY, "C-123", "C-000000000000000O", "X-0000000000000000", "C-0000000000000000 "])
def test_what_is_no_code_is_named_by_its_number(workspace: Workspace, text: str) -> None:
    with pytest.raises(UsageError, match=r"^text 2 is no code") as caught:
        reidentify(workspace, ask(["C-0000000000000000", text]), actor="me")
    assert CANARY not in str(caught.value)
    with pytest.raises(UsageError, match="no code was given"):
        reidentify(workspace, ask([]), actor="me")


def test_codes_of_a_product_lead_back_and_only_with_its_name(workspace: Workspace) -> None:
    vault = open_vault(workspace.vault)
    codes = [product(vault.key, "lung").codes.code(kind, code_of(vault, kind)) for kind in ORIGINALS]
    found = reidentify(workspace, ask(codes, "lung"), actor="me")
    assert [row.get("accession") for row in found.rows.values()] == [None, CANARY, None, CANARY, None, None, CANARY]
    for name in ("breast", None):
        assert reidentify(workspace, ask(codes, name), actor="me") == stage.Reidentified({}, len(codes))
    mixed = [codes[0], code_of(vault, "C"), "E-0000000000000000", "Q-0000000000000000"]
    assert reidentify(workspace, ask(mixed, "lung"), actor="me").unknown == 3


def test_releases_from_before_two_rotations_lead_back(workspace: Workspace) -> None:
    first = open_vault(workspace.vault)
    second, _ = rotate(workspace, reason="a curator has left", actor="owner")
    third, _ = rotate(workspace, reason="again", actor="owner")
    for vault in (first, second, third):
        released = product(vault.key, "lung").codes.code("C", code_of(vault, "C"))
        assert reidentify(workspace, ask([released], "lung"), actor="me").rows[released]["accession"] == CANARY
        internal = code_of(vault, "P")
        assert reidentify(workspace, ask([internal]), actor="me").rows[internal]["person_id"] == "person-1"
    events = [event for event in read_events(workspace.vault) if event.action == "vault rotate"]
    assert [event.purpose for event in events] == ["a curator has left", "again"]
    assert [event.facts["rows"] for event in events] == [len(ORIGINALS)] * 2


def test_a_vault_that_came_back_from_shares_leads_back_from_old_releases(workspace: Workspace, tmp_path: Path) -> None:
    first = open_vault(workspace.vault)
    released = product(first.key, "lung").codes.code("C", code_of(first, "C"))
    rotate(workspace, reason="r", actor="owner")
    to = tmp_path.parent / f"{tmp_path.name}-shares"
    back_up(workspace, to, shares=3, threshold=2, today=TODAY, actor="owner")
    for name in ("key", "fingerprint", "people.json", "retired"):
        path = workspace.vault / name
        path.rename(tmp_path / f"lost-{name}")
    given = [share for number in (1, 3) for share in read_shares("x", (to / f"share-{number}-of-3.txt").read_text())]
    restore(workspace, given, (to / "vault.sealed").read_bytes(), actor="owner")
    assert reidentify(workspace, ask([released], "lung"), actor="me").rows[released]["accession"] == CANARY
    event = next(event for event in read_events(workspace.vault) if event.action == "vault restore")
    assert len(str(event.facts["audit_head_then"])) == 64


def test_shares_do_not_lie_in_the_workspace(workspace: Workspace) -> None:
    (workspace.root / "link").symlink_to(workspace.vault)
    for to in (workspace.root / "shares", workspace.vault, workspace.root, workspace.root / "link" / "x"):
        with pytest.raises(UsageError, match="would lie in the workspace"):
            back_up(workspace, to, shares=3, threshold=2, today=TODAY, actor="owner")
    assert not list(workspace.root.rglob("share-*"))


def test_without_a_crosswalk_it_says_so(workspace: Workspace) -> None:
    (workspace.vault / "crosswalk.db").unlink()
    with pytest.raises(VaultError, match="no crosswalk"):
        reidentify(workspace, ask(["C-0000000000000000"]), actor="me")


# --- The command -------------------------------------------------------------------------------------------------------


def command(workspace: Workspace, *arguments: str) -> list[str]:
    names = ("--requested-by", "Li Wei", "--approved-by", "张三", "--reason", "recall")
    return ["deid", "reidentify", *arguments, *names, "-w", str(workspace.root)]


def test_what_is_no_terminal_gets_nothing(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(workspace, code_of(open_vault(workspace.vault), "C"))) == 13
    shown = capsys.readouterr()
    assert CANARY not in shown.out + shown.err
    assert list(read_events(workspace.vault))[-1].action == "vault people add"


def test_a_terminal_sees_it_without_what_steers_it(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = open_vault(workspace.vault)
    write_crosswalk(vault, "C", ["C-0000000000000001"], [("NB01", "\x1b[2J\u202e=1")])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(command(workspace, code_of(vault, "C").lower(), "C-0000000000000001", "C-0000000000000009")) == 0
    shown = capsys.readouterr().out
    assert CANARY in shown
    assert "1 unknown" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_file_for_review_is_its_owners_and_no_formula(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vault = open_vault(workspace.vault)
    write_crosswalk(vault, "C", ["C-0000000000000001"], [("NB01", '=cmd("x")')])
    (tmp_path / "codes.txt").write_bytes(f"\ufeff{code_of(vault, 'S')}\r\nC-0000000000000001\r\n".encode())
    assert run(command(workspace, f"@{tmp_path / 'codes.txt'}", "--to-review", "--json")) == 0
    shown = capsys.readouterr().out
    document = json.loads(shown)
    assert (document["known"], document["unknown"]) == (2, 0)
    path = Path(document["review"])
    assert path.parent == workspace.catalog / "review"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    assert {row["accession"] for row in rows} == {"", '\'=cmd("x")'}
    assert CANARY not in shown


def test_codes_that_nobody_knows_are_an_error_only_if_all_are(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(workspace, "C-0000000000000000", "--to-review")) == 1
    assert capsys.readouterr().out == "1 unknown\n"
    assert not (workspace.catalog / "review").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--", "-x"], 2), (["@nowhere"], 3), (["--reason", "two\nlines", "C-0000000000000000"], 2),
        (["--reason", " ", "C-0000000000000000"], 2), (["--release", "lung@1.0.0", "C-0000000000000000"], 2), ([], 2),
        ([CANARY], 2), (["--reason", CANARY, f"-{CANARY}"], 2),
    ],
)  # fmt: skip
def test_a_call_that_is_wrong_repeats_nothing(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    names = ["--requested-by", "Li Wei", "--approved-by", "张三", "-w", str(workspace.root), "--to-review"]
    reason = [] if "--reason" in arguments else ["--reason", "recall"]
    assert run(["deid", "reidentify", *names, *reason, *arguments]) == code
    shown = capsys.readouterr()
    assert CANARY not in shown.out + shown.err


def test_the_review_file_is_written_or_the_error_is_ours(workspace: Workspace) -> None:
    (workspace.catalog).mkdir(exist_ok=True)
    (workspace.catalog / "review").write_text("in the way")
    found = stage.Reidentified({"C-0000000000000000": {"site": "NB01", "accession": CANARY}}, 0)
    with pytest.raises((OSError, PathcurateError)) as caught:
        write_review(workspace, found)
    assert CANARY not in str(caught.value)
