"""What changed between two versions, and the least step that says so."""

import itertools
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.diff import check_version, compare, is_enough
from pathcurate.diff.contents import Contents, TableContents, release_contents
from pathcurate.diff.notes import difference_markdown
from pathcurate.digests import file_sha256
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError, VersionError
from pathcurate.model.diff import Bump, Difference, version_step
from pathcurate.releases import read_release, verify_release
from tests.built import build_release, copy_release, reseal, rewrite_manifest, rewrite_table
from tests.property.test_diff_property import contents

DATA = pa.table({
    "slide_id": ["S1", "S2", "S3"], "patient_id": ["P1", "P1", "P2"], "stain": ["HE", "HE", None],
    "mpp": [0.25, 0.5, 0.25], "split": ["train", "train", "test"],
})  # fmt: skip


def required(data: pa.Table, name: str) -> pa.Table:
    index = data.schema.get_field_index(name)
    return data.cast(data.schema.set(index, data.schema.field(index).with_nullable(False)))


def noted(data: pa.Table, name: str, **notes: str) -> pa.Table:
    index = data.schema.get_field_index(name)
    return data.cast(data.schema.set(index, data.schema.field(index).with_metadata(notes)))


def put(name: str, values: list[Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda data: data.set_column(data.schema.get_field_index(name), name, pa.array(values))


CHANGES: dict[str, tuple[Callable[[pa.Table], pa.Table], Bump, str]] = {
    "nothing": (lambda data: data, Bump.PATCH, "only the packaging changed"),
    "order of rows": (lambda data: data.take([2, 0, 1]), Bump.PATCH, "only the packaging changed"),
    "order of columns": (lambda data: data.select(data.column_names[::-1]), Bump.PATCH, "only the packaging changed"),
    "a meaning": (lambda data: noted(data, "stain", meaning="Stain, as named."), Bump.PATCH, "only the packaging changed"),
    "a row more": (
        lambda data: pa.concat_tables([data, data.slice(0, 1).set_column(0, "slide_id", pa.array(["S4"]))]),
        Bump.MINOR, "1 row was added"),
    "a column more": (lambda data: data.append_column("qc", pa.array(["ok"] * 3)), Bump.MINOR, "column slides.qc was added"),
    "a column that is always there": (
        lambda data: required(data, "mpp"), Bump.MINOR, "column slides.mpp now has a value in every row"),
    "a row less": (lambda data: data.slice(1), Bump.MAJOR, "1 row was removed"),
    "two rows less": (lambda data: data.slice(2), Bump.MAJOR, "2 rows were removed"),
    "a value": (put("stain", ["HE", "PAS", None]), Bump.MAJOR, "1 row was edited (stain)"),
    "a value that came": (put("stain", ["HE", "HE", "HE"]), Bump.MAJOR, "1 row was edited (stain)"),
    "two values of two columns": (
        lambda data: put("mpp", [0.25, 0.5, 1.0])(put("stain", ["PAS", "HE", None])(data)),
        Bump.MAJOR, "2 rows were edited (stain, mpp)"),
    "the other patient": (put("patient_id", ["P1", "P2", "P2"]), Bump.MAJOR, "1 patient was moved to another side"),
    "a side": (put("split", ["train", "train", "val"]), Bump.MAJOR, "1 patient was moved to another side of the split"),
    "a column less": (lambda data: data.drop_columns(["mpp"]), Bump.MAJOR, "column slides.mpp was removed"),
    "a column's name": (
        lambda data: data.rename_columns([{"mpp": "mpp_x"}.get(name, name) for name in data.column_names]),
        Bump.MAJOR, "column slides.mpp was removed"),
    "a type": (
        put("mpp", ["0.25", "0.5", "0.25"]), Bump.MAJOR,
        "column slides.mpp has another type, unit or identifying class"),
    "a unit": (
        lambda data: noted(data, "mpp", unit="nm/px"), Bump.MAJOR,
        "column slides.mpp has another type, unit or identifying class"),
    "a class": (
        lambda data: noted(data, "stain", identifying="quasi"), Bump.MAJOR,
        "column slides.stain has another type, unit or identifying class"),
    "all rows": (lambda data: data.slice(0, 0), Bump.MAJOR, "3 rows were removed"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_demands_its_step(name: str) -> None:
    change, bump, reason = CHANGES[name]
    difference = compare(contents("1.0.0", DATA), contents("9.0.0", change(DATA)))
    assert (difference.bump, difference.reasons[0].text[: len(reason)]) == (bump, reason)
    assert is_enough(difference)


def test_a_column_that_may_now_be_missing_promises_less() -> None:
    difference = compare(contents("1.0.0", required(DATA, "mpp")), contents("1.1.0", DATA))
    assert (difference.bump, difference.reason) == (Bump.MAJOR, "column slides.mpp may now have no value")


def test_permissions_that_are_gone_and_another_purpose_promise_less() -> None:
    old = contents("1.0.0", DATA)
    assert compare(old, contents("1.0.1", DATA, has_permissions=False)).bump is Bump.MAJOR
    assert compare(contents("1.0.0", DATA, has_permissions=False), contents("1.0.1", DATA)).bump is Bump.PATCH
    assert compare(old, contents("1.0.1", DATA, recipe={"purpose": "product"})).bump is Bump.MAJOR


def test_tables_come_and_go() -> None:
    old, new = contents("1.0.0", DATA), contents("1.1.0", DATA)
    both = Contents(
        "small", "1.1.0", {**new.tables, "reports": new.tables["slides"]}, new.counts, True, new.attrition, new.recipe
    )
    grown = compare(old, both)
    assert (grown.bump, grown.reason, grown.tables_added) == (Bump.MINOR, "table reports was added", ("reports",))
    shrunk = compare(both, old)
    assert (shrunk.bump, shrunk.reason, shrunk.tables_removed) == (Bump.MAJOR, "table reports was removed", ("reports",))


@pytest.mark.parametrize("after", [(), ("patient_id",)])
def test_another_key_is_a_major_step(after: tuple[str, ...]) -> None:
    difference = compare(contents("1.0.0", DATA), contents("1.0.1", DATA, after))
    assert difference.reason == "other columns identify the rows of table slides"


def test_a_key_that_is_not_unique_is_no_key() -> None:
    twice = pa.concat_tables([DATA, DATA.slice(0, 1)])
    rows = compare(contents("1.0.0", twice), contents("2.0.0", DATA)).tables["slides"].rows
    assert (rows.added, rows.removed, rows.changed, rows.unchanged) == (0, 1, 0, 3)


def test_a_key_of_two_columns_is_one() -> None:
    key = ("slide_id", "patient_id")
    edited = put("stain", ["HE", "PAS", None])(DATA)
    rows = compare(contents("1.0.0", DATA, key), contents("2.0.0", edited, key)).tables["slides"].rows
    assert (rows.changed, rows.unchanged, rows.by_column) == (1, 2, {"stain": 1})


@pytest.mark.parametrize(
    "strange",
    [
        put("stain", [{"龘": 1}, {"龘": 2}, {"龘": 3}]),
        put("slide_id", [{"龘": 1}, {"龘": 2}, {"龘": 3}]),
        lambda data: data.append_column("stain", pa.array(["龘"] * 3)),
        put("split", [b"\xff", b"\xff", b"a"]),
    ],
    ids=["a struct", "a struct as key", "two columns of one name", "bytes as side"],
)
def test_columns_that_no_release_has_are_an_error_without_their_values(strange: Callable[[pa.Table], pa.Table]) -> None:
    def foreign(version: str, data: pa.Table) -> Contents:
        good = contents(version, DATA)
        identity: Any = {**good.tables["slides"].identity, "digest": version}
        return replace(good, tables={"slides": TableContents(("slide_id",), identity, data.schema, data.select)})

    data = strange(DATA)
    edited = pa.concat_tables([data.slice(2), data.slice(0, 1)]).set_column(0, "slide_id", data.column(0).slice(1))
    with pytest.raises(InputOutputError, match="table slides cannot be compared") as caught:
        compare(foreign("1.0.0", data), foreign("2.0.0", edited))
    assert "龘" not in str(caught.value)


def test_an_unchanged_table_is_not_read() -> None:
    def unread() -> pa.Table:
        raise AssertionError("read although its digests say that it is the same")

    old, new = contents("1.0.0", DATA), contents("1.0.1", DATA.take([1, 2, 0]))
    for side in (old, new):
        object.__setattr__(side.tables["slides"], "read", unread)
    difference = compare(old, new)
    assert difference.tables["slides"].rows.unchanged == 3
    assert (difference.counts["slides"].added, difference.counts["patients"].removed) == (0, 0)
    assert difference.counts["cases"].added is None  # no column names cases


def test_attrition_and_recipe_are_compared_by_id() -> None:
    def step(name: str, dropped: int, left: int) -> dict[str, Any]:
        return {"id": name, "dropped": dropped, "remaining": {"slides": left}}

    def recipe(*include: str, **others: Any) -> dict[str, Any]:
        return {"purpose": "research", "version": "x", "include": [{"id": name} for name in include], **others}

    minor = [{"id": "minor", "where": {"age": 1}}]
    old = contents("1.0.0", DATA, attrition={"steps": [step("he", 1, 9), step("old", 2, 7)]},
                   recipe=recipe("he", "old", "organ", exclude=minor, title="A"))  # fmt: skip
    new = contents("1.0.1", DATA, attrition={"steps": [step("he", 1, 9), step("new", 4, 5)]},
                   recipe=recipe("organ", "he", "new", "minor", title="B"))  # fmt: skip
    difference = compare(old, new)
    assert [(item.id, item.dropped, item.remaining) for item in difference.attrition] == [
        ("he", (1, 1), (9, 9)), ("new", (None, 4), (None, 5)), ("old", (2, None), (7, None)),
    ]  # fmt: skip
    changes = difference.recipe
    assert (changes.added, changes.removed, changes.changed) == (("new",), ("old",), ("minor",))
    assert (changes.is_reordered, changes.keys) == (True, ("title",))


@pytest.mark.parametrize(
    ("before", "after", "step"),
    [
        ("1.4.2", "2.0.0", "major"), ("1.4.2", "1.5.0", "minor"), ("1.4.2", "1.4.3", "patch"), ("1.4.2", "1.4.2", "none"),
        ("1.4.2", "1.4.2+b2", "none"), ("1.0.0", "2.0.0-rc.1", "major"), ("2.0.0-rc.1", "2.0.0-rc.2", "major"),
        ("2.0.0-rc.1", "2.0.0", "major"), ("1.0.1-rc.1", "1.0.1", "patch"), ("1.1.0-rc.1", "1.1.0", "minor"),
        ("1.9.0", "1.10.0", "minor"),
    ],
)  # fmt: skip
def test_the_step_between_two_versions(before: str, after: str, step: str) -> None:
    assert version_step(before, after) == step


@pytest.mark.parametrize(
    ("after", "least"),
    [("1.0.0", "2.0.0"), ("1.0.1", "2.0.0"), ("1.9.0", "2.0.0"), ("0.9.0", "2.0.0"), ("1.0.0-rc.1", "2.0.0")],
)
def test_a_version_that_is_too_small_is_refused_with_the_one_that_would_do(after: str, least: str) -> None:
    difference = compare(contents("1.0.0", DATA), contents(after, DATA.slice(1)))
    assert not is_enough(difference)
    with pytest.raises(VersionError) as caught:
        check_version(difference)
    assert caught.value.message == f"{after} is too small: 1 row was removed, which needs at least {least}"
    assert least in caught.value.hint


# --- Releases --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_release(tmp_path_factory.mktemp("diff") / "w")


@pytest.fixture
def release(built: Path, tmp_path: Path) -> Path:
    return copy_release(built, tmp_path / "1.0.0")


def difference(before: Path, after: Path) -> Difference:
    return compare(release_contents(verify_release(before)), release_contents(verify_release(after)))


def test_a_release_is_the_same_as_itself(built: Path, release: Path) -> None:
    found = difference(built, release)
    assert (found.is_same, found.bump, is_enough(found)) == (True, Bump.NONE, True)


def test_another_layout_is_other_packaging(built: Path, release: Path) -> None:
    rewrite_table(release, lambda data: data.combine_chunks())
    found = difference(built, release)
    assert (found.is_same, found.bump, found.reason) == (False, Bump.PATCH, "only the packaging changed")
    assert not is_enough(found)  # by a version that is not higher


def test_no_value_of_a_cell_is_in_the_comparison(built: Path, release: Path) -> None:
    rewrite_table(release, lambda data: put("stain", ["PAS"] * 12)(data).slice(1))
    found = difference(built, release)
    assert found.bump is Bump.MAJOR
    text = json.dumps({**found.as_dict(), "strata": [], "tables": [table.rows.by_column for table in found.tables.values()]})
    strata = json.dumps([asdict(stratum) for stratum in found.strata])
    table = release_contents(read_release(built)).tables["slides"]
    rows = table.read(table.schema.names).to_pylist()
    assert len(rows) == 12
    for row in (*rows, {"stain": "PAS"}):
        for name, value in row.items():
            assert not isinstance(value, str) or f'"{value}"' not in text
            # Frequent values of closed sets are what a spread is of; six of a sex are few.
            assert not isinstance(value, str) or name in {"site", "stain"} or f'"{value}"' not in strata


def test_changed_bytes_are_not_compared(built: Path, release: Path) -> None:
    (release / "quality" / "attrition.json").write_text("{}")
    with pytest.raises(DigestMismatchError):
        difference(built, release)


@pytest.mark.parametrize(
    ("relpath", "text"),
    [
        ("quality/attrition.json", "{}"), ("quality/attrition.json", '{"steps": [{"id": 1}]}'),
        ("quality/attrition.json", "["),
        ("provenance/recipe.lock.yaml", "- 龘"), ("provenance/recipe.lock.yaml", "{"),
        ("provenance/recipe.lock.yaml", "include: [{x: 龘}]"), ("provenance/recipe.lock.yaml", "!!python/object:os.x {}"),
        ("provenance/recipe.lock.yaml", "a: &a [龘, 龘]\n" + "".join(
            f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}]\n" for old, new in itertools.pairwise("abcdefghijklmnop"))),
        ("provenance/recipe.lock.yaml", "include: 7"), ("quality/attrition.json", "[" * 100_000),
        ("quality/attrition.json", '{"steps": [{"id": "x", "dropped": {"龘": 1}, "remaining": {"slides": 1}}]}'),
        ("quality/attrition.json", '{"steps": [{"id": "x", "dropped": "龘", "remaining": {"slides": 1}}]}'),
        ("quality/attrition.json", '{"steps": [{"id": "x", "dropped": -1, "remaining": {"slides": 1}}]}'),
        ("quality/attrition.json", '{"steps": [{"id": "x", "dropped": 1e400, "remaining": {"slides": 1}}]}'),
        ("quality/attrition.json", '{"steps": [{"id": ["龘"], "dropped": 1, "remaining": {"slides": 1}}]}'),
        ("quality/attrition.json", '{"steps": [], "levels": {"龘": 1}}'),
        ("quality/deid-evaluation.json", '["龘"]'), ("quality/scorecard.json", "[1"), ("product.yaml", "name: 龘"),
        ("product.yaml", "- 龘"),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_a_release_that_something_else_made_is_an_error_without_its_text(release: Path, relpath: str, text: str) -> None:
    (release / relpath).write_text(text)
    reseal(release)
    with pytest.raises(InputOutputError) as caught:
        release_contents(verify_release(release))
    assert "龘" not in str(caught.value)


def test_a_recipe_of_very_many_codes_is_read_from_a_footer_that_its_digest_vouches_for(
    built: Path, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = release_contents(read_release(built)).recipe
    monkeypatch.setattr("pathcurate.diff.contents._product_file", lambda directory: None)
    monkeypatch.setattr("pathcurate.yamlsource.MAX_BYTES", 100)
    assert release_contents(read_release(built)).recipe == whole
    rewrite_table(release, lambda data: data.replace_schema_metadata({"pathcurate.recipe": "{}"}))
    with pytest.raises(InputOutputError, match="no recipe"):
        release_contents(verify_release(release))


@pytest.mark.parametrize("rows", [0, 13, 2**70])
def test_other_numbers_of_rows_than_the_manifest_says_are_an_error(release: Path, rows: int) -> None:
    manifest = json.loads((release / "MANIFEST.json").read_bytes())
    manifest["tables"]["slides"]["rows"] = rows
    rewrite_manifest(release, json.dumps(manifest))
    with pytest.raises(InputOutputError, match="table slides has another number of rows than its manifest says"):
        release_contents(verify_release(release))


def test_counts_of_any_size_are_compared(built: Path, release: Path) -> None:
    manifest = json.loads((release / "MANIFEST.json").read_bytes())
    manifest["counts"]["slides"] = 10**400
    rewrite_manifest(release, json.dumps(manifest))
    found = difference(built, release)
    assert found.counts["slides"].after == 10**400
    assert f"{10**400:,}" in difference_markdown(found)


def test_part_files_are_one_table_and_must_have_the_same_columns(built: Path, release: Path) -> None:
    manifest = json.loads((release / "MANIFEST.json").read_bytes())
    path = release / "data" / "slides.parquet"
    data, parts = pq.read_table(path), []
    path.unlink()
    for number, piece in enumerate((data.slice(0, 5), data.slice(5))):
        part = release / "data" / "slides" / f"part-{number:05d}.parquet"
        part.parent.mkdir(exist_ok=True)
        pq.write_table(piece, part)
        parts.append({"path": str(part.relative_to(release)), "rows": piece.num_rows, "bytes": part.stat().st_size,
                      "sha256": file_sha256(part)})  # fmt: skip
    manifest["tables"]["slides"]["parts"] = parts
    manifest["tables"]["slides"]["table_digest"] = "sha256:" + "0" * 64  # so that they are read
    rewrite_manifest(release, json.dumps(manifest))
    assert difference(built, release).tables["slides"].rows.unchanged == 12
    pq.write_table(data.slice(5).drop_columns(["stain"]), release / parts[1]["path"])
    reseal(release)
    with pytest.raises(InputOutputError, match="the files of table slides have different columns"):
        release_contents(verify_release(release))


def test_columns_of_few_values_are_compared_by_their_numbers_in_each_group_of_rows(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(version: str, stains: list[str | None]) -> Path:
        path = copy_release(release, tmp_path / version / "1.0.0")

        def grown(data: pa.Table) -> pa.Table:
            rows = data.take([number % data.num_rows for number in range(len(stains))])
            names = pa.array([f"S-{number:016}" for number in range(len(stains))])
            return put("stain", stains)(rows.set_column(0, rows.schema.field(0), names))

        rewrite_table(path, grown)
        file = path / "data" / "slides.parquet"
        pq.write_table(pq.read_table(file), file, row_group_size=500)
        reseal(path)
        return path

    # Each group of rows has a dictionary of its own, in another order than the others'.
    stains = ["HE"] * 700 + ["PAS"] * 800 + [None] * 100 + ["EVG"] * 900
    changed = [*stains[:600], *["EVG"] * 50, *stains[650:1550], *["HE"] * 50, *stains[1600:]]
    before, after = written("a", stains), written("b", changed)
    table = release_contents(verify_release(before)).tables["slides"]
    assert pa.types.is_dictionary(table.read(["stain"]).schema.field("stain").type)
    found = difference(before, after)
    assert found.tables["slides"].rows.by_column == {"stain": 100}
    # Of a column that is too long to be held, the rows of both versions are read side by side.
    monkeypatch.setattr("pathcurate.diff.contents._LONG", 0)
    monkeypatch.setattr("pathcurate.diff.rows._PIECE_ROWS", 333)
    fewer = written("c", changed[:-600])
    assert "stain" in release_contents(verify_release(before)).tables["slides"].long
    for after_one, rows in ((after, (0, 0, 100)), (fewer, (0, 600, 100))):
        changes = difference(before, after_one).tables["slides"].rows
        assert (changes.added, changes.removed, changes.changed) == rows
        assert changes.by_column == {"stain": 100}
    assert [(share.value, share.before, share.after) for share in next(
        one for one in found.strata if one.column == "stain").shares] == [
        ("EVG", 900, 950), ("PAS", 800, 800), ("HE", 700, 700), (None, 100, 50)]  # fmt: skip


def test_two_products_are_not_compared(built: Path, release: Path) -> None:
    manifest = json.loads((release / "MANIFEST.json").read_bytes())
    rewrite_manifest(release, json.dumps({**manifest, "product": "other"}))
    with pytest.raises(UsageError, match="two products"):
        difference(built, release)
