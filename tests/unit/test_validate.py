"""Each rule of ``validate`` fires on a real release that was damaged accordingly, and shows no value of it."""

import contextlib
import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.checksums import CHECKSUMS_NAME
from pathcurate.cli.main import run
from pathcurate.errors import RecipeError, UsageError
from pathcurate.model.evaluation import EVALUATION_PATH
from pathcurate.model.finding import Severity
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.validation import NOT_RUN
from pathcurate.validate import Choice, validate
from tests.built import build_release, copy_release, reseal, rewrite_manifest, rewrite_table

UNSAID = ("PC-META", "PC-DOC", "PC-REG", "PC-QLT", "PC-POL")
"""Rules about documents, which are not written anew for what is changed in a table here; their tests are elsewhere."""
FORMS = ("text", "junit", "sarif", "github", "gitlab")
CANARY = "龘靐齉S23-99887"
Damage = Callable[[Path], object]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_release(tmp_path_factory.mktemp("validate") / "w")


@pytest.fixture
def release(built: Path, tmp_path: Path) -> Path:
    return copy_release(built, tmp_path / "1.0.0")


def rules(path: Path) -> set[str]:
    """Rules that are broken, but for those about documents."""
    return {finding.rule for finding in validate(path).findings if not finding.rule.startswith(UNSAID)}


def shown(*arguments: str) -> tuple[int, str]:
    """Exit code and everything that the command line shows."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = run(arguments)
    return code, out.getvalue()


def changed(column: str, values: Callable[[list[Any]], list[Any]], kind: pa.DataType | None = None) -> Damage:
    """The table with other values in a column."""

    def change(data: pa.Table) -> pa.Table:
        index = data.schema.get_field_index(column)
        field = data.schema.field(index)
        field = pa.field(column, kind or field.type, metadata=field.metadata)
        return data.set_column(index, field, pa.array(values(data[column].to_pylist()), field.type))

    return lambda release: rewrite_table(release, change)


def added(column: str, value: Any) -> Damage:
    return lambda release: rewrite_table(release, lambda data: data.append_column(column, pa.array([value] * data.num_rows)))


def stated(change: Callable[[dict[str, Any]], object]) -> Damage:
    """MANIFEST.json changed, with its digest."""

    def damage(release: Path) -> None:
        manifest = json.loads((release / MANIFEST_NAME).read_bytes())
        change(manifest)
        rewrite_manifest(release, json.dumps(manifest))

    return damage


def first_part(**parts: Any) -> Damage:
    """MANIFEST.json with other facts of the table's first file."""
    return stated(lambda it: it["tables"]["slides"]["parts"][0].update(parts))


def evaluated(change: Callable[[str], str | None]) -> Damage:
    """The evaluation changed, or removed, and the checksums with it."""

    def damage(release: Path) -> None:
        path = release / EVALUATION_PATH
        text = change(path.read_text())
        path.unlink()
        if text is not None:
            path.write_text(text)
        reseal(release)

    return damage


def deid(name: str, value: int, change: Callable[[dict[str, Any]], object]) -> Damage:
    """Manifest and evaluation changed alike."""

    def damage(release: Path) -> None:
        content = json.loads((release / EVALUATION_PATH).read_bytes())
        change(content)
        evaluated(lambda _: json.dumps(content))(release)
        stated(lambda it: it["deid"].update({name: value}))(release)

    return damage


def first(value: Any) -> Callable[[list[Any]], list[Any]]:
    return lambda values: [value, *values[1:]]


def flip(name: str) -> Damage:
    def damage(release: Path) -> None:
        content = bytearray((release / name).read_bytes())
        content[len(content) // 2] ^= 1
        (release / name).write_bytes(content)

    return damage


def linked(name: str) -> Damage:
    def damage(release: Path) -> None:
        target = release.parent / "elsewhere"
        (release / name).rename(target)
        (release / name).symlink_to(target)

    return damage


def stray(release: Path) -> None:
    (release / "data" / "patients.csv").write_text(CANARY)
    reseal(release)


def thumbnail(release: Path) -> None:
    (release / "thumbnails").mkdir()
    (release / "thumbnails" / "S-0000000000000000.png").write_bytes(b"\x89PNG")
    reseal(release)


def named_after_a_patient(release: Path) -> None:
    folder = release / "registration" / "sample"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{CANARY}.json").write_text('{"tel": "13812345678"}')
    reseal(release)


def other_attrition(release: Path) -> None:
    path = release / "quality" / "attrition.json"
    attrition = json.loads(path.read_bytes())
    told = json.loads((release / "MANIFEST.json").read_bytes())["counts"]["patients"]
    attrition["steps"][-1]["remaining"]["patients"] = told + 1
    path.unlink()
    path.write_text(json.dumps(attrition))
    reseal(release)


def other_lock(release: Path) -> None:
    path = release / "provenance" / "recipe.lock.yaml"
    text = path.read_text()
    path.unlink()
    path.write_text(text + f"# {CANARY}\n")
    reseal(release)


def to_folder_elsewhere(release: Path) -> None:
    (release / "data").rename(release.parent / "data")
    (release / "data").symlink_to(release.parent / "data")


def fifo(name: str) -> Damage:
    def damage(release: Path) -> None:
        (release / name).unlink()
        os.mkfifo(release / name)

    return damage


def garbage(release: Path) -> None:
    (release / "data" / "slides.parquet").write_bytes(b"PAR1" + CANARY.encode() * 9 + b"PAR1")
    reseal(release)


def one_row_twice(release: Path) -> None:
    rewrite_table(release, lambda data: pa.concat_tables([data, data.slice(0, 1)]))


def move_one_slide(sides: list[str]) -> list[str]:
    # One of a patient's two slides: the other stays where it was.
    return [{"train": "test", "test": "train"}[sides[0]], *sides[1:]]


def with_class(name: str) -> Damage:
    def change(data: pa.Table) -> pa.Table:
        index = data.schema.get_field_index("stain")
        field = data.schema.field(index).with_metadata({b"identifying": name.encode()})
        return data.set_column(index, field, data["stain"])

    return lambda release: rewrite_table(release, change)


def as_written(column: str, values: Any, kind: pa.DataType | None = None) -> Damage:
    """A column of which no digest can be stated; only the list of checksums fits."""

    def damage(release: Path) -> None:
        path = release / "data" / "slides.parquet"
        data = pq.read_table(path)
        pq.write_table(data.set_column(data.schema.get_field_index(column), column, pa.array(values, kind)), path)
        reseal(release)

    return damage


def two_columns_of_one_name(release: Path) -> None:
    path = release / "data" / "slides.parquet"
    data = pq.read_table(path)
    pq.write_table(data.append_column("stain", data["stain"]), path)
    reseal(release)


# Name: (damage, rules that fire, exit code). Where the digests are made to fit, only the rule about the value can notice.
DAMAGED: dict[str, tuple[Damage, set[str], int]] = {
    "a_byte_of_the_table_flipped": (flip("data/slides.parquet"), {"PC-DIG-001"}, 4),
    "a_byte_of_the_page_flipped": (flip("report.html"), {"PC-DIG-001"}, 4),
    "the_page_removed": (lambda release: (release / "report.html").unlink(), {"PC-DIG-002"}, 4),
    "the_table_removed": (lambda release: (release / "data" / "slides.parquet").unlink(), {"PC-DIG-002"}, 4),
    "the_manifest_removed": (lambda release: (release / MANIFEST_NAME).unlink(), {"PC-DIG-002", "PC-SCH-006"}, 4),
    "the_checksums_removed": (lambda release: (release / CHECKSUMS_NAME).unlink(), {"PC-DIG-002"}, 4),
    "the_checksums_cut_off": (lambda release: (release / CHECKSUMS_NAME).write_bytes(b"0"), {"PC-DIG-001"}, 4),
    "the_checksums_a_fifo": (fifo(CHECKSUMS_NAME), {"PC-DIG-001"}, 4),
    "the_manifest_a_fifo": (fifo(MANIFEST_NAME), {"PC-DIG-001", "PC-SCH-006"}, 4),
    "a_file_added": (lambda release: (release / "data" / f"{CANARY}.svs").touch(), {"PC-DIG-003"}, 4),
    "a_folder_with_a_file_added": (
        lambda release: ((release / CANARY).mkdir(), (release / CANARY / "x").touch()), {"PC-DIG-003"}, 4),
    "a_link_in_place_of_the_page": (linked("report.html"), {"PC-DIG-001"}, 4),
    "a_link_in_place_of_the_table": (linked("data/slides.parquet"), {"PC-DIG-001"}, 4),
    "a_link_in_place_of_the_manifest": (linked(MANIFEST_NAME), {"PC-DIG-001", "PC-SCH-006"}, 4),
    "a_link_in_place_of_a_folder": (to_folder_elsewhere, {"PC-DIG-002", "PC-DIG-003"}, 4),
    "the_table_garbage": (garbage, {"PC-SCH-002"}, 1),
    "the_manifest_no_json": (lambda release: rewrite_manifest(release, f'{{"{CANARY}'), {"PC-SCH-006"}, 1),
    "the_manifest_a_list": (lambda release: rewrite_manifest(release, f'["{CANARY}"]'), {"PC-SCH-006"}, 1),
    "the_manifest_nested_too_deep": (lambda release: rewrite_manifest(release, "[" * 100_000), {"PC-SCH-006"}, 1),
    "the_manifest_with_an_unknown_key": (stated(lambda it: it.update({CANARY: 1})), {"PC-SCH-006"}, 1),
    "the_tables_a_list": (stated(lambda it: it.update(tables=[CANARY])), {"PC-SCH-006"}, 1),
    "a_table_entry_a_text": (stated(lambda it: it["tables"].update(slides=CANARY)), {"PC-SCH-006"}, 1),
    "a_path_out_of_the_release": (
        first_part(path="data/../../elsewhere.parquet"), {"PC-SCH-006"}, 1),
    "an_absolute_path": (first_part(path="/etc/passwd"), {"PC-SCH-006"}, 1),
    "a_table_that_is_not_there": (
        stated(lambda it: it["tables"].update(cases=it["tables"]["slides"])),
        {"PC-DIG-004"}, 4),
    "another_sha256_of_the_table": (
        first_part(sha256="sha256:" + "0" * 64), {"PC-DIG-004"}, 4),
    "another_number_of_rows_of_a_file": (first_part(rows=13), {"PC-DIG-004"}, 4),
    "another_size_of_a_file": (first_part(bytes=1), {"PC-DIG-004"}, 4),
    "a_file_twice": (
        stated(lambda it: it["tables"]["slides"].update(parts=it["tables"]["slides"]["parts"] * 2)), {"PC-DIG-004"}, 4),
    "the_file_of_another_table": (first_part(path="data/cases.parquet"), {"PC-DIG-004", "PC-SCH-007"}, 4),
    "another_table_digest": (
        stated(lambda it: it["tables"]["slides"].update(table_digest="sha256:" + "0" * 64)), {"PC-DIG-004"}, 4),
    "another_number_of_rows": (stated(lambda it: it["tables"]["slides"].update(rows=13)), {"PC-DIG-004"}, 4),
    "another_content_digest": (
        stated(lambda it: it.update(content_digest="sha256:" + "0" * 64)), {"PC-DIG-004", "PC-PRIV-006"}, 4),
    "another_count_of_slides": (stated(lambda it: it["counts"].update(slides=1200)), {"PC-DIG-004"}, 4),
    "another_count_of_patients": (stated(lambda it: it["counts"].update(patients=600)), {"PC-DIG-004"}, 4),
    "another_count_of_a_side": (stated(lambda it: it["split"].update(train=0)), {"PC-DIG-004"}, 4),
    "without_permissions": (stated(lambda it: it["permissions"].update(configured=False)), {"PC-PRIV-004"}, 0),
    "a_k_that_its_profile_does_not_allow": (
        deid("k_required", 2, lambda it: it.update(k_required=2)), {"PC-PRIV-005"}, 13),
    "a_k_that_the_table_does_not_have": (
        deid("k_min", 5, lambda it: it["figures"].update(k=5)), {"PC-PRIV-006"}, 1),
    "a_k_that_only_the_manifest_states": (
        stated(lambda it: it["deid"].update(k_required=20)), {"PC-PRIV-005", "PC-PRIV-006"}, 13),
    "another_level": (stated(lambda it: it["deid"].update(gbt42460_level=4)), {"PC-PRIV-006"}, 1),
    "a_manifest_that_says_nothing_of_people": (stated(lambda it: it.pop("deid")), {"PC-PRIV-006"}, 0),
    "the_evaluation_removed": (evaluated(lambda _: None), {"PC-PRIV-006"}, 1),
    "the_evaluation_no_json": (evaluated(lambda _: f'{{"{CANARY}'), {"PC-PRIV-006"}, 1),
    "the_evaluation_a_number": (evaluated(lambda _: "1"), {"PC-PRIV-006"}, 1),
    "the_evaluation_nested_too_deep": (evaluated(lambda _: "[" * 100_000), {"PC-PRIV-006"}, 1),
    "a_patient_on_two_sides": (changed("split", move_one_slide), {"PC-SPL-001"}, 1),
    "a_split_of_nobody": (
        lambda release: rewrite_table(release, lambda data: data.drop_columns(["patient_id", "group_id"])),
        {"PC-SPL-002"}, 0),
    "a_raw_accession_as_slide_id": (changed("slide_id", first(CANARY)), {"PC-PRIV-003"}, 1),
    "a_pseudonym_of_another_kind": (
        changed("slide_id", lambda ids: ["C" + ids[0][1:], *ids[1:]]), {"PC-PRIV-003"}, 1),
    "a_pseudonym_with_a_line_end": (changed("slide_id", lambda ids: [ids[0] + "\n", *ids[1:]]), {"PC-PRIV-003"}, 1),
    "a_column_barcode": (added("barcode", CANARY), {"PC-PRIV-001"}, 1),
    "a_column_patient_name": (added("patient_name", CANARY), {"PC-PRIV-001"}, 1),
    "a_column_diagnosis": (added("diagnosis", CANARY), {"PC-PRIV-001"}, 1),
    "a_true_birth_date": (added("birth_date", CANARY), {"PC-PRIV-001"}, 1),
    "a_column_that_nobody_knows": (added(CANARY, CANARY), {"PC-SCH-001"}, 1),
    "a_column_that_says_it_is_direct": (with_class("direct"), {"PC-PRIV-001"}, 1),
    "two_columns_of_one_name": (two_columns_of_one_name, {"PC-SCH-001", "PC-DIG-004"}, 4),
    "age_91": (changed("age", first(91)), {"PC-PRIV-002"}, 1),
    "age_as_text": (changed("age", lambda ages: [CANARY] * len(ages), pa.string()), {"PC-SCH-002"}, 1),
    "a_type_with_text_in_its_name": (
        as_written("mpp", [{CANARY: 1}] * 12, pa.struct([(CANARY, pa.int64())])), {"PC-SCH-002", "PC-DIG-004"}, 4),
    "text_that_is_not_utf8": (
        as_written("stain", pa.array([b"\xff\xfe" + CANARY.encode("gb18030")] * 12, pa.binary()).view(pa.string())),
        {"PC-SCH-002", "PC-DIG-004"}, 4),
    "no_value_in_a_required_column": (changed("slide_id", first(None)), {"PC-SCH-003"}, 1),
    "a_stain_outside_the_vocabulary": (changed("stain", first(CANARY)), {"PC-SCH-004"}, 1),
    "a_side_that_is_none": (changed("sex", first(CANARY)), {"PC-SCH-004"}, 1),
    "a_listed_file_that_no_release_has": (stray, {"PC-SCH-007"}, 1),
    "a_picture_outside_of_the_page": (thumbnail, {"PC-SCH-007"}, 1),
    "a_listed_file_that_is_named_after_a_patient": (named_after_a_patient, {"PC-SCH-007", "PC-PRIV-008"}, 1),
    "a_footer_that_is_not_ours": (
        lambda release: rewrite_table(release, lambda data: data.replace_schema_metadata({CANARY: CANARY})),
        {"PC-SCH-007"}, 1),
    "an_attrition_that_keeps_others": (other_attrition, {"PC-DIG-004"}, 4),
    "another_recipe_in_the_lock": (other_lock, {"PC-DIG-004"}, 4),
    "another_recipe_in_the_footer": (
        lambda release: rewrite_table(release, lambda data: data.replace_schema_metadata({"pathcurate.recipe": "{}"})),
        {"PC-DIG-004"}, 4),
    "one_slide_twice": (one_row_twice, {"PC-SCH-005"}, 1),
}  # fmt: skip


def test_a_release_as_it_was_built_breaks_no_rule(built: Path) -> None:
    result = validate(built)
    assert result.kind == "release"
    assert {finding.rule for finding in result.findings if finding.severity is not Severity.INFO} <= {NOT_RUN, "PC-REG-002"}
    assert shown("validate", str(built))[0] == 0


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_release(name: str, release: Path) -> None:
    damage, expected, code = DAMAGED[name]
    damage(release)
    others = [f"--output={form}={release.parent / form}" for form in FORMS]
    answer, output = shown("validate", str(release), "--format", "json", "--ignore", ",".join(UNSAID), *others)
    assert answer == code
    assert {finding["rule"] for finding in json.loads(output)["findings"]} == expected
    for text in (output, *((release.parent / form).read_text() for form in FORMS)):
        assert CANARY not in text
        assert CANARY.encode("unicode_escape").decode() not in text


def test_digests_come_before_findings(release: Path) -> None:
    DAMAGED["age_91"][0](release)
    assert shown("validate", str(release))[0] == 1
    flip("report.html")(release)
    assert shown("validate", str(release))[0] == 4
    assert shown("validate", str(release), "--fail-on", "never")[0] == 0


def test_a_warning_fails_only_if_asked(release: Path) -> None:
    DAMAGED["without_permissions"][0](release)
    assert shown("validate", str(release), "--fail-on", "warning")[0] == 1


def test_any_flipped_byte_of_a_table_ends_in_findings(release: Path) -> None:
    """Whatever a Parquet file holds, validation ends, in findings."""
    path = release / "data" / "slides.parquet"
    whole = path.read_bytes()
    draw = random.Random(20260102)
    for _ in range(30):
        content = bytearray(whole)
        for _ in range(draw.choice([1, 1, 4])):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content)
        reseal(release)
        found = {one.rule for one in validate(release, Choice(("PC-DIG", "PC-SCH"))).findings}
        assert bool({"PC-DIG-004", "PC-SCH-002"} & found) == (bytes(content) != whole)


# --- Tables, workspaces, recipes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda data: data, set()),
        (lambda data: pa.concat_tables([data, data]), {"PC-SCH-005"}),
        (lambda data: data.append_column("barcode", pa.array([CANARY] * data.num_rows)), {"PC-PRIV-001"}),
    ],
)
def test_a_table_alone(built: Path, tmp_path: Path, change: Any, expected: set[str]) -> None:
    source = built.parents[2] / "deid" / "slides.parquet"
    pq.write_table(change(pq.read_table(source)), tmp_path / "slides.parquet")
    assert validate(tmp_path / "slides.parquet").kind == "table"
    assert rules(tmp_path / "slides.parquet") == expected


def test_a_workspace(built: Path, write: Callable[[str, str], Path]) -> None:
    assert rules(built.parents[2]) == set()
    file = write(
        "w/pathcurate.yaml",
        "workspace: 1\nname: w\nsites:\n  - code: NB01\n    archives: [{name: main, root: slides}]\n"
        "    reports: [{path: 'lis/*.csv', mapping: nb01.yaml}]\n"
        "permissions: [{path: consent.csv, mapping: consent.yaml}]\n",
    )
    assert rules(file) == rules(file.parent) == {"PC-WSP-001", "PC-WSP-002", "PC-WSP-003", "PC-WSP-005"}
    file.write_text("workspace: 1\nname: w\n")
    assert rules(file) == {"PC-WSP-004"}


def test_what_cannot_be_checked(tmp_path: Path, write: Callable[[str, str], Path]) -> None:
    for path in (tmp_path, write("slide.svs", "x")):
        with pytest.raises(UsageError):
            validate(path)
    with pytest.raises(RecipeError):
        validate(write("broken.yaml", "recipe: 1\n"))
