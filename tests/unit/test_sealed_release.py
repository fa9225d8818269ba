"""A sealed evaluation as it is built: the labels stay, the release commits to them, and shares nobody with training sets."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.cohort import read_recipe
from pathcurate.errors import (
    DigestMismatchError,
    DisclosureRefusedError,
    InputOutputError,
    PlanIncompleteError,
    RecipeError,
    VaultError,
    VersionError,
)
from pathcurate.members import forget_members, kept_members
from pathcurate.model.benchmark import SEALED_LABELS
from pathcurate.model.finding import Severity
from pathcurate.pseudonyms import sealed_key
from pathcurate.releases import read_release, verify_release
from pathcurate.sealing import (
    KEY_NAME,
    LABELS_NAME,
    commit,
    labels_key,
    labels_of,
    open_labels,
    read_commitment,
    read_task,
    read_unsealed,
    seal_labels,
    write_unsealed,
)
from pathcurate.validate import Choice, validate
from pathcurate.vault import append_event, open_vault
from pathcurate.vault.rotation import rotate
from tests.built import TODAY
from tests.releases import copied, rewrite, rewrite_json, with_values, write
from tests.sealed import SEALED, build_more, rows_of, sealed_release

TRAINING = SEALED.replace("name: small", "name: other").replace("sealed: {task: binary, label: tumour}\n", "")
NOT_SEALED = SEALED.replace("sealed: {task: binary, label: tumour}\n", "")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_release(tmp_path_factory.mktemp("sealed") / "w")


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """A copy of its workspace that may be changed."""
    shutil.copytree(built.parents[2], tmp_path / "w")
    return tmp_path / "w"


def labels(root: Path, version: str = "1.0.0") -> pa.Table:
    release = root / "releases" / "small" / version
    return open_labels(open_vault(root / "vault"), "small", version, read_commitment(release))


# --- What goes out -------------------------------------------------------------------------------------------------------


def test_the_labels_stay_and_are_right(built: Path) -> None:
    release = verify_release(built)
    assert release.manifest["kind"] == "benchmark-sealed"
    shown = pq.read_table(built / "data" / "slides.parquet")
    assert shown.column_names == ["slide_id", "patient_id", "site", "stain"]
    hidden = labels(built.parents[2])
    assert hidden.schema.names == list(SEALED_LABELS.names)
    assert sorted(hidden["unit_id"].to_pylist()) == sorted(shown["slide_id"].to_pylist())
    # Every third of twelve patients has a tumour, on two slides each.
    assert hidden["truth"].to_pylist().count("yes") == 8
    owners = dict(zip(shown["slide_id"].to_pylist(), shown["patient_id"].to_pylist(), strict=True))
    assert {row["unit_id"]: row["patient_id"] for row in hidden.to_pylist()} == owners
    assert set(hidden["scanner"].to_pylist()) == {"leica X0", "hamamatsu X1"}
    task = read_task(built)
    assert (task.task, task.unit, task.classes, task.positive) == ("binary", "slide_id", ("yes", "no"), "yes")
    assert (task.rows, task.label) == (24, "case_tumour")


def test_no_file_of_the_release_tells_a_label(tmp_path: Path) -> None:
    """Two archives that differ in nothing but the answers have the same release, but for what is committed to."""
    other = rows_of()
    for row in other["diagnoses"]:
        row["behaviour"] = "0" if row["behaviour"] == "3" else "3"
    roots = [tmp_path / "a" / "w", tmp_path / "b" / "w"]
    first = sealed_release(roots[0])
    (roots[1]).mkdir(parents=True)
    shutil.copytree(roots[0] / "vault", roots[1] / "vault", ignore=shutil.ignore_patterns("sealed", "members", "criteria"))
    second = sealed_release(roots[1], rows=other)
    files = sorted(path.relative_to(first).as_posix() for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second).as_posix() for path in second.rglob("*") if path.is_file())
    # Digests of the inputs and the commitment are others, and with them those of the files that state these.
    masked = [{name: re.sub(rb"[0-9a-f]{64}", b"", (one / name).read_bytes()) for name in files} for one in (first, second)]
    assert [name for name in files if masked[0][name] != masked[1][name]] == []
    assert read_commitment(first) != read_commitment(second)


def test_it_is_built_again_to_the_byte(root: Path, built: Path) -> None:
    shutil.rmtree(root / "releases" / "small")
    again = build_more(root, SEALED, "small")
    assert again.is_new
    assert again.release.digest == read_release(built).digest
    assert not build_more(root, SEALED, "small").is_new


def test_it_passes_validation(built: Path) -> None:
    result = validate(built, Choice(today=TODAY))
    assert [one for one in result.findings if one.severity is Severity.ERROR] == []
    assert "PC-SPL-010" in result.checks


@pytest.mark.parametrize(
    "damage",
    [
        lambda it: write(it, "evaluation/task.json", None),
        lambda it: write(it, "evaluation/commitment.json", None),
        lambda it: write(it, "evaluation/separation.json", None),
        lambda it: rewrite_json(it, "evaluation/task.json", lambda said: said | {"task": "guess"}),
        lambda it: rewrite_json(it, "evaluation/task.json", lambda said: said | {"rows": 7}),
        lambda it: rewrite_json(it, "evaluation/task.json", lambda said: said | {"product": "another"}),
        lambda it: rewrite_json(it, "evaluation/commitment.json", lambda said: said | {"rows": 1}),
        lambda it: rewrite_json(it, "evaluation/separation.json", lambda said: said | {"shared_groups": 2}),
        lambda it: rewrite(
            it, "slides", lambda data: data.append_column("case_tumour", pa.array([True] * data.num_rows))
        ),
    ],
)  # fmt: skip
def test_a_release_that_breaks_its_seal_is_found(built: Path, tmp_path: Path, damage) -> None:
    release = copied(built, tmp_path / "1.0.0")
    damage(release)
    found = validate(release, Choice(today=TODAY)).findings
    assert "PC-SPL-010" in {one.rule for one in found if one.severity is Severity.ERROR}


def test_a_release_that_is_not_sealed_cannot_pretend(tmp_path: Path) -> None:
    release = sealed_release(tmp_path / "w", NOT_SEALED)
    assert read_release(release).manifest["kind"] == "manifest-only"
    assert not (release / "evaluation").exists()
    with pytest.raises(PlanIncompleteError):
        read_task(release)


# --- The vault -----------------------------------------------------------------------------------------------------------


def test_what_was_sealed_cannot_be_read_without_the_key(built: Path) -> None:
    (sealed,) = (built.parents[2] / "vault" / "sealed").iterdir()
    assert sealed.stat().st_mode & 0o777 == 0o600
    assert b"PAR1" not in sealed.read_bytes()
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(sealed)


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_changed_byte_in_the_vault_is_found(root: Path, place: int) -> None:
    (sealed,) = (root / "vault" / "sealed").iterdir()
    content = bytearray(sealed.read_bytes())
    content[place] ^= 1
    sealed.write_bytes(content)
    with pytest.raises(DigestMismatchError, match="changed in the vault"):
        labels(root)


def test_a_label_that_the_holder_changes_is_found(root: Path) -> None:
    vault, commitment = open_vault(root / "vault"), read_commitment(root / "releases" / "small" / "1.0.0")
    changed = with_values("truth", lambda values: ["no", *values[1:]])(labels(root).sort_by([("truth", "descending")]))
    assert seal_labels(vault, "small", "1.0.0", changed, replace=True) != commitment
    with pytest.raises(DigestMismatchError, match="not those that its release committed to"):
        labels(root)
    with pytest.raises(DigestMismatchError, match="other labels are sealed"):
        seal_labels(vault, "small", "1.0.0", labels_of([{"unit_id": "S-0000000000000000", "truth": "yes"}]))


def test_after_a_rotation_the_labels_still_open(root: Path) -> None:
    before = labels(root)
    rotate(open_vault(root / "vault"))
    assert labels(root).equals(before)


def test_another_vault_opens_nothing(root: Path, tmp_path: Path) -> None:
    other = sealed_release(tmp_path / "other" / "w")
    (sealed,) = (root / "vault" / "sealed").iterdir()
    target = other.parents[2] / "vault" / "sealed" / sealed.name
    target.write_bytes(sealed.read_bytes())
    with pytest.raises(VaultError):
        open_labels(open_vault(target.parents[1]), "small", "1.0.0", read_commitment(root / "releases/small/1.0.0"))
    target.unlink()
    with pytest.raises(PlanIncompleteError, match="does not hold the labels"):
        labels(other.parents[2])


def test_the_commitment_hides_and_binds() -> None:
    table = labels_of([{"unit_id": f"S-{number:016}", "truth": "yes", "site": "NB01"} for number in range(5)])
    key, other = sealed_key(b"k" * 32, "small", "1.0.0"), sealed_key(b"k" * 32, "small", "1.0.1")
    assert commit(key, table) == commit(key, table.take([4, 2, 0, 1, 3]))
    assert commit(key, table).value != commit(other, table).value
    # What scores are told apart by is not committed to, for it is not opened in the end.
    assert commit(key, table) == commit(key, with_values("site", lambda _: ["NB02"] * 5)(table))
    for wrong in (table.slice(1), with_values("truth", lambda values: ["no", *values[1:]])(table)):
        assert commit(key, wrong).value != commit(key, table).value


def test_unsealed_labels_are_checked_by_anybody(root: Path, tmp_path: Path) -> None:
    release = root / "releases" / "small" / "1.0.0"
    commitment = read_commitment(release)
    key = labels_key(open_vault(root / "vault"), "small", "1.0.0", commitment)
    opened = tmp_path / "opened"
    opened.mkdir()
    write_unsealed(opened, key, labels(root))
    assert pq.read_schema(opened / LABELS_NAME).names == ["unit_id", "truth", "days", "event"]
    assert read_unsealed(opened, commitment)["truth"].equals(labels(root)["truth"])
    table = pq.read_table(opened / LABELS_NAME)
    pq.write_table(with_values("truth", lambda values: [*values[1:], values[0]])(table), opened / LABELS_NAME)
    with pytest.raises(DigestMismatchError, match="not those that the release committed to"):
        read_unsealed(opened, commitment)
    pq.write_table(table, opened / LABELS_NAME)
    (opened / KEY_NAME).write_text(json.dumps({"key": "00" * 32}))
    with pytest.raises(DigestMismatchError):
        read_unsealed(opened, commitment)
    for wrong in ("{}", '{"key": 3}', "[]", '{"key": "00"}', "\x00"):
        (opened / KEY_NAME).write_text(wrong)
        with pytest.raises(InputOutputError):
            read_unsealed(opened, commitment)


# --- Versions ------------------------------------------------------------------------------------------------------------


def test_other_labels_for_units_that_stay_are_a_major_step(root: Path) -> None:
    data = pq.read_table(root / "deid" / "diagnoses.parquet")
    changed = with_values("behaviour", lambda values: ["0", *values[1:]])(data)
    _replace_deid(root, "diagnoses", changed)
    with pytest.raises(VersionError, match="have other labels, which are sealed"):
        build_more(root, SEALED.replace("1.0.0", "1.1.0"), "small")
    assert build_more(root, SEALED.replace("1.0.0", "2.0.0"), "small").is_new
    with pytest.raises(VersionError):
        build_more(root, SEALED, "small")


def _replace_deid(root: Path, name: str, data: pa.Table) -> None:
    from pathcurate.tables import write_parquet
    from pathcurate.verification import input_states, write_seal
    from pathcurate.workspace import load_workspace

    workspace = load_workspace(root / "pathcurate.yaml")
    write_parquet(workspace.deid / f"{name}.parquet", data)
    write_seal(workspace, input_states(workspace), open_vault(workspace.vault).fingerprint, [])


# --- Nobody is judged who was trained on -----------------------------------------------------------------------------------


def test_a_training_product_that_shares_a_group_is_refused(root: Path) -> None:
    with pytest.raises(
        DisclosureRefusedError, match=r"12 groups of persons of other 1\.0\.0 are in small 1\.0\.0"
    ) as refused:
        build_more(root, TRAINING)
    assert refused.value.exit_code == 13
    assert not (root / "releases" / "other").exists()


def test_a_sealed_product_that_shares_a_group_with_a_training_product_is_refused(tmp_path: Path) -> None:
    root = sealed_release(tmp_path / "w", NOT_SEALED).parents[2]
    with pytest.raises(DisclosureRefusedError, match=r"in small 1\.0\.0, a product that is not sealed"):
        build_more(root, SEALED.replace("name: small", "name: other"))
    # Nor does the product itself become a sealed one with the people it has shown.
    with pytest.raises(DisclosureRefusedError):
        build_more(root, SEALED.replace("1.0.0", "2.0.0"), "small")


@pytest.mark.parametrize(("groups", "is_shared"), [({}, False), ({1: 0}, True), ({1: 5}, False), ({3: 4, 1: 4}, True)])
def test_groups_count_and_not_persons_alone(tmp_path: Path, groups: dict[int, int], is_shared: bool) -> None:
    """Two numbers that may be one person's are one group: one of them trains, the other would be judged."""
    by_sex = "include:\n  - {{id: of_sex, level: patient, where: {{sex: {}}}}}\nlabels:"
    men, women = (by_sex.format(sex) for sex in ("male", "female"))
    root = sealed_release(tmp_path / "w", SEALED.replace("labels:", men, 1), rows_of(6, groups=groups)).parents[2]
    (sealed,) = kept_members(root / "vault")
    assert sealed.rows.num_rows == 3
    training = TRAINING.replace("labels:", women, 1)
    if is_shared:
        with pytest.raises(DisclosureRefusedError, match=r"1 group of persons of other 1\.0\.0 is in small 1\.0\.0"):
            build_more(root, training)
    else:
        assert build_more(root, training).is_new


def test_a_release_that_is_gone_was_given_away_all_the_same(root: Path) -> None:
    shutil.rmtree(root / "releases" / "small")
    with pytest.raises(DisclosureRefusedError):
        build_more(root, TRAINING)


@pytest.mark.parametrize("columns", ["slide_id, patient_id", "slide_id, case_id", "case_id, stain"])
def test_a_release_of_before_the_record_is_read_by_its_codes(tmp_path: Path, columns: str) -> None:
    training = NOT_SEALED.replace("slide_id, patient_id, site, stain", columns)
    root = sealed_release(tmp_path / "w", training).parents[2]
    shutil.rmtree(root / "vault" / "members")
    with pytest.raises(DisclosureRefusedError, match=r"12 groups of persons of other 1\.0\.0 are in small 1\.0\.0"):
        build_more(root, SEALED.replace("name: small", "name: other"))


def test_a_broken_directory_of_a_release_that_is_on_record_stops_no_build(root: Path) -> None:
    (root / "releases" / "small" / "1.0.0" / "MANIFEST.json").unlink()
    with pytest.raises(DisclosureRefusedError, match="12 groups"):
        build_more(root, TRAINING)


def test_a_damaged_record_of_members_stops_the_build(root: Path) -> None:
    (record,) = (root / "vault" / "members").iterdir()
    record.write_bytes(b"nothing")
    with pytest.raises(InputOutputError, match="nobody knows whom"):
        build_more(root, TRAINING)


def test_who_is_erased_is_in_no_record(root: Path) -> None:
    before = next(kept_members(root / "vault")).rows
    gone = before["person_id"].to_pylist()[0]
    forget_members(root / "vault", [gone], [])
    after = next(kept_members(root / "vault"))
    assert (after.is_sealed, after.rows.num_rows) == (True, before.num_rows - 1)
    assert gone not in after.rows["person_id"].to_pylist()


# --- Recipes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("label: tumour}", "label: tumor}"), "is no label of this recipe; did you mean `tumour`"),
        (("task: binary", "task: survival"), "a survival task, and no other, has a label with `time_to_event`"),
        (("task: binary", "task: regression"), "are no numbers"),
        (("task: binary", "task: guess"), "sealed"),
        (("label: tumour}", "label: tumour, positive: maybe}"), "`maybe` is no class of the label"),
        (("label: tumour}", "label: tumour, order: [no, yes]}"), "`order` is for an ordinal task"),
        (("label: tumour}", "label: tumour, topic: colour}"), "is no column of slides with text"),
        (("site, stain]", "site, stain, case_tumour]"), "goes out and tells label `tumour`"),
        (("task: binary", "tasks: binary"), "did you mean `task`"),
    ],
)
def test_a_recipe_that_cannot_be_sealed_is_refused_with_its_place(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    text = SEALED.replace(*change)
    assert text != SEALED
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / "r.yaml")
    assert said in str(caught.value)
    assert "r.yaml:" in str(caught.value)


TABLES = "tables:\n  slides: {columns: [slide_id, stain]}\n  {}: {columns: [{}]}\nsealed"
SECOND = """\
  - name: also
    level: case
    {}
columns: [slide_id, case_also]
sealed"""
COLUMNS_OF_SLIDES = "columns: [slide_id, patient_id, site, stain]\nsealed"
HAS = 'has: {table: diagnoses, where: {behaviour: "3"}}'
GRADE = "column: diagnoses.grade\n    classes: {low: [G1], high: [G2, G3]}\n    if_missing: fail"
ANSWERED = "label: tumour, positive: high}"


@pytest.mark.parametrize(
    ("label", "rest"),
    [
        (HAS, TABLES.replace("{}", "diagnoses", 1).replace("{}", "report_id, behaviour")),
        # Which rows there are can be enough, and so can what hangs together with a column.
        (HAS, TABLES.replace("{}", "diagnoses", 1).replace("{}", "report_id, icdo3_morphology")),
        (GRADE, TABLES.replace("{}", "diagnoses", 1).replace("{}", "report_id, icdo3_morphology")),
        # The same finding in another table.
        (GRADE, TABLES.replace("{}", "reports", 1).replace("{}", "report_id, grade")),
        # The same question by another name.
        (HAS, SECOND.replace("{}", 'has: {table: diagnoses, where: {icdo3_morphology: "8140/3"}}')),
        (GRADE, SECOND.replace("{}", "column: reports.grade")),
        (GRADE, SECOND.replace("{}", HAS)),
        # A side that is of one class only.
        (
            "column: slides.stain\n    classes: {low: [HE], high: [PAS]}\n    if_missing: fail",
            "split: {ratios: {test: 1.0}, hold_out: {far: {stain: PAS}}}\ncolumns: [slide_id, split]\nsealed",
        ),
    ],
)  # fmt: skip
def test_no_other_column_or_table_may_tell_the_label(tmp_path: Path, label: str, rest: str) -> None:
    text = SEALED.replace(HAS, label).replace(COLUMNS_OF_SLIDES, rest)
    if label != HAS:
        text = text.replace("label: tumour}", ANSWERED)
    if "slides.stain" in label:
        text = text.replace("level: case", "level: slide")
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / "r.yaml")
    assert "label `tumour`, which is sealed" in str(caught.value)
    assert str(caught.value).count("r.yaml:") == 1


@pytest.mark.parametrize(
    ("label", "rest"),
    [
        (HAS, TABLES.replace("{}", "reports", 1).replace("{}", "report_id, language")),
        (GRADE, SECOND.replace("{}", "column: reports.laterality")),
        (GRADE, "columns: [slide_id, stain, split]\nsplit: {ratios: {test: 1.0}, hold_out: {far: {site: NB02}}}\nsealed"),
    ],
)  # fmt: skip
def test_what_tells_nothing_of_the_label_may_go_out(tmp_path: Path, label: str, rest: str) -> None:
    text = SEALED.replace(HAS, label).replace(COLUMNS_OF_SLIDES, rest)
    (tmp_path / "r.yaml").write_text(text.replace("label: tumour}", ANSWERED) if label != HAS else text)
    assert read_recipe(tmp_path / "r.yaml").recipe.sealed is not None


def test_the_cohort_of_a_sealed_evaluation_is_the_curators_own(root: Path) -> None:
    assert (root / "cohorts" / "small" / "cohort.parquet").stat().st_mode & 0o777 == 0o600


GRADED = SEALED.replace(
    'has: {table: diagnoses, where: {behaviour: "3"}}',
    "column: diagnoses.grade\n    classes: {low: [G1], middle: [G2], high: [G3]}\n    if_missing: fail",
)


@pytest.mark.parametrize(
    ("sealed", "classes"),
    [
        ("{task: multiclass, label: tumour}", ("low", "middle", "high")),
        ("{task: ordinal, label: tumour, order: [high, middle, low], topic: stain}", ("high", "middle", "low")),
        ("{task: choice, label: tumour, topic: vendor}", ("low", "middle", "high")),
    ],
)
def test_tasks_with_classes(tmp_path: Path, sealed: str, classes: tuple[str, ...]) -> None:
    recipe = GRADED.replace("{task: binary, label: tumour}", sealed)
    release = sealed_release(tmp_path / "w", recipe)
    task = read_task(release)
    assert (task.classes, task.has_topics) == (classes, "topic" in sealed)
    hidden = labels(tmp_path / "w")
    assert hidden["truth"].to_pylist().count("middle") == 8
    assert (hidden["topic"].null_count == 0) is ("topic" in sealed)


def test_a_label_may_not_be_missing(tmp_path: Path) -> None:
    recipe = GRADED.replace("{task: binary", "{task: multiclass").replace("    if_missing: fail", "    if_missing: pass")
    (tmp_path / "r.yaml").write_text(recipe)
    with pytest.raises(RecipeError, match="if_missing: fail"):
        read_recipe(tmp_path / "r.yaml")


def test_numbers_are_sealed_as_decimal_text(tmp_path: Path) -> None:
    recipe = SEALED.replace(
        'has: {table: diagnoses, where: {behaviour: "3"}}', "column: diagnoses.nodes_positive\n    if_missing: fail"
    ).replace("task: binary", "task: regression")
    release = sealed_release(tmp_path / "w", recipe)
    assert read_task(release).classes == ()
    assert {float(value) for value in labels(tmp_path / "w")["truth"].to_pylist()} == {0, 1, 2, 3, 4}


def test_groups_of_an_earlier_build_are_kept_beside_those_of_today(root: Path) -> None:
    (members,) = kept_members(root / "vault")
    later = with_values("group_id", lambda values: ["Q-9999999999999999", *values[1:]])(members.rows)
    replace(members, rows=later).record(root / "vault")
    replace(members, rows=later).record(root / "vault")
    (both,) = kept_members(root / "vault")
    assert both.rows.num_rows == members.rows.num_rows + 1
    assert set(members.rows["group_id"].to_pylist()) < set(both.rows["group_id"].to_pylist())


def test_a_set_of_questions_of_that_name_keeps_its_answers(root: Path) -> None:
    shutil.rmtree(root / "releases" / "small")
    append_event(root / "vault", "tester", "product seal", {"product": "small", "version": "1.0.0", "units": 3})
    with pytest.raises(VersionError, match="a set of questions is sealed"):
        build_more(root, SEALED, "small")
