"""Two whole recipes, as a hospital would write them, in the tool and in an editor; and what nobody should write."""

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pathcurate.errors import RecipeError
from pathcurate.model.recipe import Recipe
from pathcurate.recipefile import RecipeSource, load_recipe
from pathcurate.recipeschema import part_schema, recipe_schema

GROWTHS = 'code,name\n8140/3,腺癌\n8070/3,"squamous, nos"\n\n8140/3,again\n'
QUALITY = """\
# shared by all slide recipes
params:
  least_mpp: {type: number, default: 0.2}
include:
  - id: good_qc
    level: slide
    where: {qc: ok, check_level: {missing: false}}
  - id: forty_x
    level: slide
    where: {mpp: {min: "${least_mpp}", max: 0.3}}
exclude:
  - {id: control_slide, level: slide, where: {is_control: true}}
disclosure: {min_cell: 20}
"""
THORACIC = r"""# yaml-language-server: $schema=./recipe-v1.schema.json
recipe: 1
name: lung_slides
version: 1.0.0
title: Lung tumours on H&E at 40x 肺肿瘤
owner: ai@hospital.example
approval: IRB-1
extends: [base/quality.yaml]
params:
  since: {type: date, default: 2012-01-01, help: first scan date}
  per_class: {type: int, default: 2000}
unit: slide
links: [exact, barcode, metadata, reviewed]
codelists:
  lung:
    system: icd10
    version: "2019"
    codes: [C34, C37, "C45.0"]
    match: descendants
  morph:
    file: codelists/m.csv
    system: icdo3-morphology
    sha256: "197b6919c8"
concepts:
  adeno:
    any: ['(?i)\badeno\s?carcinoma\b', 肺腺癌]
    unless: [原位腺癌]
    sections: [diagnosis]
  squamous: {any: [鳞癌]}
index:
  table: reports
  date: reported_date
  pick: first
  where: {icd10: {codelist: lung}, status: final}
include:
  - {id: he, label: H&E, level: slide, where: {stain: HE}}
  - {id: since, level: slide, where: {scan_datetime: {min: "${since}"}}}
  - id: dx
    level: case
    has: {table: reports, where: {icd10: {codelist: lung}, icdo3_morphology: {codelist: morph}}}
  - id: says
    level: case
    any_of:
      - {id: a, has: {table: reports, text: adeno}}
      - {id: b, level: patient, has: {table: reports, text: squamous, within: {from: -90d}}}
  - {id: sized, level: slide, sql: "width * height > 1e9 and stain in ('HE')"}
exclude:
  - id: other
    level: patient
    has: {table: reports, text: squamous, within: {from: -5y, to: -1d}}
labels:
  - name: subtype
    level: specimen
    column: diagnoses.icdo3_morphology
    classes: {luad: ["8140/3", "8250/3"], lusc: ["8070/3"]}
  - {name: grade, level: case, column: reports.grade}
sample:
  seed: s
  per: [{level: case, max: 2, order: [-tissue_fraction, slide_id]}]
  balance: {by: [site, subtype], max: "${per_class}"}
split:
  stratify: [subtype, case_grade, site]
  ratios: {train: 0.8, val: 0.1, test: 0.1}
  hold_out: {external: {site: {any_of: [NB04]}}}
  keep_from: lung_slides@0.9.0
disclosure: {round_to: 5, k: 5, quasi_identifiers: [sex, age_band, site, year]}
tables:
  slides: {columns: [slide_id, case_id, patient_id, site, mpp_x, subtype, case_grade, split]}
  reports: {rows: of_cases, columns: [case_id, patient_id, diagnosis, ihc, grade, pt]}
expect:
  rows: {min: 20, max: 200000}
  not_empty: [luad, lusc, external]
  cases_file: catalog/known.csv
"""
ORTHOPAEDIC = r"""
recipe: 1
name: hips
version: 1.0.0
title: Hips 髋关节
params:
  from_day: {type: date, default: 2015-01-01}
  least: {type: duration, default: 24mo}
unit: case
codelists:
  oa: {system: icd10-cn, version: 医保2.0, codes: [M16, M87.0, M16.900x001], match: descendants}
  thr: {system: icd9cm3-cn, version: 医保2.0, codes: ["81.5100", "81.5200"]}
concepts:
  synovitis: {any: ['(?i)\bsynovitis\b', 滑膜炎], sections: [diagnosis, microscopy], lang: [en, zh]}
index:
  table: events
  date: date
  where: {kind: procedure, code: {codelist: thr}}
include:
  - id: operated
    level: patient
    has: {table: events, where: {kind: procedure, code: {codelist: thr}, date: {min: "${from_day}"}}}
  - id: film
    level: patient
    has:
      table: series
      where: {modality: {any_of: [CR, DX]}, body_part: {any_of: [HIP, PELVIS]}}
      match: [laterality]
      within: {from: -180d, to: 0d}
  - id: seen
    level: patient
    has: {table: events, where: {kind: {any_of: [visit, follow_up]}}, within: {from: "${least}"}, count: ">=2"}
exclude:
  - {id: young, level: patient, where: {age_at_index: {max: 17}}}
labels:
  - {name: infected, level: patient, has: {table: events, where: {code: {codelist: oa}}, within: {from: 1d, to: 24mo}}}
  - {name: synovitis, level: case, has: {table: reports, text: synovitis, within: {from: 0d, to: 30d}}}
  - {name: death, level: patient, time_to_event: {event: {table: events, where: {kind: death}}, censor: {table: events}}}
  - name: crp
    level: patient
    nearest: {table: events, column: code, where: {kind: laboratory}, direction: before}
    classes: {c: [CRP], e: {codelist: oa}}
sample: {seed: o, balance: {by: [infected], max: 5000}}
split: {group: patient, stratify: [infected, site], ratios: {train: 0.7, val: 0.1, test: 0.2}}
disclosure: {min_cell: 10, k: 5, quasi_identifiers: [sex, age_band, site]}
tables:
  cases: {columns: [case_id, patient_id, site, sex, age_band, infected, synovitis, death_days, death_event, crp, split]}
  series:
    rows: of_patients
    within: {from: -180d, to: 36mo}
    match: [laterality]
    columns: [series_id, patient_id, modality, view, laterality, days_from_index]
  slides: {columns: [slide_id, case_id, stain, mpp_x]}
  events: {within: {from: -2y}, columns: [patient_id, kind, code, unit, laterality, days_from_index]}
expect: {patients: {min: 500}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    files = {
        "base/quality.yaml": QUALITY, "codelists/m.csv": GROWTHS, "thoracic.yaml": THORACIC,
        "ortho.yaml": ORTHOPAEDIC,
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@functools.cache
def validator(kind: str) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(recipe_schema() if kind == "recipe" else part_schema())


def as_an_editor_reads(text: str) -> Any:
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def complaints(kind: str, text: str) -> list[str]:
    return [fault.json_path for fault in validator(kind).iter_errors(as_an_editor_reads(text))]


def test_the_thoracic_recipe(folder: Path) -> None:
    source = load_recipe(folder / "thoracic.yaml", parameters={"per_class": "500"})
    recipe = source.recipe
    assert [criterion.id for criterion in recipe.criteria] == [
        "good_qc", "forty_x", "he", "since", "dx", "says", "sized", "control_slide", "other",
    ]  # fmt: skip
    assert recipe.codelists is not None
    assert recipe.codelists["morph"].codes == ("8140/3", "8070/3")
    assert recipe.sample is not None
    assert recipe.sample.balance is not None
    assert recipe.sample.balance.max == 500
    assert {name: output.rows for name, output in recipe.outputs.items()} == {"slides": "of_units", "reports": "of_cases"}
    assert recipe.released_texts == ("diagnosis", "ihc")
    assert set(source.files) == {"thoracic.yaml", "base/quality.yaml", "codelists/m.csv"}
    again(source)


def test_the_orthopaedic_recipe(folder: Path) -> None:
    source = load_recipe(folder / "ortho.yaml")
    rows = {name: output.rows for name, output in source.recipe.outputs.items()}
    assert rows == {"cases": "of_units", "series": "of_patients", "slides": "of_cases", "events": "of_patients"}
    seen = source.recipe.include[2].has
    assert seen is not None
    assert seen.within is not None
    assert seen.within.from_ == "24mo"
    again(source)


def again(source: RecipeSource) -> None:
    """A resolved recipe is read again as itself: so a release's copy of it needs no other file."""
    assert Recipe.model_validate_json(source.canonical) == source.recipe
    read = load_recipe(Path("copy.yaml"), text=source.canonical.decode())
    assert (read.canonical, read.recipe) == (source.canonical, source.recipe)


def test_editors_take_what_the_tool_takes(folder: Path) -> None:
    for file in ("thoracic.yaml", "ortho.yaml"):
        assert complaints("recipe", (folder / file).read_text(encoding="utf-8")) == []
        assert complaints("part", (folder / file).read_text(encoding="utf-8")) == []
    assert complaints("part", QUALITY) == []
    assert complaints("recipe", QUALITY) != []
    assert complaints("part", "{}") == ["$"]
    assert complaints("part", "inclde: []") == ["$"]


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("unit: slide", 'unit: "${unit}"', None),
        ("version: 1.0.0", 'version: "${v}"', "$.version"),
        ("k: 5", 'k: "${k}"', None),
        ("k: 5", 'k: "$k"', "$.disclosure.k"),
        ("k: 5", 'k: "about ${k}"', "$.disclosure.k"),
        ("level: case, max: 2", 'level: "${level}", max: "${max}"', None),
        ("pick: first", 'pick: "${pick}"', None),
        ("{min: 20, max: 200000}", '{min: "${least}"}', None),
        ("type: int", 'type: "${int}"', "$.params.per_class.type"),
        ("tables:", "columns: [slide_id]\ntables:", "$"),
        ("unit: slide\n", "", None),
        ("from: -90d", 'from: "${from}"', None),
        ("from: -90d", "from: -90", "$.include[3].any_of[1].has.within.from"),
        ("train: 0.8", 'train: "${share}"', None),
        ("- {id: since, level", "- {id: since, if_mising: pass, level", "$.include[1]"),
        ("  lung:", "  Lung list:", "$.codelists"),
    ],
)
def test_editors_take_parameters_where_values_stand(old: str, new: str, path: str | None) -> None:
    assert THORACIC.count(old) >= 1
    assert complaints("recipe", THORACIC.replace(old, new, 1)) == ([path] if path else [])


def test_editors_show_what_each_key_means() -> None:
    schema = recipe_schema()
    described = {name: "description" in key for name, key in schema["properties"].items()}
    assert set(described.values()) == {True}
    assert schema["properties"]["extends"]["description"].startswith("recipes or parts of recipes")
    assert "`pass`" in schema["definitions"]["Label"]["properties"]["if_missing"]["description"]
    assert (
        "day 0" in schema["definitions"]["Has"]["properties"]["within"]["description"]
        or "index" in (schema["definitions"]["Has"]["properties"]["within"]["description"])
    )
    text = json.dumps(schema)
    assert not any(sign in text for sign in ("$defs", ":class:", "``where", "Attributes:"))


LAUGHS = "x-a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"x-{chr(98 + step)}: &{chr(98 + step)} [{', '.join(['*' + chr(97 + step)] * 10)}]\n" for step in range(9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "the aliases together stand for too much"),
        ("include: " + "[" * 3000, "nested more than 50 levels deep"),
        ("include: " + "{a: " * 60 + "1" + "}" * 60, "nested more than 50 levels deep"),
        (
            "title: !!python/object/apply:os.system [ls]",
            "tag `tag:yaml.org,2002:python/object/apply:os.system` is not supported",
        ),
        ("<<: {a: 1}\n", "merge keys"),
        ("recipe: 1\n---\nrecipe: 1\n", "a second document starts here"),
        ("a: " + "x" * (10 << 20), "larger than 1048576 bytes"),
        ("recipe: 1\nrecipe: 1\n", "key `recipe` is given twice (first at line 1)"),
        ("\x00", "character U+0000 is not allowed in YAML"),
        ("", "the file is empty"),
        ("- recipe\n", "Input should be a mapping"),
        ("just text", "Input should be a mapping"),
    ],
)
def test_what_nobody_should_write_is_refused_at_once(text: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(Path("r.yaml"), text=text)
    assert words in caught.value.message
    assert len(caught.value.message) < 2000


def test_bytes_of_another_encoding_are_shown_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes("recipe: 1\ntitle: 胸部\n".encode("gb18030"))
    with pytest.raises(RecipeError, match=r"r.yaml:2:8: error: the file is not UTF-8"):
        load_recipe(tmp_path / "r.yaml")


def test_plain_words_stay_words() -> None:
    head = "recipe: 1\nname: norway\nversion: 1.0.0\nunit: case\ncolumns: [case_id]\n"
    recipe = load_recipe(Path("r.yaml"), text=head + "title: no\nowner: 0123456\napproval: 12:30\n").recipe
    assert (recipe.title, recipe.owner, recipe.approval) == ("no", "0123456", "12:30")
