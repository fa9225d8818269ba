"""Three users of the operating system, one for each role: what each gets, and what the system keeps from each."""

import grp
import json
import os
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pathcurate.disclosure.counts import WITHHELD
from pathcurate.model.report import REPORTS
from pathcurate.roles import role_faults
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import load_workspace
from tests.built import build_release
from tests.clinic import CANARIES, report

CURATOR, ANALYST, OTHER_ANALYST, STEWARD = 61_001, 61_002, 61_003, 61_004
RECIPE = """\
recipe: 1
name: women
version: 1.0.0
title: Women
unit: patient
columns: [patient_id]
include: [{id: women, level: patient, where: {sex: female}, if_missing: fail}]
"""
# Another user may not be able to reach this interpreter (below a closed home, say), but what root has loaded stays loaded.
# So one process of root's loads everything, and for each script a copy of it becomes the user.
ZYGOTE = """
import codecs, contextlib, importlib, io, json, os, sys, traceback
for module in ("cli.cohort", "cli.run", "cohort", "requests", "engines.embedded", "profiles", "verification"):
    importlib.import_module(f"pathcurate.{module}")
import duckdb, pyarrow.dataset
from pathcurate.htmlreport.template import _environment
for name in _environment().list_templates(["j2"]):  # Jinja loads each when it needs it
    _environment().get_template(name)
import sqlglot, pathcurate.attribution, pathcurate.text.patterns, pathcurate.disclosure.attrition
for name in ("ascii", "gb18030", "idna", "latin-1", "utf-8-sig", "utf-16", "utf-16-be"):
    codecs.lookup(name)

def become_and_run(job, out):
    os.setgroups(job["groups"])
    os.setgid(job["uid"])
    os.setuid(job["uid"])
    os.umask(0o077)
    os.chdir(job["root"])
    os.environ.update(HOME=job["root"], LOGNAME="root", USER="root")
    done = {"code": 0, "out": io.StringIO(), "err": io.StringIO()}
    with contextlib.redirect_stdout(done["out"]), contextlib.redirect_stderr(done["err"]):
        try:
            exec(job["script"], dict(job["values"], __name__="script"))
        except SystemExit as end:
            done["code"] = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
            done["code"] = 1
    os.write(out, json.dumps({**done, "out": done["out"].getvalue(), "err": done["err"].getvalue()}).encode())

for line in sys.stdin:
    inside, out = os.pipe()
    if os.fork() == 0:
        become_and_run(json.loads(line), out)
        os._exit(0)
    os.close(out)
    with open(inside, "rb") as answer:
        print(answer.read().decode(), flush=True)
    os.wait()
"""


@dataclass(frozen=True)
class Done:
    """What a script ended with."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class User:
    """A user of the system, who need not have a name there."""

    uid: int
    groups: Sequence[int]
    root: Path
    zygote: "subprocess.Popen[str]"

    def python(self, script: str, **values: object) -> Done:
        """Run a script as this user."""
        job = {"uid": self.uid, "groups": self.groups, "root": str(self.root), "values": values}
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        print(json.dumps({**job, "script": textwrap.dedent(script)}), file=self.zygote.stdin, flush=True)
        return Done(**json.loads(self.zygote.stdout.readline()))

    def pathcurate(self, *arguments: str) -> Done:
        """Run a command."""
        return self.python(
            "import sys; from pathcurate.cli.main import run; sys.exit(run(GIVEN))", GIVEN=[*arguments, "-w", str(self.root)]
        )


@pytest.fixture(scope="module")
def people() -> Iterator[dict[str, User]]:
    """Curator, two analysts and a steward of one workspace, which is as the doctor wants it to be."""
    if os.geteuid() != 0:
        pytest.skip("only root may become other users")
    analysts, stewards = _groups()
    # Below pytest's own directory nobody else may look.
    with tempfile.TemporaryDirectory(prefix="pathcurate-roles-") as directory:
        Path(directory).chmod(0o755)
        root = Path(directory) / "w"
        _make_clinic(root)
        _give_away(root, analysts.gr_gid, stewards.gr_gid)
        command = [sys.executable, "-c", ZYGOTE]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as zygote:
            yield {
                role: User(uid, [group.gr_gid], root, zygote)
                for role, uid, group in (
                    ("curator", CURATOR, analysts), ("analyst", ANALYST, analysts), ("other", OTHER_ANALYST, analysts),
                    ("steward", STEWARD, stewards),
                )
            }  # fmt: skip


def _give_away(root: Path, analysts: int, stewards: int) -> None:
    """Make the shared directories as the doctor wants them."""
    for name, group, mode in (
        ("requests", analysts, 0o3770), ("cohorts", analysts, 0o2750), ("releases", analysts, 0o2750),
        ("recipes", analysts, 0o3775), ("products", stewards, 0o2770), ("registry", stewards, 0o2770),
    ):  # fmt: skip
        (root / name).mkdir(exist_ok=True)
        for path in (root / name, *(root / name).rglob("*")):
            os.chown(path, CURATOR, group)
        (root / name).chmod(mode)


def _groups() -> list[grp.struct_group]:
    """Two groups that this system has: the doctor knows groups by their names."""
    return [group for group in grp.getgrall() if group.gr_gid not in {0, 65_534}][:2]


def _make_clinic(root: Path) -> None:
    """Thirty patients, three of them men: made by root, so that the curator need not start processes of Python's."""
    root.mkdir()
    reports = [report(number, f"S23-{number:05}", patient_name=CANARIES["name"]) for number in range(1, 31)]
    Catalog(root / "catalog").replace(REPORTS, from_rows(REPORTS, reports))
    slides, cases, patients = [], [], []
    for number in range(1, 31):
        sex = "male" if number <= 3 else "female"
        person = {"patient_id": f"P-{number:016}", "group_id": f"Q-{number:016}", "sex": sex}
        owner = {**person, "case_id": f"C-{number:016}", "site": "NB01", "age": 50}
        patients.append({**person, "case_count": 1, "slide_count": 1})
        cases.append({**owner, "slide_count": 1, "report_count": 1})
        slides.append({**owner, "slide_id": f"S-{number:016}", "status": "ok", "tier": "exact", "stain": "HE", "mpp": 0.25})
    build_release(root, permissions=False, rows={"slides": slides, "cases": cases, "patients": patients})
    settings = root / "pathcurate.yaml"
    analysts, stewards = (group.gr_name for group in _groups())
    roles = f"roles: {{analysts: {analysts}, stewards: {stewards}}}\nregistry: registry/registry.db\n"
    settings.write_text(settings.read_text() + roles)
    (root / "women.yaml").write_text(RECIPE)
    for path in (root, *root.rglob("*")):
        os.chown(path, CURATOR, CURATOR)


TRY_ALL = """
import os
got = []
for name in NAMES:
    for how in (lambda: os.listdir(name), lambda: open(name, "rb").read(1), lambda: open(name, "ab"), lambda: os.stat(name),
                lambda: os.rename(name, name + ".mine"), lambda: os.remove(name)):
        try:
            how()
        except PermissionError:
            continue
        except IsADirectoryError:
            continue
        got.append(name)
print("\\n".join(got))
"""


def test_nobody_but_the_curator_opens_anything_of_catalog_or_vault(people: dict[str, User]) -> None:
    root = people["curator"].root
    inside = [path for folder in ("catalog", "vault") for path in (root / folder).rglob("*")]
    assert {path.name for path in inside} > {"key", "audit.jsonl", "criteria", "reports"}
    for role in ("analyst", "steward"):
        tried = people[role].python(TRY_ALL, NAMES=[str(path) for path in inside])
        assert (tried.out.strip(), tried.code) == ("", 0), role
        # The folders can be seen from outside, and no more.
        folders = people[role].python(TRY_ALL, NAMES=[str(root / "catalog"), str(root / "vault")])
        assert set(folders.out.split()) == {str(root / "catalog"), str(root / "vault")}
        assert len(folders.out.split()) == 2, "nothing but os.stat"


def test_the_analyst_gets_a_cohort_through_requests(people: dict[str, User]) -> None:
    curator, analyst, other = people["curator"], people["analyst"], people["other"]
    root = curator.root
    asked = analyst.pathcurate("cohort", "women.yaml", "--dry-run", "--json")
    assert asked.code == 0, asked.err
    request = root / json.loads(asked.out)["request"]
    assert stat.S_IMODE(request.stat().st_mode) == 0o640, "whatever the umask"
    assert (request.stat().st_uid, request.stat().st_gid) == (ANALYST, _groups()[0].gr_gid)
    assert analyst.pathcurate("cohort", "women.yaml").code == 0

    # Another one wants to speak for the first, to be answered in the first one's place, and to answer.
    forged = request.with_name(request.name.replace(".json", ".answer.json"))
    tried = other.python(
        """
        import json, os
        from pathlib import Path
        request, forged = Path(REQUEST), Path(FORGED)
        for change in (lambda: request.write_text("{}"), request.unlink, lambda: request.rename(str(request) + "x"),
                       lambda: os.link(request, request.with_name("mine-000000000000.json"))):
            try:
                change()
            except PermissionError:
                continue
            raise SystemExit(f"changed another's request")
        forged.write_text(json.dumps({"answer": 1, "state": "answered", "analyst_uid": 0, "attrition": None}))
        forged.chmod(0o644)
        content = {"request": 1, "recipe": request.read_text(), "dry_run": True, "asked_by": "root"}
        Path(request.with_name("women-ffffffffffff.json")).write_text(json.dumps(content))
        Path(request.with_name("women-ffffffffffff.json")).chmod(0o640)
        os.symlink("/etc/passwd", request.with_name("women-000000000001.json"))
        os.symlink(VAULT, request.with_name("women-000000000002.json"))
        os.mkfifo(request.with_name("women-000000000003.json"))
        """,
        REQUEST=str(request), FORGED=str(forged), VAULT=str(root / "vault" / "key"),
    )  # fmt: skip
    assert (tried.code, tried.err) == (0, "")
    listed = analyst.pathcurate("cohort", "--requests", "--json")
    assert {one["state"] for one in json.loads(listed.out)["requests"]} == {"open"}, "the forged answer is not believed"

    run = curator.pathcurate("run", "--requests", "--json")
    assert (run.code, json.loads(run.out)) == (0, {"answered": 2, "refused": 1, "left_open": 0, "strange": 3}), run.err

    listed = analyst.pathcurate("cohort", "--requests", "--json")
    answers = {one["answer"]["dry_run"]: one["answer"] for one in json.loads(listed.out)["requests"]}
    assert {answer["state"] for answer in answers.values()} == {"answered"}
    step = next(step for step in answers[True]["attrition"]["steps"] if step["id"] == "women")
    assert step["dropped"] == WITHHELD
    assert "27" not in json.dumps(answers[True]["attrition"])
    cohort = analyst.python("print(open('cohorts/women/cohort.parquet', 'rb').read(4))")
    assert (cohort.code, cohort.out) == (0, "b'PAR1'\n")

    events = [json.loads(line) for line in (root / "vault" / "audit.jsonl").read_text().splitlines()]
    answered = [event for event in events if event["action"] == "request answered"]
    assert sorted((event["facts"]["analyst_uid"], event["facts"]["state"]) for event in answered) == [
        (ANALYST, "answered"), (ANALYST, "answered"), (OTHER_ANALYST, "refused"),
    ]  # fmt: skip
    again = curator.pathcurate("run", "--requests", "--json")
    assert json.loads(again.out)["answered"] == 0, "each is answered once"


def test_a_role_has_what_it_needs_and_what_is_too_open_is_told(people: dict[str, User]) -> None:
    curator, steward = people["curator"], people["steward"]
    workspace = load_workspace(curator.root / "pathcurate.yaml")
    # These users have no names, so no list of members can hold them.
    faults = [fault for fault in role_faults(workspace) if "is not in the group" not in fault.message]
    assert [(fault.message, fault.is_leak) for fault in faults] == [("deid/ can be read by everybody", True)]
    workspace.deid.chmod(0o750)
    assert len(list(role_faults(workspace))) == 1
    too_open_or_closed = ((workspace.catalog, 0o750), (workspace.requests, 0o2770), (workspace.cohorts / "small", 0o700))
    for number, (path, mode) in enumerate(too_open_or_closed, start=2):
        path.chmod(mode)
        assert len(list(role_faults(workspace))) == number
    assert steward.python("open('products/p.yaml', 'w').close(); open('registry/r', 'w').close()").code == 0
    assert steward.python("import os; os.listdir('requests')").code == 1
