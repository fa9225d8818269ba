"""What recipes select from drawn tables.

Every case is a drawing, a recipe and what becomes of each unit: ``kept``, or the step that it failed first, with ``?``
if that was for a missing value. The slow oracle must give the same answer, and the same attrition.
"""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pathcurate.cohort import read_recipe
from pathcurate.engines import Engine
from pathcurate.recipefile import RecipeSource
from pathcurate.sqlplan.compiler import compile_recipe

sys.path.append(str(Path(__file__).parent))

import oracle
from drawn_hospital import Drawn, draw, long, short
from judging import NOW, decided, judge

COLUMNS = {"slide": "slide_id", "case": "case_id", "patient": "patient_id"}


def recipe_text(body: str) -> str:
    """A whole recipe from the part that matters; ``unit`` is slide and the columns are the key if it does not say."""
    written = yaml.safe_load(body) or {}
    unit = written.get("unit", "slide")
    lines = ["recipe: 1", "name: spec", "version: 1.0.0", "title: spec"]
    lines += [] if "unit" in written else [f"unit: {unit}"]
    lines += [] if "columns" in written else [f"columns: [{COLUMNS[unit]}]"]
    return "\n".join([*lines, body])


def load(body: str, folder: Path) -> RecipeSource:
    file = folder / "spec.yaml"
    file.write_text(recipe_text(body), encoding="utf-8")
    return read_recipe(file)


def judged(drawn: Drawn, source: RecipeSource, engine: Engine) -> dict[str, str]:
    """What becomes of each unit, by the engine and by the oracle."""
    return {short(unit): step for unit, step in judge(engine, drawn, source.recipe, source.document.data).outcome.items()}


def outcomes(text: str) -> dict[str, str]:
    return dict(line.split() for line in text.strip().splitlines())


# --- every form of condition on every type of column ---------------------------------------------------------------

# Column, condition, and under it: the value in the row and whether it meets the condition (y, n, ?).
SLIDE_CONDITIONS = {
    "text": ("stain", "HE", "HE y, PAS n, - ?"),
    "text_any_of": ("stain", "{any_of: [HE, IHC:Ki-67]}", "HE y, IHC:Ki-67 y, PAS n, - ?"),
    "text_missing": ("stain", "{missing: true}", "HE n, - y"),
    "text_present": ("stain", "{missing: false}", "HE y, - n"),
    "text_that_looks_like_a_number": ("block", '"07"', "07 y, 7 n, - ?"),
    "integer": ("width", "100", "100 y, 101 n, - ?"),
    "integer_written_as_float": ("width", "100.0", "100 y, 101 n, - ?"),
    "integer_any_of": ("width", "{any_of: [1, 100]}", "100 y, 2 n, - ?"),
    "integer_min": ("width", "{min: 100}", "100 y, 99 n, - ?"),
    "integer_max": ("width", "{max: 100}", "100 y, 101 n, - ?"),
    "integer_range": ("width", "{min: 100, max: 102}", "99 n, 100 y, 102 y, 103 n, - ?"),
    "integer_between_whole_numbers": ("width", "{min: 99.5, max: 100.5}", "99 n, 100 y, 101 n, - ?"),
    "integer_negative": ("width", "{min: -5, max: -5}", "-5 y, -4 n, -6 n, - ?"),
    "integer_zero_is_a_value": ("width", "0", "0 y, 1 n, - ?"),
    "integer_missing": ("width", "{missing: true}", "0 n, - y"),
    "float": ("mpp", "0.3", "0.30000000000000004 y, 0.3 y, 0.300000003 n, - ?"),
    "float_any_of": ("mpp", "{any_of: [0.25, 0.5]}", "0.25 y, 0.4999999999 y, 0.3 n, - ?"),
    "float_min": ("mpp", "{min: 0.2}", "0.2 y, 0.1999999999 y, 0.199999997 n, - ?"),
    "float_max": ("mpp", "{max: 0.3}", "0.30000000000000004 y, 0.300000003 n, - ?"),
    "float_range": ("mpp", "{min: 0.20, max: 0.30}", "0.2 y, 0.3 y, 0.199 n, 0.301 n, - ?"),
    "float_compared_with_whole_number": ("objective_power", "40", "40.0 y, 20.0 n, - ?"),
    "float_small": ("blur", "{max: 0.0000001}", "0.00000009 y, 0.00001 n, - ?"),
    "float_present": ("mpp", "{missing: false}", "0.0 y, - n"),
    "boolean_true": ("is_control", "true", "yes y, no n, - ?"),
    "boolean_false": ("is_control", "false", "yes n, no y, - ?"),
    "boolean_any_of": ("is_control", "{any_of: [true, false]}", "yes y, no y, - ?"),
    "boolean_missing": ("is_control", "{missing: true}", "no n, - y"),
    "date": ("scan_datetime", "2024-02-29", "2024-02-29 y, 2024-03-01 n, - ?"),
    "date_any_of": ("scan_datetime", "{any_of: [2024-02-29, 2020-01-01]}", "2020-01-01 y, 1999-09-09 n, - ?"),
    "date_min": ("scan_datetime", "{min: 2024-01-01}", "2024-01-01 y, 2023-12-31 n, - ?"),
    "date_max": ("scan_datetime", "{max: 2024-12-31}", "2024-12-31 y, 2025-01-01 n, - ?"),
    "date_range": ("scan_datetime", "{min: 2024-02-28, max: 2024-02-29}", "2024-02-27 n, 2024-02-29 y, 2024-03-01 n, - ?"),
    "date_at_the_ends_of_the_calendar": (
        "scan_datetime", "{min: 0001-01-01, max: 9999-12-31}", "0001-01-01 y, 9999-12-31 y, - ?",
    ),
    "date_missing": ("scan_datetime", "{missing: true}", "2024-01-01 n, - y"),
    "criterion_only_integer": ("size_bytes", "{min: 5000000000}", "5000000000 y, 4999999999 n, - ?"),
    "true_age_over_the_top_code": ("age", "{min: 95}", "95 y, 94 n, 7 n, - ?"),
    "true_year": ("year", "2024", "2024 y, 1999 n, - ?"),
    "list_missing": ("level_downsamples", "{missing: true}", "1.0 4.0 n, - y"),
}  # fmt: skip
CASE_CONDITIONS = {
    "case_organ": ("organ", "breast", "breast y, stomach n, - ?"),
    "case_code_with_a_dot": ("icd10", "{any_of: [C50.9, C16.9]}", "C50.9 y, C50 n, - ?"),
    "case_true_age": ("age", "{max: 17}", "17 y, 18 n, - ?"),
    "case_true_birth_date": ("birth_date", "{max: 1960-06-01}", "1960-06-01 y, 1960-06-02 n, - ?"),
    "case_true_received_date": ("received_date", "{min: 2023-01-01, max: 2023-12-31}", "2023-12-31 y, 2024-01-01 n, - ?"),
    "case_band": ("age_band", "90+", "90+ y, 85-89 n, - ?"),
}
PATIENT_CONDITIONS = {
    "patient_sex": ("sex", "{any_of: [female, other]}", "female y, male n, - ?"),
    "patient_count": ("case_count", "{min: 2}", "2 y, 1 n"),
}
# What becomes of a unit that meets the condition, does not, and of which that is not known.
POLICIES = {
    ("include", "fail"): ("kept", "it", "it?"),
    ("include", "pass"): ("kept", "it", "kept"),
    ("exclude", "pass"): ("it", "kept", "kept"),
    ("exclude", "fail"): ("it", "kept", "it?"),
}


def _condition_cases() -> list[Any]:
    levels = [("slide", SLIDE_CONDITIONS), ("case", CASE_CONDITIONS), ("patient", PATIENT_CONDITIONS)]
    return [
        pytest.param(unit, level, *content, id=f"{name}-on-{unit}")
        for number, (level, conditions) in enumerate(levels)
        for unit in ("slide", "case", "patient")[: number + 1]
        for name, content in conditions.items()
    ]


def criterion(unit: str, part: str, level: str, column: str, condition: str, policy: str | None) -> str:
    if_missing = f", if_missing: {policy}" if policy else ""
    return f"unit: {unit}\n{part}:\n  - {{id: it, level: {level}, where: {{{column}: {condition}}}{if_missing}}}"


@pytest.mark.parametrize(("part", "policy"), [("include", "fail"), ("exclude", "pass")])
def test_a_missing_value_never_speaks_for_or_against_a_row_unless_told_to(part: str, policy: str, tmp_path: Path) -> None:
    silent, explicit = (
        load(criterion("slide", part, "slide", "stain", "HE", said), tmp_path).recipe for said in (None, policy)
    )
    assert compile_recipe(silent, with_permissions=True) == compile_recipe(explicit, with_permissions=True)


@pytest.mark.parametrize(("unit", "level", "column", "condition", "answers"), _condition_cases())
def test_a_condition_under_every_policy(
    unit: str, level: str, column: str, condition: str, answers: str, tmp_path: Path, engine: Engine
) -> None:
    rows = [answer.rsplit(" ", 1) for answer in answers.split(", ")]
    table = {"slide": "slides", "case": "cases", "patient": "patients"}[level]
    head = {"slide": "slide | case", "case": "case", "patient": "patient"}[level]
    lines = [f"{head} | {column}"]
    for number, (value, _) in enumerate(rows, 1):
        keys = {"slide": f"S{number} | C{number}", "case": f"C{number}", "patient": f"P{number}"}[level]
        lines.append(f"{keys} | {value}")
    slides = "\n".join(["slides", "slide | case", *(f"S{n} | C{n}" for n in range(1, len(rows) + 1))])
    drawn = draw("\n".join([table, *lines]) + ("\n\n" + slides if level != "slide" else ""))
    # All policies in one query: whichever step a unit fails first, its masks tell of each.
    parts: dict[str, list[str]] = {"include": [], "exclude": []}
    for part, policy in POLICIES:
        where = f"where: {{{column}: {condition}}}, if_missing: {policy}"
        parts[part].append(f"  - {{id: {part}_{policy}, level: {level}, {where}}}")
    body = "\n".join([f"unit: {unit}", *(line for part, ones in parts.items() for line in (f"{part}:", *ones))])
    masks = decided(engine, drawn, load(body, tmp_path).recipe)
    code = {"slide": "S", "case": "C", "patient": "P"}[unit]
    for (part, policy), (kept, fell, unknown) in POLICIES.items():
        words = {"y": kept, "n": fell, "?": unknown}
        expected = {long(f"{code}{n}"): words[answer] for n, (_, answer) in enumerate(rows, 1)}
        assert {key: steps.get(f"{part}_{policy}", "kept") for key, steps in masks.items()} == expected, (part, policy)
        written = yaml.safe_load(recipe_text(criterion(unit, part, level, column, condition, policy)))
        answer = oracle.select(written, drawn.tables, drawn.permissions, NOW.date())
        assert {key: (one.step or "kept") + "?" * one.missing for key, one in answer.decisions.items()} == expected


# --- drawn cases ---------------------------------------------------------------------------------------------------

CASES = {
    "criteria_run_in_file_order_and_include_first": """
slides
slide | case | stain | mpp  | is_control
S1    | C1   | HE    | 0.25 | no
S2    | C1   | PAS   | 0.50 | yes
S3    | C2   | HE    | 0.50 | yes
S4    | C2   | HE    | 0.25 | yes
---
exclude:
  - {id: control, level: slide, where: {is_control: true}}
include:
  - {id: he, level: slide, where: {stain: HE}}
  - {id: forty_x, level: slide, where: {mpp: {max: 0.3}}}
---
S1 kept
S2 he
S3 forty_x
S4 control
""",
    "no_beats_unknown_beats_yes_in_one_where": """
slides
slide | case | stain | mpp
S1    | C1   | HE    | 0.25
S2    | C1   | HE    | -
S3    | C1   | PAS   | -
S4    | C1   | -     | 0.50
S5    | C1   | -     | -
---
include:
  - {id: both, level: slide, where: {stain: HE, mpp: {max: 0.3}}}
---
S1 kept
S2 both?
S3 both
S4 both
S5 both?
""",
    "an_unknown_part_does_not_exclude_but_fail_does": """
slides
slide | case | stain | mpp
S1    | C1   | HE    | 0.25
S2    | C1   | HE    | -
S3    | C1   | PAS   | -
---
exclude:
  - {id: both, level: slide, where: {stain: HE, mpp: {max: 0.3}}, if_missing: fail}
---
S1 both
S2 both?
S3 kept
""",
    "a_missing_value_is_not_outside_a_list": """
slides
slide | case | qc
S1    | C1   | blur
S2    | C1   | ok
S3    | C1   | -
---
exclude:
  - {id: failed_qc, level: slide, where: {qc: {any_of: [blur, empty]}}}
---
S1 failed_qc
S2 kept
S3 kept
""",
    "missing_can_be_asked_beside_a_value": """
slides
slide | case | stain | mpp
S1    | C1   | HE    | -
S2    | C1   | HE    | 0.25
S3    | C1   | -     | -
---
include:
  - {id: unknown_scale, level: slide, where: {mpp: {missing: true}, stain: HE}}
---
S1 kept
S2 unknown_scale
S3 unknown_scale?
""",
    "only_whole_files_with_links_of_the_wanted_tiers": """
slides
slide | case | status      | tier
S1    | C1   | ok          | exact
S2    | C1   | truncated   | exact
S3    | -    | unsupported:kfbio | none
S4    | -    | ok          | none
S5    | -    | ok          | conflict
S6    | C1   | ok          | reviewed
S7    | C1   | ok          | file_name
---
links: [exact, reviewed]
---
S1 kept
S2 readable
S3 readable
S4 linked
S5 linked
S6 kept
S7 linked
""",
    "without_links_said_those_that_are_only_likely_do_not_count": """
slides
slide | case | tier
S1    | C1   | exact
S2    | C1   | barcode
S3    | C1   | metadata
S4    | C1   | file_name
S5    | C1   | reviewed
S6    | C1   | probable
S7    | C1   | index
S8    | C1   | patient_date
S9    | -    | conflict
---
unit: slide
---
S1 kept
S2 kept
S3 kept
S4 kept
S5 kept
S6 linked
S7 kept
S8 linked
S9 linked
""",
    "a_case_criterion_decides_for_all_slides_of_the_case": """
slides
slide | case
S1    | C1
S2    | C1
S3    | C2
S4    | C3

cases
case | age
C1   | 60
C2   | 17
C3   | -
---
include:
  - {id: adult, level: case, where: {age: {min: 18}}}
---
S1 kept
S2 kept
S3 adult
S4 adult?
""",
    "a_patient_criterion_decides_for_all_cases_and_slides": """
slides
slide | case
S1    | C1
S2    | C2
S3    | C3

cases
case | patient
C1   | P1
C2   | P1
C3   | P3

patients
patient | sex
P1      | female
P3      | male
---
exclude:
  - {id: men, level: patient, where: {sex: male}}
---
S1 kept
S2 kept
S3 men
""",
    "a_count_of_reports_at_least_one": """
slides
slide | case
S1    | C1
S2    | C2
S3    | C3

reports
report | case | status      | icd10
R1     | C1   | preliminary | C50.9
R2     | C1   | final       | C50.9
R3     | C2   | preliminary | C50.9
R4     | C3   | final       | -
---
include:
  - {id: coded, level: case, has: {table: reports, where: {status: final, icd10: C50.9}}}
---
S1 kept
S2 coded
S3 coded
""",
    "a_count_of_none": """
unit_is_case

cases
case
C1
C2
C3

reports
report | case | status
R1     | C1   | withdrawn
R2     | C2   | final
---
unit: case
include:
  - {id: never_withdrawn, level: case, has: {table: reports, where: {status: withdrawn}, count: "=0"}}
---
C1 never_withdrawn
C2 kept
C3 kept
""",
    "a_count_of_at_most_one_also_without_conditions": """
cases
case
C1
C2
C3

slides
slide | case
S1    | C1
S2    | C1
S3    | C2
---
unit: case
include:
  - {id: few, level: case, has: {table: slides, count: "<=1"}}
---
C1 few
C2 kept
C3 kept
""",
    "a_count_of_exactly_two": """
slides
slide | case | stain
S1    | C1   | HE
S2    | C1   | HE
S3    | C1   | PAS
S4    | C2   | HE
S5    | C3   | HE
S6    | C3   | HE
S7    | C3   | HE
---
unit: case
include:
  - {id: two, level: case, has: {table: slides, where: {stain: HE}, count: "=2"}}
---
C1 kept
C2 two
C3 two
""",
    "a_count_of_more_than_one_over_all_cases_of_a_patient": """
cases
case | patient
C1   | P1
C2   | P1
C3   | P2

slides
slide | case
S1    | C1
S2    | C2
S3    | C3
---
unit: patient
include:
  - {id: several, level: patient, has: {table: slides, count: ">1"}}
---
P1 kept
P2 several
""",
    "a_count_excludes": """
slides
slide | case
S1    | C1
S2    | C2

reports
report | case | report_type
R1     | C1   | consultation
R2     | C2   | primary
---
exclude:
  - {id: second_opinion, level: case, has: {table: reports, where: {report_type: consultation}}}
---
S1 second_opinion
S2 kept
""",
    "a_count_of_none_excludes": """
slides
slide | case
S1    | C1
S2    | C2

reports
report | case
R1     | C1
---
exclude:
  - {id: unreported, level: case, has: {table: reports, count: "=0"}}
---
S1 kept
S2 unreported
""",
    "a_missing_value_in_a_counted_row_meets_nothing_but_missing": """
cases
case
C1
C2

reports
report | case | organ
R1     | C1   | -
R2     | C2   | breast
---
unit: case
include:
  - {id: no_organ, level: case, has: {table: reports, where: {organ: {missing: true}}}}
exclude:
  - {id: some_organ, level: case, has: {table: reports, where: {organ: {any_of: [breast, stomach]}}}}
---
C1 kept
C2 no_organ
""",
    "rows_are_counted_by_their_true_dates": """
cases
case
C1
C2

reports
report | case | reported_date | age
R1     | C1   | 2023-06-01    | 93
R2     | C2   | 1999-09-09    | 7
---
unit: case
include:
  - {id: in_2023, level: case, has: {table: reports, where: {reported_date: {min: 2023-01-01}, age: {min: 91}}}}
---
C1 kept
C2 in_2023
""",
    "slides_without_a_case_are_nobodys_rows": """
cases
case
C1

slides
slide | case
S1    | -
S2    | -
S3    | C1
---
include:
  - {id: lonely, level: patient, has: {table: slides, count: "=1"}}
---
S1 linked
S2 linked
S3 kept
""",
    "unreadable_slides_count_unless_the_recipe_says_otherwise": """
slides
slide | case | status
S1    | C1   | ok
S2    | C1   | corrupt
S3    | C2   | corrupt
---
unit: case
include:
  - {id: two, level: case, has: {table: slides, count: ">=1"}}
  - {id: whole, level: case, has: {table: slides, where: {status: ok}}}
---
C1 kept
C2 whole
""",
    "two_criteria_on_one_table_and_level": """
cases
case | organ  | age
C1   | breast | 30
C2   | breast | 80
C3   | colon  | 30
---
unit: case
include:
  - {id: organ, level: case, where: {organ: breast}}
  - {id: young, level: case, where: {age: {max: 50}}}
---
C1 kept
C2 young
C3 organ
""",
    "a_patient_count_on_cases_and_patients": """
cases
case | patient | organ
C1   | P1      | breast
C2   | P1      | colon
C3   | P3      | breast

reports
report | case | organ
R1     | C1   | breast
R2     | C2   | colon
R3     | C3   | breast
---
unit: case
exclude:
  - {id: other_primary, level: patient, has: {table: reports, where: {organ: colon}}}
---
C1 other_primary
C2 other_primary
C3 kept
""",
    "events_of_a_patient_by_code_value_and_date": """
events
event | patient | kind       | code_system | code      | value | date
E1    | P1      | diagnosis  | ajcc        | Stage IIA | -     | 2015-01-01
E2    | P1      | laboratory | analyte     | CEA       | 50.0  | 2020-05-05
E3    | P2      | diagnosis  | ajcc        | Stage IIA | -     | 2014-12-31
E4    | P2      | laboratory | analyte     | CEA       | 50.0  | 2020-05-05
E5    | P3      | diagnosis  | ajcc        | Stage IV  | -     | 2016-01-01
E6    | P3      | laboratory | analyte     | CEA       | 50.0  | 2020-05-05
E7    | P4      | diagnosis  | ajcc        | Stage IIB | -     | 2016-01-01
E8    | P4      | laboratory | analyte     | CEA       | 49.9  | 2020-05-05
E9    | P5      | diagnosis  | ajcc        | -         | -     | 2016-01-01
E10   | P5      | laboratory | analyte     | CEA       | -     | 2020-05-05

cases
case
C1
C2
C3
C4
C5
C6
---
unit: case
include:
  - id: stage
    level: patient
    has:
      table: events
      where: {kind: diagnosis, code_system: ajcc, code: {any_of: ["Stage IIA", "Stage IIB"]}, date: {min: 2015-01-01}}
  - {id: marker, level: patient, has: {table: events, where: {kind: laboratory, code: CEA, value: {min: 50}}}}
---
C1 kept
C2 stage
C3 stage
C4 marker
C5 stage
C6 stage
""",
    "events_count_for_every_case_of_their_patient_on_whichever_level": """
events
event | patient | kind
E1    | P1      | visit
E2    | P1      | visit
E3    | P3      | visit

cases
case | patient
C1   | P1
C2   | P1
C3   | P3
C4   | P4
---
unit: case
include:
  - {id: of_case, level: case, has: {table: events, where: {kind: visit}}}
  - {id: of_patient, level: patient, has: {table: events, count: "=2"}}
---
C1 kept
C2 kept
C3 of_patient
C4 of_case
""",
    "an_event_keeps_out_slides_and_none_keeps_out_those_without_a_patient": """
slides
slide | case
S1    | C1
S2    | C2
S3    | -

events
event | patient | kind
E1    | P1      | death
---
unit: slide
exclude:
  - {id: died, level: patient, has: {table: events, where: {kind: death}}}
---
S1 died
S2 kept
S3 linked
""",
    "a_persons_events_are_not_those_of_everybody_who_may_be_this_person": """
cases
case | patient | group
C1   | P1      | Q1
C2   | P2      | Q1

events
event | patient | kind
E1    | P1      | death
---
unit: patient
exclude:
  - {id: died, level: patient, has: {table: events, where: {kind: death}}}
---
P1 died
P2 kept
""",
    "events_need_a_permission_of_their_own": """
cases
case
C1
C2
C3

permissions
subject | code | kinds
person  | P1   | slides reports
person  | P2   | slides reports events
person  | P3   | events

events
event | patient | kind
E1    | P1      | visit
E2    | P2      | visit
---
unit: case
include:
  - {id: seen, level: patient, has: {table: events}}
---
C1 permission
C2 kept
C3 permission
""",
    "no_events_no_permission_for_events": """
cases
case
C1

permissions
subject | code | kinds
person  | P1   | reports

events
event | patient | kind
E1    | P1      | visit
---
unit: case
---
C1 kept
""",
    "nothing_there_at_all": """
cases
case
---
unit: case
include:
  - {id: organ, level: case, where: {organ: breast}}
---
""",
}
CASES["a_count_of_none"] = CASES["a_count_of_none"].replace("unit_is_case\n\n", "")

PERMISSIONS = {
    "an_empty_list_permits_nobody": """
slides
slide | case
S1    | C1
S2    | -

permissions
subject | code
---
unit: slide
---
S1 permission
S2 permission?
""",
    "person_case_site_and_population": """
slides
slide | case
S1    | C1
S2    | C2
S3    | C3
S4    | C4
S5    | -

cases
case | patient | site
C1   | P1      | NB01
C2   | P2      | NB01
C3   | P3      | NB02
C4   | P4      | NB01

permissions
subject | code
person  | P1
case    | C2
site    | NB02
---
unit: slide
---
S1 kept
S2 kept
S3 kept
S4 permission
S5 permission?
""",
    "a_population_approval_permits_all_and_unlinked_slides_fall_later": """
slides
slide | case
S1    | C1
S2    | -

permissions
subject    | code
population | population
---
unit: slide
---
S1 kept
S2 linked
""",
    "another_purpose_is_no_permission": """
cases
case
C1
C2
C3

permissions
subject | code | purposes
person  | P1   | teaching product
person  | P2   | teaching
person  | P3   | -
---
unit: case
purpose: product
---
C1 kept
C2 permission
C3 permission
""",
    "every_kind_of_data_must_be_permitted_in_whatever_statements": """
slides
slide | case
S1    | C1
S2    | C2
S3    | C3
S4    | C4
S5    | C5

cases
case | site
C1   | NB01
C2   | NB01
C3   | NB02
C4   | NB01
C5   | NB01

permissions
subject | code | kinds
person  | P1   | slides
person  | P1   | reports
person  | P2   | slides
person  | P3   | reports
site    | NB02 | slides
person  | P4   | reports
case    | C5   | slides events reports series
---
include:
  - {id: any_report, level: case, where: {site: {any_of: [NB01, NB02]}}}
---
S1 kept
S2 permission
S3 kept
S4 permission
S5 kept
""",
    "slides_alone_need_no_permission_for_reports": """
slides
slide | case | stain
S1    | C1   | HE
S2    | C2   | HE

permissions
subject | code | kinds
person  | P1   | slides
person  | P2   | reports
---
include:
  - {id: he, level: slide, where: {stain: HE}}
---
S1 kept
S2 permission
""",
    "sex_and_age_of_a_slide_come_from_the_report": """
slides
slide | case | sex
S1    | C1   | male
S2    | C2   | male

permissions
subject | code | kinds
person  | P1   | slides
person  | P2   | slides reports
---
columns: [slide_id, sex]
---
S1 permission
S2 kept
""",
    "strata_touch_data_as_well": """
slides
slide | case | age_band
S1    | C1   | 60-64
S2    | C2   | 60-64

permissions
subject | code | kinds
person  | P1   | slides
person  | P2   | slides reports
---
split: {ratios: {train: 1.0}, stratify: [age_band]}
---
S1 permission
S2 kept
""",
    "counting_slides_of_a_case_touches_slides": """
cases
case
C1
C2

permissions
subject | code | kinds
person  | P1   | reports
person  | P2   | slides reports
---
unit: case
include:
  - {id: all, level: case, has: {table: slides, count: "<=9"}}
---
C1 permission
C2 kept
""",
    "the_number_of_slides_of_a_case_is_about_slides": """
cases
case
C1
C2

permissions
subject | code | kinds
person  | P1   | reports
person  | P2   | slides reports
---
unit: case
columns: [case_id, slide_count]
---
C1 permission
C2 kept
""",
    "the_number_of_slides_of_a_patient_is_about_slides_even_as_a_criterion": """
cases
case
C1
C2

permissions
subject | code | kinds
person  | P1   | reports
person  | P2   | slides reports
---
unit: case
include:
  - {id: few, level: patient, where: {slide_count: {max: 5}}}
---
C1 permission
C2 kept
""",
    "the_first_and_the_last_day_are_included": """
cases
case
C1
C2
C3
C4
C5
C6

permissions
subject | code | from       | to
person  | P1   | 2026-05-20 | 2026-05-20
person  | P2   | -          | 2026-05-19
person  | P3   | 2026-05-21 | -
person  | P4   | -          | -
person  | P5   | 2020-01-01 | 2026-05-20
person  | P6   | 2026-05-20 | -
---
unit: case
---
C1 kept
C2 permission
C3 permission
C4 kept
C5 kept
C6 kept
""",
    "half_a_permission_that_expired_is_none": """
slides
slide | case
S1    | C1
S2    | C2

permissions
subject | code | kinds   | to
person  | P1   | slides  | -
person  | P1   | reports | 2026-05-19
person  | P2   | slides  | -
person  | P2   | reports | 2026-05-19
case    | C2   | reports | 2026-05-20
---
include:
  - {id: site, level: case, where: {site: NB01}}
---
S1 permission
S2 kept
""",
    "an_opt_out_beats_consent_on_every_level": """
slides
slide | case
S1    | C1
S2    | C2
S3    | C3
S4    | C4
S5    | -

cases
case | patient | site
C1   | P1      | NB01
C2   | P2      | NB01
C3   | P3      | NB02
C4   | P4      | NB01

permissions
subject    | code       | opt_out
population | population | no
person     | P1         | no
person     | Q1         | yes
case       | C2         | yes
site       | NB02       | yes
---
unit: slide
---
S1 permission
S2 permission
S3 permission
S4 kept
S5 linked
""",
    "an_opt_out_holds_whatever_its_dates_and_purposes": """
cases
case
C1
C2
C3

permissions
subject    | code       | opt_out | from       | to         | purposes | kinds
population | population | no      | -          | -          | research | slides reports
person     | Q1         | yes     | -          | 2020-01-01 | teaching | -
case       | C2         | yes     | 2030-01-01 | -          | -        | series
---
unit: case
---
C1 permission
C2 permission
C3 kept
""",
    "an_opt_out_keeps_out_everybody_who_may_be_this_person": """
cases
case | patient | group
C1   | P1      | Q1
C2   | P2      | Q1
C3   | P3      | Q3

permissions
subject    | code       | opt_out
population | population | no
person     | Q1         | yes
---
unit: case
---
C1 permission
C2 permission
C3 kept
""",
    "the_opt_out_of_the_population_ends_everything": """
slides
slide | case
S1    | C1
S2    | -

permissions
subject    | code       | opt_out
population | population | yes
population | population | no
person     | P1         | no
---
unit: slide
---
S1 permission
S2 permission
""",
    "an_unlinked_slide_of_a_site_that_opted_out_did_not_fall_for_want_of_a_link": """
slides
slide | case | site
S1    | -    | NB02
S2    | -    | NB01

permissions
subject | code | opt_out
site    | NB02 | yes
---
unit: slide
---
S1 permission
S2 permission?
""",
    "a_patient_needs_a_permission_of_its_own_or_of_the_population": """
cases
case | patient
C1   | P1
C2   | P2
C3   | P3

permissions
subject | code
person  | P1
case    | C2
site    | NB01
---
unit: patient
---
P1 kept
P2 permission
P3 permission
""",
    "one_case_or_site_that_is_out_keeps_the_whole_patient_out": """
cases
case | patient | site
C1   | P1      | NB01
C2   | P1      | NB01
C3   | P3      | NB01
C4   | P3      | NB02
C5   | P5      | NB01
C6   | P6      | NB01

permissions
subject    | code       | opt_out
population | population | no
case       | C2         | yes
site       | NB02       | yes
person     | Q6         | yes
---
unit: patient
---
P1 permission
P3 permission
P5 kept
P6 permission
""",
    "an_opted_out_case_keeps_out_patients_who_may_be_the_same": """
cases
case | patient | group
C1   | P1      | Q1
C2   | P2      | Q1
C3   | P3      | Q3

permissions
subject    | code       | opt_out
population | population | no
case       | C1         | yes
---
unit: patient
---
P1 permission
P2 permission
P3 kept
""",
    "a_statement_about_a_group_is_no_consent": """
cases
case
C1

permissions
subject | code | opt_out
person  | Q1   | no
---
unit: case
---
C1 permission
""",
    "permission_is_step_zero_whatever_else_fails": """
slides
slide | case | status  | stain
S1    | C1   | corrupt | PAS
S2    | C2   | corrupt | PAS

permissions
subject | code
person  | P2
---
include:
  - {id: he, level: slide, where: {stain: HE}}
---
S1 permission
S2 readable
""",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in (CASES | PERMISSIONS).items()])
def test_drawn_case(text: str, tmp_path: Path, engine: Engine) -> None:
    drawing, body, expected = text.split("---\n")
    drawn, source = draw(drawing), load(body, tmp_path)
    assert judged(drawn, source, engine) == outcomes(expected)
