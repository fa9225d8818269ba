"""What leaves the catalog of series, annotations, blocks and glass, whose it is said to be, and what stays behind."""

# ruff: noqa: DTZ001  times of laboratories have no zone

import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pathcurate import deid
from pathcurate.deid.build import Built, build
from pathcurate.deid.faults import find_faults, known
from pathcurate.describe import describe
from pathcurate.erasure import erase_person, plan_erasure
from pathcurate.errors import PlanIncompleteError
from pathcurate.findings import read_findings
from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Action, Column, Table, Type
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, TRUE_LABEL
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.series import SERIES
from pathcurate.profiles import read_profile
from pathcurate.pseudonyms import internal
from pathcurate.scrubbers.table import verify
from pathcurate.tables import Catalog, from_rows, read_parquet, write_parquet
from pathcurate.vault import open_vault
from pathcurate.vault.crosswalk import look_up
from pathcurate.verification import SEAL_FILE, demand_seal, files
from pathcurate.workspace import Workspace, load_workspace
from tests.canaries import Search
from tests.clinic import CANARIES, FULL_SLIDE, open_clinic, report, slide

Row = dict[str, Any]
NEW = (SERIES, ANNOTATIONS, MATERIALS)
# Years from every other day: what is moved by up to 364 days cannot fall on one of these.
DAYS = {"study_date": date(2013, 4, 11), "series_date": date(2013, 4, 12), "acquisition_date": date(2013, 4, 13)}
MADE = datetime(2014, 3, 3, 9, 15)


def planted(table: Table, **values: Any) -> Row:
    """A row with something of its own in each column that is not kept; what is kept has a value of its closed set."""
    return {column.name: values.get(column.name, _value(table, column)) for column in table.columns}


def _value(table: Table, column: Column) -> Any:
    if column.values or column.name == "site":
        return column.values[0] if column.values else "NB01"
    match column.type:
        case Type.STRING | Type.BYTES:
            told = f"Zq{table.name}Wx{column.name.replace('_', '')}欧阳"
            return told.encode("gb18030") if column.type is Type.BYTES else told
        case Type.INTEGER | Type.FLOAT:
            return 71 + list(table.names).index(column.name)
        case Type.BOOLEAN:
            return True
        case _:
            return datetime(2019, 7, 23, 4, 5)


FULL_SERIES = planted(
    SERIES, series_id="I-RAWRAWRAWRAWRAW1", archive="archive", accession=CANARIES["accession"],
    patient_id=CANARIES["number"], modality="DX", body_part="HIP", laterality="L", view="AP", **DAYS,
)  # fmt: skip
FULL_ANNOTATION = planted(
    ANNOTATIONS, annotation_id="A-RAWRAWRAWRAWRAW1", slide_id=CANARIES["slide"], colour="#c80000",
    label="欧阳靖远 S23-00001",
)  # fmt: skip
FULL_MATERIAL = planted(
    MATERIALS, material_id="M-RAWRAWRAWRAWRAW1", accession=CANARIES["accession"], specimen="A", block="1", stain="HE",
    preparation="FFPE", organ="乳腺", made_date=MADE,
)  # fmt: skip
_FULL = {"series": FULL_SERIES, "annotations": FULL_ANNOTATION, "materials": FULL_MATERIAL}


def clinic_with(
    root: Path, *, series: Sequence[Row] = (), annotations: Sequence[Row] = (), materials: Sequence[Row] = (), **others: Any
) -> Workspace:
    """A linked clinic with rows of the three tables."""
    for table, rows in zip(NEW, (series, annotations, materials), strict=True):
        Catalog(root / "catalog").replace(table, from_rows(table, rows))
    return open_clinic(root, **others)


def series(number: int, **values: Any) -> Row:
    """A film of the patient whom :data:`CANARIES` name, without a case."""
    return {
        "series_id": f"I-{number:016d}", "site": "NB01", "archive": "archive", "relpath": b"x/%d.dcm" % number,
        "modality": "DX", "status": "ok", "patient_id": CANARIES["number"], "series_date": date(2023, 5, number), **values,
    }  # fmt: skip


def annotation(number: int, **values: Any) -> Row:
    """A shape on the clinic's first slide."""
    return {
        "annotation_id": f"A-{number:016d}", "site": "NB01", "slide_id": CANARIES["slide"], "slide_raw": "1.svs",
        "kind": "polygon", "geometry": "{}", "coordinate_level": 0, "x_min": 0.0, "y_min": 0.0, "x_max": 1.0, "y_max": 1.0,
        "tool": "qupath", "digest": "0" * 64, **values,
    }  # fmt: skip


def material(number: int, **values: Any) -> Row:
    """A glass of the case that :data:`CANARIES` name."""
    return {"material_id": f"M-{number:016d}", "site": "NB01", "kind": "slide", "accession": CANARIES["accession"], **values}


def apply(workspace: Workspace) -> deid.DeidSummary:
    summary = deid.apply(workspace, actor="tester")
    assert summary.faults == ()
    return summary


@dataclass(frozen=True)
class Made:
    built: Built
    tables: dict[str, pa.Table]
    criteria: dict[str, pa.Table]


def built(workspace: Workspace, profile: str = "default") -> Made:
    """What `apply` would write."""
    layer = internal(open_vault(workspace.vault).key)
    tables: dict[str, pa.Table] = {}
    criteria: dict[str, pa.Table] = {}

    def into(made: dict[str, pa.Table]) -> Callable[[str, Iterable[pa.Table]], None]:
        return lambda name, pieces: made.update({name: pa.concat_tables(pieces)})

    profile_ = read_profile(profile, workspace.root)
    result = build(Catalog(workspace.catalog), layer, profile_, write=into(tables), write_criteria=into(criteria))
    assert [name for name in DEID_TABLES for _ in verify(DEID_TABLES[name], tables[name])] == []
    assert result.rows == {name: table.num_rows for name, table in tables.items()}
    return Made(result, tables, criteria)


def shown(workspace: Workspace, table: str) -> list[Row]:
    return list(read_parquet(workspace.deid / f"{table}.parquet").to_pylist())


def true(workspace: Workspace, table: str) -> list[Row]:
    return list(read_parquet(workspace.vault / "criteria" / f"{table}.parquet").to_pylist())


def codes(workspace: Workspace, kind: str, *identifiers: str) -> list[str]:
    layer = internal(open_vault(workspace.vault).key).codes
    return [layer.code(kind, identifier) for identifier in identifiers]


def counts(workspace: Workspace) -> dict[str, int | None]:
    """Findings of de-identification by rule, none of which may say whose anything is."""
    found = read_findings(Catalog(workspace.catalog), "deid")
    assert Search(CANARIES).in_text(json.dumps([item.as_dict() for item in found], ensure_ascii=False)) == set()
    return {item.rule: item.count for item in found}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One row in each table; nobody may change it."""
    root = tmp_path_factory.mktemp("full")
    workspace = clinic_with(root, series=[FULL_SERIES], annotations=[FULL_ANNOTATION], materials=[FULL_MATERIAL])
    apply(workspace)
    return workspace


@pytest.fixture
def own(full: Workspace, tmp_path: Path) -> Workspace:
    """The same, to be changed."""
    shutil.copytree(full.root, tmp_path / "own", symlinks=True)
    return load_workspace(tmp_path / "own" / "pathcurate.yaml")


# --- what leaves the catalog -------------------------------------------------------------------------------------


def test_nothing_of_any_column_that_is_not_kept_leaves_the_catalog(full: Workspace) -> None:
    hidden: dict[str, Any] = {}
    for table in NEW:
        for column in table.columns:
            value = _FULL[table.name][column.name]
            is_number = column.type in {Type.INTEGER, Type.FLOAT}
            if column.action is Action.KEEP or is_number or column.values or value == "archive":
                continue
            text = value.decode("gb18030") if isinstance(value, bytes) else value
            hidden[f"{table.name}.{column.name}"] = text.date() if isinstance(text, datetime) else text
    assert {"series.patient_name", "series.study_date", "annotations.label", "annotations.geometry", "materials.glass_id",
            "materials.made_date", "series.scanned_at", "annotations.slide_id"} <= set(hidden)  # fmt: skip
    search = Search(hidden)
    held = set().union(*search.in_tree(full.catalog).values())
    assert held == set(hidden)
    assert search.in_tree(full.deid) == {}
    days = {name for name, value in hidden.items() if isinstance(value, date)}
    assert Search({name: value for name, value in hidden.items() if name not in days}).in_tree(full.vault) == {}
    # Numbers that are not kept have no column that could hold them.
    for table in NEW:
        dropped = {column.name for column in table.columns if column.action in {Action.DROP, Action.WITHHOLD}}
        assert not dropped & (set(DEID_TABLES[table.name].names) - {"patient_id"})


def test_what_is_kept_is_what_was_there_and_whose_it_is(full: Workspace) -> None:
    (case,) = shown(full, "cases")
    (slide_row,) = shown(full, "slides")
    own = {name: case[name] for name in ("case_id", "patient_id", "group_id")}
    for table, kind in zip(NEW, "IAM", strict=True):
        (row,) = shown(full, table.name)
        assert {name: row[name] for name in own} == own
        (key,) = table.key
        assert [row[key]] == codes(full, kind, _FULL[table.name][key])
        kept = {
            column.name for column in table.columns
            if column.action is Action.KEEP and row[column.name] == _FULL[table.name][column.name]
        }  # fmt: skip
        expected = {column.name for column in table.columns if column.action is Action.KEEP}
        assert kept == expected - ({"organ"} if table is MATERIALS else set())
    assert shown(full, "materials")[0]["organ"] == "breast"
    assert shown(full, "annotations")[0]["slide_id"] == slide_row["slide_id"]


def test_dates_move_as_the_patients_others_do_and_the_true_ones_are_in_the_vault(full: Workspace) -> None:
    moved = shown(full, "cases")[0]["received_date"] - date(2023, 3, 1)
    (film,), (truth,) = shown(full, "series"), true(full, "series")
    assert {film[name] - day for name, day in DAYS.items()} == {moved}
    assert truth == {"series_id": film["series_id"], "size_bytes": FULL_SERIES["size_bytes"], "year": 2013, **DAYS}
    (glass,) = shown(full, "materials")
    assert true(full, "materials") == [{"material_id": glass["material_id"], "made_date": MADE.date()}]
    assert glass["made_date"] - MADE.date() == moved
    assert [film[name] for name in film if name.endswith(("_year", "_quarter"))] == [None] * 6


def test_a_label_that_holds_a_number_is_in_no_table_and_counted(full: Workspace) -> None:
    (row,) = true(full, "annotations")
    assert row == {"annotation_id": shown(full, "annotations")[0]["annotation_id"], "label": None}
    assert counts(full) == {"deid.label_left_out": 1}
    assert "label" not in shown(full, "annotations")[0]


_LABELS = [
    ("Tumor", True), ("肿瘤区 1", True), ("β-catenin+", True), ("Tumor: CD8: PD-L1", True), ("Gleason 3+4=7", True),
    ("间质（炎症）", True), ("Ki-67 10%", True), ("ER 3+", True), ("Tumeur épithéliale", True), ("상피", True),
    ("2024", True),
    ("S24-1234", False), ("S24-01234", False), ("2412 3456", False), ("1 2 3 4 5", False), ("24120", False),
    ("１２３４５", False), ("1\u0662\u0663\u0664\u0665", False), ("①②③④⑤", False), ("Ⅻ", False), ("²", False), ("〇", False),
    ("Tumor\n12", False), ("Tumor\n", False), ("Tumor\t1", False), ("a\u200b1", False), ("1\u20601\u20602", False),
    ("x" * 200, False), ("1a2b3c4d5", False), (None, True),
]  # fmt: skip


_SIGNS = st.sampled_from("0123456789０１²①Ⅻ〇٣一肿瘤 aZéβ-:+()（）\n\t\u200b")


@given(st.text(_SIGNS, max_size=9))
@example("١٢٣٤٥")
@example("12 34 5")
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_label_that_criteria_may_name_holds_a_number_of_five_digits(label: str) -> None:
    fits = re.fullmatch(TRUE_LABEL.pattern, label) is not None
    assert fits == pc.match_substring_regex(pa.scalar(label), f"^(?:{TRUE_LABEL.pattern})$").as_py()
    numerals = [sign for sign in label if sign.isnumeric() and sign != "一"]
    assert fits == (len(numerals) <= 4 and set(numerals) <= set("0123456789") and label.isprintable())


# --- whose it is -------------------------------------------------------------------------------------------------

_FILMS = [
    series(1, accession="S23-00002", patient_id=None),
    series(2, patient_id=" ７００１"),
    series(3, accession="S23-00002", patient_id=CANARIES["number"]),  # number and case disagree
    series(4, patient_id="9999"),
    series(5, patient_id="7002"),  # of two people
    series(6, patient_id="7001", site="NB02"),
    series(7, accession="S23-77777", patient_id="7001"),  # no report has the case
    series(8, accession="S23-00003", patient_id="7002"),  # of two people too
    series(9, patient_id=None),
    series(10, patient_id="7001", status="gone"),
]
_SINCE = [series(11, patient_id="7001", accession="S23-00002"), series(12, patient_id="7002")]
"""What came after the cases were linked: it is known by its number only."""
_SHAPES = [
    annotation(50, kind="point", slide_id=slide(2)["slide_id"]), annotation(51, slide_id=None),
    annotation(52, slide_id="S-9999999999999999"), *(annotation(n, label=label) for n, (label, _) in enumerate(_LABELS)),
]  # fmt: skip
_GLASS = [
    material(1, kind="block"), material(2), material(3, accession="S23-99999"), material(4, site="NB02"),
    material(5, accession="S23-00006"),  # a case of two patients
]  # fmt: skip
_DAY, _OTHER = date(1961, 5, 4), date(1961, 4, 5)
_BORN = {"8001": (_DAY, _DAY), "8002": (_DAY, None), "8003": (_DAY, _OTHER), "8004": (None, None)}
_AGREED = {"8001": _DAY, "8002": _DAY, "8003": None, "8004": None}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Whatever may be odd about rows of the three tables; nobody may change it."""
    reports = [
        report(1), report(2, "S23-00002", patient_id="7001", sex="male"),
        report(3, "S23-00003", patient_id="7002", patient_name="周一二", birth_date=date(1950, 1, 1), sex="male"),
        report(4, "S23-00004", patient_id="7002", patient_name="吴三四", birth_date=date(1990, 1, 1), sex="female"),
        report(6, "S23-00006"), report(7, "S23-00006", patient_id="7001", sex="male"),
    ]  # fmt: skip
    for number, days in _BORN.items():
        reports += [
            report(int(number) * 10 + n, f"S23-{number}{n}", patient_id=number, birth_date=day) for n, day in enumerate(days)
        ]
    root = tmp_path_factory.mktemp("many")
    slides = [FULL_SLIDE, slide(2)]
    workspace = clinic_with(root, series=_FILMS, annotations=_SHAPES, materials=_GLASS, reports=reports, slides=slides)
    Catalog(workspace.catalog).upsert(SERIES, from_rows(SERIES, _SINCE))
    apply(workspace)
    return workspace


def test_what_is_left_out_is_counted_and_nobody_is_named(many: Workspace) -> None:
    assert built(many).built.rows_left_out == {"reports": 4, "series": 7, "annotations": 2, "materials": 3}
    assert counts(many) == {
        "deid.case_without_person": 4, "deid.series_without_person": 7, "deid.annotation_without_slide": 2,
        "deid.material_without_case": 3, "deid.label_left_out": sum(not fits for _, fits in _LABELS),
    }  # fmt: skip


def test_labels_are_for_criteria_only_and_only_in_their_form(many: Workspace) -> None:
    names = [f"A-{number:016d}" for number in range(len(_LABELS))]
    places = dict(zip(codes(many, "A", *names), _LABELS, strict=True))
    rows = [row for row in true(many, "annotations") if row["annotation_id"] in places]
    kept = {places[row["annotation_id"]][0]: row["label"] for row in rows}
    assert kept == {label: label if fits else None for label, fits in _LABELS}


def test_series_are_of_the_person_of_their_link_else_of_their_number_else_left_out(many: Workspace) -> None:
    named = dict(zip(codes(many, "I", *(f"I-{n:016d}" for n in range(1, 13))), range(1, 13), strict=True))
    of = {named[row["series_id"]]: row for row in shown(many, "series")}
    cases = {row["case_id"]: row for row in shown(many, "cases")}
    case = cases[of[1]["case_id"]]
    whose = {n: (row["patient_id"], row["group_id"]) for n, row in of.items()}
    assert whose == dict.fromkeys((1, 2, 7, 10, 11), (case["patient_id"], case["group_id"]))
    assert {n: row["case_id"] for n, row in of.items() if row["case_id"]} == {1: case["case_id"]}
    assert case["sex"] == "male"


def test_a_series_of_a_person_whom_persons_do_not_have_is_left_out(own: Workspace) -> None:
    # Without a group nobody's opt-out would be found: a run of `link` that was killed may leave it so.
    Catalog(own.catalog).replace(PERSONS, from_rows(PERSONS, []))
    assert built(own).built.rows_left_out["series"] == 1


def test_annotations_of_nobodys_slide_are_nobodys(many: Workspace) -> None:
    slides = {row["slide_id"]: row for row in shown(many, "slides")}
    rows = shown(many, "annotations")
    assert len(rows) == 1 + len(_LABELS)
    names = ("case_id", "patient_id", "group_id")
    assert all(row[name] == slides[row["slide_id"]][name] for row in rows for name in names)
    assert {row["kind"]: row["patient_id"] is None for row in rows} == {"polygon": False, "point": True}


def test_blocks_and_glass_are_those_of_cases_with_one_patient(many: Workspace) -> None:
    (case,) = (row for row in shown(many, "cases") if row["slide_count"])
    (first, second) = codes(many, "M", "M-0000000000000001", "M-0000000000000002")
    rows = {row["material_id"]: row for row in shown(many, "materials")}
    assert {code: row["kind"] for code, row in rows.items()} == {first: "block", second: "slide"}
    names = ("case_id", "patient_id", "group_id")
    assert all(row[name] == case[name] for row in rows.values() for name in names)


def test_a_person_has_the_birth_date_that_all_reports_agree_on(many: Workspace) -> None:
    identities = Catalog(many.catalog).read(IDENTITIES).to_pylist()
    persons = {row["id_value"]: row["person_id"] for row in identities if row["id_type"] == "patient_id"}
    told = {row["patient_id"]: row["birth_date"] for row in true(many, "patients")}
    of_number = codes(many, "P", *(persons[number] for number in _AGREED))
    assert [told[code] for code in of_number] == list(_AGREED.values())
    assert set(told) == {row["patient_id"] for row in shown(many, "patients")}


def test_the_year_of_a_series_is_that_of_its_best_date(own: Workspace) -> None:
    days = {"series_date": date(2021, 1, 1), "study_date": date(2020, 1, 1), "acquisition_date": date(2019, 1, 1)}
    names = list(days)
    films = [series(n + 1, **dict.fromkeys(names[:n]), **{name: days[name] for name in names[n:]}) for n in range(4)]
    Catalog(own.catalog).replace(SERIES, from_rows(SERIES, films))
    years = {row["series_id"]: row["year"] for row in built(own).criteria["series"].to_pylist()}
    assert [years[code] for code in codes(own, "I", *(film["series_id"] for film in films))] == [2021, 2020, 2019, None]


def test_the_order_of_the_catalog_changes_nothing(many: Workspace, tmp_path: Path) -> None:
    shutil.copytree(many.root, tmp_path / "other", symlinks=True)
    other = load_workspace(tmp_path / "other" / "pathcurate.yaml")
    for table, rows in zip(NEW, ([*_FILMS, *_SINCE], _SHAPES, _GLASS), strict=True):
        Catalog(other.catalog).replace(table, from_rows(table, rows[::-1]))
    one, two = built(many), built(other)
    assert two.tables == one.tables
    assert two.criteria == one.criteria


def test_a_profile_of_true_years_shows_no_moved_day(full: Workspace) -> None:
    made = built(full, "public")
    (film,), (glass,) = made.tables["series"].to_pylist(), made.tables["materials"].to_pylist()
    assert [film[name] for name in DAYS] == [None] * 3
    assert [film[f"{name}_year"] for name in ("study", "series", "acquisition")] == [2013] * 3
    assert film["series_quarter"] is None
    assert (glass["made_date"], glass["made_year"]) == (None, 2014)
    assert made.criteria["series"].to_pylist() == true(full, "series")


def test_a_profile_may_hide_which_slide_was_drawn_on_but_not_whose_it_is(own: Workspace) -> None:
    (own.root / "strict.yaml").write_text(
        "profile: 1\nname: strict\ntitle: {en: s, zh: s}\nsharing: internal\nclasses: {direct: drop}\n"
        "columns: {series.body_part: drop, materials.organ: drop}\ntexts: {released: false, dates: drop}\n"
    )
    tables = built(own, "strict.yaml").tables
    (shape,), (film,), (glass,) = (tables[table.name].to_pylist() for table in (ANNOTATIONS, SERIES, MATERIALS))
    assert (shape["slide_id"], film["body_part"], glass["organ"]) == (None, None, None)
    assert {shape["patient_id"], film["patient_id"], glass["patient_id"]} == {shown(own, "cases")[0]["patient_id"]}
    assert None not in {shape["annotation_id"], film["series_id"], glass["material_id"]}


def test_the_sentences_tell_each_column_and_what_becomes_of_a_label() -> None:
    told = dict(sentence.split(": ", 1) for sentence in deid.explain())
    assert {f"{table.name}.{name}" for table in NEW for name in table.names} <= set(told)
    assert told["annotations.label"] == (
        "withheld: free text stays in the catalog; if it is letters, signs and at most four digits, it is kept in the "
        "vault, for criteria only"
    )
    assert told["annotations.geometry"] == "withheld: free text stays in the catalog"
    assert "四位数字" in next(line for line in deid.explain(language="zh") if line.startswith("annotations.label"))


# --- verification ------------------------------------------------------------------------------------------------


def rewrite(path: Path, column: str, value: Any) -> None:
    """Replace a column, as if the scrubber had been wrong."""
    data = read_parquet(path)
    field = data.schema.field(column)
    place = data.column_names.index(column)
    write_parquet(path, data.set_column(place, field, pa.array([value] * data.num_rows, field.type)))


@pytest.fixture(scope="module")
def identifiers(full: Workspace) -> Identifiers:
    return known(full)


_TEXTS = [
    (table.name, column.name) for table in NEW for column in DEID_TABLES[table.name].columns if column.type is Type.STRING
]


def test_an_identifier_planted_in_any_kept_text_is_found_and_not_quoted(own: Workspace, identifiers: Identifiers) -> None:
    for value in (FULL_MATERIAL["glass_id"], FULL_SERIES["series_id"]):
        for table, column in _TEXTS:
            rewrite(own.deid / f"{table}.parquet", column, value)
        found = find_faults(own, identifiers)
        assert {fault.split()[0] for fault in found if "known direct identifier" in fault} == {
            f"{table}.{column}" for table, column in _TEXTS if column != "colour"
        }
        assert "annotations.colour has 1 values outside its closed set" in found
        assert not any(value in fault for fault in found)


def test_a_colour_is_a_colour_whosever_number_it_may_be(own: Workspace) -> None:
    numbers = Identifiers.of({"number": ["323232", CANARIES["number"]]})
    for colour, expected in {
        "#323232": [], "323232": ["annotations.colour has 1 values outside its closed set"],
        CANARIES["number"]: ["annotations.colour has 1 values outside its closed set"],
    }.items():  # fmt: skip
        rewrite(own.deid / "annotations.parquet", "colour", colour)
        assert find_faults(own, numbers) == expected


def test_dates_that_were_not_moved_and_labels_not_to_be_named_are_found(own: Workspace, identifiers: Identifiers) -> None:
    for column, day in DAYS.items():
        rewrite(own.deid / "series.parquet", column, day)
    rewrite(own.deid / "materials.parquet", "made_date", MADE.date())
    rewrite(own.vault / "criteria" / "annotations.parquet", "label", CANARIES["raw accession"])
    assert find_faults(own, identifiers) == [
        *(f"series.{column} has 1 dates that were not moved" for column in DAYS),
        "criteria annotations.label has 1 values that may hold a number",
        "materials.made_date has 1 dates that were not moved",
    ]


def test_tables_of_a_pathcurate_that_did_not_know_them_must_be_made_again(own: Workspace) -> None:
    seal = json.loads((own.deid / SEAL_FILE).read_bytes())
    for name in (*(table.name for table in NEW), "patients"):
        seal["tables"].pop(f"criteria/{name}.parquet")
        (own.vault / "criteria" / f"{name}.parquet").unlink()
        if name != "patients":
            seal["tables"].pop(f"deid/{name}.parquet")
            seal["inputs"].pop(name)
            (own.deid / f"{name}.parquet").unlink()
    (own.deid / SEAL_FILE).write_text(json.dumps(seal))
    for call in (demand_seal, describe, lambda workspace: deid.verify(workspace, actor="tester")):
        with pytest.raises(PlanIncompleteError) as caught:
            call(own)
        assert (caught.value.exit_code, caught.value.hint) == (12, "Run `pathcurate deid apply`.")
    apply(own)
    assert {name: path.is_file() for name, path in files(own).items()} == dict.fromkeys(files(own), True)
    demand_seal(own)


def test_other_rows_make_the_tables_out_of_date(own: Workspace) -> None:
    for number, table in enumerate(sorted(NEW, key=lambda table: table.name), start=1):
        Catalog(own.catalog).replace(table, from_rows(table, []))
        changed = ", ".join(sorted(table.name for table in NEW)[:number])
        with pytest.raises(PlanIncompleteError, match=f"^{changed} changed since"):
            demand_seal(own)


def test_their_codes_lead_back_until_the_person_is_erased(own: Workspace) -> None:
    expected = {
        "I": (FULL_SERIES["series_id"], "NB01", FULL_SERIES["archive"],
              FULL_SERIES["relpath"].decode("utf-8", "surrogateescape")),
        "A": (FULL_ANNOTATION["annotation_id"], "NB01", CANARIES["slide"]),
        "M": (FULL_MATERIAL["material_id"], "NB01", CANARIES["accession"]),
    }  # fmt: skip
    made = {kind: codes(own, kind, original[0])[0] for kind, original in expected.items()}
    assert look_up(open_vault(own.vault), made.values()) == {made[kind]: original for kind, original in expected.items()}
    planned = plan_erasure(own, CANARIES["number"], "NB01")
    assert planned is not None
    erase_person(own, planned[1], actor="tester")
    assert look_up(open_vault(own.vault), made.values()) == {}
    for table in NEW:
        assert Catalog(own.catalog).read(table).num_rows == 0
        assert not (own.deid / f"{table.name}.parquet").exists()


def test_what_recipes_need_of_other_tables_is_there() -> None:
    assert CRITERIA_TABLES["patients"].names == ("patient_id", "birth_date")
    assert "specimen" in DEID_TABLES["diagnoses"]
    assert {"specimen", "block"} <= set(DEID_TABLES["slides"].names)
