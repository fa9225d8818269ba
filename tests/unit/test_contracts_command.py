"""The commands from a blank application to a contract in force, as people type them."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pathcurate.signing import Ed25519Signer, new_key
from tests.commandline import Done, pathcurate
from tests.contracted import application, write_application
from tests.products import ENDLESS_FILE, ENDLESS_SITES, House, People, build_in, enter, make_workspace, tree

PASSPHRASE = "three words here"


class Office(NamedTuple):
    """A workspace whose release is on offer, and files of keys."""

    root: Path
    keys: Path
    recipient: Ed25519Signer

    def run(self, *arguments: str | Path) -> Done:
        return pathcurate("product", *arguments, "-w", self.root)

    def by(self, who: str, *arguments: str | Path) -> Done:
        return self.run(*arguments, "--key", self.keys / f"{who}.pem", "--passphrase-file", self.keys / "pass")

    def file(self, **parts: Any) -> Path:
        day = datetime.now(UTC).date()
        period = {"first": str(day), "last": str(day + timedelta(days=90))}
        said = application(signer=self.recipient, **{"period": period, **parts})
        return write_application(self.keys / "application.yaml", said)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Office:
    folder = tmp_path_factory.mktemp("office")
    root, keys = make_workspace(folder / "w", file=ENDLESS_FILE, sites=ENDLESS_SITES), folder / "keys"
    build_in(root)
    keys.mkdir()
    (keys / "pass").write_text(f"{PASSPHRASE}\n")
    (keys / "pass").chmod(0o600)
    people = [new_key(keys / f"{name}.pem", PASSPHRASE) for name in ("steward", "compliance")]
    for signer, name in zip(people, ("steward", "compliance"), strict=True):
        enter(root, name.title(), [name], signer)
    House(root, People(*people), datetime.now(UTC)).offered()
    return Office(root, keys, new_key(keys / "recipient.pem", PASSPHRASE))


@pytest.fixture
def office(made: Office, tmp_path: Path) -> Office:
    """A copy of its own."""
    shutil.copytree(made.root, tmp_path / "w")
    shutil.copytree(made.keys, tmp_path / "keys")
    return Office(tmp_path / "w", tmp_path / "keys", made.recipient)


def good(done: Done) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def approved(office: Office) -> str:
    """Its id."""
    found = json.loads(good(office.run("apply", "small", "--application", office.file(), "--json")))
    for who in ("steward", "compliance"):
        good(office.by(who, "approve", found["contract"]))
    return str(found["contract"])


def test_from_a_blank_application_to_a_contract_in_force(office: Office, tmp_path: Path) -> None:
    assert good(office.run("application")).startswith("# Application for data")
    shown = good(office.run("apply", "small", "--application", office.file()))
    assert "contract small-lab-" in shown
    assert "yes            general research use (一般研究用途): any research is allowed" in shown
    assert "still" in good(office.run("contracts", "small-lab"))
    assert "still to sign: 1 as compliance" in good(office.by("steward", "approve", "small-lab"))
    assert "is approved" in good(office.by("compliance", "approve", "small-lab"))
    to = tmp_path / "sent"
    terms = ("contract", "small-lab", "--number", "HT-1", "--price", "10.00 CNY slide", "--deletion-days", "14", "--to", to)
    assert "3 files" in good(office.by("steward", *terms))
    assert {file.name[:9] for file in to.iterdir()} == {"agreement", "policy.od", "contract."}
    elsewhere = pathcurate("product", "accept", to, "--key", office.keys / "recipient.pem", "--passphrase-file",
                           office.keys / "pass")  # fmt: skip
    assert "10.00 CNY per slide; withdrawn data is deleted within 14 days" in good(elsewhere)
    assert "whose keys only the terms themselves name" in elsewhere.stdout
    assert "is active" in good(office.run("activate", "small-lab", "--acceptance", to / "acceptance.json"))
    assert "next: deliver" in good(office.run("contracts", "small-lab"))
    assert " active " in good(office.run("contracts"))
    assert "is terminated" in good(office.run("terminate", "small-lab", "--reason", "over"))
    assert good(office.run("contracts", "small-lab")).count("next:") == 0


def test_the_recipient_can_hold_the_terms_against_the_holders_trust(office: Office, tmp_path: Path) -> None:
    name, to = approved(office), tmp_path / "sent"
    good(office.by("steward", "contract", name, "--number", "HT-1", "--to", to))
    own = tmp_path / "trust.yaml"
    own.write_text("trust: 1\nsigners: []\n")
    refused = office.by("recipient", "accept", to, "--trust", own)
    assert (refused.returncode, (to / "acceptance.json").exists()) == (4, False)
    assert "whose keys" not in good(office.by("recipient", "accept", to, "--trust", office.root / "trust.yaml"))
    assert office.by("steward", "accept", to).returncode == 11


def test_what_the_policy_does_not_allow_ends_with_13(office: Office) -> None:
    file = office.file(use={"gives_on": True, "reports_use": False})
    shown = good(office.run("apply", "small", "--application", file))
    assert "no             prohibited: give it on (禁止向第三方提供): the use asks for it" in shown
    refused = office.by("compliance", "approve", "small-lab", "--note", "never mind")
    assert refused.returncode == 13
    assert "the policy allows" in refused.stderr
    good(office.run("reject", "small-lab", "--reason", "not that"))
    assert "rejected" in good(office.run("contracts", "small-lab"))


def test_refusals_say_what_to_do_and_change_nothing(office: Office, tmp_path: Path) -> None:
    name = approved(office)
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").touch()
    before = tree(office.root)
    cases = [
        (office.by("steward", "contract", name, "--number", "HT", "--to", full), 2, "is there already"),
        (office.by("steward", "contract", name, "--number", "HT", "--price", "ten"), 2, "1.50 CNY slide"),
        (office.by("steward", "contract", name, "--number", "HT", "--price", "-1 CNY slide"), 2, "1.50 CNY slide"),
        (office.by("compliance", "contract", name, "--number", "HT"), 2, "none of the roles"),
        (office.by("recipient", "contract", name, "--number", "HT"), 11, "nobody in trust.yaml"),
        (office.run("activate", name, "--acceptance", full / "x"), 12, "has no terms yet"),
        (office.run("activate", name), 12, "needs it to be suspended"),
        (office.run("review", name), 12, "needs it to be applied or reviewing"),
        (office.run("contracts", "nobody"), 2, "no contract begins"),
        (office.run("apply", "small", "--application", full / "x"), 2, "the file is empty"),
    ]
    for done, code, words in cases:
        assert (done.returncode, words in done.stderr) == (code, True), (done, words)
        assert "Traceback" not in done.stderr
    assert tree(office.root) == before


def test_papers_that_were_changed_end_with_4(office: Office) -> None:
    name = approved(office)
    file = next((office.root / "products" / "contracts" / name).glob("approval.*.json"))
    file.write_bytes(file.read_bytes() + b"\n")
    done = office.run("contracts", name)
    assert (done.returncode, f"wrong: {file.name} was changed" in done.stdout) == (4, True)


def test_a_hostile_name_cannot_write_to_the_terminal(office: Office) -> None:
    party = {**application()["applicant"], "name": "实验室 \u202e evil"}
    good(office.run("apply", "small", "--application", office.file(applicant=party)))
    shown = good(office.run("contracts", "small-lab"))
    assert "\x1b" not in shown
    party["name"] = "a\x1b[2Jb"
    done = office.run("apply", "small", "--application", office.file(applicant=party))
    assert (done.returncode, "\x1b" in done.stderr) == (2, False)


def test_a_document_of_each_command_is_json(office: Office) -> None:
    name = approved(office)
    one = json.loads(good(office.run("contracts", name, "--json")))
    assert (one["contract"], one["state"], one["next"], one["faults"]) == (name, "approved", "contract", [])
    assert [lack["what"] for lack in one["lacks"]] == ["1 more signature as steward"]
    (listed,) = json.loads(good(office.run("contracts", "--json")))["contracts"]
    assert listed["facts"]["recipient"] == "lab"
    assert "my_lab" in json.loads(good(office.run("application", "--json")))["application"]
    again = json.loads(good(office.run("apply", "small", "--application", office.keys / "application.yaml", "--json")))
    assert (again["is_new"], again["contract"], again["match"]["answer"]) == (False, name, "yes")
