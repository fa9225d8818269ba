"""De-identification profiles: each shipped one on a small clinic, what none can do, and what a recipe may ask of one."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate import deid
from pathcurate.cli.main import run
from pathcurate.cohort import read_recipe, select
from pathcurate.deid import planned_tables
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import PlanIncompleteError, RecipeError, UsageError
from pathcurate.model.catalog import CATALOG_TABLES
from pathcurate.model.column import Action, Identifying, Type
from pathcurate.model.deidentified import COMPANIONS, CRITERIA_TABLES, DEID_TABLES, ORIGINS, SCRUBBED
from pathcurate.model.profile import Coarse, Profile, Treatment, every_treatment, fits, gives
from pathcurate.profiles import check_recipe, load_profile, profile_names, read_profile
from pathcurate.scrubbers.table import apply, explain
from pathcurate.tables import Catalog, read_parquet
from pathcurate.text.provinces import province
from pathcurate.verification import demand_seal
from pathcurate.workspace import Workspace, load_workspace
from tests.canaries import Search
from tests.clinic import CANARIES, FULL_EVENT, FULL_REPORT, FULL_SLIDE, open_clinic, report, slide, tell

SHIPPED = ("agreement", "default", "enclave", "public")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
HEAD = "profile: 1\nname: mine\ntitle: {en: Mine, zh: 我的}\nsharing: internal\ntexts: {released: false, dates: drop}\n"


def shipped(name: str) -> Profile:
    return read_profile(name, Path())


def use(workspace: Workspace, profile: str) -> Workspace:
    """The workspace under another profile."""
    file = workspace.root / "pathcurate.yaml"
    file.write_text(re.sub(r"deid: .*\n", "", file.read_text()) + f"deid: {{profile: {profile}}}\n")
    return load_workspace(file)


# --- each shipped profile on a clinic ----------------------------------------------------------------------------


class Under:
    """What ``deid/`` and the vault hold under one profile."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace = use(workspace, name)
        self.summary = deid.apply(self.workspace, actor="tester")
        self.profile = load_profile(self.workspace)
        self.tables = {table: read_parquet(self.workspace.deid / f"{table}.parquet") for table in DEID_TABLES}
        folder = self.workspace.vault / "criteria"
        self.true = {table: read_parquet(folder / f"{table}.parquet") for table in CRITERIA_TABLES}
        self.leaks = Search(CANARIES).in_tree(self.workspace.deid)

    def values(self, table: str, column: str) -> set[Any]:
        return set(self.tables[table][column].drop_null().to_pylist())


@pytest.fixture(scope="module")
def under(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Under]:
    reports = [
        {**FULL_REPORT, "address": "浙江省示例市示例路77号", "replaces": "R-0000000000000009"},
        report(2, "S23-00002", patient_id="7001", age=93, sex="male", birth_date=date(1930, 1, 1),
               received_date=datetime(2021, 12, 31, 23, 59), reported_date=None, address="示例市"),
    ]  # fmt: skip
    workspace = open_clinic(
        tmp_path_factory.mktemp("clinic"), reports=reports, slides=[FULL_SLIDE, slide(2)],
        events=[{**FULL_EVENT, "date": datetime(2022, 10, 1)}],
    )  # fmt: skip
    tell(workspace, CANARIES["report"])
    return {name: Under(workspace, name) for name in SHIPPED}


def test_the_shipped_profiles_are_these() -> None:
    assert tuple(profile_names()) == SHIPPED
    assert {name: (shipped(name).sharing, shipped(name).k) for name in SHIPPED} == {
        "agreement": ("agreement", 5), "default": ("internal", None), "enclave": ("enclave", 3), "public": ("public", 20),
    }  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_a_profile_fills_the_columns_that_it_says_and_no_identifier_leaves(name: str, under: dict[str, Under]) -> None:
    one = under[name]
    assert one.summary.faults == ()
    assert one.leaks == {}
    for table, data in one.tables.items():
        with_values = {column for column in data.column_names if data[column].null_count < data.num_rows}
        assert with_values <= one.profile.filled(table), table


def test_the_schema_and_the_true_values_are_those_of_every_profile(under: dict[str, Under]) -> None:
    for name in SHIPPED:
        for table, data in under[name].tables.items():
            assert data.schema.equals(under["default"].tables[table].schema, check_metadata=True), table
            assert data[DEID_TABLES[table].key[0]].equals(under["default"].tables[table][DEID_TABLES[table].key[0]])
        assert under[name].true == under["default"].true


def test_default_moves_dates_keeps_ages_and_shows_provinces(under: dict[str, Under]) -> None:
    one = under["default"]
    assert one.values("cases", "age") == {61, 90}
    assert one.values("cases", "age_band") == {"60-64", "90+"}
    assert one.values("cases", "province") == one.values("patients", "province") == {"浙江省"}
    assert one.values("cases", "received_date")
    assert not any(one.values(table, name) for table, name in every_column() if name.endswith(("year", "quarter")))


def test_agreement_shows_no_age_in_years(under: dict[str, Under]) -> None:
    one = under["agreement"]
    assert not any(one.values(table, name) for table, name in every_column() if name == "age")
    assert one.values("slides", "age_band") == {"60-64"}


def test_public_shows_no_date_finer_than_a_year_no_age_and_no_place(under: dict[str, Under]) -> None:
    one = under["public"]
    finer = [
        (table, column.name)
        for table, declared in DEID_TABLES.items()
        for column in declared.columns
        if column.type is Type.DATE or column.name.endswith("quarter") or column.name in {"age", "province", "scanner_model"}
    ]
    assert len(finer) >= 15
    assert not any(one.values(*place) for place in finer)
    assert one.values("cases", "received_year") == {2021, 2023}
    assert one.values("cases", "reported_year") == {2023}
    assert one.values("slides", "scan_year") == {2023}
    assert one.values("events", "year") == {2022}
    assert one.values("cases", "age_band") == {"60-69", "90+"}
    assert one.values("patients", "sex") == {"female", "male"}


def every_column() -> list[tuple[str, str]]:
    return [(table, column.name) for table, declared in DEID_TABLES.items() for column in declared.columns]


def test_another_profile_makes_the_tables_out_of_date_and_another_title_does_not(tmp_path: Path) -> None:
    workspace = open_clinic(tmp_path)
    deid.apply(workspace, actor="tester")
    mine = workspace.root / "mine.yaml"
    mine.write_text(HEAD)
    other = use(workspace, "mine.yaml")
    with pytest.raises(PlanIncompleteError, match="profile changed since"):
        demand_seal(other)
    deid.apply(other, actor="tester")
    mine.write_text("# a comment\n" + HEAD.replace("Mine", "Ours") + "k: 7\n")
    demand_seal(other)
    mine.write_text(HEAD + "columns: {reports.sex: drop}\n")
    with pytest.raises(PlanIncompleteError, match="profile changed since"):
        demand_seal(other)


# --- what a profile says in words --------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", SHIPPED)
def test_every_column_is_explained_as_it_is_treated(name: str, language: Any) -> None:
    profile = shipped(name)
    head, *rest = deid.explain(profile, language)
    assert name in head
    assert getattr(profile.title, language) in head
    sentences = dict(re.split(r": ", line, maxsplit=1) for line in rest[3:])
    assert set(sentences) == set(profile.treatments())
    gone = {"en": "dropped", "zh": "删除"}[language]
    for place, treatment in profile.treatments().items():
        given = gives(place, treatment)
        assert sentences[place].startswith(gone) == (treatment.action is Action.DROP), place
        for companion in COMPANIONS.get(place, ()):
            assert (f"`{companion.name}`" in sentences[place]) == (companion.name in given), place
    assert (str(profile.k) in rest[2]) == (profile.k is not None)
    if language == "zh":
        assert all(re.search("[\u4e00-\u9fff]", sentence) for sentence in (*rest[:3], *sentences.values()))


def test_the_four_openings_say_what_differs() -> None:
    said = {name: deid.explain(shipped(name))[:4] for name in SHIPPED}
    assert said["public"][3].endswith("share each combination of quasi-identifiers; at most 10% of persons lose rows")
    assert said["public"][:3] == [
        "profile public: Publication, for everybody",
        "texts: no release holds any",
        "dates: true years, and no moved day beside them: together they would narrow down by how much days are moved",
    ]
    assert said["default"][3] == "disclosure: no least number of persons is asked for"
    assert said["enclave"][1].startswith("texts: a release may hold them scrubbed; a name becomes a tag; ")


def test_the_commands_tell_of_the_workspaces_own_profile(
    under: dict[str, Under], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(under["public"].workspace.root)
    monkeypatch.delenv("PATHCURATE_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    heads = []
    for arguments in (["explain", "-w", root], ["explain"], ["explain", "--profile", "agreement", "-w", root]):
        assert run(["deid", *arguments]) == 0
        heads.append(capsys.readouterr().out.splitlines()[0].partition(":")[0])
    assert heads == ["profile public", "profile default", "profile agreement"]
    assert run(["deid", "plan", "-w", root]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == "profile public"
    planned = {words[0]: words[1:] for line in lines if (words := line.split()) and "." in words[0]}
    assert planned["reports.age"] == ["quasi", "{age:", "band10}", "2"]
    assert planned["slides.scan_datetime"] == ["quasi", "{date:", "year}", "2"]
    assert planned["reports.address"] == ["direct", "drop", "2"]
    assert set(planned) == set(under["public"].profile.treatments())
    # Of no table it is left open what happens to it: neither of the catalog's nor of those that are made.
    tables = planned_tables(under["public"].workspace)
    columned = {name.partition(".")[0] for name in planned}
    assert columned | set(tables.derived) == set(DEID_TABLES)
    catalog = Catalog(under["public"].workspace.catalog)
    there = {table.name for table in CATALOG_TABLES if catalog.snapshot(table) is not None}
    assert there - columned == {*tables.used, *tables.not_read}
    assert {"links", "persons", "identities"} <= set(tables.used)
    assert f"not read: {', '.join(tables.not_read)}" in lines


# --- what no profile can do --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("columns: {reports.patient_name: ^keep}", "would keep a direct identifier; its declaration allows `drop`"),
        ("columns: {reports.report_id: ^keep}", "would keep a direct identifier; its declaration allows `pseudonym`"),
        ("columns: {reports.report_id: ^drop}", "its declaration allows `pseudonym`"),
        ("columns: {reports.patient_id: ^pseudonym}", "its declaration allows `drop`"),
        ("columns: {slides.scan_datetime: ^keep}", "allows `drop` or `shift` or `{date: year}` or `{date: quarter}`"),
        ("columns: {slides.mtime: ^shift}", "its declaration allows `drop`"),
        ("columns: {reports.birth_date: ^{date: year}}", "is for criteria only and never shown"),
        ("columns: {reports.diagnosis: ^keep}", "is free text, which `texts` decides about"),
        ("columns: {reports.age: ^{date: year}}", "{age: band20}"),
        ("columns: {events.end_date: ^{date: year}}", "its declaration allows `drop` or `shift`"),
        ("columns: {slides.site: ^drop}", "its declaration allows `keep`"),
        ("columns: {^reports.agee: drop}", "no column is called `reports.agee`; did you mean `reports.age`?"),
        ("columns: {^patient_name: drop}", "did you mean `series.patient_name`?"),
        ("columns: {reports.age: ^{age: band10, date: year}}", "generalised to one thing only"),
        ("columns: {reports.age: ^{age: band7}}", "generalised to band5 or band10 or band20"),
        ("columns: {reports.age: ^{colour: red}}", "known: age, date, place"),
        ("columns: {reports.age: ^perhaps}", "must be one of drop, pseudonym, shift, keep"),
        ("columns: {reports.age: ^{}}", "must be one of"),
        ("classes: {direct: ^keep}", "would keep direct identifiers; write `drop` or `pseudonym`"),
        ("classes: {none: ^shift}", "no column of class none can be treated as `shift`"),
        ("classes: {sensitive: ^{age: band5}}", "no column of class sensitive can be treated as `{age: band5}`"),
        ("classes: {^criterion_only: keep}", "criterion_only"),
        ("columns: {slides.scan_datetime: ^{date: year}}", "together they would narrow down"),
        ("classes: {quasi: {date: year}}\ncolumns: {events.date: ^shift}", "together they would narrow down"),
        ("^most_suppressed: 0.1", "only to reach a `k`"),
        ("k: ^1", "greater than or equal to 2"),
        ("k: ^true", "valid integer"),
        ("^colour: red", "unknown key `colour` in profile"),
    ],
)
def test_a_profile_that_shows_too_much_or_makes_no_sense_is_refused_at_its_place(
    more: str, complaint: str, tmp_path: Path
) -> None:
    before = (HEAD + more).partition("^")[0].split("\n")
    (tmp_path / "mine.yaml").write_text(HEAD + more.replace("^", "") + "\n")
    with pytest.raises(UsageError) as caught:
        read_profile("mine.yaml", tmp_path)
    place = rf"mine\.yaml:{len(before)}:{len(before[-1]) + 1}: error: .*{re.escape(complaint)}"
    assert re.search(place, str(caught.value))


def test_texts_do_not_move_dates_of_which_columns_show_the_year(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    head = HEAD.replace("released: false, dates: drop", "released: true, dates: shift")
    file.write_text(head + "classes: {quasi: {date: year}}\n")
    with pytest.raises(UsageError, match="texts would show moved days"):
        read_profile("mine.yaml", tmp_path)


def test_several_faults_are_told_together_and_no_profile_is_made(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(HEAD + "classes: {direct: keep, none: shift}\ncolumns: {reports.phone: keep}\n")
    with pytest.raises(UsageError) as caught:
        read_profile("mine.yaml", tmp_path)
    assert str(caught.value).count(": error: ") == 3


def test_an_unknown_profile_is_told_where_the_workspace_names_it(tmp_path: Path) -> None:
    workspace = open_clinic(tmp_path, slides=(), reports=(), events=())
    with pytest.raises(UsageError, match=r"pathcurate\.yaml:6:17: error: no profile is called `publik`; did you mean"):
        load_profile(use(workspace, "publik"))
    with pytest.raises(UsageError, match="nowhere"):
        load_profile(use(workspace, "./nowhere.yaml"))
    with pytest.raises(UsageError, match=r"no profile is called `../default`"):
        read_profile("../default", tmp_path)


_PLACES = [(table, column) for table in SCRUBBED.values() for column in table.columns]
_TREATMENTS = list(every_treatment())
_CLASSES = st.dictionaries(
    st.sampled_from(["direct", "quasi", "sensitive", "none"]),
    st.lists(st.sampled_from(_TREATMENTS), min_size=1, max_size=3).map(tuple),
)
_COLUMNS = st.lists(st.tuples(st.sampled_from(_PLACES), st.sampled_from(_TREATMENTS)), max_size=5)


@settings(max_examples=60, deadline=None)
@given(classes=_CLASSES, columns=_COLUMNS)
def test_whatever_a_profile_asks_for_no_column_shows_more_than_it_declares(classes: Any, columns: Any) -> None:
    single = {f"{table.name}.{column.name}": (asked,) for (table, column), asked in columns}
    profile = shipped("default").model_copy(update={"classes": classes, "columns": single})
    for table, column in _PLACES:
        place, treatment = f"{table.name}.{column.name}", profile.treatment(table, column)
        own = column.name in gives(place, treatment)
        if column.action in {Action.DROP, Action.WITHHOLD, Action.CRITERION}:
            assert not own, place
        if own:
            assert treatment.action is column.action, place
        if treatment.coarse is not None:
            assert gives(place, treatment), place
            assert fits(table, column, treatment)
        if column.identifying is Identifying.DIRECT:
            assert not own or treatment.action is Action.PSEUDONYM
    for name, declared in DEID_TABLES.items():
        assert {*declared.key, "site"} & set(declared.names) <= profile.filled(name)


def test_a_class_that_is_generalised_loses_what_cannot_be() -> None:
    public = shipped("public").treatments()
    expected = {"slides.site": "keep", "slides.scanner_model": "drop", "events.end_date": "drop", "reports.sex": "keep"}
    assert {place: str(public[place]) for place in expected} == expected
    assert public["reports.received_date"] == Treatment(Action.GENERALISE, Coarse.YEAR)
    assert public["events.value"].action is Action.DROP


def test_every_column_of_deid_is_made_of_columns_that_the_catalog_has() -> None:
    known = set(shipped("default").treatments())
    for table, origins in ORIGINS.items():
        assert {place for name, places in origins.items() if name in DEID_TABLES[table] for place in places} <= known
        made = set(DEID_TABLES[table].names) - set(origins)
        assert made <= {"case_id", "patient_id", "group_id", "tier", "report_count", "slide_count", "case_count", "ordinal"}


@pytest.mark.parametrize(("coarse", "shown"), [
    (Coarse.YEAR, {"scan_year": 1999}), (Coarse.QUARTER, {"scan_year": 1999, "scan_quarter": 4}),
])  # fmt: skip
def test_a_date_becomes_its_true_year_and_quarter(coarse: Coarse, shown: dict[str, int]) -> None:
    from pathcurate.pseudonyms import internal
    from pathcurate.scrubbers.table import needed
    from pathcurate.tables import from_rows

    slides = SCRUBBED["slides"]
    profile = shipped("default").model_copy(
        update={"columns": {"slides.scan_datetime": (Treatment(Action.GENERALISE, coarse),)}}
    )
    data = from_rows(slides, [{**slide(1), "scan_datetime": datetime(1999, 12, 31, 23, 59)}]).select(needed(slides, profile))
    (row,) = apply(slides, data, pa.chunked_array([["p"]]), internal(bytes(32)), profile).table.to_pylist()
    assert {name: row[name] for name in ("scan_datetime", "scan_year", "scan_quarter") if row[name] is not None} == shown
    sentence = explain(slides, profile)[slides.names.index("scan_datetime")]
    assert sentence.endswith("; the true date is kept in the vault, for criteria only")


# --- what a recipe may ask ---------------------------------------------------------------------------------------

_RECIPE = "recipe: 1\nname: asked\nversion: 1.0.0\ntitle: Asked\nunit: {unit}\n{more}\n"


_HAS = """columns: [patient_id]
include: [{id: a, level: patient, has: {table: slides, where: {scanner_model: {missing: false}}}}]"""
_GOOD = """columns: [slide_id, scan_year, age_band, sex, split]
split: {ratios: {train: 1.0}, stratify: [sex]}
include:
  - {id: a, level: case, where: {age: {max: 60}, age_band: {any_of: [50-59, 60-69]}, received_date: {min: 2020-01-01}}}"""


@pytest.mark.parametrize(
    ("unit", "more", "complaints"),
    [
        ("slide", "columns: [slide_id, scan_datetime]",
         ["6:21: error: column `scan_datetime` is empty under profile public; use `scan_year`"]),
        ("slide", "columns: [slide_id, age, scanner_model]", ["`age` is empty under profile public; use `age_band`",
                                                              "`scanner_model` is empty under profile public"]),
        ("case", "columns: [case_id, province, received_quarter]", ["`province` is empty", "use `received_year`"]),
        ("case", "columns: [case_id, split]\nsplit: {ratios: {train: 1.0}, stratify: [received_date]}",
         ["r.yaml:7:42: error: column `received_date` is empty"]),
        ("case", "columns: [case_id]\ninclude: [{id: a, level: case, where: {age_band: 60-64}}]",
         ["profile public shows no band `60-64`; it shows 0-9, 10-19"]),
        ("case", "columns: [case_id]\nexclude: [{id: a, level: case, where: {province: 浙江省}}]", ["`province` is empty"]),
        ("patient", _HAS, ["`scanner_model` is empty"]), ("slide", _GOOD, []),
    ],
)  # fmt: skip
def test_a_recipe_that_names_an_empty_column_is_refused_at_its_place(
    unit: str, more: str, complaints: list[str], write: Callable[[str, str], Path]
) -> None:
    source = read_recipe(write("r.yaml", _RECIPE.format(unit=unit, more=more)))
    if not complaints:
        check_recipe(source, shipped("public"))
        return
    with pytest.raises(RecipeError) as caught:
        check_recipe(source, shipped("public"))
    assert all(complaint in str(caught.value) for complaint in complaints)
    assert str(caught.value).count(": error: ") == (2 if unit == "case" and "quarter" in more else len(complaints))


def test_slides_without_their_status_cannot_be_judged(write: Callable[[str, str], Path]) -> None:
    source = read_recipe(write("r.yaml", _RECIPE.format(unit="slide", more="columns: [slide_id]")))
    blind = shipped("default").model_copy(update={"columns": {"slides.status": (Treatment(Action.DROP),)}})
    with pytest.raises(RecipeError, match="slides are kept only if their `status` is ok"):
        check_recipe(source, blind)


def test_a_cohort_is_selected_under_public_and_asks_only_what_it_shows(
    under: dict[str, Under], tmp_path: Path, write: Callable[[str, str], Path]
) -> None:
    # The last profile in the order of the fixture is the one that the tables are of now.
    workspace = under["public"].workspace
    more = "columns: [slide_id, scan_year, age_band]\ninclude: [{id: old, level: case, where: {age: {min: 60}}}]"
    with Embedded(workers=1, temp_directory=tmp_path) as engine:
        result = select(workspace, engine, read_recipe(write("r.yaml", _RECIPE.format(unit="slide", more=more))), now=NOW)
        assert result.directory is not None
        (row,) = read_parquet(result.directory / "cohort.parquet").to_pylist()
        assert (row["scan_year"], row["age_band"]) == (2023, "60-69")
        refused = read_recipe(write("s.yaml", _RECIPE.format(unit="slide", more="columns: [slide_id, age]")))
        with pytest.raises(RecipeError, match="`age` is empty under profile public"):
            select(workspace, engine, refused, now=NOW)


# --- provinces ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "card", "found"),
    [
        ("浙江省宁波市海曙区", None, "浙江省"), ("浙江宁波市海曙区", None, "浙江省"), (" 中国 上海市", None, "上海市"),
        ("内蒙古呼和浩特市", None, "内蒙古自治区"), ("广西自治区南宁市", None, "广西壮族自治区"), ("浙江", None, "浙江省"),
        ("北京朝阳区", None, "北京市"), ("吉林市昌邑区", None, "吉林省"), ("新疆石河子市", None, "新疆维吾尔自治区"),
        ("上海路12号", None, None), ("湖南中路3号A区", None, None), ("海南藏族自治州共和县", None, None),
        ("海南州", None, None), ("河南蒙古族自治县", None, None), ("宁波市", None, None), ("33", None, None),
        ("", None, None),
        ("示例市", "11010519491231002X", "北京市"), ("浙江省", "11010519491231002X", "浙江省"), (None, None, None),
        (None, "330203491231002", "浙江省"), (None, "110105194912310021", None), (None, "E12345678", None),
    ],
)  # fmt: skip
def test_the_province_of_an_address_or_of_a_card(address: str | None, card: str | None, found: str | None) -> None:
    assert province(address, card) == found
