"""Recipes in words: nothing of a recipe goes unsaid, in neither language."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from pathcurate.model.attrition import ShownAttrition, ShownStep
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.levels import recipe_views
from pathcurate.recipewords import Language, counts_of_last_run, explain
from pathcurate.recipewords.changes import change_lines, changes
from pathcurate.recipewords.tongue import Tongue, _words

WHOLE: dict[str, Any] = {
    "recipe": 1, "name": "thorax", "version": "1.0.0", "title": "Thoracic tumours", "owner": "team@hospital.example",
    "approval": "IRB-1", "purpose": "research", "extends": ["base/quality.yaml"],
    "params": {"since": {
        "type": "date", "default": "2012-01-01", "help": "first scan date", "choices": ["2012-01-01", "2013-01-01"]}},
    "links": ["exact", "barcode"], "unit": "slide",
    "codelists": {
        "site": {"system": "icd10", "version": "2019", "codes": ["C34", "C37"], "match": "descendants",
                 "without": ["C34.9"]},
        "morphology": {"system": "icdo3-morphology", "file": "codelists/m.csv", "column": "icdo", "sha256": "5b1f0c2d"},
    },
    "concepts": {"adeno": {
        "any": ["adenocarcinoma", "腺癌"], "unless": ["in situ"], "sections": ["diagnosis"], "assertion": "affirmed",
        "lang": ["en"]}},
    "index": {"table": "reports", "date": "reported_date", "pick": "first", "per": ["laterality"],
              "where": {"icd10": {"codelist": "site"}}, "text": "adeno"},
    "include": [
        {"id": "he", "label": "H&E", "level": "slide", "where": {"stain": "HE", "mpp": {"min": 0.2, "max": 0.3}},
         "if_missing": "fail"},
        {"id": "films", "level": "patient", "has": {
            "table": "series", "where": {"modality": {"any_of": ["CR", "DX"]}}, "text": "adeno",
            "within": {"from": "-90d", "to": "36mo"}, "date": "series_date", "match": ["laterality"], "count": ">=2"}},
        {"id": "either", "level": "case", "any_of": [
            {"id": "one", "label": "first way", "level": "patient", "where": {"organ": {"missing": False}}},
            {"has": {"table": "reports"}},
            {"any_of": [{"sql": "age > 3"}, {"where": {"age": 3}}]},
        ]},
        {"id": "raw", "level": "slide", "sql": "width > 10"},
    ],
    "exclude": [
        {"id": "control", "label": "control slide", "level": "slide", "where": {"is_control": True}, "if_missing": "pass"},
        {"id": "second", "level": "patient", "has": {"table": "cases", "count": ">1"}},
        {"id": "rest", "level": "case", "any_of": [{"where": {"age": 1}}, {"where": {"age": 2}}]},
        {"id": "odd", "level": "case", "sql": "age > 200"},
    ],
    "labels": [
        {"name": "subtype", "level": "specimen", "column": "diagnoses.icdo3_morphology", "where": {"organ": "lung"},
         "classes": {"luad": ["8140/3"], "lusc": {"codelist": "morphology"}}, "on_conflict": "drop", "if_missing": "pass"},
        {"name": "inflamed", "level": "case", "has": {"table": "reports", "text": "adeno"}},
        {"name": "death", "level": "patient", "time_to_event": {
            "event": {"table": "events", "where": {"kind": "death"}, "text": "adeno", "within": {"to": "5y"},
                      "date": "end_date", "match": ["laterality"]}, "censor": {"table": "events"}}},
        {"name": "hb", "level": "patient", "nearest": {
            "table": "events", "column": "value", "where": {"kind": "laboratory"}, "direction": "before",
            "within": {"from": "-30d"}, "match": ["laterality"]}},
        {"name": "drawn", "level": "slide", "from": "annotations", "classes": {"tumour": ["tumour"]}},
    ],
    "sample": {"seed": "s1", "per": [{"level": "case", "max": 2, "order": ["-tissue_fraction"]}],
               "balance": {"by": ["site"], "max": 100, "if_short": "take_all"}},
    "split": {"group": "patient", "ratios": {"train": 0.8, "test": 0.2}, "seed": "s2", "stratify": ["site"],
              "hold_out": {"external": {"site": {"any_of": ["NB04"]}}}, "keep_from": "thorax@0.9.0"},
    "disclosure": {"min_cell": 10, "round_to": 5, "k": 5, "quasi_identifiers": ["sex"]},
    "tables": {
        "slides": {"columns": ["slide_id", "split"]},
        "events": {"rows": "of_patients", "where": {"kind": "visit"}, "within": {"from": "-2y"}, "match": ["laterality"],
                   "columns": ["patient_id", "kind"]},
    },
    "texts": ["diagnosis"],
    "sealed": {"task": "binary", "label": "subtype", "positive": "luad", "order": ["luad", "lusc"], "topic": "stain"},
    "expect": {"rows": {"min": 20, "max": 200}, "cases": {"min": 3}, "patients": {"max": 9}, "not_empty": ["luad"],
               "cases_file": "catalog/known.csv"},
}  # fmt: skip
"""A recipe in which every field of every part has a value somewhere."""
WINDOWS = ("-36mo", "0d", "7w", "3y")
COUNTS = (">=1", ">=3", ">2", "=2", "<=2", "=0")
LANGUAGES: tuple[Language, ...] = ("en", "zh")

Field = tuple[str, str]


def spoken(recipe: Recipe, language: Language) -> str:
    return "\n".join(line for passage in explain(recipe, language) for line in (passage.heading, *passage.lines))


@pytest.fixture(scope="module")
def whole() -> Recipe:
    return Recipe.model_validate(WHOLE)


def changed(part: BaseModel) -> Iterator[tuple[Field, BaseModel]]:
    """The part with one thing in it changed, in every way there is, and which field that is."""
    for name, field in type(part).model_fields.items():
        if name == "recipe" or (name in {"if_missing", "on_conflict"} and getattr(part, "has", None) is not None):
            continue  # the language has one version, and a count is never open
        value = getattr(part, name)
        for where, other in changed_value(value, (type(part).__name__, name), choices(field.annotation)):
            yield where, part.model_copy(update={name: other})


def choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for arg in get_args(annotation) if (found := choices(arg))), ())


def changed_value(value: Any, field: Field, known: tuple[Any, ...]) -> Iterator[tuple[Field, Any]]:
    match value:
        case BaseModel():
            yield from changed(value)
        case dict():
            for key, item in value.items():
                yield field, {f"{other}1" if other == key else other: one for other, one in value.items()}
                yield from ((where, {**value, key: one}) for where, one in changed_value(item, field, ()))
        case tuple():
            for number, item in enumerate(value):
                if len(value) > 1:
                    yield field, (*value[:number], *value[number + 1 :])
                others = changed_value(item, field, known)
                yield from ((at, (*value[:number], one, *value[number + 1 :])) for at, one in others if one not in value)
        case _ if value is not None:
            yield from ((field, other) for other in other_values(value, field, known) if other != value)


def other_values(value: Any, field: Field, known: tuple[Any, ...]) -> tuple[Any, ...]:
    if known:
        # Two of them: that no two have one word is tested by itself.
        return tuple(other for other in known if other != value)[:2]
    if field[0] == "Window" or field[1] == "count":
        return WINDOWS if field[0] == "Window" else COUNTS
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int | float):
        return (value + 1,)
    return (value + timedelta(days=1),) if isinstance(value, date) else (f"{value}1",)


def test_every_field_of_every_part_is_spoken_of(whole: Recipe) -> None:
    before = {language: spoken(whole, language) for language in LANGUAGES}
    silent = {
        (where, language)
        for where, other in changed(whole)
        for language in LANGUAGES
        if spoken(other, language) == before[language]  # type: ignore[arg-type]
    }
    assert silent == set()


def parts(part: type[BaseModel], found: dict[str, type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """All parts that a recipe can have, by name."""

    def within(annotation: Any) -> Iterator[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        for argument in get_args(annotation):
            yield from within(argument)

    if part.__name__ not in found:
        found[part.__name__] = part
        for field in part.model_fields.values():
            for inner in within(field.annotation):
                parts(inner, found)
    return found


def test_the_whole_recipe_has_a_value_for_every_field_there_is(whole: Recipe) -> None:
    there_are = {(name, field) for name, part in parts(Recipe, {}).items() for field in part.model_fields}
    assert ("Window", "from_") in there_are
    # The recipe gives either `columns` or `tables`.
    assert there_are - set(filled(whole)) == {("Recipe", "columns")}


def filled(value: Any) -> Iterator[Field]:
    """Every field that has a value in the part or in a part of it."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            if (inner := getattr(value, name)) not in (None, (), {}):
                yield type(value).__name__, name
                yield from filled(inner)
    elif isinstance(value, tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from filled(item)


def test_columns_of_the_unit_are_spoken_of(whole: Recipe) -> None:
    alone = whole.model_copy(update={"tables": None, "columns": ("slide_id", "site")})
    assert spoken(alone, "en") != spoken(alone.model_copy(update={"columns": ("slide_id",)}), "en")


def test_what_is_absent_is_not_spoken_of() -> None:
    least = Recipe.model_validate(
        {"recipe": 1, "name": "all", "version": "1.0.0", "title": "All", "unit": "case", "columns": ["case_id"]}
    )
    assert [passage.heading for passage in explain(least)] == [
        "all 1.0.0 - All",
        "What is counted",
        "What goes out",
        "Disclosure",
    ]


@pytest.mark.parametrize(
    ("condition", "english", "chinese"),
    [
        ("HE", "stain is HE", "染色为 HE"),
        ({"any_of": ["HE", "PAS", "Masson"]}, "stain is HE, PAS or Masson", "染色为 HE、PAS 或 Masson"),
        ({"missing": True}, "stain is missing", "染色缺失"),
        ("3", 'stain is "3"', '染色为 "3"'),
    ],
)
def test_conditions_read_like_sentences(condition: object, english: str, chinese: str) -> None:
    recipe = Recipe.model_validate({
        **{name: WHOLE[name] for name in ("recipe", "name", "version", "title", "unit")}, "columns": ["slide_id"],
        "include": [{"id": "one", "level": "slide", "where": {"stain": condition}}],
    })  # fmt: skip
    assert f"Keep only if the slide's {english}." in spoken(recipe, "en")
    assert f"仅保留：该切片的{chinese}。" in spoken(recipe, "zh")


def test_a_window_and_a_count_read_like_a_sentence(whole: Recipe) -> None:
    assert (
        "Keep only if the patient has at least 2 imaging series whose modality is CR or DX, whose report says `adeno`, "
        "whose series_date is from 90 days before day 0 to 36 months after day 0, both included, and which is on the "
        "same side as day 0."
    ) in spoken(whole, "en")
    assert (
        "仅保留：该患者至少有 2 个符合以下条件的影像序列：检查类型为 CR 或 DX，且所属报告文本符合概念“adeno”，"
        "且series_date 在第 0 天之前 90 天至第 0 天之后 36 个月（含首尾两天），且侧别与第 0 天的记录一致。"
    ) in spoken(whole, "zh")


def test_a_change_in_the_middle_of_a_long_code_list_is_spoken_of(whole: Recipe) -> None:
    codes = tuple(f"C{number:02d}" for number in range(100))
    lists = whole.codelists or {}
    long, other = (
        whole.model_copy(update={"codelists": {**lists, "site": lists["site"].model_copy(update={"codes": chosen})}})
        for chosen in (codes, (*codes[:50], "D50", *codes[51:]))
    )
    assert "100 codes" in spoken(long, "en")
    assert spoken(long, "en") != spoken(other, "en")


def test_braces_of_a_recipe_are_only_text(whole: Recipe) -> None:
    odd = whole.model_copy(update={"title": "{title} {0} {x!r}", "owner": "{}"})
    for language in LANGUAGES:
        assert "{title} {0} {x!r}" in spoken(odd, language)


def test_hidden_counts_of_the_last_run_stay_hidden() -> None:
    left = {"slides": 1200, "blocks": "withheld", "cases": 500}
    steps = (
        ShownStep("permission", "Permitted", "slide", "permission", "withheld", 1, 0, left, {}),
        ShownStep("he", "H&E", "slide", "include", 50, 2, "withheld", left, {}),
    )
    start = {"blocks": "withheld", "cases": "withheld", "slides": "withheld"}
    shown = ShownAttrition("slide", ("slides", "blocks", "cases"), start, steps, (), 10, 5)
    assert counts_of_last_run(shown).lines == (
        "start: withheld",
        "permission: dropped withheld; left 1,200 slides, withheld blocks, 500 cases",
        "he: dropped 50 with the steps before it, 2 together; left 1,200 slides, withheld blocks, 500 cases",
    )
    assert counts_of_last_run(shown, "zh").lines[2] == (
        "he：剔除 50（与之前的步骤合计，共 2 步）；余切片 1,200、蜡块 不予显示、病例 500"
    )


@pytest.mark.parametrize("place", [0, 1])
def test_no_two_names_of_a_kind_share_a_word(place: int) -> None:
    for kind, known in _words().items():
        words = [found[place] for found in known.values()]
        assert len(words) == len(set(words)), kind


def test_every_column_with_a_word_is_one_that_recipes_can_name() -> None:
    there_are = {name for view in recipe_views(has_index=True).values() for name in view.names}
    assert set(_words()["columns"]) <= there_are
    assert Tongue("zh").word("columns", "duplicate_of") == "duplicate_of"


def test_every_field_of_every_part_is_compared(whole: Recipe) -> None:
    assert changes(whole, whole) == ()
    silent = set()
    for where, other in changed(whole):
        found = changes(whole, other)  # type: ignore[arg-type]
        if not found or not list(change_lines(whole, other, found)):  # type: ignore[arg-type]
            silent.add(where)
    assert silent == set()


@pytest.mark.parametrize(
    ("order", "moved"),
    [("abcd", ""), ("bacd", "a"), ("dabc", "d"), ("bcda", "a"), ("dcba", "abc"), ("acbd", "b")],
)
def test_the_fewest_criteria_that_moved_are_told(order: str, moved: str) -> None:
    def recipe(ids: str) -> Recipe:
        criteria = [{"id": name, "level": "slide", "where": {"stain": name}} for name in ids]
        return Recipe.model_validate(
            {"recipe": 1, "name": "r", "version": "1.0.0", "title": "R", "unit": "slide", "columns": ["slide_id"],
             "include": criteria}
        )  # fmt: skip

    found = changes(recipe("abcd"), recipe(order))
    assert {change.kind for change in found} <= {"moved"}
    assert len(found) == len(moved)
