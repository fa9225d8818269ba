"""Findings: grouped so that a person can act, waived by somebody until a day, and never lost."""

import ast
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pathcurate
from pathcurate import events, storage
from pathcurate.cli.main import run
from pathcurate.errors import UsageError
from pathcurate.findings import (
    Selection,
    add_waiver,
    apply_waivers,
    group_findings,
    identify_findings,
    read_findings,
    read_origins,
    read_waivers,
    record_findings,
    withdraw_waiver,
)
from pathcurate.model.finding import ADVICE, Finding, Severity, advice
from pathcurate.model.slide import SLIDES, STATUSES
from pathcurate.model.waiver import DIMENSIONS, WAIVERS, Waiver, is_plain
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import broken_event
from tests.clinic import slide

TODAY = date(2026, 11, 21)
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def finding(number: int, rule: str = "scan.truncated", severity: Severity = ERROR, site: str = "NB01", **more) -> Finding:
    subject = f"S-{number:016d}"
    return Finding(rule, severity, f"slide {subject}: message", stage="scan", site=site, subject=subject, **more)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Six slides of three scanners, in two parts of which the later one counts."""
    made = Catalog(tmp_path / "catalog")
    models = ["GT450", "GT450", "KF-PRO-400", "KF-PRO-400", "V, 2", None]
    rows = [slide(n, scanner_model=model, archive=f"archive{n % 2}") for n, model in enumerate(models, start=1)]
    made.upsert(SLIDES, from_rows(SLIDES, [{**row, "scanner_model": "old", "relpath": b"old.svs"} for row in rows[:3]]))
    made.upsert(SLIDES, from_rows(SLIDES, rows))
    return made


def keep(catalog: Catalog, *findings: Finding) -> None:
    record_findings(catalog, "scan", findings)


def groups(catalog: Catalog, *by: str, selection: Selection | None = None, today: date = TODAY):
    return group_findings(catalog, selection or Selection(), today=today, by=by)


def waive(catalog: Catalog, today: date = TODAY, **by: str):
    until = today.replace(year=today.year + 1)
    return add_waiver(catalog, by, reason="old scanner", owner="Li Wei", until=until, actor="root", today=today)


# --- Groups ----------------------------------------------------------------------------------------------------------


def test_findings_of_one_rule_are_one_group_with_where_and_what_next(catalog: Catalog) -> None:
    keep(catalog, finding(1), finding(3, site="NB02", count=5), finding(4, WARNING_RULE, WARNING))
    found = groups(catalog)
    assert found.findings == 3
    first, second = found.active
    assert (first.by, first.severity, first.findings, first.rows) == ({"rule": "scan.truncated"}, ERROR, 2, 6)
    assert (first.sites, first.scanners) == (("NB01", "NB02"), ("GT450", "KF-PRO-400"))
    assert re.fullmatch(r"slide S-0{15}[13]: message", first.example)
    assert first.advice == ADVICE["scan.truncated"]
    assert second.severity is WARNING


WARNING_RULE = "scan.not_a_slide"


def test_groups_by_what_the_slide_says(catalog: Catalog) -> None:
    keep(catalog, *(finding(number) for number in range(1, 7)), finding(99))
    found = groups(catalog, "scanner", "archive")
    assert Counter({tuple(group.by.values()): group.findings for group in found.active}) == {
        ("scan.truncated", "GT450", "archive1"): 1, ("scan.truncated", "GT450", "archive0"): 1,
        ("scan.truncated", "KF-PRO-400", "archive1"): 1, ("scan.truncated", "KF-PRO-400", "archive0"): 1,
        ("scan.truncated", "V, 2", "archive1"): 1, ("scan.truncated", None, "archive0"): 1,
        ("scan.truncated", None, None): 1,
    }  # fmt: skip


def test_the_gravest_and_largest_come_first(catalog: Catalog) -> None:
    keep(
        catalog,
        *(finding(n, "scan.link", INFO) for n in range(1, 6)),
        *(finding(n, "scan.corrupt") for n in range(1, 3)),
        *(finding(n, "scan.truncated") for n in range(3, 6)),
        finding(6, "scan.unsupported", WARNING),
    )
    assert [group.by["rule"] for group in groups(catalog).active] == [
        "scan.truncated", "scan.corrupt", "scan.unsupported", "scan.link",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (Selection(), 4), (Selection(rules=("scan.link",)), 1), (Selection(sites=("NB02",)), 1),
        (Selection(stages=("link",)), 0), (Selection(least=WARNING), 3), (Selection(least=ERROR, sites=("NB01",)), 1),
    ],
)  # fmt: skip
def test_a_selection_is_all_that_is_looked_at(catalog: Catalog, selection: Selection, count: int) -> None:
    keep(
        catalog, finding(1), finding(2, site="NB02"), finding(3, "scan.link", INFO), finding(4, WARNING_RULE, WARNING)
    )  # fmt: skip
    found = groups(catalog, selection=selection)
    assert (found.findings, sum(group.findings for group in found.active)) == (count, count)


def test_no_findings_are_no_groups(tmp_path: Path) -> None:
    assert groups(Catalog(tmp_path)).active == ()


# --- Advice ----------------------------------------------------------------------------------------------------------

# Names of files and of columns that look like a rule.
_NO_RULES = {
    "reports.tsv", "reports.csv", "permissions.parquet", "reports.parquet", "events.code", "events.event_id", "events.date",
    "reports.address", "reports.sex",
    "reports.age", "reports.received_date", "reports.reported_date",
}  # fmt: skip


def rules_of_the_code() -> Iterator[str]:
    """Every text in the code that is a finding's rule, and those that are put together from states and kinds."""
    for path in Path(pathcurate.__file__).parent.rglob("*.py"):
        if path.name != "finding.py":
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield from re.findall(r"\A(?:scan|reports|events|permissions|link|deid)\.[a-z_]+\Z", node.value)
    yield from (f"scan.{status}" for status in STATUSES if status != "ok")
    yield from (f"scan.{kind}" for kind in re.findall(r"``([a-z_]+)``", str(storage.Skipped.__doc__)) if kind != "kind")
    yield from (f"events.{rule}" for rule in events._RULES)
    yield from ("link.numbers_disagree", "link.case_two_patients", "link.number_two_people")


def test_every_rule_has_advice() -> None:
    rules = set(rules_of_the_code()) - _NO_RULES
    assert len(rules) > 50
    assert rules - ADVICE.keys() == set()


def test_advice_is_a_sentence() -> None:
    assert all(re.fullmatch(r"[A-Z].*\.", text) for text in ADVICE.values())
    assert advice("plugin.unheard_of").endswith(".")


# --- Waivers ---------------------------------------------------------------------------------------------------------


def test_waived_findings_are_shown_apart_and_stay_on_record(catalog: Catalog) -> None:
    keep(catalog, finding(1), finding(3), finding(1, "scan.corrupt"))
    state = waive(catalog, rule="scan.truncated", scanner="GT450")
    assert (state.waiver.waiver_id, state.state, state.findings) == ("W1", "active", 1)
    found = groups(catalog)
    assert found.findings == 3
    assert {group.by["rule"]: group.findings for group in found.active} == {"scan.truncated": 1, "scan.corrupt": 1}
    (waived,) = found.waived
    assert (waived.waiver_id, waived.findings, waived.scanners) == ("W1", 1, ("GT450",))
    assert len(read_findings(catalog)) == 3


def test_an_expired_waiver_no_longer_applies_and_is_said_so(catalog: Catalog) -> None:
    keep(catalog, finding(1))
    last = waive(catalog, rule="scan.truncated").waiver.until
    assert len(groups(catalog, today=last).waived) == 1
    after = groups(catalog, today=date.fromordinal(last.toordinal() + 1))
    assert (len(after.active), after.waived) == (1, ())
    assert [(state.state, state.findings) for state in after.waivers] == [("expired", 1)]


def test_a_withdrawn_waiver_stays_on_record(catalog: Catalog) -> None:
    keep(catalog, finding(1))
    waive(catalog, rule="scan.truncated")
    state = withdraw_waiver(catalog, "W1", actor="somebody", today=TODAY)
    assert (state.state, state.waiver.withdrawn_by, state.findings) == ("withdrawn", "somebody", 1)
    assert groups(catalog).waived == ()
    assert [waiver.reason for waiver in read_waivers(catalog)] == ["old scanner"]
    with pytest.raises(UsageError, match="already"):
        withdraw_waiver(catalog, "W1", actor="somebody", today=TODAY)
    with pytest.raises(UsageError, match="no waiver of that number"):
        withdraw_waiver(catalog, "W2", actor="somebody", today=TODAY)
    assert waive(catalog, rule="scan.truncated").waiver.waiver_id == "W2"


def test_the_tenth_waiver_comes_after_the_ninth(catalog: Catalog) -> None:
    keep(catalog, finding(1))
    numbers = [waive(catalog, rule="scan.truncated").waiver.waiver_id for _ in range(11)]
    assert numbers == [f"W{number}" for number in range(1, 12)]
    assert [waiver.waiver_id for waiver in read_waivers(catalog)] == numbers
    assert groups(catalog).waived[0].waiver_id == "W1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by": {"site": "NB01"}}, "needs the rule"),
        ({"by": {"rule": "scan.truncatd"}}, r"no finding has this rule; did you mean `scan\.truncated`\?"),
        ({"by": {"rule": "scan.truncated", "scanner": "GT 450"}}, r"no finding has this scanner; did you mean `GT450`\?"),
        ({"by": {"rule": "scan.truncated", "site": "NB02"}}, "no finding fits all parts"),
        ({"by": {"rule": "scan.truncated", "scaner": "x"}}, r"no dimension `scaner`; did you mean `scanner`\?"),
        ({"reason": ""}, "the reason must be one line"),
        ({"reason": " "}, "the reason must be one line"),
        ({"reason": "a\nb"}, "the reason must be one line"),
        ({"owner": "a\x1b[2J"}, "the owner must be one line"),
        ({"owner": "x" * 501}, "the owner must be one line"),
        ({"until": date(2026, 11, 20)}, "between today and a year from now"),
        ({"until": date(2027, 11, 22)}, "between today and a year from now"),
    ],
)
def test_what_is_no_waiver_is_refused(catalog: Catalog, change: dict, message: str) -> None:
    keep(catalog, finding(1), finding(2, "scan.corrupt", site="NB02"))
    good = {"by": {"rule": "scan.truncated"}, "reason": "r", "owner": "o", "until": TODAY, **change}
    with pytest.raises(UsageError, match=message):
        add_waiver(catalog, good.pop("by"), actor="root", today=TODAY, **good)
    assert read_waivers(catalog) == []


def test_a_year_from_the_29th_of_february_ends_on_the_28th(catalog: Catalog) -> None:
    keep(catalog, finding(1))
    terms = {"reason": "r", "owner": "o", "actor": "root", "today": date(2028, 2, 29)}
    with pytest.raises(UsageError, match="a year from now"):
        add_waiver(catalog, {"rule": "scan.truncated"}, until=date(2029, 3, 1), **terms)
    assert add_waiver(catalog, {"rule": "scan.truncated"}, until=date(2029, 2, 28), **terms).state == "active"


def test_dimensions_are_columns_of_the_table() -> None:
    assert set(DIMENSIONS) <= set(WAIVERS.names)
    assert set(Waiver.__dataclass_fields__) == set(WAIVERS.names)


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "a\rb", "a\tb", "a\x00", "a\u202eb", "a\u2028b", "x" * 501])
def test_a_text_that_steers_a_terminal_is_not_plain(text: str) -> None:
    assert not is_plain(text)
    assert is_plain("供应商的读取程序已订购 (#4)")


_FINDINGS = st.builds(
    finding,
    st.integers(1, 8),
    st.sampled_from(["scan.truncated", "scan.corrupt"]),
    st.sampled_from(list(Severity)),
    st.sampled_from(["NB01", "NB02"]),
)
_WAIVERS = st.builds(
    Waiver,
    waiver_id=st.just("W1"), rule=st.sampled_from(["scan.truncated", "scan.corrupt"]), reason=st.just("r"),
    owner=st.just("o"), until=st.sampled_from([date(2026, 11, 20), TODAY, date(2027, 1, 1)]), made_by=st.just("root"),
    made_at=st.just(datetime(2026, 11, 1)),  # noqa: DTZ001  as the table gives it
    site=st.sampled_from([None, "NB01", "NB02"]), scanner=st.sampled_from([None, "GT450", "KF-PRO-400"]),
    archive=st.sampled_from([None, "archive0"]), severity=st.sampled_from([None, "error"]),
    withdrawn_at=st.sampled_from([None, datetime(2026, 11, 2)]),  # noqa: DTZ001
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(findings=st.lists(_FINDINGS, max_size=12, unique_by=lambda item: (item.rule, item.site, item.subject)),
       waivers=st.lists(_WAIVERS, max_size=3))  # fmt: skip
def test_rows_and_columns_agree_on_what_is_waived(
    findings: list[Finding], waivers: list[Waiver], tmp_path_factory: pytest.TempPathFactory
) -> None:
    catalog = Catalog(tmp_path_factory.mktemp("agree"))
    models = ["GT450", "GT450", "KF-PRO-400", "KF-PRO-400", None]
    rows = [slide(n, scanner_model=model, archive=f"archive{n % 2}") for n, model in enumerate(models, start=1)]
    catalog.upsert(SLIDES, from_rows(SLIDES, rows))
    keep(catalog, *findings)
    waivers = [replace(waiver, waiver_id=f"W{number}") for number, waiver in enumerate(waivers, start=1)]
    table = [{name: getattr(waiver, name) for name in WAIVERS.names} for waiver in waivers]
    catalog.upsert(WAIVERS, from_rows(WAIVERS, table))
    active, waived = apply_waivers(findings, read_waivers(catalog), read_origins(catalog, findings), TODAY)
    assert Counter(active + waived) == Counter(findings)
    found = groups(catalog, *DIMENSIONS)
    for mine, theirs in ((active, found.active), (waived, found.waived)):
        assert Counter(item.rule for item in mine) == sum(
            (Counter({group.by["rule"]: group.findings}) for group in theirs), Counter()
        )
    shown = list(identify_findings(catalog, Selection(), today=TODAY))
    assert sum(item.waiver_id is not None for item in shown) == len(waived)


def test_each_finding_is_shown_with_the_file_as_it_is_now(catalog: Catalog) -> None:
    keep(catalog, finding(1), finding(99))
    first, second = identify_findings(catalog, Selection(), today=TODAY)
    assert (first.archive, first.path) == ("archive1", "2023/1.svs")
    assert (second.archive, second.path) == (None, None)


# --- The command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def workspace(write: Callable[[str, str | bytes], Path]) -> Path:
    """A workspace with a scanner and a file whose names would steer a terminal."""
    text = "workspace: 1\nname: w\nsites: [{code: NB01, name: A, archives: [{name: archive, root: slides}]}]\n"
    root = write("w/pathcurate.yaml", text).parent
    catalog = Catalog(root / "catalog")
    nasty = slide(1, scanner_model="GT\x1b[2J", relpath="张三\u202e\n.svs".encode())
    catalog.upsert(SLIDES, from_rows(SLIDES, [nasty, slide(2, scanner_model="V, 2")]))
    keep(catalog, finding(1), finding(2), finding(2, "scan.corrupt"))
    return root


def shown(capsys: pytest.CaptureFixture[str], workspace: Path, *arguments: str) -> tuple[int, str, str]:
    code = run(["findings", *arguments, "-w", str(workspace)])
    out, err = capsys.readouterr()
    return code, out, err


def events_of(workspace: Path) -> list[dict]:
    return [json.loads(line) for line in (workspace / "vault" / "audit.jsonl").read_text(encoding="utf-8").splitlines()]


def test_no_name_steers_the_terminal(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = shown(capsys, workspace, "list", "--by", "scanner")
    assert code == 0
    assert "scanner GT\\u001b[2J" in out
    assert all(char.isprintable() or char == "\n" for char in out)


def test_a_waiver_is_entered_listed_and_withdrawn(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    terms = ["--reason", "wird ersetzt", "--owner", "李伟", "--until", "30d"]
    code, out, _ = shown(capsys, workspace, "waive", "--by", "rule=scan.truncated,scanner=V, 2", *terms)
    assert (code, out) == (0, "W1 covers 1 finding of scan.truncated, scanner V, 2; 30 days left\n")
    _, out, _ = shown(capsys, workspace, "list")
    assert out.startswith("3 findings in 3 groups; 1 of them waived (--waived shows them)\n")
    _, out, _ = shown(capsys, workspace, "list", "--waived")
    assert "owner   李伟" in out
    assert "reason  wird ersetzt" in out
    _, out, _ = shown(capsys, workspace, "list", "--json")
    (waiver,) = json.loads(out)["waivers"]
    assert (waiver["state"], waiver["findings"]) == ("active", 1)
    code, out, _ = shown(capsys, workspace, "waive", "--withdraw", "W1")
    assert (code, out) == (0, "W1 no longer covers 1 finding of scan.truncated, scanner V, 2; withdrawn\n")
    entered, withdrawn = events_of(workspace)
    assert (entered["action"], withdrawn["action"]) == ("findings waive", "findings waive --withdraw")
    assert entered["facts"]["owner"] == "李伟"
    assert broken_event(workspace / "vault") is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["waive"], ["waive", "--by", "rule=scan.truncated", "--reason", "r", "--owner", "o"],
        ["waive", "--withdraw", "W1", "--reason", "r"], ["list", "--by", "sacnner"], ["list", "--by", ""],
        *(["waive", "--by", by, "--reason", "r", "--owner", "o", "--until", "9d"]
          for by in ("scan.truncated", "rule=", "rule=a,rule=b", "=b")),
        *(["waive", "--by", "rule=scan.truncated", "--reason", "r", "--owner", "o", "--until", until]
          for until in ("soon", "0000-01-01", "9999d", "367d", "2020-01-01", "-1d")),
    ],
    ids=" ".join,
)  # fmt: skip
def test_mistakes_are_refused(workspace: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = shown(capsys, workspace, *arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert read_waivers(Catalog(workspace / "catalog")) == []


def test_paths_are_for_terminals_and_review_pages_only(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = shown(capsys, workspace, "list", "--identified")
    assert (code, out) == (13, "")
    assert "张三" not in err
    code, out, _ = shown(capsys, workspace, "list", "--identified", "--to-review", "--severity", "error")
    page = Path(out.strip())
    assert (code, page.parent) == (0, workspace / "catalog" / "review")
    assert page.stat().st_mode & 0o777 == 0o600
    lines = page.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert sum("archive: 张三\\u202e\\u000a.svs" in line for line in lines) == 1
    (event,) = events_of(workspace)
    assert (event["action"], event["facts"]["findings"]) == ("findings list --identified", 3)


def test_paths_are_shown_on_a_terminal(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    assert run(["findings", "list", "--identified", "--rule", "scan.corrupt", "-w", str(workspace)]) == 0
    assert "archive: 2023/2.svs" in terminal.getvalue()
    assert capsys.readouterr().err == ""


def test_an_expired_waiver_is_said_so(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(workspace / "catalog")
    waive(catalog, today=date(2020, 1, 1), rule="scan.truncated")
    code, out, _ = shown(capsys, workspace, "list")
    assert code == 0
    assert re.search(r"^W1 has expired [\d,]+ days ago: 2 findings count again$", out, re.MULTILINE)
