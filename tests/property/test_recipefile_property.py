"""Recipes of any shape: whatever is written, what is wrong with it is said and nothing else happens."""

import copy
import functools
import json
import re
import tempfile
from pathlib import Path
from typing import Any, cast

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.errors import RecipeError
from pathcurate.recipefile import load_recipe

TEXT = """\
recipe: 1
name: full
version: 1.0.0
title: all that a recipe can say
owner: o
params: {since: {type: date, default: "2012-01-01"}, most: {type: int, default: 5, choices: [5, 6]}}
unit: slide
links: [exact, reviewed]
codelists:
  lung: {system: icd10, version: "2019", codes: [C34, C37.0], match: descendants, without: [C34.9]}
  growth: {system: icdo3-morphology, codes: ["8140/3"]}
concepts: {adeno: {any: ["adeno ?carcinoma", 腺癌], unless: [原位], sections: [diagnosis], lang: [zh]}}
index: {table: events, date: date, pick: last, where: {kind: procedure}}
include:
- {id: he, label: H&E, level: slide, where: {stain: HE, mpp: {min: 0.2, max: 0.3}, scan_datetime: {min: "${since}"}}}
- {id: dx, level: case, has: {table: reports, where: {icd10: {codelist: lung}}, text: adeno, count: ">=2"}}
- {id: near, level: patient, has: {table: events, within: {from: -90d, to: 2y}, match: [laterality]}}
- {id: one, level: case, if_missing: pass, any_of: [{where: {organ: lung}}, {id: q, has: {table: slides, match: [block]}}]}
- {id: sql, level: slide, sql: "width * 2 > 5 and stain in ('HE')"}
exclude:
- {id: gone, level: slide, where: {qc: {any_of: [blur, empty]}, block: {missing: true}}, if_missing: fail}
labels:
- {name: subtype, level: specimen, column: diagnoses.icdo3_morphology, classes: {a: ["8140/3"], b: {codelist: growth}}}
- {name: drawn, level: slide, from: annotations, classes: {t: [tumour]}, if_missing: fail}
- {name: time, level: patient, time_to_event: {event: {table: events, where: {kind: death}}, censor: {table: events}}}
- {name: last, level: case, nearest: {table: reports, column: grade, direction: before, within: {to: 0d}}}
sample:
  seed: s
  per: [{level: case, max: 2, order: [-tissue_fraction, slide_id]}]
  balance: {by: [site, subtype], max: "${most}"}
split:
  ratios: {train: 0.5, test: 0.5}
  stratify: [site, drawn]
  hold_out: {ext: {site: {any_of: [NB04]}}}
  keep_from: full@0.9.0
disclosure: {min_cell: 10, round_to: 5, k: 5, quasi_identifiers: [sex, year]}
tables:
  slides: {columns: [slide_id, subtype, case_last, patient_time_days, days_from_index, split]}
  reports: {rows: of_cases, within: {from: -1y}, columns: [case_id, diagnosis, grade]}
expect: {rows: {min: 1, max: 9}, not_empty: [a, ext], cases_file: catalog/known.csv}
"""
WHOLE: dict[str, Any] = yaml.safe_load(TEXT)
_LINE = re.compile(r"^(?:\S*/)?r\.yaml:(\d+):(\d+): error: \S", re.MULTILINE)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for step, item in items for one in ((*path, step), *paths(item, (*path, step)))]


PATHS = paths(WHOLE)
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6),
        st.sampled_from(["${since}", "${most}", "${x", "lung", "2012-13-01", "-1d", "case", "slides", "adeno", "split"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["any_of", "min", "table", "where", "a"]), inner, max_size=2),
    ),
    max_leaves=4,
)  # fmt: skip


def at(path: tuple[str | int, ...]) -> Any:
    return functools.reduce(lambda data, step: data[step], path, cast("Any", WHOLE))


def set_at(data: Any, path: tuple[str | int, ...], value: Any) -> None:
    *above, last = path
    for step in above:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return
    is_item = isinstance(data, list) and isinstance(last, int) and last < len(data)
    if is_item or (isinstance(data, dict) and isinstance(last, str)):
        data[last] = value


def test_the_whole_recipe_is_a_good_one() -> None:
    source = load_recipe(Path("r.yaml"), text=TEXT)
    assert load_recipe(Path("r.yaml"), text=source.canonical.decode()).canonical == source.canonical


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(PATHS), values | st.sampled_from(PATHS).map(at)), min_size=1, max_size=3))
def test_whatever_stands_where_it_does_not_belong_is_said(changes: list[tuple[tuple[str | int, ...], Any]]) -> None:
    data = copy.deepcopy(WHOLE)
    for path, value in changes:
        set_at(data, path, copy.deepcopy(value))
    text = json.dumps(data, indent=1, ensure_ascii=False)
    try:
        source = load_recipe(Path("r.yaml"), text=text)
    except RecipeError as failure:
        lines = text.split("\n")
        places = [(int(line), int(column)) for line, column in _LINE.findall(failure.message)]
        assert places
        assert all(1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1 for line, column in places)
    else:
        assert load_recipe(Path("r.yaml"), text=source.canonical.decode()).canonical == source.canonical


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 2), min_size=len(WHOLE), max_size=len(WHOLE)), st.integers(0, 5), st.integers(0, 4))
def test_a_recipe_means_the_same_in_one_file_and_in_three(homes: list[int], included: int, labelled: int) -> None:
    own = {"recipe", "name", "version", "title", "owner"}
    files: list[dict[str, Any]] = [{}, {}, {}]
    for (key, value), home in zip(WHOLE.items(), homes, strict=True):
        if key in {"include", "labels"}:
            cut = included if key == "include" else labelled
            for part, items in ((1, value[:cut]), (0, value[cut:])):
                files[part] |= {key: items} if items else {}
        elif key in {"params", "codelists", "expect"}:
            for place, (name, entry) in enumerate(value.items()):
                files[(home + place) % 3].setdefault(key, {})[name] = entry
        else:
            files[0 if key in own else home][key] = value
    files[0]["extends"] = ["b.yaml", "c.yaml"]
    with tempfile.TemporaryDirectory() as folder:
        for name, content in zip(("r.yaml", "b.yaml", "c.yaml"), files, strict=True):
            (Path(folder) / name).write_text(json.dumps(content or {"x-empty": 1}), encoding="utf-8")
        merged = load_recipe(Path(folder) / "r.yaml")
    assert merged.sha256 == load_recipe(Path("r.yaml"), text=TEXT).sha256
