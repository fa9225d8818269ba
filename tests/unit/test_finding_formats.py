"""The forms that continuous integration reads, each against the rules of its format; hostile words break out of none."""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from defusedxml import ElementTree
from jsonschema import Draft202012Validator

from pathcurate.findingformats import Report, fingerprints, location, ordered
from pathcurate.findingformats.github import MOST_ANNOTATIONS, annotations, summary
from pathcurate.findingformats.gitlab import gitlab
from pathcurate.findingformats.junit import junit
from pathcurate.findingformats.sarif import sarif
from pathcurate.model.finding import Severity
from pathcurate.model.validation import NOT_RUN, Breach, Place, Validation, Waived, Waiver
from pathcurate.model.validationrules import RULES
from pathcurate.validate import Choice, load_waivers, validate
from tests.commandline import pathcurate
from tests.releases import RECIPE, build_wide, copied, rewrite, with_values

HOSTILE = "a%b\r\n::error::x|<b>&\"'`]]>\x00\x1b\ud800,:*_[l](u)\u202e" + "x" * 3000
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def breach(rule: str, message: str = "is wrong", severity: Severity = ERROR, **parts: Any) -> Breach:
    return Breach(rule, severity, message, stage="validate", **parts)


def a_report(*findings: Breach, fail_on: str = "error", waived: tuple[Waived, ...] = (), **parts: Any) -> Report:
    checks = tuple(dict.fromkeys(("PC-DIG-001", *(one.rule for one in findings if one.rule != NOT_RUN))))
    result = Validation(
        "release",
        findings,
        checks,
        parts.pop("not_run", {}),
        {},
        waived,
        parts.pop("facts", {"product": "p", "version": "1"}),
    )
    return Report(result, "releases/p/1.0.0", fail_on, "0.9.0")


LOCK_LINE = Place("provenance/recipe.lock.yaml", 41, 3, is_within=True)
MANY = a_report(
    breach(
        "PC-SPL-001",
        table="slides",
        column="patient_id",
        count=3,
        of=80,
        at=Place("provenance/recipe.lock.yaml", 41, 3, True),
    ),
    breach("PC-QLT-003", severity=WARNING, table="slides", column="mpp", measured="9", threshold="0.01..100"),
    breach("PC-QLT-006", severity=INFO, file="quality/labels.json"),
    breach("PC-DIG-002", "report.html is missing"),
    breach(NOT_RUN, "not run: PC-EXP (all of it): nobody said which day it is", WARNING),
    not_run={"PC-EXP-001": "nobody said which day it is"},
    waived=(Waived(breach("PC-QLT-007"), Waiver(rule="PC-QLT-007", owner="A. B.", reason="old", until=date(2027, 1, 1))),),
)
NASTY = a_report(
    breach("PC-SCH-001", HOSTILE, table=HOSTILE, column=HOSTILE),
    breach("PC-SCH-006", HOSTILE, file=HOSTILE, at=Place(HOSTILE, 1, 1)),
    waived=(
        Waived(breach("PC-QLT-007", HOSTILE), Waiver(rule="PC-QLT-007", owner="A", reason="R", until=date(2027, 1, 1))),
    ),
    not_run={"PC-EXP-001": HOSTILE},
    facts={"product": HOSTILE},
)
NOTHING = a_report()
REPORTS = [MANY, NASTY, NOTHING, replace(MANY, fail_on="never"), replace(MANY, fail_on="info")]

# --- SARIF 2.1.0 -------------------------------------------------------------------------------------------------------

_TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_BAG = {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}}}
_INDEX = {"type": "integer", "minimum": 1}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_LOCATION = _closed(
    [],
    physicalLocation=_closed(
        ["artifactLocation"],
        artifactLocation=_closed(["uri"], uri={"type": "string", "pattern": r"^[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]*$"}),
        region=_closed(["startLine"], startLine=_INDEX, startColumn=_INDEX),
    ),
    logicalLocations={"type": "array", "items": _closed(
        [], name={"type": "string"}, fullyQualifiedName={"type": "string"}, kind={"type": "string"})},
)  # fmt: skip
SARIF: dict[str, Any] = _closed(
    ["version", "runs"],
    **{"$schema": {"type": "string", "format": "uri"}},
    version={"const": "2.1.0"},
    runs={"type": "array", "items": _closed(
        ["tool"],
        tool=_closed(["driver"], driver=_closed(
            ["name"], name={"type": "string"}, version={"type": "string"},
            semanticVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
            rules={"type": "array", "uniqueItems": True, "items": _closed(
                ["id"], id={"type": "string"}, shortDescription=_TEXT, help=_TEXT,
                defaultConfiguration=_closed([], level=_LEVEL), properties=_BAG)})),
        columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        invocations={"type": "array", "items": _closed(
            ["executionSuccessful"], executionSuccessful={"type": "boolean"},
            toolConfigurationNotifications={"type": "array", "items": _closed(
                ["message"], level=_LEVEL, message=_TEXT, associatedRule=_closed([], id={"type": "string"}))})},
        results={"type": "array", "items": _closed(
            ["message"], ruleId={"type": "string"}, ruleIndex={"type": "integer", "minimum": -1}, level=_LEVEL,
            message=_TEXT,
            locations={"type": "array", "items": _LOCATION},
            partialFingerprints={"type": "object", "additionalProperties": {"type": "string"}},
            suppressions={"type": "array", "uniqueItems": True, "items": _closed(
                ["kind"], kind={"enum": ["inSource", "external"]}, status={"enum": ["accepted", "underReview", "rejected"]},
                justification={"type": "string"})},
            properties=_BAG)},
        properties=_BAG,
    )},
)  # fmt: skip
"""What the official schema (sarif-schema-2.1.0.json, errata 01) says of the parts that are written; nothing else is."""


@pytest.mark.parametrize("report", REPORTS)
def test_sarif(report: Report) -> None:
    text = sarif(report)
    content = json.loads(text)
    assert list(Draft202012Validator(SARIF).iter_errors(content)) == []
    run = content["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rules[one["ruleIndex"]]["id"] for one in run["results"]] == [one["ruleId"] for one in run["results"]]
    assert len(run["results"]) == len(report.validation.findings) + len(report.validation.waived)
    marks = [one["partialFingerprints"]["pathcurate/v1"] for one in run["results"]]
    assert len(set(marks)) == len(marks)
    assert sum("suppressions" in one for one in run["results"]) == len(report.validation.waived)


def test_sarif_points_to_the_line_of_the_recipe() -> None:
    result = next(one for one in json.loads(sarif(MANY))["runs"][0]["results"] if one["ruleId"] == "PC-SPL-001")
    where = result["locations"][0]
    assert where["physicalLocation"]["artifactLocation"]["uri"] == "releases/p/1.0.0/provenance/recipe.lock.yaml"
    assert where["physicalLocation"]["region"] == {"startLine": 41, "startColumn": 3}
    assert where["logicalLocations"][0]["fullyQualifiedName"] == "slides/patient_id"
    assert result["properties"] == {"count": 3, "of": 80}


def test_fingerprints_do_not_depend_on_counts_or_order() -> None:
    one, other = breach("PC-SPL-001", "3 of them", count=3, table="slides"), breach("PC-QLT-001", table="slides")
    again = replace(one, message="4 of them", count=4)
    assert list(fingerprints([one, other])) == list(fingerprints([again, other]))
    assert set(fingerprints([one, other])) == set(fingerprints([other, one]))
    assert len(set(fingerprints([one, one]))) == 2


# --- JUnit -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("report", REPORTS)
def test_junit(report: Report) -> None:
    """By the schema that Jenkins reads (jenkinsci/xunit-plugin, junit-10.xsd)."""
    root = ElementTree.fromstring(junit(report))
    assert root.tag == "testsuites"
    cases = list(root.iter("testcase"))
    for suite in root:
        assert (suite.tag, suite[0].tag) == ("testsuite", "properties")
        assert {one.tag for one in suite[1:]} == {"testcase"}
        assert all(set(one.attrib) == {"name", "value"} for one in suite[0])
        assert int(suite.attrib["tests"]) == len(suite) - 1
    for case in cases:
        assert set(case.attrib) == {"classname", "name"}
        assert [part.tag for part in case] in ([], ["failure"], ["error"], ["skipped"])
        assert all("message" in part.attrib for part in case)
    for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert int(root.attrib[name]) == len(list(root.iter(kind))) == sum(int(suite.attrib[name]) for suite in root)
    failing = [one for one in report.validation.findings if one.rule != NOT_RUN and report.fails(one)]
    assert int(root.attrib["failures"]) == len(failing)
    assert int(root.attrib["errors"]) == len(report.validation.not_run)


def test_what_was_not_run_is_never_green_in_junit() -> None:
    case = next(
        one for one in ElementTree.fromstring(junit(MANY)).iter("testcase") if one.attrib["name"].startswith("PC-EXP-001")
    )
    assert [part.tag for part in case] == ["error"]
    assert case[0].attrib["type"] == NOT_RUN


# --- GitHub and GitLab -------------------------------------------------------------------------------------------------

_COMMAND = re.compile(r"::(?:error|warning|notice) (?:[a-z]+=[^:,\r\n]*,?)+::[^\r\n]*")


@pytest.mark.parametrize("report", REPORTS)
def test_github_annotations(report: Report) -> None:
    text = annotations(report)
    lines = text.split("\n")[:-1]
    assert all(_COMMAND.fullmatch(line) for line in lines)
    assert len(lines) == len(report.validation.findings)
    assert "\r" not in text


def test_github_annotations_are_capped_and_say_so() -> None:
    report = a_report(
        *(breach("PC-SCH-001", table=f"t{number}") for number in range(25)), breach("PC-QLT-001", severity=INFO)
    )
    lines = annotations(report).splitlines()
    assert sum(line.startswith("::error ") for line in lines) == MOST_ANNOTATIONS
    assert lines[-1] == "::notice title=pathcurate::15 more findings are not shown here"
    assert sum(line.startswith("::notice ") for line in lines) <= MOST_ANNOTATIONS


@pytest.mark.parametrize("report", REPORTS)
def test_github_summary(report: Report) -> None:
    text = summary(report)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    assert "<b>" not in text
    assert re.search(r"(?<!\\)\[l", text) is None


@pytest.mark.parametrize("report", REPORTS)
def test_gitlab(report: Report) -> None:
    issues = json.loads(gitlab(report))
    assert len(issues) == len(report.validation.findings)
    for one in issues:
        assert set(one) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert one["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert one["location"]["lines"]["begin"] >= 1
        assert not one["location"]["path"].startswith("./")
    assert len({one["fingerprint"] for one in issues}) == len(issues)


def test_places() -> None:
    report = replace(NOTHING, base=".")
    assert location(report, breach("PC-DIG-004")).path == "MANIFEST.json"
    assert location(report, breach("PC-DOC-004", file="product.yaml")).path == "product.yaml"
    own = breach("PC-SPL-001", at=Place("recipes/a b.yaml", 7))
    assert location(report, own).uri == "recipes/a%20b.yaml"
    assert [one.rule for one in ordered([breach("PC-B", severity=INFO), breach("PC-A"), breach("PC-C")])] == [
        "PC-A", "PC-C", "PC-B",
    ]  # fmt: skip


# --- The command line --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release in which one patient is on two sides."""
    folder = tmp_path_factory.mktemp("formats")
    built = copied(build_wide(tmp_path_factory), folder / "1.0.0")

    def torn(sides: list[str]) -> list[str]:
        return [{"train": "test", "test": "train"}[sides[0]], *sides[1:]]

    rewrite(built, "slides", with_values("split", torn))
    return built


@pytest.fixture
def here(release: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(release.parent)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return release.parent


def test_a_leak_is_shown_on_the_line_of_the_recipe(here: Path, tmp_path: Path) -> None:
    """Acceptance 4 of the design: in JUnit and in SARIF, on the recipe's line, also of the recipe's own file."""
    recipe = here / "small.yaml"
    recipe.write_text("# A comment moves all lines.\n" + RECIPE)
    sarif_file, junit_file = tmp_path / "v.sarif", tmp_path / "v.xml"
    outputs = (f"--output=sarif={sarif_file}", f"--output=junit={junit_file}", "--select=PC-SPL,PC-RCP")
    done = pathcurate("validate", "1.0.0", "--recipe", "small.yaml", *outputs)
    assert done.returncode == 1
    results = json.loads(sarif_file.read_bytes())["runs"][0]["results"]
    wanted = next(one for one in results if one["ruleId"] == "PC-SPL-001")
    where = wanted["locations"][0]["physicalLocation"]
    line = where["region"]["startLine"]
    assert (where["artifactLocation"]["uri"], recipe.read_text().splitlines()[line - 1][:5]) == ("small.yaml", "split")
    failures = [
        case[0].text for case in ElementTree.parse(junit_file).getroot().iter("testcase") if case.find("failure") is not None
    ]
    assert any(str(text).startswith(f"small.yaml:{line}\n") for text in failures)
    assert f"at small.yaml:{line}:" in done.stdout
    recipe.write_text(RECIPE.replace("0.5", "0.50") + "x-note: other\n")
    lock = json.loads(pathcurate("validate", "1.0.0", "--format", "sarif", "--select=PC-SPL").stdout)["runs"][0]["results"]
    where = lock[0]["locations"][0]["physicalLocation"]
    lines = (here / "1.0.0" / where["artifactLocation"]["uri"].removeprefix("1.0.0/")).read_text().splitlines()
    assert lines[where["region"]["startLine"] - 2].startswith(("split", "  "))
    recipe.write_text(RECIPE.replace("title: Slides", "title: Other slides"))
    done = pathcurate("validate", "1.0.0", "--recipe", "small.yaml", "--select=PC-RCP", "--format=json")
    assert [one["rule"] for one in json.loads(done.stdout)["findings"]] == ["PC-RCP-003"]


WAIVERS = """\
waivers:
  - {rule: PC-SPL-001, where: slides.patient_id, owner: A. Pathologist, reason: Known since 2025, until: 2099-12-31}
  - {rule: PC-SPL-001, where: slides.group_id, owner: A. Pathologist, reason: Known since 2025, until: 2099-12-31}
  - {rule: PC-SPL-001, where: slides.case_id, owner: A. Pathologist, reason: Known since 2025, until: 2099-12-31}
"""


def test_waivers_are_shown_and_end(here: Path) -> None:
    file = here / "waivers.yaml"
    file.write_text(WAIVERS)
    options = ("validate", "1.0.0", "--select=PC-SPL,PC-META-007,PC-META-008", "--waivers", "waivers.yaml")
    done = pathcurate(*options)
    assert done.returncode == 0
    assert "0 findings, 3 waived" in done.stdout
    assert "(A. Pathologist, until 2099-12-31: Known since 2025)" in done.stdout
    first, second, third = WAIVERS.splitlines()[1:]
    ended, elsewhere = second.replace("2099-12-31", "2020-01-01"), third.replace("slides.case_id", "nowhere")
    file.write_text("\n".join(["waivers:", first, ended, elsewhere]))
    done = pathcurate(*options, "--json")
    assert done.returncode == 1
    content = json.loads(done.stdout)
    rules = sorted(one["rule"] for one in content["findings"])
    assert rules == ["PC-META-007", "PC-META-008", "PC-SPL-001", "PC-SPL-001"]
    assert len(content["waived"]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("waivers: [{rule: PC-SPL-999, owner: A, reason: B, until: 2099-01-01}]", "no rule is called `PC-SPL-999`"),
        ("waivers: [{rule: PC-SPL-001, reason: B, until: 2099-01-01}]", "owner"),
        ("waivers: [{rule: PC-SPL-001, owner: A, until: 2099-01-01}]", "reason"),
        ("waivers: [{rule: PC-SPL-001, owner: A, reason: B}]", "until"),
        ("waivers: [{rule: PC-SPL-001, owner: ' ', reason: B, until: 2099-01-01}]", "one line"),
        ("waivers: [{rule: PC-SPL-001, owner: A, reason: B, until: soon}]", "2026-11-20"),
        ("[1]", "mapping"),
    ],
)
def test_waivers_need_owner_reason_and_end(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "waivers.yaml"
    file.write_text(text)
    with pytest.raises(Exception, match=re.escape(said)):
        load_waivers(file, "waivers.yaml")


def test_github_in_one_step(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    done = pathcurate("validate", "1.0.0", "--format", "github", "--select=PC-SPL")
    assert done.returncode == 1
    assert done.stdout.startswith("::error file=1.0.0/provenance/recipe.lock.yaml,line=")
    assert page.read_text().startswith("before\n### pathcurate validate 1\\.0") is False
    assert page.read_text().startswith("before\n### pathcurate validate ")
    assert "| error | PC-SPL-001 |" in page.read_text()


def test_a_broken_recipe_is_a_result_where_a_machine_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text("recipe: 1\nname: r\nversion: 1.0.0\ntitel: T\nunit: slide\ncolumns: [slide_id]\n")
    people = pathcurate("validate", "r.yaml")
    assert people.returncode == 10
    assert "r.yaml:4:1: error: unknown key `titel`" in people.stderr
    machine = pathcurate("validate", "r.yaml", "--format", "gitlab")
    assert machine.returncode == 10
    assert {(one["check_name"], one["location"]["path"]) for one in json.loads(machine.stdout)} == {("PC-RCP-001", "r.yaml")}
    assert 4 in {one["location"]["lines"]["begin"] for one in json.loads(machine.stdout)}


def test_outputs_that_are_none_are_refused(here: Path) -> None:
    for output in ("sarif", "pdf=x", "sarif="):
        assert pathcurate("validate", "1.0.0", "--output", output).returncode == 2
    assert pathcurate("validate", "1.0.0", "--output", "sarif=1.0.0", "--select=PC-EXP").returncode == 3
    assert pathcurate("validate").returncode == 2


def test_the_list_of_rules_documents_them_all(here: Path) -> None:
    text, listed = (
        pathcurate("validate", "--list-rules").stdout,
        json.loads(pathcurate("validate", "--list-rules", "--json").stdout),
    )
    assert [one["id"] for one in listed["rules"]] == list(RULES)
    for rule in RULES.values():
        assert f"{rule.id:<15} {rule.severity:<8} {rule.what}\n" in text
        assert rule.fix in text


def test_exit_codes_come_in_their_order() -> None:
    codes: Callable[..., int] = lambda *rules: a_report(*map(breach, rules)).validation.exit_code("error", RULES)  # noqa: E731
    every = ("PC-SPL-001", "PC-PRIV-005", "PC-META-006", "PC-EXP-001", "PC-DIG-001", "PC-RCP-001")
    assert [codes(*every[:number]) for number in range(7)] == [0, 1, 13, 5, 6, 4, 10]
    assert a_report(*map(breach, every)).validation.exit_code("never", RULES) == 0
    mild = a_report(breach("PC-DIG-001", severity=WARNING)).validation
    assert (mild.exit_code("error", RULES), mild.exit_code("warning", RULES)) == (0, 4)


def test_what_was_not_run_fails_if_asked(release: Path) -> None:
    result = validate(release, Choice(select=("PC-EXP", NOT_RUN), not_run=ERROR))
    assert result.exit_code("error", RULES) == 1


# --- What is copied from the README --------------------------------------------------------------------------------------

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def jobs() -> list[Any]:
    """The examples of jobs, hooks and waivers in the README."""
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    return [yaml.safe_load(text) for text in re.findall(r"^```yml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)]


def test_the_readme_lists_every_rule() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    told = readme.partition("<details><summary>Rule by rule</summary>\n")[2].partition("</details>")[0]
    assert re.findall(r"^- (.*)$", told, re.MULTILINE) == [
        f"{one.id} ({one.severity}): {one.what}" for one in RULES.values()
    ]
    assert f"Each of its {len(RULES)} rules" in readme
    assert all(f"({pack})" in readme for pack in {one.pack for one in RULES.values()})


def test_the_jobs_of_the_readme_run(jobs: list[Any], here: Path, tmp_path: Path) -> None:
    steps = next(job for job in jobs if "jobs" in job)["jobs"]["validate"]["steps"]
    lines = [step["run"] for step in steps if "run" in step] + next(job for job in jobs if "validate" in job)["validate"][
        "script"
    ]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("pathcurate ")]
    assert len(commands) == 2
    (here / "small.yaml").write_text(RECIPE)
    known = {"releases/demo_he_2023/1.0.0": "1.0.0", "recipes/demo_he_2023.yaml": "small.yaml"}
    for words in commands:
        here_words = [known.get(word, re.sub(r"^(\w+)=(.*)$", rf"\1={tmp_path}/\2", word)) for word in words]
        assert pathcurate(*here_words).returncode == 1
    assert {path.name for path in tmp_path.iterdir()} == {"validate.sarif", "validate.xml", "gl-code-quality-report.json"}


def test_the_waivers_of_the_readme_load(jobs: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "waivers.yaml"
    file.write_text(yaml.safe_dump(next(job for job in jobs if "waivers" in job), allow_unicode=True))
    assert [one.rule for one in load_waivers(file, "waivers.yaml")] == ["PC-QLT-002"]


def test_the_hooks_find_what_is_broken(
    jobs: list[Any], release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_bytes())}
    named = next(job for job in jobs if "repos" in job)["repos"][0]["hooks"]
    assert [hook["id"] for hook in named] == list(hooks)
    recipes = hooks["pathcurate-recipes"]
    assert re.search(recipes["files"], "recipes/a.yaml")
    assert not re.search(recipes["files"], "recipes/codelists/a.csv")
    assert 'pathcurate validate "$file"' in recipes["entry"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "pathcurate.yaml").write_text("workspace: 1\nname: w\n")
    (tmp_path / "recipes" / "a.yaml").write_text(RECIPE)
    words = shlex.split(hooks["pathcurate-workspace"]["entry"])[1:]
    assert pathcurate(*words).returncode == 0
    (tmp_path / "recipes" / "a.yaml").write_text("recipe: 1\n")
    assert pathcurate(*words).returncode == 10
    assert pathcurate("validate", "recipes/a.yaml").returncode == 10
