"""What recipes say of tables and columns: each faulty line says itself what is wrong, as ``#! word: message``; the caret
stands below the word."""

import re
from pathlib import Path

import pytest

from pathcurate.errors import RecipeError
from pathcurate.recipefile import load_recipe

HEAD = "recipe: 1\nname: r\nversion: 1.0.0\ntitle: t\n"
_EXPECTED = re.compile(r" #! (\S+): (.*?)(?= #! |$)")

OF_CASES = """
unit: case
codelists:
  lung: {system: icd10, codes: [C34]}
  growth: {system: icdo3-morphology, codes: [8140/3]}
  hip: {system: icd9cm3, codes: ["81.51"]}
concepts: {adeno: {any: [adenocarcinoma]}}
include:
- {id: a, level: slide, where: {stain: HE}} #! slide: a slide criterion cannot decide about a whole case; count with `has: {table: slides, where: …}` on level case instead
- {id: b, level: specimen, where: {organ: lung}} #! specimen: a specimen criterion cannot decide about a whole case; count with `has: {table: diagnoses, where: …}` on level case instead
- {id: c, level: series, where: {modality: CR}} #! series: no case has one series; count with `has: {table: series, where: …}` on level patient instead
- {id: d, level: case, where: {orgn: lung}} #! orgn: unknown column `orgn` in table cases; did you mean `organ`?
- {id: e, level: case, where: {organ: lungs}} #! lungs: `lungs` is not a value of column `organ`; did you mean `lung`?
- {id: f, level: case, where: {accession: x, patient_name: y}} #! accession: column `accession` identifies a person or a slide directly; a recipe cannot name it #! patient_name: column `patient_name` identifies a person or a slide directly; a recipe cannot name it
- {id: g, level: patient, where: {organ: lung}} #! organ: unknown column `organ` in table patients
- {id: h, level: case, where: {age_at_index: 3, days_from_index: 4}} #! age_at_index: column `age_at_index` counts from day 0, which only a recipe with an `index` has #! days_from_index: column `days_from_index` counts from day 0, which only a recipe with an `index` has
- {id: i, level: case, where: {icd10: {codelist: growth}}} #! growth: code list `growth` is of icdo3-morphology, which column `icd10` does not hold
- {id: j, level: case, where: {icd10: {codelist: lungs}}} #! lungs: unknown code list `lungs`; did you mean `lung`?
- {id: k, level: case, has: {table: events, where: {code: {codelist: hip}, code_system: icd10}}} #! hip: code list `hip` is of icd9cm3, and `code_system` asks for another
- {id: l, level: case, has: {table: events, where: {code: {codelist: hip}, code_system: {any_of: [icd9cm3]}}}}
- {id: m, level: case, has: {table: events, where: {code: "1234567"}}} #! "1234567": `1234567` has not the form of column `code`: Code; a recipe may name Latin letters, signs and up to four digits in a row.
- {id: n, level: case, has: {table: reports, within: {to: 0d}}} #! within: `within` counts from day 0, which only a recipe with an `index` has
- {id: o, level: case, has: {table: slides, text: adeno}} #! text: `text` asks what a report says, so it goes with `reports`, `diagnoses`, `ihc_results`, `report_concepts`
- {id: p, level: case, has: {table: diagnoses, text: aden}} #! aden: unknown concept `aden`; did you mean `adeno`?
- {id: q, level: case, has: {table: report_concepts, where: {concept: aden}}} #! aden: unknown concept `aden`; did you mean `adeno`?
- {id: r, level: case, has: {table: events, match: [laterality]}} #! laterality: `laterality` agrees with the row of day 0, which only a recipe with an `index` has
- {id: s, level: case, has: {table: slides, match: [laterality, specimen]}} #! laterality: rows of `slides` have no laterality #! specimen: a case has no specimen that rows could agree with
- {id: t, level: case, any_of: [{where: {organ: lungg}}, {level: slide, sql: "stain = 'HE'"}]} #! lungg: `lungg` is not a value of column `organ`; did you mean `lung`? #! slide: a slide criterion cannot decide about a whole case; count with `has: {table: slides, where: …}` on level case instead
- {id: u, level: case, where: {received_date: {min: 3}, slide_count: 1.5, age: {max: 2020-01-01}}} #! 3: column `received_date` is a date: write one such as 2020-01-31 #! 1.5: column `slide_count` is a whole number #! 2020-01-01: column `age` is a number, not a date
- {id: v, level: case, where: {site: {min: 3}, sex: 4}} #! 3: column `site` is text: `min` and `max` are for numbers and dates #! 4: column `sex` is text: put the value in quotes
- {id: w, level: case, has: {table: slides, where: {is_control: 'true', level_downsamples: 4}}} #! ': column `is_control` is true or false #! level_downsamples: column `level_downsamples` holds no single value; only `missing` can be asked of it
labels:
- {name: organ, level: case, column: reports.organ} #! organ: label `organ` makes column `organ`, which table cases has already
- {name: la, level: slide, column: slides.stain} #! slide: a slide label is not one value for a whole case; count with `has: {table: slides, where: …}` on level case instead
- {name: lb, level: case, column: report.grade} #! report.grade: unknown table `report`; did you mean `reports`?
- {name: lc, level: patient, column: specimens.organ} #! specimens.organ: a patient has no rows of `specimens`; it has those of patients, slides, cases, reports, events, series, diagnoses, ihc_results, report_concepts, materials, annotations
- {name: ld, level: case, column: reports.birth_date} #! reports.birth_date: column `birth_date` is for criteria only: its true value never goes out; it may stand in `where`, or be told apart by `classes`
- {name: le, level: case, column: reports.year, classes: {old: {max: 2010}, new: {min: 2011}}}
- {name: lf, level: case, column: diagnoses.icdo3_morphology, classes: {a: ["8140/3", 8140-3], b: {codelist: lung}}} #! 8140-3: `8140-3` has not the form of column `icdo3_morphology`: ICD-O-3.2 morphology with behaviour. #! lung: code list `lung` is of icd10, which column `icdo3_morphology` does not hold
- {name: lg, level: case, nearest: {table: annotations, column: kindd}} #! nearest: `nearest` is reckoned from day 0, which only a recipe with an `index` has #! annotations: rows of `annotations` have no date #! kindd: unknown column `kindd` in table annotations; did you mean `kind`?
- {name: lh, level: case, from: annotations, classes: {t: ["12345678"]}} #! case: what was drawn is true of a slide: a label from annotations has level slide #! "12345678": `12345678` has not the form of column `label`: Class that the shape was given, where it is letters, signs and at most four digits.
- {name: lt, level: patient, time_to_event: {event: {table: events}, censor: {table: annotations}}} #! time_to_event: `time_to_event` is reckoned from day 0, which only a recipe with an `index` has #! annotations: rows of `annotations` have no date
sample:
  per:
  - {level: block, max: 1} #! block: no case has one block, so there is nothing to cap
  - {level: patient, max: 1, order: [-yea, year, -slide_count]} #! -yea: unknown column `yea` in table cases; did you mean `year`? #! year: column `year` is for criteria only: its true value never goes out; it may stand in `where`
  balance: {by: [birth_date, lb, lz], max: 2} #! birth_date: column `birth_date` is for criteria only: its true value never goes out; it may stand in `where` #! lz: unknown column `lz` in table cases
split:
  ratios: {train: 1}
  stratify: [year, split, lt_event] #! year: column `year` is for criteria only: its true value never goes out; it may stand in `where` #! split: unknown column `split` in table cases; did you mean `site`?
  hold_out: {ext: {sitee: NB01, year: {min: 2020}}} #! sitee: unknown column `sitee` in table cases; did you mean `site`?
disclosure: {quasi_identifiers: [year, lt_days, zzz]} #! zzz: unknown column `zzz` in table cases
tables:
  cases:
    rows: of_patients #! of_patients: table cases holds the units themselves: `of_units`
    where: {organ: lung} #! where: all units go out: let a criterion decide, instead of `where`
    columns: [case_id, relpath, birth_date, splitt, lb] #! relpath: unknown column `relpath` in table cases #! birth_date: column `birth_date` is for criteria only: its true value never goes out; it may stand in `where` #! splitt: unknown column `splitt` in table cases; did you mean `split`?
  events: {rows: of_cases, columns: [code, value, text, split]} #! of_cases: rows of `events` belong to no one case; use `of_patients` #! text: column `text` is free text, which is withheld from recipes #! split: `split` is a column of the units' table, `cases`
  annotations: {rows: of_slides, columns: [kind, lb]} #! of_slides: rows of `annotations` belong to no slide that is a unit of this recipe; use `of_cases` #! lb: label `lb` is a column of the units' table, `cases`
  reports: {rows: of_units, within: {to: 0d}, columns: [diagnosis, gros, text_raw]} #! of_units: the units are rows of `cases`; of `reports` go out those `of_cases` or `of_patients` #! within: `within` counts from day 0, which only a recipe with an `index` has #! gros: unknown column `gros` in table reports; did you mean `gross`?
expect: {not_empty: [a, ext, trai]} #! trai: `trai` is no class of a label, nor a side of the split; did you mean `train`?
"""  # noqa: E501
OF_SLIDES = """
unit: slide
index: {table: slides, date: scan_datetim, pick: each, per: [laterality], text: x} #! scan_datetim: unknown column `scan_datetim` in table slides; did you mean `scan_datetime`? #! each: `each` makes every picked row a unit, which needs `unit: event` #! per: `per` gives a patient several days 0, which needs `unit: event` #! laterality: rows of `slides` have no laterality #! text: `text` asks what a report says, so it goes with `reports`, `diagnoses`, `ihc_results`, `report_concepts` #! x: unknown concept `x`; the recipe has no `concepts`
include:
- {id: a, level: slide, has: {table: reports}} #! reports: a slide has no rows of `reports`, only of `annotations`; use level case or patient
- {id: b, level: block, has: {table: diagnoses}} #! diagnoses: a block has no rows of `diagnoses`, only of `slides`, `materials`; use level case or patient
- {id: c, level: case, has: {table: events, match: [laterality, specimen]}} #! laterality: day 0 is a row of `slides`, which has no laterality #! specimen: rows of `events` have no specimen
- {id: d, level: case, has: {table: diagnoses, match: [specimen], within: {to: 0d}, date: received_date}}
- {id: e, level: case, has: {table: diagnoses, within: {to: 0d}, date: organ}} #! organ: column `organ` is no date
- {id: f, level: slide, where: {scan_datetime: 2012-01, mpp: high, relpath: x, age_at_index: {min: 18}}} #! 2012-01: column `scan_datetime` is a date: `2012-01` is not a date such as 2020-01-31 #! high: column `mpp` is a number #! relpath: column `relpath` identifies a person or a slide directly; a recipe cannot name it
- {id: g, level: case, has: {table: annotations, within: {to: 0d}}} #! within: rows of `annotations` have no date
labels:
- {name: grade, level: case, column: reports.grade}
- {name: n, level: slide, column: annotations.days_from_index} #! annotations.days_from_index: unknown column `days_from_index` in table annotations
- {name: o, level: case, nearest: {table: reports, column: days_from_index}} #! days_from_index: column `days_from_index` is reckoned from day 0 for each row; it can only be told apart by `classes`
sample: {balance: {by: [grade, case_grade], max: 3}} #! grade: on slides, label `grade` of level case is called `case_grade`
columns: [slide_id, grade, size_bytes, label_text, days_from_index] #! grade: on slides, label `grade` of level case is called `case_grade` #! size_bytes: column `size_bytes` is for criteria only: its true value never goes out; it may stand in `where` #! label_text: column `label_text` identifies a person or a slide directly; a recipe cannot name it
"""  # noqa: E501
OF_PATIENTS = """
unit: patient
include:
- {id: a, level: case, where: {organ: lung}} #! case: a case criterion cannot decide about a whole patient; count with `has: {table: cases, where: …}` on level patient instead
columns: [patient_id, age] #! age: unknown column `age` in table patients
"""  # noqa: E501
OF_SERIES = """
unit: series
include:
- {id: a, level: series, has: {table: reports}} #! reports: no rows belong to one series; count on level patient
- {id: b, level: series, where: {modality: CR}}
- {id: c, level: slide, where: {stain: HE}} #! slide: no series has one slide; count with `has: {table: slides, where: …}` on level patient instead
tables:
  series: {columns: [series_id]}
  reports: {rows: of_slides, columns: [report_id]} #! of_slides: rows of `reports` belong to no slide that is a unit of this recipe; use `of_cases`
"""  # noqa: E501
OF_EVENTS = """
unit: event
index: {table: reports, date: reported_date} #! reports: the units are events, so day 0 is a row of `events`
include:
- {id: a, level: event, has: {table: series, within: {to: 0d}}}
- {id: b, level: case, where: {organ: lung}} #! case: no event has one case; count with `has: {table: cases, where: …}` on level patient instead
tables:
  events: {columns: [event_id, index_event_id]} #! index_event_id: unknown column `index_event_id` in table events; did you mean `event_id`?
  reports: {rows: of_cases, columns: [report_id, index_event_id]} #! of_cases: an event belongs to no one case; use `of_patients`
"""  # noqa: E501
WITHOUT_INDEX = """
unit: event #! event: unit `event` needs an `index` on events, whose picked rows are the units
columns: [event_id]
"""
RECIPES = {
    "cases": OF_CASES, "slides": OF_SLIDES, "patients": OF_PATIENTS, "series": OF_SERIES, "events": OF_EVENTS,
    "without_index": WITHOUT_INDEX,
}  # fmt: skip


def faults(text: str) -> list[tuple[int, str, str]]:
    """Each fault: line, what begins at its caret, and its message."""
    with pytest.raises(RecipeError) as caught:
        load_recipe(Path("r.yaml"), text=text)
    found = re.findall(r"^r\.yaml:(\d+):(\d+): error: (.*)$", caught.value.message, re.MULTILINE)
    lines = text.splitlines()
    return [(int(line), lines[int(line) - 1][int(column) - 1 :], message) for line, column, message in found]


@pytest.mark.parametrize("name", RECIPES)
def test_each_fault_is_shown_once_and_where_it_stands(name: str) -> None:
    lines = (HEAD + RECIPES[name].lstrip("\n")).splitlines()
    expected = [(number, *fault) for number, line in enumerate(lines, 1) for fault in _EXPECTED.findall(line)]
    found = faults("\n".join(line.partition(" #! ")[0] for line in lines))
    assert [(line, message) for line, _, message in found] == [(line, message) for line, _, message in expected]
    carets = [(rest, word) for (_, rest, _), (_, word, _) in zip(found, expected, strict=True)]
    assert [pair for pair in carets if not pair[0].startswith(pair[1])] == []
