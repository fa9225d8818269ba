"""Every rule of ``validate`` has something that breaks it, and something that keeps it."""

import contextlib
import json
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pathcurate.checksums import SM3_NAME, write_sm3
from pathcurate.model.evaluation import EVALUATION_PATH
from pathcurate.model.finding import Severity
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.validation import NOT_RUN, Validation, Waiver
from pathcurate.model.validationrules import RULES
from pathcurate.product import register
from pathcurate.profiles import read_profile
from pathcurate.registries.sql import open_registry
from pathcurate.validate import Choice, validate
from pathcurate.validate.opened import TABLES
from pathcurate.validate.registration import is_credit_code
from tests.built import rewrite_manifest
from tests.releases import PRODUCT, RECIPE, build_wide, copied, rewrite, rewrite_json, with_values, write
from tests.unit.test_validate import DAMAGED

TODAY = date(2026, 3, 1)
CARD = "110101199003074194"  # a number with its check character that nobody has been given here
Damage = Callable[[Path], object]
CROISSANT, DCAT, POLICY = "metadata/croissant.json", "metadata/dcat.jsonld", "metadata/policy.odrl.jsonld"
CONTRACT, PROV, DOSSIER = "metadata/contract.odcs.yaml", "provenance/prov.jsonld", "registration/cn-dossier.json"


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wide(tmp_path_factory)


@pytest.fixture
def release(wide: Path, tmp_path: Path) -> Path:
    return copied(wide, tmp_path / "1.0.0")


@pytest.fixture
def at(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file beside the release."""

    def write_file(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write_file


def checked(path: Path, today: date = TODAY, **choice: Any) -> Validation:
    return validate(path, Choice(today=today, **choice))


def broken(result: Validation) -> set[str]:
    return {one.rule for one in result.findings if one.severity is not Severity.INFO}


def kept(result: Validation) -> set[str]:
    return {rule for rule in result.checks if rule not in {one.rule for one in result.findings}}


# --- Ways to break one ------------------------------------------------------------------------------------------------


def table(name: str, column: str, values: Callable[[list[Any]], list[Any]]) -> Damage:
    return lambda release: rewrite(release, name, with_values(column, values))


def first(value: Any) -> Callable[[list[Any]], list[Any]]:
    return lambda values: [value, *values[1:]]


def every(value: Any) -> Callable[[list[Any]], list[Any]]:
    return lambda values: [value] * len(values)


def document(relpath: str, change: Callable[[Any], Any]) -> Damage:
    return lambda release: rewrite_json(release, relpath, change)


def replaced(relpath: str, before: str, after: str) -> Damage:
    def damage(release: Path) -> None:
        text = (release / relpath).read_text()
        assert before in text
        write(release, relpath, text.replace(before, after))

    return damage


def without(relpath: str) -> Damage:
    return lambda release: write(release, relpath, None)


def product(before: str, after: str) -> Damage:
    assert before in PRODUCT
    return lambda release: write(release, "product.yaml", PRODUCT.replace(before, after))


def stated(**parts: Any) -> Damage:
    def damage(release: Path) -> None:
        manifest = json.loads((release / MANIFEST_NAME).read_bytes())
        rewrite_manifest(release, json.dumps(manifest | parts))

    return damage


def of_profile(name: str, **parts: Any) -> Damage:
    """Manifest and evaluation say that another profile was used."""

    def damage(release: Path) -> None:
        profile = read_profile(name, Path())
        said = {"profile": name, "profile_digest": profile.digest, "sharing": profile.sharing}
        rewrite_json(release, EVALUATION_PATH, lambda content: content | said)
        deid = json.loads((release / MANIFEST_NAME).read_bytes())["deid"]
        stated(deid=deid | {"profile": name, "scenario": profile.sharing} | parts)(release)

    return damage


def alike_by_sex(release: Path) -> None:
    """A published table in which the class tells the label."""
    of_profile("public")(release)
    rewrite(
        release, "slides",
        lambda data: with_values("case_grade_two", lambda _: [sex == "male" for sex in data["sex"].to_pylist()])(data),
    )  # fmt: skip


def nearly_all_in_train(release: Path) -> None:
    def change(data: pa.Table) -> pa.Table:
        order = sorted(set(data["patient_id"].to_pylist()))
        sides = ["test" if patient in order[:2] else "train" for patient in data["patient_id"].to_pylist()]
        return with_values("split", lambda _: sides)(data)

    rewrite(release, "slides", change)


def same_pixels_on_two_sides(release: Path) -> None:
    def change(data: pa.Table) -> pa.Table:
        sides = data["split"].to_pylist()
        torn = {sides.index("train"), sides.index("test")}
        groups = data["scan_group"].to_pylist()
        one = groups[min(torn)]
        return with_values("scan_group", lambda _: [one if place in torn else group for place, group in enumerate(groups)])(
            data
        )

    rewrite(release, "slides", change)


def same_pixels_twice(release: Path) -> None:
    def change(data: pa.Table) -> pa.Table:
        cases, groups = data["case_id"].to_pylist(), data["scan_group"].to_pylist()
        second = cases.index(cases[0], 1)
        return with_values(
            "scan_group", lambda _: [groups[0] if place == second else one for place, one in enumerate(groups)]
        )(data)

    rewrite(release, "slides", change)


def a_year_beside_the_day(release: Path) -> None:
    rewrite(release, "slides", lambda data: data.append_column("scan_year", pa.array([2025] * data.num_rows, pa.int64())))


BROKEN: dict[str, tuple[Damage, str]] = {
    "a_list_of_sm3_that_names_others": (lambda it: write(it, SM3_NAME, f"{'0' * 64}  elsewhere.txt\n"), "PC-DIG-005"),
    "a_report_of_a_stranger": (table("reports", "patient_id", first("P-ZZZZZZZZZZZZZZZZ")), "PC-LNK-001"),
    "a_link_to_a_report_elsewhere": (table("links", "report_id", first("R-ZZZZZZZZZZZZZZZZ")), "PC-LNK-001"),
    "a_case_of_two_patients": (table("reports", "patient_id", lambda them: [them[1], *them[1:]]), "PC-LNK-002"),
    "a_case_of_two_sites": (table("slides", "site", first("NB02")), "PC-LNK-002"),
    "a_link_by_day_alone": (table("slides", "tier", first("patient_date")), "PC-LNK-003"),
    "a_case_without_a_link": (table("slides", "tier", first("none")), "PC-LNK-004"),
    "a_link_without_a_case": (table("slides", "case_id", first(None)), "PC-LNK-004"),
    "a_case_without_its_report": (lambda it: rewrite(it, "reports", lambda data: data.slice(1)), "PC-LNK-005"),
    "another_side_in_another_table": (
        table("splits", "split", lambda sides: [{"train": "test", "test": "train"}[sides[0]], *sides[1:]]), "PC-SPL-001"),
    "the_same_pixels_on_two_sides": (same_pixels_on_two_sides, "PC-SPL-003"),
    "sides_of_other_shares": (nearly_all_in_train, "PC-SPL-004"),
    "an_empty_side": (table("slides", "split", every("train")), "PC-SPL-005"),
    "a_row_without_a_side": (table("slides", "split", first(None)), "PC-SPL-005"),
    "a_release_that_calls_itself_sealed": (stated(kind="benchmark-sealed"), "PC-SPL-010"),
    "classes_that_tell_the_label": (alike_by_sex, "PC-PRIV-007"),
    "a_mobile_number_as_a_width": (table("slides", "width", first(13_812_345_678)), "PC-PRIV-008"),
    "a_card_in_the_datasheet": (replaced("metadata/DATASHEET.en.md", "## Uses", f"## Uses\n{CARD}\n"), "PC-PRIV-008"),
    "a_mobile_number_in_the_page": (replaced("report.html", "</html>", "<p>tel 13812345678</p></html>"), "PC-PRIV-008"),
    "a_small_count_in_the_attrition": (
        document("quality/attrition.json", lambda it: it | {"start": it["start"] | {"patients": 3}}), "PC-PRIV-009"),
    "a_small_count_in_a_spread": (
        document("quality/scorecard.json", lambda it: it | {"spread": {"counts": {"male": 2}, "others": 0}}), "PC-PRIV-009"),
    "days_that_the_profile_shows_nobody": (of_profile("public"), "PC-PRIV-010"),
    "a_year_beside_the_moved_day": (a_year_beside_the_day, "PC-PRIV-011"),
    "an_empty_column": (table("slides", "stain", every(None)), "PC-QLT-001"),
    "the_same_pixels_twice": (same_pixels_twice, "PC-QLT-002"),
    "a_mpp_of_no_microscope": (table("slides", "mpp_x", first(1000.0)), "PC-QLT-003"),
    "a_mpp_that_is_no_mean": (table("slides", "mpp", first(0.5)), "PC-QLT-003"),
    "a_mpp_that_is_no_number": (table("slides", "mpp_x", first(float("inf"))), "PC-QLT-003"),
    "a_case_with_too_many_slides": (table("cases", "slide_count", first(1)), "PC-QLT-004"),
    "a_day_before_all_archives": (table("slides", "scan_datetime", first(date(1800, 1, 1))), "PC-QLT-005"),
    "a_day_after_the_release": (table("reports", "reported_date", first(date(2040, 1, 1))), "PC-QLT-005"),
    "labels_that_are_often_wrong": (
        lambda it: write(it, "quality/labels.json", json.dumps({
            "cohort": "small", "recipe_sha256": json.loads((it / MANIFEST_NAME).read_bytes())["recipe"]["canonical_sha256"],
            "classes": [{"label": "grade_two", "value": "true", "reviewed": 50, "wrong": 20, "unsure": 0, "error": 0.4,
                         "low": 0.28, "high": 0.54, "instead": {}}]})), "PC-QLT-006"),
    "a_truncated_slide": (table("slides", "status", first("truncated")), "PC-QLT-007"),
    "a_slide_of_no_width": (table("slides", "width", first(0)), "PC-QLT-008"),
    "levels_that_are_not_counted": (table("slides", "level_count", first(7)), "PC-QLT-008"),
    "more_bad_tiles_than_were_checked": (table("slides", "tiles_bad", first(11)), "PC-QLT-008"),
    "a_datasheet_without_a_section": (replaced("metadata/DATASHEET.zh.md", "## 0103", "## 0199"), "PC-DOC-001"),
    "a_column_without_a_meaning_in_chinese": (
        replaced("metadata/dictionary.json", "\"meaning_zh\"", "\"meaning_en\""), "PC-DOC-002"),
    "a_product_of_another_form": (product("product: 1", "product: 7"), "PC-DOC-003"),
    "another_product": (product("name: small", "name: large"), "PC-DOC-003"),
    "nobody_to_ask": (product("contact: {name: 数据管理员, email: data-steward@pathology.example}\n", ""), "PC-DOC-004"),
    "no_page": (without("report.html"), "PC-DOC-005"),
    "a_bare_word_as_an_action": (replaced(POLICY, "odrl:delete", "delete"), "PC-POL-001"),
    "a_bare_word_that_is_no_name": (
        document(POLICY, lambda it: json.loads(json.dumps(it).replace('{"@id": "odrl:use"}', '"use"'))), "PC-POL-001"),
    "a_prefix_that_nobody_declares": (replaced(POLICY, "\"pc\":", "\"other\":"), "PC-POL-001"),
    "a_context_on_a_server": (
        document(POLICY, lambda it: it | {"@context": "http://www.w3.org/ns/odrl.jsonld"}), "PC-POL-001"),
    "a_policy_that_permits_nothing": (replaced(POLICY, "odrl:permission", "odrl:prohibition"), "PC-POL-002"),
    "a_policy_of_another_version": (replaced(POLICY, "small:1.0.0", "small:9.0.0"), "PC-POL-002"),
    "no_commercial_use_at_a_price": (product("[DUO_0000006]", "[DUO_0000006, DUO_0000046]"), "PC-POL-003"),
    "a_prohibition_less": (replaced(POLICY, "pc:reidentify", "pc:trainModels"), "PC-POL-004"),
    "across_the_border": (
        product("environment: tre,", "environment: tre, forbidden: [reidentify],"), "PC-POL-005"),
    "no_dossier": (without(DOSSIER), "PC-REG-001"),
    "a_form_without_a_value": (
        document("registration/rendered/zj-data-ip.json", lambda it: it | {"missing": ["申请人/名称"]}), "PC-REG-002"),
    "a_dossier_of_other_numbers": (
        document(DOSSIER, lambda it: it | {"结构规模": it["结构规模"] | {"记录数": 1_000_000}}), "PC-REG-003"),
    "more_sample_rows_than_are_allowed": (product("sample: {rows: 3,", "sample: {rows: 1,"), "PC-REG-004"),
    "sample_rows_that_nobody_allowed": (product("sample: {rows: 3, approved_by: 数据委员会}\n", ""), "PC-REG-004"),
    "a_credit_code_with_a_typo": (product("91330200000000000E", "91330200000000000A"), "PC-REG-005"),
    "no_croissant": (without(CROISSANT), "PC-META-001"),
    "a_croissant_that_is_no_json": (lambda it: write(it, CROISSANT, b"\xff{"), "PC-META-001"),
    "a_croissant_nested_too_deep": (lambda it: write(it, CROISSANT, "[" * 200_000), "PC-META-001"),
    "a_croissant_of_another_digest": (
        document(CROISSANT, lambda it: json.loads(json.dumps(it).replace('"sha256": "', '"sha256": "0'))), "PC-META-002"),
    "a_croissant_of_another_version": (document(CROISSANT, lambda it: it | {"version": "9.0.0"}), "PC-META-002"),
    "a_croissant_without_a_column": (replaced(CROISSANT, '"column": "stain"', '"column": "dye"'), "PC-META-002"),
    "a_croissant_that_names_a_file_elsewhere": (replaced(CROISSANT, "../data/slides", "../../data/slides"), "PC-META-002"),
    "a_dcat_of_another_version": (replaced(DCAT, '"dcat:version": "1.0.0"', '"dcat:version": "9.0.0"'), "PC-META-003"),
    "a_dcat_without_digests": (replaced(DCAT, "spdx:checksumValue", "spdx:checksumNone"), "PC-META-003"),
    "a_contract_without_a_table": (replaced(CONTRACT, "- name: reports", "- name: letters"), "PC-META-004"),
    "a_contract_with_aliases_without_end": (
        lambda it: write(it, CONTRACT, "a: &a [x]\n" + "".join(f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]\n"
                         for p, n in zip("abcdefgh", "bcdefghi", strict=True))), "PC-META-001"),
    "provenance_of_another_recipe": (
        document(PROV, lambda it: json.loads(json.dumps(it).replace("sha256:", "sha512:"))), "PC-META-005"),
    "a_step_smaller_than_is_said": (
        stated(previous={"version": "1.0.0", "release_digest": "sha256:" + "0" * 64, "bump": "minor"}), "PC-META-006"),
    "a_document_that_was_changed": (lambda it: (it / DCAT).write_text("{}"), NOT_RUN),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_release_that_breaks_a_rule(name: str, wide: Path, release: Path) -> None:
    damage, rule = BROKEN[name]
    damage(release)
    result = checked(release, select=(rule.rpartition("-")[0], rule))
    new = {(one.rule, one.message) for one in result.findings} - _found_as_built(wide)
    assert rule in {one for one, _ in new}
    shown = " ".join(one.message for one in result.findings)
    assert CARD not in shown
    assert "13812345678" not in shown


@cache
def _found_as_built(wide: Path) -> set[tuple[str, str]]:
    return {(one.rule, one.message) for one in checked(wide).findings}


def test_a_release_as_it_is_built_breaks_no_rule(wide: Path) -> None:
    result = checked(wide)
    assert broken(result) - {"PC-REG-002"} == set()
    assert result.not_run == {}


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (TODAY, set()),
        (date(2029, 12, 31), {"PC-EXP-006"}),
        (date(2030, 1, 1), {"PC-EXP-001", "PC-EXP-002", "PC-EXP-003", "PC-EXP-005"}),
        (date(2031, 1, 1), {f"PC-EXP-00{number}" for number in range(1, 6)}),
    ],
)
def test_evidence_expires(wide: Path, today: date, expected: set[str]) -> None:
    result = checked(wide, today, select=("PC-EXP",))
    assert broken(result) == expected
    assert result.exit_code("error", RULES) == (6 if expected - {"PC-EXP-006"} else 0)


def test_expiry_that_nobody_can_judge_is_no_success(wide: Path) -> None:
    result = validate(wide, Choice(select=("PC-EXP",)))
    assert result.checks == ()
    assert {one.rule for one in validate(wide, Choice(select=("PC-EXP", NOT_RUN))).findings} == {NOT_RUN}


def test_no_document_brings_validation_down(release: Path) -> None:
    """Whatever a document holds, it ends in findings: parts of the documents are replaced by what does not belong there."""
    names = sorted(path for path in release.rglob("*.json*") if path.name != MANIFEST_NAME)
    draw = random.Random(20260301)
    for _ in range(10):
        path = draw.choice(names)
        whole = path.read_bytes()
        content = json.loads(whole)
        part, parent, key = content, None, None
        for _ in range(draw.randrange(1, 6)):
            if not isinstance(part, dict | list) or not part:
                break
            parent, key = part, draw.choice([*part] if isinstance(part, dict) else range(len(part)))
            part = parent[key]
        odd = draw.choice([None, -1, True, "x", [], {}, [[]], [{"@id": [1]}], 10**30, "\ud800"])
        if parent is None:
            content = odd
        else:
            parent[key] = odd
        write(release, str(path.relative_to(release)), json.dumps(content))
        assert checked(release, select=("PC-META", "PC-DOC", "PC-POL", "PC-REG", "PC-PRIV", "PC-QLT")).kind == "release"
        write(release, str(path.relative_to(release)), whole)


# --- Genes ---------------------------------------------------------------------------------------------------------------

_SLIDES = "recipe: 1\nname: r\nversion: 1.0.0\ntitle: T\nowner: O\napproval: A\nunit: slide\ncolumns: [slide_id]\n"


_CRITERION = "include: [{id: with_he, label: Stained with HE, level: slide, where: {stain: HE}}]\n"


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (_SLIDES, set()),
        (_SLIDES + "concepts: {egfr_status: {any: ['EGFR']}}\n", {"PC-HGR-001"}),
        (_SLIDES + "concepts: {driver: {any: ['外显子19缺失突变']}}\n", {"PC-HGR-001"}),
        (_SLIDES + "concepts: {invasion: {any: ['脉管癌栓']}}\n", set()),
        (_SLIDES + "texts: [diagnosis, molecular]\n", {"PC-HGR-002"}),
        (_SLIDES + "labels: [{name: kras, level: case, has: {table: report_concepts}}]\n", {"PC-HGR-001"}),
        (_SLIDES + "labels: [{name: her2, level: case, has: {table: ihc_results}}]\n", set()),
    ],
)
def test_genes_in_a_recipe(at: Callable[[str, str], Path], recipe: str, expected: set[str]) -> None:
    result = checked(at("r.yaml", recipe), select=("PC-HGR",))
    assert broken(result) == expected
    assert all(one.at is not None and one.at.line > 8 for one in result.findings)


def test_genes_in_any_table(tmp_path: Path) -> None:
    path = tmp_path / "variants.parquet"
    pq.write_table(pa.table({"sample": ["1"], "EGFR_mutation": ["L858R"], "code_system": ["HGVS"]}), path)
    result = checked(path)
    assert {"PC-HGR-001", NOT_RUN} <= broken(result)
    assert all("EGFR" not in one.message and "L858R" not in one.message for one in result.findings)
    assert sum(one.count for one in result.findings if one.rule == "PC-HGR-001") == 2


# --- Other things than releases ------------------------------------------------------------------------------------------


def test_any_table_is_judged_by_shapes_and_names(tmp_path: Path) -> None:
    path = tmp_path / "export.parquet"
    cards = pa.array([CARD, "x", None])
    pq.write_table(pa.table({"a": cards, "b": [1, 2, 13_912_345_678], "patient_name": ["n"] * 3}), path)
    result = checked(path)
    assert result.kind == "table"
    assert {"PC-PRIV-001", "PC-PRIV-008", NOT_RUN} == broken(result)
    assert sum(one.count for one in result.findings if one.rule == "PC-PRIV-008") == 2
    assert "PC-SCH-004" in result.not_run


def test_a_part_of_a_table_is_known_by_its_folder(wide: Path, tmp_path: Path) -> None:
    part = tmp_path / "slides" / "part-00000.parquet"
    part.parent.mkdir()
    data = pq.read_table(wide / "data" / "slides.parquet").drop_columns(["case_grade_two"])
    pq.write_table(data.replace_schema_metadata(None), part)
    assert checked(part).facts == {"table": "slides"}
    assert broken(checked(part)) == set()


def test_a_workspace_with_broken_parts(wide: Path, tmp_path: Path) -> None:
    root = tmp_path / "w"
    shutil.copytree(wide.parents[2], root, ignore=shutil.ignore_patterns("releases", "deid", "vault"))
    (root / "recipes").mkdir()
    (root / "recipes" / "good.yaml").write_text(RECIPE)
    settings = root / "pathcurate.yaml"
    settings.write_text(settings.read_text().replace(
        "{code: NB01}",
        "{code: NB01, rights: {holder: 示例市病理诊断中心, authorisation: nb01.pdf, valid_until: 2026-12-31}}"))  # fmt: skip
    (root / "nb01.pdf").write_bytes(b"%PDF-1.7 authorised")
    good = checked(root)
    assert broken(good) == set()
    assert {"PC-WSP-006", "PC-WSP-007", "PC-RCP-001", "PC-EXP-003", "PC-EXP-006"} <= kept(good)
    (root / "recipes" / "bad.yaml").write_text("recipe: 1\n")
    (root / "nb01.pdf").unlink()
    (root / "products" / "other.yaml").write_text(PRODUCT)
    result = checked(root, date(2027, 1, 1))
    assert broken(result) == {"PC-RCP-001", "PC-WSP-006", "PC-WSP-007", "PC-EXP-003"}
    assert result.exit_code("error", RULES) == 10


def test_a_registry_is_replayed(wide: Path, tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with open_registry(path) as registry:
        register(registry, wide, actor="tester", now=datetime(2026, 1, 2, tzinfo=UTC))
    before = path.read_bytes()
    assert kept(checked(path)) == {"PC-RGY-001"}
    assert path.read_bytes() == before
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("drop trigger no_update")
        connection.execute("update events set actor = 'somebody else'")
        connection.commit()
    result = checked(path)
    assert broken(result) == {"PC-RGY-001"}
    assert result.exit_code("error", RULES) == 4


# --- All rules -----------------------------------------------------------------------------------------------------------


def test_every_rule_is_broken_by_something() -> None:
    elsewhere = {
        "PC-EXP-001", "PC-EXP-002", "PC-EXP-003", "PC-EXP-004", "PC-EXP-005", "PC-EXP-006", "PC-HGR-001", "PC-HGR-002",
        "PC-WSP-001", "PC-WSP-002", "PC-WSP-003", "PC-WSP-004", "PC-WSP-005", "PC-WSP-006", "PC-WSP-007", "PC-RCP-001",
        "PC-RCP-002", "PC-RCP-003", "PC-RGY-001", "PC-META-007", "PC-META-008", "PC-LNK-006",
    }  # fmt: skip
    """Rules whose tests stand above, and in the tests of forms and of workspaces."""
    seen = set().union(*(expected for _, expected, _ in DAMAGED.values())) | {rule for _, rule in BROKEN.values()} - {""}
    assert RULES.keys() - seen - elsewhere == set()
    assert seen - RULES.keys() == set()


def test_every_rule_is_kept_by_something(wide: Path, release: Path, at: Callable[[str, str], Path]) -> None:
    """What is not kept by the release as it is built is kept by one of these."""
    for form in (release / "registration" / "rendered").iterdir():
        content = json.loads(form.read_bytes()) | {"missing": [], "uncoded": [], "too_long": []}
        form.unlink()
        form.write_text(json.dumps(content))
    stated(previous={"version": "0.9.0", "release_digest": "sha256:" + "0" * 64, "bump": "minor"})(release)
    BROKEN["labels_that_are_often_wrong"][0](release)
    rewrite_json(release, "quality/labels.json", lambda it: it | {"classes": [it["classes"][0] | {"high": 0.05}]})
    write(release, SM3_NAME, write_sm3(release))
    recipe = at("small.yaml", RECIPE)
    waiver = Waiver(rule="PC-QLT-006", owner="A", reason="B", until=date(2027, 1, 1))
    good = kept(checked(release, recipe=recipe, recipe_name="small.yaml")) | kept(checked(wide, waivers=(waiver,)))
    good |= kept(checked(wide.parents[2])) | kept(checked(at("r.yaml", _SLIDES + _CRITERION)))
    # A registry and a workspace with rights keep the others above.
    assert RULES.keys() - good == {"PC-RGY-001", "PC-WSP-007", "PC-LNK-006", NOT_RUN}


def test_rules_are_told_apart_and_say_what_to_do() -> None:
    assert list(RULES) == [rule.id for rule in RULES.values()]
    for rule in RULES.values():
        assert rule.what.endswith("."), rule.id
        assert rule.fix.endswith("."), rule.id
        assert rule.subjects, rule.id
    assert len({rule.what for rule in RULES.values()}) == len(RULES)


def test_every_declared_pattern_is_one_of_re2() -> None:
    """Closed sets are judged by Arrow's regular expressions, whose end of text is only the end."""
    patterns = {column.pattern for table in TABLES.values() for column in table.columns if column.pattern}
    assert len(patterns) > 20
    for pattern in patterns:
        found = pc.match_substring_regex(pa.array(["S-0000000000000000\n"]), rf"\A(?:{pattern})\z")
        assert found.to_pylist() == [re.fullmatch(pattern, "S-0000000000000000\n") is not None]


@pytest.mark.parametrize(
    ("code", "is_good"), [("91330200000000000E", True), ("91110000600037341L", True), ("91330200000000000A", False)]
)
def test_credit_codes(code: str, is_good: bool) -> None:
    assert is_credit_code(code) is is_good


def test_a_select_that_names_no_rule_is_refused() -> None:
    with pytest.raises(Exception, match="no rule begins with `PC-SLP`; did you mean `PC-"):
        Choice(select=("PC-SLP",))


def test_what_is_ignored_is_not_checked(release: Path) -> None:
    table("slides", "width", first(0))(release)
    assert "PC-QLT-008" in broken(checked(release))
    assert "PC-QLT-008" not in checked(release, ignore=("PC-QLT-008",)).checks
    only = checked(release, select=("PC-QLT-008",))
    assert only.checks == ("PC-QLT-008",)
    assert broken(only) == {"PC-QLT-008"}
