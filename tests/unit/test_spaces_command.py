"""The commands of data spaces as people type them, with a connector that is strict about what it is sent."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pathcurate.doctor import examine
from tests.commandline import Done, pathcurate
from tests.edcserver import ACCESS, EdcServer, Fault
from tests.products import ENDLESS_FILE, ENDLESS_SITES, House, People, build_in, enter, make_workspace, no_sync  # noqa: F401 -- a fixture

KEY = "CANARY-secret-key"
URN = "urn:pathcurate:product:small:1.0.0"
WHOLE = {"assets": [URN], "policydefinitions": [f"{URN}:contract-policy"], "contractdefinitions": [f"{URN}:offer"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A workspace whose release is on offer, and which knows no space."""
    root = make_workspace(tmp_path_factory.mktemp("market") / "w", file=ENDLESS_FILE, sites=ENDLESS_SITES)
    build_in(root)
    house = House(root, People(enter(root, "Li Hua", ["steward"]), enter(root, "王芳", ["compliance"])), datetime.now(UTC))
    house.offered()
    return house


@pytest.fixture(scope="module")
def edc() -> Iterator[EdcServer]:
    with EdcServer(key=KEY) as server:
        yield server


@pytest.fixture
def root(made: House, edc: EdcServer, tmp_path: Path, no_sync: None) -> Path:  # noqa: F811
    """A copy of its own that knows two spaces: a connector, and a platform that takes files."""
    edc.reset()
    root = tmp_path / "w"
    shutil.copytree(made.root, root)
    (root / "key").touch(0o600)
    (root / "key").write_text(f"{KEY}\n")
    connector = f"{{kind: edc, address: '{edc.address}', key: '${{file:key}}', access_policy: {ACCESS}, timeout_s: 5}}"
    with (root / "pathcurate.yaml").open("a") as file:
        file.write(f"spaces: {{edc: {connector}, tds: {{kind: files}}}}\n")
    return root


def run(root: Path, *arguments: str | Path) -> Done:
    done = pathcurate("product", *arguments, "-w", root)
    assert KEY not in done.stdout + done.stderr
    return done


def standing(root: Path, *options: str) -> dict[str, tuple[str, bool, str]]:
    done = run(root, "spaces", "--json", *options)
    return {one["space"]: (one["standing"], one["must_go"], one["asked"]) for one in json.loads(done.stdout)["spaces"]}


def test_a_release_goes_to_a_connector_and_comes_back(root: Path, edc: EdcServer) -> None:
    done = run(root, "publish", "small", "--space", "edc")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"small@1.0.0 in edc: listed as {URN}:offer\n"
    assert (edc.held, set(edc.keys)) == (WHOLE, {KEY})
    assert run(root, "publish", "small", "--space", "edc").stdout.endswith(", as it was before\n")
    assert f"space    edc: listed as {URN}:offer" in run(root, "show", "small").stdout
    assert run(root, "spaces", "--check").returncode == 0
    done = run(root, "retract", "small", "--space", "edc", "--reason", "the end")
    assert (done.returncode, done.stdout) == (0, f"small@1.0.0 in edc: taken off as {URN}:offer\n")
    assert edc.held == {}
    assert "edc  the end" in run(root, "history", "small").stdout
    assert standing(root, "--check") == {"edc": ("retracted", False, "agrees")}


def test_a_suspended_release_says_where_it_is_still_listed(root: Path) -> None:
    run(root, "publish", "small", "--space", "edc")
    run(root, "publish", "small", "--space", "tds", "--to", root / "h")
    done = run(root, "suspend", "small", "--reason", "a question")
    assert done.returncode == 0
    assert f"small@1.0.0 may still be found in the space edc (listed as {URN}:offer)" in done.stdout
    assert "`pathcurate product retract small@1.0.0 --space edc --reason …` takes it off" in done.stdout
    assert "in the space tds (handed over; nobody has said whether it is listed)" in done.stdout
    done = run(root, "spaces")
    assert (done.returncode, done.stdout.count("it is not on offer")) == (1, 2)
    assert "takes it off" in run(root, "show", "small").stdout
    assert run(root, "retract", "small", "--space", "edc", "--reason", "r").returncode == 0
    done = run(root, "retract", "small", "--space", "tds", "--reason", "r")
    assert done.stdout.count("once its people have taken it off, `pathcurate product retract") == 1
    assert "--confirmed` says so" in run(root, "show", "small").stdout
    assert standing(root) == {"edc": ("retracted", False, "not asked"), "tds": ("retracting", True, "not asked")}
    assert run(root, "retract", "small", "--space", "tds", "--reason", "r", "--confirmed").returncode == 0
    assert run(root, "spaces").returncode == 0
    assert run(root, "resume", "small").returncode == 0
    assert run(root, "publish", "small", "--space", "edc").returncode == 0


@pytest.mark.parametrize("verb", ["withdraw", "withdraw --site", "expire"])
def test_so_does_one_that_is_withdrawn_or_has_run_out(verb: str, made: House, root: Path) -> None:
    run(root, "publish", "small", "--space", "edc")
    if verb == "withdraw":
        done = run(root, "withdraw", "small", "--reason", "r")
    elif verb == "withdraw --site":
        done = run(root, "withdraw", "--site", "NB01", "--reason", "r")
    else:
        house = House(root, made.people)
        house.says("valid_until: 2126-01-01}\n  impact", "valid_until: 2026-01-01}\n  impact")
        assert run(root, "spaces").returncode == 1  # before anybody has told the registry
        done = run(root, "due", "--expire")
    assert "small@1.0.0 may still be found in the space edc" in done.stdout
    assert standing(root, "--check") == {"edc": ("listed", True, "agrees")}


def test_a_platform_takes_files_and_answers(root: Path, tmp_path: Path) -> None:
    assert run(root, "publish", "small", "--space", "tds").returncode == 2
    done = run(root, "publish", "small", "--space", "tds", "--to", tmp_path / "h", "--json")
    told = json.loads(done.stdout)
    assert (told["standing"], Path(told["directory"]), told["is_new"]) == ("handed_over", tmp_path / "h", True)
    written = {str(path.relative_to(tmp_path / "h")) for path in (tmp_path / "h").rglob("*") if path.is_file()}
    assert {*told["files"], "sha256sums.txt"} == written
    receipt = tmp_path / "receipt.json"
    receipt.write_text('{"data": {"catalogId": "C-7", "url": "https://platform.example/C-7"}}')
    done = run(root, "published", "small", "--space", "tds", "--receipt", receipt)
    assert (done.returncode, done.stdout) == (0, "small@1.0.0 in tds: listed as C-7\n")
    done = run(root, "published", "small", "--space", "tds", "--entry", "C-8")
    assert (done.returncode, "as C-7 already" in done.stderr) == (12, True)
    assert standing(root, "--check") == {"tds": ("listed", False, "not asked")}


def test_a_term_that_would_not_be_enforced_is_named_and_nothing_is_there(root: Path, edc: EdcServer) -> None:
    edc.unbound["*"] = {"https://pathcurate.example/odrl#reidentify"}
    done = run(root, "publish", "small", "--space", "edc")
    assert done.returncode == 13
    assert "reidentify" in done.stderr
    assert (edc.held, any(edc.visible)) == ({}, False)
    assert standing(root, "--check") == {"edc": ("pending", False, "agrees")}
    edc.unbound.clear()
    assert run(root, "publish", "small", "--space", "edc").returncode == 0
    assert "refused, lacking enforcement" in run(root, "history", "small").stdout


@pytest.mark.parametrize("path", ["/assets", "/policydefinitions", "/contractdefinitions"])
@pytest.mark.parametrize("how", ["status", "late"])
def test_what_a_connector_breaks_off_is_never_half_there_and_is_finished(
    path: str, how: str, root: Path, edc: EdcServer
) -> None:
    edc.faults.append(Fault("POST", path, how, times=1, status=500))
    done = run(root, "publish", "small", "--space", "edc")
    said = standing(root)["edc"][0]
    assert (done.returncode, said) in {(0, "listed"), (3, "pending")}
    assert edc.is_visible() == (said == "listed")
    assert run(root, "publish", "small", "--space", "edc").returncode == 0
    assert (edc.held, standing(root, "--check")) == (WHOLE, {"edc": ("listed", False, "agrees")})


def test_what_was_begun_can_be_taken_back(root: Path, edc: EdcServer) -> None:
    edc.faults.append(Fault("POST", "/contractdefinitions", "status", times=9, status=500))
    edc.faults.append(Fault("DELETE", "", "status", times=9, status=500))
    assert run(root, "publish", "small", "--space", "edc").returncode == 3
    assert edc.held.keys() == {"assets", "policydefinitions"}
    edc.faults.clear()
    assert run(root, "retract", "small", "--space", "edc", "--reason", "r").returncode == 0
    assert (edc.held, standing(root, "--check")) == ({}, {"edc": ("retracted", False, "agrees")})


def test_a_connector_that_lost_it_or_lists_it_again_is_told_of(root: Path, edc: EdcServer) -> None:
    run(root, "publish", "small", "--space", "edc")
    stored = {kind: dict(each) for kind, each in edc.stored.items()}
    del edc.stored["contractdefinitions"][f"{URN}:offer"]
    done = run(root, "spaces", "--check")
    assert (done.returncode, "the connector differs: it is not listed there any more" in done.stdout) == (1, True)
    assert run(root, "publish", "small", "--space", "edc").returncode == 0
    run(root, "retract", "small", "--space", "edc", "--reason", "r")
    edc.stored.update(stored)
    done = run(root, "spaces", "--check")
    assert (done.returncode, "the connector differs: it is listed there" in done.stdout) == (1, True)
    assert run(root, "spaces").returncode == 0
    assert run(root, "retract", "small", "--space", "edc", "--reason", "r").returncode == 0
    assert run(root, "spaces", "--check").returncode == 0


def test_agreements_stay_and_that_is_said(root: Path, edc: EdcServer) -> None:
    run(root, "publish", "small", "--space", "edc")
    edc.agreements[URN] = 2
    done = run(root, "retract", "small", "--space", "edc", "--reason", "r")
    assert "stays there: 2 agreement(s) stay in force" in done.stdout
    assert "stays there: 2 agreement(s) stay in force" in run(root, "spaces").stdout


def test_a_connector_that_is_away_or_takes_no_key(root: Path, edc: EdcServer) -> None:
    run(root, "publish", "small", "--space", "edc")
    (root / "key").write_text("another-CANARY")
    done = run(root, "retract", "small", "--space", "edc", "--reason", "r")
    assert (done.returncode, "CANARY" in done.stdout + done.stderr) == (11, False)
    done = run(root, "spaces", "--check")
    assert (done.returncode, "could not be asked" in done.stdout, "CANARY" in done.stdout) == (3, True, False)
    (root / "key").chmod(0o644)
    assert run(root, "publish", "small", "--space", "edc").returncode == 11
    (root / "key").unlink()
    assert run(root, "publish", "small", "--space", "edc").returncode == 2
    assert edc.held == WHOLE


def test_a_space_that_is_not_configured_any_more_is_shown(root: Path) -> None:
    run(root, "publish", "small", "--space", "edc")
    file = root / "pathcurate.yaml"
    file.write_text(file.read_text().replace("{edc:", "{renamed:"))
    done = run(root, "spaces", "--check")
    assert "the space is not in pathcurate.yaml any more" in done.stdout
    assert (done.returncode, "could not be asked: there is no space `edc`" in done.stdout) == (3, True)
    done = run(root, "retract", "small", "--space", "edc", "--reason", "r")
    assert (done.returncode, "Known spaces: renamed, tds." in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish", "small"), ("publish", "small", "--space", "ecd"), ("publish", "small", "--space", "edc", "--to", "h"),
        ("publish", "small@2.0.0", "--space", "edc"), ("published", "small", "--space", "tds"),
        ("published", "small", "--space", "edc", "--entry", "1"), ("published", "small", "--space", "tds", "--entry", ""),
        ("published", "small", "--space", "tds", "--entry", "a\nb"), ("published", "small", "--space", "tds", "--url", "x"),
        ("published", "small", "--space", "tds", "--entry", "1", "--url", "javascript:alert(1)"),
        ("retract", "small", "--space", "edc"), ("retract", "small", "--space", "edc", "--reason", "r"),
        ("retract", "small", "--space", "edc", "--reason", "r", "--confirmed"),
        ("retract", "other", "--space", "edc", "--reason", "r"),
    ],
)  # fmt: skip
def test_calls_that_mean_nothing_are_refused(arguments: tuple[str, ...], root: Path, edc: EdcServer) -> None:
    done = run(root, *arguments)
    assert (done.returncode, edc.calls) == (2, [])
    assert standing(root) == {}


def test_nothing_published_says_how(root: Path) -> None:
    done = run(root, "spaces")
    assert (done.returncode, "product publish RELEASE --space NAME" in done.stdout) == (0, True)
    assert json.loads(run(root, "spaces", "--json").stdout) == {"spaces": [], "unused": ["edc", "tds"]}


# --- Doctor ----------------------------------------------------------------------------------------------------------


def told(root: Path) -> dict[str, tuple[str, str]]:
    checks = examine(root / "pathcurate.yaml", datetime.now(UTC).astimezone())
    assert KEY not in str(checks)
    return {check.name: (check.status, check.message) for check in checks if {"edc", "tds"} & set(check.name.split())}


def test_the_doctor_asks_the_connector(root: Path, edc: EdcServer) -> None:
    assert told(root) == {
        "space edc": ("ok", "the connector answers, takes the key and speaks v4"),
        "space tds": ("ok", "takes files; nothing is asked"),
    }  # fmt: skip
    edc.versions = ("/v3",)
    assert told(root)["space edc"][0] == "error"
    edc.versions = ("/v4",)
    (root / "key").write_text("another")
    assert told(root)["space edc"][0] == "error"
    (root / "key").chmod(0o640)
    status, message = told(root)["space edc"]
    assert (status, "open to others" in message) == ("error", True)
    edc.calls.clear()
    (root / "key").unlink()
    assert (told(root)["space edc"][0], edc.calls) == ("error", [])


def test_the_doctor_warns_of_a_way_that_others_can_read(root: Path) -> None:
    file = root / "pathcurate.yaml"
    file.write_text(file.read_text().replace("timeout_s: 5", "timeout_s: 5, insecure: true"))
    assert told(root)["space edc"][0] == "ok"
    file.write_text(file.read_text().replace("127.0.0.1", "0.0.0.0"))  # noqa: S104
    assert told(root)["space edc"][0] == "ok"
    assert told(root)["way to space edc"] == ("warning", "it is not encrypted, and the key goes over it")
