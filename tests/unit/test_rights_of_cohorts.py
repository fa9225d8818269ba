"""Rows of a site without a valid authorisation are selected by no cohort and built into no release."""

import json
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pyarrow as pa
import pytest

from pathcurate.cohort import CohortResult, read_recipe, select
from pathcurate.engines import Engine
from pathcurate.engines.embedded import Embedded
from pathcurate.engines.spark import Connect
from pathcurate.errors import DisclosureRefusedError, InputOutputError, PlanIncompleteError, RecipeError
from pathcurate.goingback import PastWorkspace
from pathcurate.manifest import BuildResult, build
from pathcurate.manifest.sourcing import counts_by_site
from pathcurate.rights.sources import read_sources, sources_path
from pathcurate.rights.withdrawn import WITHDRAWN_SITES, withdraw_site
from pathcurate.sqlplan.compiler import UNLISTED
from pathcurate.tables import read_parquet
from pathcurate.verification import INPUTS, input_states, write_seal
from pathcurate.workspace import Workspace, load_workspace
from tests.built import NOW, TODAY, Rows, build_release

sys.path.append(str(Path(__file__).parents[1] / "spec"))

from drawn_hospital import draw

TABLES = """
slides
slide | case | stain | site
S1    | C1   | HE    | NB01
S2    | C2   | HE    | NB02
S3    | C3   | HE    | NB01
S4    | -    | HE    | NB01
S5    | -    | HE    | NB02

cases
case | patient | site
C1   | P1      | NB01
C2   | P1      | NB02
C3   | P3      | NB01

reports
report | case | icd10
R1     | C1   | C34.1
R2     | C2   | C50.9
R3     | C3   | C50.9

diagnoses
report | icd10
R1     | C34.1
R2     | C50.9
R3     | C50.9

events
event | patient | site | kind       | code
E1    | P1      | NB01 | laboratory | Na
E2    | P1      | NB02 | laboratory | Na
E3    | P3      | NB01 | laboratory | Na

series
series | patient | site
I1     | P1      | NB01
I2     | P1      | NB02
I3     | P3      | NB01
"""
LISTS = """
permissions
subject    | code       | data_kinds           | opt_out
population | population | slides reports events series | no
person     | Q3         | slides               | yes
"""
OUT = "rights: {holder: A, authorisation: paper.pdf, valid_until: 2025-12-31}"
IN = "rights: {holder: A, authorisation: paper.pdf}"
EVERY = {"slide": ["S1", "S2", "S3"], "case": ["C1", "C2", "C3"], "patient": ["P1", "P3"], "series": ["I1", "I2", "I3"]}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as embedded:
        yield embedded


def with_rights(root: Path, **sites: str) -> Workspace:
    """The workspace with these sites in its file; a site's text is empty or its rights."""
    (root / "paper.pdf").write_bytes(b"it may be used")
    file = root / "pathcurate.yaml"
    listed = ", ".join(f"{{code: {code}{', ' if text else ''}{text}}}" for code, text in sites.items())
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(f"sites: [{listed}]" if one.startswith("sites:") else one for one in lines) + "\n")
    return load_workspace(file)


def drawn(root: Path, *, lists: bool = False, **sites: str) -> Workspace:
    draw(TABLES + (LISTS if lists else "")).workspace(root)
    return with_rights(root, **sites)


def run(workspace: Workspace, engine: Engine, *, dry_run: bool = False, **changes: Any) -> CohortResult:
    content: dict[str, Any] = {"recipe": 1, "name": "r", "version": "1.0.0", "title": "t", "unit": "slide"} | changes
    content |= {} if "tables" in changes else {"columns": [f"{content['unit']}_id"]}
    file = workspace.root / "r.yaml"
    file.write_text(json.dumps(content), encoding="utf-8")
    return select(workspace, engine, read_recipe(file), now=NOW, dry_run=dry_run)


def kept(result: CohortResult) -> list[str]:
    key = f"{result.recipe.recipe.unit}_id"
    return [f"{code[0]}{int(code[2:])}" for code in result.rows[key].to_pylist()]


# --- Cohorts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["slide", "patient"])
def test_where_every_site_is_authorised_nothing_is_left_out(unit: str, tmp_path: Path, engine: Embedded) -> None:
    without = run(drawn(tmp_path, NB01="", NB02=""), engine, unit=unit)
    assert kept(without) == EVERY[unit]
    result = run(with_rights(tmp_path, NB01=IN, NB02=IN), engine, unit=unit)
    assert kept(result) == EVERY[unit]
    assert (result.sites_left_out, result.has_permissions) == ({}, False)
    step = result.attrition.steps[0]
    assert (step.id, step.label, step.dropped) == ("permission", UNLISTED, 0)


@pytest.mark.parametrize(
    ("unit", "lists", "expected", "dropped"),
    [
        ("slide", True, ["S1"], 3),
        ("case", False, ["C1", "C3"], 1),
        ("patient", False, ["P3"], 1), ("patient", True, [], 2),  # whose row is made of all cases
        ("series", False, ["I1", "I3"], 1),
    ],
)  # fmt: skip
def test_rows_of_an_expired_site_reach_no_cohort(
    unit: str, lists: bool, expected: list[str], dropped: int, tmp_path: Path, engine: Embedded
) -> None:
    workspace = drawn(tmp_path, lists=lists, NB01=IN, NB02=OUT)
    result = run(workspace, engine, unit=unit, dry_run=not expected)
    assert kept(result) == expected
    assert result.sites_left_out == {"NB02": "its authorisation was valid until 2025-12-31"}
    assert result.has_permissions == lists
    step = result.attrition.steps[0]
    assert step.id == "permission"
    assert step.label.endswith("; 1 site is left out for want of a valid authorisation")
    assert step.dropped == dropped
    if result.directory is not None:
        facts = json.loads((result.directory / "cohort.json").read_bytes())
        assert facts["rights"] == {"is_asked": True, "left_out": dict(result.sites_left_out)}
        assert facts["has_permissions"] == lists
        assert "1 site is left out" in (result.directory / "attrition.html").read_text(encoding="utf-8")


def test_a_cluster_leaves_out_whom_this_process_does(tmp_path: Path, connect_server: str, engine: Embedded) -> None:
    workspace = drawn(tmp_path, NB01=IN, NB02=OUT)
    tables = {"slides": {"columns": ["slide_id"]}, "events": {"columns": ["event_id"], "rows": "of_patients"}}
    here = run(workspace, engine, tables=tables)
    with Connect(connect_server, temp_directory=tmp_path / "spill") as cluster:
        there = run(workspace, cluster, tables=tables)
    assert kept(there) == kept(here) == ["S1", "S3"]
    assert (there.tables, there.sites_left_out) == (here.tables, here.sites_left_out) == ({"slides": 2, "events": 2}, ANY)
    assert there.attrition == here.attrition


def test_rows_of_other_tables_go_out_of_authorised_sites_only(tmp_path: Path, engine: Embedded) -> None:
    workspace = drawn(tmp_path, NB01=IN, NB02=OUT)
    tables = {
        "slides": {"columns": ["slide_id", "patient_id"]},
        "events": {"columns": ["event_id"], "rows": "of_patients"},
        "diagnoses": {"columns": ["icd10"], "rows": "of_patients"},
        "reports": {"columns": ["report_id"], "rows": "of_patients"},
    }
    result = run(workspace, engine, tables=tables)
    assert result.directory is not None
    for name, key in (("events", "event_id"), ("diagnoses", "report_id"), ("reports", "report_id")):
        codes = read_parquet(result.directory / "tables" / f"{name}.parquet")[key].to_pylist()
        assert [int(code[2:]) for code in codes] == [1, 3], name
    everything = run(with_rights(tmp_path, NB01=IN, NB02=IN), engine, tables=tables)
    assert everything.tables == {"slides": 3, "events": 3, "diagnoses": 3, "reports": 3}


def test_a_site_that_the_file_does_not_name_any_more_is_left_out(tmp_path: Path, engine: Embedded) -> None:
    result = run(drawn(tmp_path, NB01=IN), engine)
    assert kept(result) == ["S1", "S3"]
    assert result.sites_left_out == {"NB02": "pathcurate.yaml names no such site"}


def test_a_withdrawn_site_is_left_out_where_nobody_names_rights(tmp_path: Path, engine: Embedded) -> None:
    workspace = drawn(tmp_path, NB01="", NB02="")
    withdraw_site(workspace, "NB02", actor="steward", reason="over", now=NOW)
    result = run(workspace, engine)
    assert kept(result) == ["S1", "S3"]
    assert result.sites_left_out == {"NB02": "it was withdrawn on 2026-01-02"}
    (workspace.products / WITHDRAWN_SITES).write_text("lost\n", encoding="utf-8")
    with pytest.raises(InputOutputError, match="cannot be told which sites were withdrawn"):
        run(workspace, engine)


def test_a_cohort_of_no_authorised_site_says_so(tmp_path: Path, engine: Embedded) -> None:
    workspace = drawn(tmp_path, NB01=OUT, NB02="")
    with pytest.raises(DisclosureRefusedError) as refused:
        run(workspace, engine)
    assert refused.value.message == (
        "nothing can be selected, because no site has a valid authorisation (NB01: its authorisation was valid until "
        "2025-12-31; NB02: pathcurate.yaml names no rights in its data)"
    )
    assert not (workspace.cohorts / "r" / "cohort.json").exists()
    seen = run(workspace, engine, dry_run=True)
    assert (kept(seen), seen.attrition.steps[0].dropped, len(seen.sites_left_out)) == ([], 5, 2)
    # Where the criteria keep nobody of the sites that are authorised, they are what can be relaxed.
    nobody = [{"id": "none", "level": "slide", "where": {"stain": "PAS"}}]
    with pytest.raises(RecipeError, match=r"no slide is left; .*; 1 site is left out for want of a valid authorisation"):
        run(with_rights(tmp_path, NB01=IN, NB02=OUT), engine, include=nobody)


def test_no_recipe_takes_the_step_away(tmp_path: Path, engine: Embedded) -> None:
    workspace = drawn(tmp_path, NB01=IN, NB02=OUT)
    for changes in (
        {"include": [{"id": "all", "level": "slide", "sql": "1 = 1 or site = 'NB02'"}]},
        {"include": [{"id": "there", "level": "slide", "where": {"site": {"any_of": ["NB01", "NB02"]}}}]},
        {"purpose": "education"},
    ):
        assert kept(run(workspace, engine, **changes)) == ["S1", "S3"]


def test_going_back_brings_no_site_back(tmp_path: Path, engine: Embedded) -> None:
    workspace = drawn(tmp_path, NB01=IN, NB02=IN)
    states = {table.name: 0 for table in INPUTS}
    past = PastWorkspace(workspace.root, workspace.settings, workspace.document, tmp_path / "as_of", states)
    shutil.copytree(workspace.deid, past.deid)
    shutil.copytree(workspace.criteria, past.criteria)
    write_seal(past, input_states(past), "key", [])
    assert kept(run(past, engine)) == EVERY["slide"]
    withdraw_site(workspace, "NB02", actor="steward", reason="over", now=NOW)
    assert kept(run(past, engine)) == ["S1", "S3"]


# --- Releases ------------------------------------------------------------------------------------------------------------


def rows_of_two_sites() -> Rows:
    """Six patients with a case each and two slides a case, the last two of NB02; the first has a case there too."""
    slides, cases, patients, reports = [], [], [], []
    for number in range(7):
        whose, site = (0, "NB02") if number == 6 else (number, "NB02" if number > 3 else "NB01")
        patient, group = f"P-{whose:016}", f"Q-{whose:016}"
        owner = {"patient_id": patient, "group_id": group, "case_id": f"C-{number:016}", "site": site, "age": 40}
        if number == whose:
            patients.append(
                {
                    "patient_id": patient,
                    "group_id": group,
                    "case_count": 1 + (number == 0),
                    "slide_count": 2 + 2 * (number == 0),
                }
            )
        cases.append({**owner, "slide_count": 2, "report_count": 1})
        reports.append({**owner, "report_id": f"R-{number:016}", "report_type": "primary", "status": "final"})
        slides += [
            {**owner, "slide_id": f"S-{2 * number + glass:016}", "status": "ok", "tier": "exact", "stain": "HE"}
            for glass in range(2)
        ]
    return {"slides": slides, "cases": cases, "patients": patients, "reports": reports}


_HEAD = "recipe: 1\nname: small\nversion: 1.0.0\ntitle: Two sites\nunit: {unit}\n"
RECIPES = {
    "slide": _HEAD.format(unit="slide") + "tables:\n  slides: {columns: [slide_id, case_id, patient_id, site, stain]}\n"
    "  reports: {columns: [report_id]}\n",
    "case": _HEAD.format(unit="case") + "columns: [case_id, patient_id, site]\n",
    "patient": _HEAD.format(unit="patient") + "columns: [patient_id]\n",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of two sites with a release of slides, made before anybody named rights. Nobody may change it."""
    root = tmp_path_factory.mktemp("built") / "w"
    build_release(root, permissions=False, rows=rows_of_two_sites(), recipe=RECIPES["slide"])
    return root


@pytest.fixture
def again(built: Path, tmp_path: Path, engine: Embedded) -> Callable[..., BuildResult]:
    """Build in a copy of it, by rights of NB01 and NB02; with ``selected`` False from the cohort that is there."""
    root = tmp_path / "w"
    shutil.copytree(built, root)

    def make(
        version: str = "2.0.0",
        *,
        unit: str = "slide",
        nb01: str = IN,
        nb02: str = IN,
        selected: bool = True,
        today: date = TODAY,
    ) -> BuildResult:
        workspace = with_rights(root, NB01=nb01, NB02=nb02)
        (root / "small.yaml").write_text(RECIPES[unit].replace("1.0.0", version))
        source = read_recipe(root / "small.yaml")
        if selected:
            select(workspace, engine, source, now=NOW)
        return build(workspace, source, actor="tester", today=today, no_permissions=True)

    return make


def opened(result: BuildResult) -> Workspace:
    return load_workspace(result.release.directory.parents[2] / "pathcurate.yaml")


def counts(result: BuildResult) -> dict[str, dict[str, int]]:
    release = result.release
    statement = read_sources(opened(result), release.name, release.version, release.digest)
    return {site: dict(source.counts) for site, source in statement.sites.items()}


@pytest.mark.parametrize(
    ("unit", "nb01", "nb02"),
    [
        ("slide", (8, 4, 4, 8 + 4), (6, 3, 3, 6 + 3)),
        ("case", (8, 4, 4, 4), (6, 3, 3, 3)),
        ("patient", (8, 4, 4, 4), (6, 3, 3, 3)),
    ],
)
def test_a_statement_counts_what_is_of_each_site_and_a_withdrawn_one_is_not_built_in(
    unit: str, nb01: tuple[int, ...], nb02: tuple[int, ...], again: Callable[..., BuildResult]
) -> None:
    result = again(unit=unit)
    names = ("slides", "cases", "patients", "rows")
    found = counts(result)
    assert found == {"NB01": dict(zip(names, nb01, strict=True)), "NB02": dict(zip(names, nb02, strict=True))}
    of_release = result.release.manifest["counts"]
    for level in ("slides", "cases"):
        assert sum(one[level] for one in found.values()) == of_release[level]
    assert of_release["patients"] == 6, "who has cases at both sites counts at each"
    workspace = opened(result)
    shutil.rmtree(result.release.directory)
    withdraw_site(workspace, "NB02", actor="steward", reason="over", now=NOW)
    with pytest.raises(DisclosureRefusedError) as refused:
        again(unit=unit, selected=False)
    assert "rows of a site without a valid authorisation (NB02: it was withdrawn on 2026-01-02)" in refused.value.message
    assert "Run `pathcurate cohort` again" in refused.value.hint
    assert [path.name for path in (workspace.releases / "small").iterdir()] == ["1.0.0"]


def test_a_release_is_of_authorised_sites_and_says_how_their_rights_stood(again: Callable[..., BuildResult]) -> None:
    rights = IN.replace("}", ", share: 0.4, valid_until: 2026-01-02}")
    result = again(nb01=rights, nb02=OUT)
    assert counts(result).keys() == {"NB01"}
    release, path = result.release, sources_path(opened(result), "small", "2.0.0")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not [file for file in release.directory.rglob("*") if file.is_file() and b"left_out" in file.read_bytes()]
    stood = read_sources(opened(result), "small", "2.0.0", release.digest)
    standing = stood.sites["NB01"].standing
    assert (stood.day, standing.holder, str(standing.share), standing.fault) == (TODAY, "A", "0.4", None)
    # What was said when it was built stays, whatever the rights are by then and whoever builds it again.
    before = path.read_bytes()
    later = {
        "nb01": IN.replace("holder: A", "holder: B"),
        "nb02": OUT,
        "selected": False,
        "today": TODAY + timedelta(days=9),
    }
    assert not again(**later).is_new
    assert path.read_bytes() == before
    path.unlink()
    assert not again(nb01=rights, nb02=OUT, selected=False).is_new
    assert path.read_bytes() == before
    path.write_text("half")
    assert not again(**later).is_new
    assert read_sources(opened(result), "small", "2.0.0", release.digest).sites["NB01"].standing.holder == "B"


def test_series_are_counted_at_their_site_and_rows_that_are_not_there_are_refused(tmp_path: Path, engine: Embedded) -> None:
    workspace = drawn(tmp_path, NB01="", NB02="")
    result = run(workspace, engine, unit="series")
    recipe, none = result.recipe.recipe, {"slides": 0, "cases": 0}
    assert counts_by_site(workspace, recipe, result.rows) == {
        "NB01": {**none, "patients": 2, "series": 2, "rows": 2}, "NB02": {**none, "patients": 1, "series": 1, "rows": 1},
    }  # fmt: skip
    strange = pa.table({"series_id": ["I-0000000000000099"], "patient_id": ["P-0000000000000001"]})
    with pytest.raises(PlanIncompleteError, match=r"rows that deid/series\.parquet does not"):
        counts_by_site(workspace, recipe, strange)


def test_a_cohort_that_was_selected_before_the_last_day_is_not_built_after_it(again: Callable[..., BuildResult]) -> None:
    last = IN.replace("}", f", valid_until: {TODAY}}}")
    root = opened(again(nb02=last)).root
    shutil.rmtree(root / "releases" / "small" / "2.0.0")
    with pytest.raises(DisclosureRefusedError, match="NB02: its authorisation was valid until 2026-01-02"):
        again(nb02=last, selected=False, today=TODAY + timedelta(days=1))
    assert again(nb02=last, selected=False).is_new


def test_a_release_of_a_workspace_without_rights_says_that_nobody_named_them(built: Path) -> None:
    workspace = load_workspace(built / "pathcurate.yaml")
    content = json.loads(sources_path(workspace, "small", "1.0.0").read_bytes())
    assert content["sites"].keys() == {"NB01", "NB02"}
    assert content["sites"]["NB01"]["standing"]["holder"] is None
