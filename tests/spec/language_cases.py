"""Drawings, recipes and what is expected of them (``test_language``)."""

from oracle import Answers

SQL: Answers = {
    "stain like 'IHC:%' or block is null": lambda row: (
        True if row.get("block") is None else None if row.get("stain") is None else row["stain"].startswith("IHC:")
    ),
    "not (organ = 'breast')": lambda row: None if row.get("organ") is None else row["organ"] != "breast",
}

DAY_0 = {
    "a_left_hip_then_a_right_hip_and_no_film_of_the_wrong_side": """
events
event | patient | kind      | laterality | date
E1    | P1      | procedure | left       | 2020-05-10
E2    | P1      | procedure | right      | 2022-05-10
E3    | P2      | procedure | left       | 2021-01-01
E4    | P3      | procedure | right      | 2021-01-01
E5    | P4      | procedure | -          | 2021-01-01
E6    | P5      | procedure | bilateral  | 2021-01-01
E7    | P5      | diagnosis | left       | 2021-01-01

series
series | patient | laterality | study_date
I1     | P1      | L          | 2020-05-01
I2     | P1      | R          | 2020-05-02
I3     | P1      | B          | 2022-05-03
I4     | P2      | R          | 2020-12-31
I5     | P3      | -          | 2020-12-31
I6     | P4      | L          | 2020-12-31
I7     | P5      | R          | 2020-12-31
---
unit: event
index: {table: events, date: date, pick: each, where: {kind: procedure}}
include:
  - {id: film, level: event, has: {table: series, match: [laterality], within: {from: -180d, to: 0d}}}
tables:
  events: {columns: [event_id]}
  series: {within: {from: -180d, to: 0d}, match: [laterality], columns: [series_id, index_event_id, days_from_index]}
---
E1 kept
E2 kept
E3 film
E4 film
E5 film
E6 kept
series I1 E1 -9
series I3 E2 -7
series I7 E6 -1
""",
    "day_0_is_the_true_first_or_last_date_and_the_smallest_id_of_a_tie": """
events
event | patient | kind      | laterality | date
E1    | P1      | procedure | right      | 2020-05-11
E2    | P1      | procedure | left       | 2020-05-10
E3    | P1      | procedure | right      | 2020-05-10
E4    | P2      | procedure | left       | -
E5    | P3      | visit     | left       | 2020-05-10

series
series | patient | laterality | study_date
I1     | P1      | L          | 2020-05-10
I2     | P2      | L          | 2020-05-10
I3     | P3      | L          | 2020-05-10
---
unit: series
index: {table: events, date: date, where: {kind: procedure}}
include:
  - {id: same_side, level: patient, has: {table: series, match: [laterality], within: {from: 0d, to: 0d}}}
---
I1 kept
I2 day_0
I3 day_0
""",
    "the_last_of_a_tie_is_still_the_smallest_id": """
events
event | patient | kind      | laterality | date
E1    | P1      | procedure | left       | 2020-05-10
E2    | P1      | procedure | right      | 2020-05-10
E3    | P1      | procedure | right      | 2019-05-10

cases
case
C1
---
unit: case
index: {table: events, date: date, pick: last, where: {kind: procedure}}
include:
  - id: left
    level: patient
    has: {table: events, where: {laterality: left}, match: [laterality], within: {from: 0d, to: 0d}, count: "=1"}
  - {id: no_right, level: patient, has: {table: events, where: {laterality: right}, match: [laterality], count: "=0"}}
---
C1 kept
""",
    "the_first_of_each_side_and_of_a_missing_side": """
events
event | patient | kind      | laterality | date
E1    | P1      | procedure | left       | 2020-05-10
E2    | P1      | procedure | left       | 2019-05-10
E3    | P1      | procedure | right      | 2021-05-10
E4    | P1      | procedure | -          | 2021-05-10
E5    | P1      | procedure | -          | 2021-05-11
E6    | P2      | procedure | left       | 2021-05-10
E7    | P2      | visit     | right      | 2021-05-10
---
unit: event
index: {table: events, date: date, per: [laterality], where: {kind: procedure}}
---
E2 kept
E3 kept
E4 kept
E6 kept
""",
    "day_0_by_what_a_report_says": """
cases
case
C1
C2
C3
C4

reports
report | case | reported_date
R1     | C1   | 2020-01-01
R2     | C1   | 2020-02-01
R3     | C2   | 2020-01-01
R4     | C3   | 2020-01-01

report_concepts
report | concept | assertion | concept_sha
R2     | tumour  | affirmed  | cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
R3     | tumour  | negated   | cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
R4     | tumour  | affirmed  | dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
---
unit: case
concepts: {tumour: {any: [tumour]}}
index: {table: reports, date: reported_date, text: tumour}
include:
  - {id: earlier, level: case, has: {table: reports, within: {to: -1d}, count: "=1"}}
---
C1 kept
C2 day_0
C3 day_0
C4 day_0
""",
}


def _window(within: str, day_0: str, dates: dict[str, str]) -> str:
    """A case: patients whose other event lies so from day 0, and whether that is in the window."""
    events, expected = [], []
    for number, (on, answer) in enumerate(dates.items(), 1):
        events += [f"E{2 * number - 1} | P{number} | procedure | {day_0}", f"E{2 * number} | P{number} | visit | {on}"]
        expected.append(f"P{number} {answer}")
    drawn = "\n".join(["events", "event | patient | kind | date", *events])
    return f"""{drawn}
---
unit: patient
index: {{table: events, date: date, where: {{kind: procedure}}}}
include:
  - {{id: out, level: patient, has: {{table: events, where: {{kind: visit}}, within: {within}}}}}
---
{chr(10).join(expected)}
"""


WINDOWS = {
    "both_ends_of_a_window_are_in_it": _window(
        "{from: -2d, to: 1d}", "2020-05-10",
        {"2020-05-07": "out", "2020-05-08": "kept", "2020-05-10": "kept", "2020-05-11": "kept", "2020-05-12": "out",
         "-": "out"},
    ),
    "day_0_alone": _window(
        "{from: 0d, to: 0d}", "2020-05-10", {"2020-05-09": "out", "2020-05-10": "kept", "2020-05-11": "out"}
    ),
    "before_day_0": _window("{to: -1d}", "2020-05-10", {"1999-01-01": "kept", "2020-05-09": "kept", "2020-05-10": "out"}),
    "a_window_that_has_passed": _window(
        "{from: -5y, to: -1y}", "2024-02-29",
        {"2019-02-27": "out", "2019-02-28": "kept", "2023-02-28": "kept", "2023-03-01": "out"},
    ),
    "a_month_from_the_31st_of_january_ends_with_february": _window(
        "{from: 0d, to: 1mo}", "2023-01-31", {"2023-02-28": "kept", "2023-03-01": "out"}
    ),
    "and_in_a_leap_year_a_day_later": _window("{to: 1mo}", "2024-01-31", {"2024-02-29": "kept", "2024-03-01": "out"}),
    "a_month_back_from_the_31st_of_march": _window(
        "{from: -1mo}", "2024-03-31", {"2024-02-28": "out", "2024-02-29": "kept"}
    ),
    "a_year_after_a_leap_day": _window("{from: 1y}", "2024-02-29", {"2025-02-27": "out", "2025-02-28": "kept"}),
    "four_years_after_a_leap_day": _window(
        "{from: 4y, to: 48mo}", "2020-02-29", {"2024-02-28": "out", "2024-02-29": "kept"}
    ),
    "a_month_of_thirty_days_is_not_one_of_the_calendar": _window(
        "{from: 30d}", "2024-01-31", {"2024-02-29": "out", "2024-03-01": "kept"}
    ),
    "weeks": _window("{from: 2w, to: +3w}", "2023-12-25", {"2024-01-07": "out", "2024-01-08": "kept", "2024-01-15": "kept",
                                                           "2024-01-16": "out"}),
    "across_the_ends_of_years": _window(
        "{from: -13mo, to: -12mo}", "2024-01-31",
        {"2022-12-30": "out", "2022-12-31": "kept", "2023-01-31": "kept", "2023-02-01": "out"},
    ),
}  # fmt: skip
AGES = {
    "the_age_at_day_0_is_in_whole_years": """
patients
patient | birth_date
P1      | 1960-05-10
P2      | 1960-05-11
P3      | 1960-02-29
P4      | 1960-02-29
P5      | -

events
event | patient | kind      | date
E1    | P1      | procedure | 2024-05-10
E2    | P2      | procedure | 2024-05-10
E3    | P3      | procedure | 2025-02-28
E4    | P4      | procedure | 2024-02-29
E5    | P5      | procedure | 2024-05-10
---
unit: patient
index: {table: events, date: date}
include:
  - {id: old, level: patient, where: {age_at_index: {min: 64, max: 64}}}
---
P1 kept
P2 old
P3 kept
P4 kept
P5 old?
""",
    "without_a_birth_date_the_age_of_the_last_case_counts_on": """
cases
case | patient | age | received_date
C1   | P1      | 62  | 2022-05-01
C2   | P1      | 63  | 2023-05-01
C3   | P1      | -   | 2024-01-01
C4   | P2      | 62  | 2023-05-01
C5   | P3      | 65  | 2025-06-01

events
event | patient | kind      | date
E1    | P1      | procedure | 2024-05-01
E2    | P2      | procedure | 2024-05-01
E3    | P3      | procedure | 2024-05-01
---
unit: patient
index: {table: events, date: date}
exclude:
  - {id: young, level: patient, where: {age_at_index: {max: 63}}}
---
P1 kept
P2 young
P3 young
""",
    "each_unit_has_its_own_day_0_and_so_its_own_age_and_days": """
patients
patient | birth_date
P1      | 1960-05-10

events
event | patient | kind      | date
E1    | P1      | procedure | 2024-05-09
E2    | P1      | procedure | 2024-05-10

series
series | patient | study_date
I1     | P1      | 2024-05-09
---
unit: event
index: {table: events, date: date, pick: each}
include:
  - {id: age, level: patient, where: {age_at_index: 64}, if_missing: pass}
  - {id: film, level: patient, has: {table: series, where: {days_from_index: -1, age_at_index: 64}}}
---
E1 age
E2 kept
""",
}
PLACES = {
    "a_specimen_is_of_its_lines_by_number_or_letter_and_of_those_that_name_none": """
slides
slide | case | specimen
S1    | C1   | A
S2    | C1   | B
S3    | C1   | C
S4    | C1   | -
S5    | C2   | B
S6    | C3   | -

reports
report | case
R1     | C1
R2     | C2
R3     | C3

diagnoses
report | specimen | organ  | grade
R1     | 1        | breast | G1
R1     | B        | breast | G2
R1     | -        | -      | G1
R2     | -        | breast | -
R3     | 1        | breast | -
---
include:
  - {id: breast, level: specimen, where: {organ: breast}}
  - {id: one_grade, level: specimen, where: {grade: G1}, if_missing: pass}
---
S1 kept
S2 kept
S3 breast?
S4 breast?
S5 kept
S6 breast?
""",
    "lines_are_counted_for_their_specimen_and_for_all_if_they_name_none": """
slides
slide | case | specimen
S1    | C1   | A
S2    | C1   | B
S3    | C1   | -
S4    | C2   | C
S5    | C2   | -
S6    | C3   | -

reports
report | case
R1     | C1
R2     | C2

diagnoses
report | specimen | organ
R1     | 1        | breast
R1     | B        | colon
R2     | -        | breast
R2     | 3        | colon
---
include:
  - {id: any, level: specimen, has: {table: diagnoses}}
  - {id: breast, level: case, has: {table: diagnoses, where: {organ: breast}, match: [specimen]}}
---
S1 kept
S2 breast
S3 any
S4 kept
S5 kept
S6 any
""",
    "blocks_and_what_is_made_of_them": """
slides
slide | case | specimen | block | stain
S1    | C1   | A        | 1     | HE
S2    | C1   | A        | 1     | PAS
S3    | C1   | A        | 2     | HE
S4    | C1   | B        | 1     | HE
S5    | C1   | A        | -     | HE

materials
material | case | specimen | block | stain
M1       | C1   | A        | 1     | HE
M2       | C1   | A        | 2     | PAS
M3       | C1   | B        | 1     | PAS
---
include:
  - {id: several, level: block, where: {slide_count: {min: 1}}}
  - {id: he, level: block, has: {table: materials, where: {stain: HE}}}
  - {id: pas, level: case, has: {table: slides, where: {stain: PAS}, match: [specimen, block]}}
tables:
  slides: {columns: [slide_id]}
  materials: {match: [specimen], columns: [material_id]}
---
S1 kept
S2 kept
S3 he
S4 he
S5 several?
materials M1
materials M2
""",
}
UNKNOWN = {
    "one_met_alternative_is_enough_and_an_open_one_keeps_the_rest_open": """
slides
slide | case | stain | mpp
S1    | C1   | HE    | 0.50
S2    | C1   | PAS   | 0.25
S3    | C1   | PAS   | -
S4    | C1   | -     | 0.25
S5    | C1   | -     | 0.50
S6    | C1   | PAS   | 0.50
---
include:
  - id: either
    level: slide
    any_of: [{where: {stain: HE}}, {where: {mpp: {max: 0.3}}}]
---
S1 kept
S2 kept
S3 either?
S4 kept
S5 either?
S6 either
""",
    "and_if_missing_turns_it_both_ways": """
slides
slide | case | stain | mpp
S1    | C1   | PAS   | -
S2    | C1   | -     | -
S3    | C2   | -     | 0.50

cases
case | organ
C1   | breast
C2   | -
---
include:
  - {id: a, level: slide, any_of: [{where: {stain: HE}}, {where: {mpp: {max: 0.3}}}], if_missing: pass}
exclude:
  - {id: b, level: case, any_of: [{where: {organ: colon}}, {level: slide, where: {mpp: 0.25}}], if_missing: fail}
---
S1 b?
S2 b?
S3 b?
""",
    "a_count_in_an_alternative_is_never_open": """
cases
case | organ
C1   | -
C2   | -
C3   | breast

reports
report | case
R1     | C1
---
unit: case
include:
  - {id: either, level: case, any_of: [{has: {table: reports}}, {where: {organ: colon}}]}
---
C1 kept
C2 either?
C3 either
""",
    "sql_is_open_where_sql_is": """
slides
slide | case | stain     | block
S1    | C1   | IHC:Ki-67 | 1
S2    | C1   | HE        | 1
S3    | C1   | -         | 1
S4    | C1   | -         | -

cases
case | organ
C1   | colon
---
include:
  - {id: ihc, level: slide, sql: "stain like 'IHC:%' or block is null"}
exclude:
  - {id: not_breast, level: case, sql: "not (organ = 'breast')", if_missing: fail}
---
S1 not_breast
S2 ihc
S3 ihc?
S4 not_breast
""",
}

LABELS = {
    "a_label_of_the_case_is_called_so_on_a_slide_and_a_specimens_label_is_its_own": """
slides
slide | case | specimen
S1    | C1   | A
S2    | C1   | B
S3    | C1   | -
S4    | C2   | A
S5    | C2   | -
S6    | C3   | A

cases
case | organ
C1   | breast
C2   | -
C3   | colon

reports
report | case | reported_date
R1     | C1   | 2020-01-01
R2     | C2   | 2020-01-01

diagnoses
report | specimen | icdo3_morphology
R1     | 1        | 8140/3
R1     | 2        | 8070/3
R2     | -        | 8140/3
---
labels:
  - {name: subtype, level: specimen, column: diagnoses.icdo3_morphology, classes: {luad: [8140/3], lusc: [8070/3]}}
  - {name: organ, level: case, column: cases.organ}
---
S1 kept luad breast
S2 kept lusc breast
S3 kept - breast
S4 kept luad -
S5 kept luad -
S6 kept - colon
""",
    "lines_that_disagree_are_dropped_and_a_missing_label_may_be": """
slides
slide | case | specimen
S1    | C1   | A
S2    | C2   | A
S3    | C3   | A
S4    | C4   | A

reports
report | case | reported_date | status    | is_current
R1     | C1   | 2020-01-01    | final     | yes
R2     | C2   | 2020-01-01    | final     | no
R3     | C2   | 2020-02-01    | final     | yes
R4     | C3   | 2020-01-01    | withdrawn | yes

diagnoses
report | specimen | grade
R1     | A        | G1
R1     | -        | G2
R2     | A        | G1
R3     | A        | G2
R4     | A        | G1
---
labels: [{name: grade, level: specimen, column: diagnoses.grade, if_missing: fail}]
---
S1 label_grade
S2 kept G2
S3 label_grade
S4 label_grade
""",
    "or_the_latest_report_has_the_last_word": """
slides
slide | case | specimen
S1    | C1   | A
S2    | C2   | A

reports
report | case | reported_date
R1     | C1   | 2020-02-01
R2     | C1   | 2020-01-01
R3     | C2   | 2020-01-01
R4     | C2   | -

diagnoses
report | specimen | grade
R1     | A        | G1
R2     | A        | G2
R3     | A        | G3
R3     | A        | G4
R4     | A        | G2
---
labels: [{name: grade, level: specimen, column: diagnoses.grade, on_conflict: latest}]
---
S1 kept G1
S2 kept G3
""",
    "a_slide_without_a_specimen_gets_no_label_of_one_of_two_even_if_the_other_line_does_not_count": """
slides
slide | case | specimen
S1    | C1   | -
S2    | C2   | -

reports
report | case
R1     | C1
R2     | C2

diagnoses
report | specimen | grade | assertion
R1     | A        | G1    | affirmed
R1     | B        | G2    | negated
R2     | 1        | G1    | affirmed
---
labels: [{name: grade, level: specimen, column: diagnoses.grade, where: {assertion: affirmed}}]
---
S1 kept -
S2 kept G1
""",
    "a_label_of_what_was_drawn_and_one_of_what_there_is": """
slides
slide | case
S1    | C1
S2    | C1
S3    | C2

annotations
annotation | slide | label
A1         | S1    | tumour
A2         | S1    | Tumour
A3         | S2    | stroma
A4         | S2    | tumour
A5         | S3    | fat
---
labels:
  - {name: drawn, level: slide, from: annotations, classes: {tumour: [tumour, Tumour], stroma: [stroma]}}
  - {name: shapes, level: slide, has: {table: annotations, count: ">=2"}}
---
S1 kept tumour yes
S2 label_drawn
S3 kept - no
""",
    "time_to_the_first_event_or_to_the_last_day_seen": """
events
event | patient | kind      | date
E1    | P1      | procedure | 2020-05-10
E2    | P1      | death     | 2020-06-10
E3    | P1      | death     | 2020-05-31
E4    | P1      | visit     | 2021-01-01
E5    | P2      | procedure | 2020-05-10
E6    | P2      | visit     | 2020-05-20
E7    | P2      | visit     | 2020-05-11
E8    | P2      | death     | 2020-05-09
E9    | P3      | procedure | 2020-05-10
E10   | P4      | procedure | 2020-05-10
E11   | P4      | death     | 2020-05-10
---
unit: patient
index: {table: events, date: date, where: {kind: procedure}}
labels:
  - name: survival
    level: patient
    time_to_event: {event: {table: events, where: {kind: death}}, censor: {table: events, where: {kind: visit}}}
---
P1 kept 21 yes
P2 kept 10 no
P3 kept - -
P4 kept 0 yes
""",
    "the_nearest_value_before_after_and_on_either_side": """
events
event | patient | kind       | value | date
E1    | P1      | procedure  | -     | 2020-05-10
E2    | P1      | laboratory | 1.0   | 2020-05-08
E3    | P1      | laboratory | 9.0   | 2020-05-11
E4    | P1      | laboratory | -     | 2020-05-10
E5    | P2      | procedure  | -     | 2020-05-10
E6    | P2      | laboratory | 1.0   | 2020-05-12
E7    | P2      | laboratory | 9.0   | 2020-05-08
E8    | P3      | procedure  | -     | 2020-05-10
E9    | P3      | laboratory | 1.0   | 2020-05-20
---
unit: patient
index: {table: events, date: date, where: {kind: procedure}}
labels:
  - name: after
    level: patient
    classes: {low: {max: 5}, high: {min: 5}}
    nearest: {table: events, column: value, where: {kind: laboratory}, direction: after, within: {to: 7d}}
  - name: either
    level: patient
    classes: {low: {max: 5}, high: {min: 5}}
    nearest: {table: events, column: value, where: {kind: laboratory}}
---
P1 kept high 1 high 1
P2 kept low 2 high -2
P3 kept - - low 10
""",
    "a_report_that_was_withdrawn_or_replaced_is_not_the_nearest": """
cases
case
C1

reports
report | case | reported_date | status    | is_current | grade
R1     | C1   | 2020-05-10    | withdrawn | yes        | G1
R2     | C1   | 2020-05-10    | final     | no         | G2
R3     | C1   | 2020-05-20    | final     | yes        | G3

slides
slide | case | scan_datetime
S1    | C1   | 2020-05-09
---
unit: case
index: {table: slides, date: scan_datetime}
labels: [{name: grade, level: case, nearest: {table: reports, column: grade}}]
---
C1 kept G3 11
""",
    "a_label_of_a_case_or_specimen_is_never_what_another_says": """
slides
slide | case | specimen | scan_datetime
S1    | C1   | A        | 2020-05-10
S2    | C2   | A        | 2020-05-10
S3    | C2   | B        | 2020-05-10

cases
case | patient
C1   | P1
C2   | P1

reports
report | case | reported_date
R1     | C1   | 2020-05-10
R2     | C2   | 2020-05-12

diagnoses
report | specimen | grade
R1     | A        | G1
R2     | 1        | G2
R2     | 2        | G3
---
index: {table: slides, date: scan_datetime}
labels:
  - {name: grade, level: specimen, nearest: {table: diagnoses, column: grade}}
  - name: report
    level: case
    time_to_event: {event: {table: reports, where: {status: withdrawn}}, censor: {table: reports}}
---
S1 kept G1 0 0 no
S2 kept G2 2 2 no
S3 kept G3 2 2 no
""",
    "a_label_of_an_event_is_around_its_own_day_0": """
events
event | patient | kind      | laterality | date
E1    | P1      | procedure | left       | 2020-05-10
E2    | P1      | procedure | right      | 2021-05-10
E3    | P1      | diagnosis | -          | 2021-06-10

cases
case | organ
C1   | bone
---
unit: event
index: {table: events, date: date, pick: each, where: {kind: procedure}}
labels:
  - {name: infected, level: event, has: {table: events, where: {kind: diagnosis}, within: {from: 1d, to: 12mo}}}
  - {name: side, level: event, column: events.laterality, classes: {l: [left], r: [right]}}
  - {name: histology, level: event, column: cases.organ}
---
E1 kept no l bone
E2 kept yes r bone
""",
}
SAMPLES = {
    "caps_by_an_order_then_a_missing_value_last_and_the_key_ends_it": """
slides
slide | case | specimen | block | tissue_fraction
S1    | C1   | A        | 1     | 0.5
S2    | C1   | A        | 1     | 0.9
S3    | C1   | A        | 2     | 0.5
S4    | C1   | B        | 1     | -
S5    | C2   | -        | -     | -
S6    | C2   | -        | -     | -
---
sample: {per: [{level: block, max: 1, order: [-tissue_fraction]}, {level: case, max: 2, order: [-tissue_fraction]}]}
---
S1 sample_cap_1
S2 kept
S3 kept
S4 sample_cap_2
S5 kept
S6 kept
""",
    "a_balance_counts_a_label_and_who_has_none_is_one_of_its_classes": """
cases
case | organ
C1   | breast
C2   | -
C3   | colon
C4   | -
---
unit: case
labels: [{name: kind, level: case, column: cases.organ, classes: {b: [breast], c: [colon]}}]
sample: {balance: {by: [kind], max: 5}}
---
C1 kept b
C2 kept -
C3 kept c
C4 kept -
""",
}
LISTS = """
events
event | patient | kind      | code_system | code
E1    | P1      | diagnosis | icd10       | M16.1
E2    | P2      | diagnosis | icd10       | M16.900x001
E3    | P3      | diagnosis | icd10       | M16.900X002
E4    | P4      | diagnosis | icd10       | M17.0
E5    | P5      | diagnosis | icd9cm3     | M16.1
E6    | P6      | diagnosis | -           | M16.1
E7    | P7      | diagnosis | icd10       | M16
E8    | P8      | diagnosis | icd10       | -
---
unit: patient
codelists: {{it: {{system: icd10-cn, {codes}}}}}
include:
  - {{id: on_it, level: patient, has: {{table: events, where: {{code: {{codelist: it}}}}}}}}
---
{expected}
"""


def _on_list(codes: str, on_it: set[int]) -> str:
    expected = "\n".join(f"P{number} {'kept' if number in on_it else 'on_it'}" for number in range(1, 9))
    return LISTS.format(codes=codes, expected=expected)


CODELISTS = {
    "a_code_exactly": _on_list("codes: [M16.1]", {1}),
    "a_chinese_code_with_a_small_or_large_x": _on_list("codes: [M16.900X001]", {2}),
    "what_lies_below_a_code_with_chinese_extensions_too": _on_list("codes: [M16], match: descendants", {1, 2, 3, 7}),
    "below_a_code_and_not_below_another": _on_list("codes: [M16], match: descendants, without: [M16.900x001]", {1, 3, 7}),
    "below_two_and_not_below_one_of_them": _on_list("codes: [M16, M17], match: descendants, without: [M16.9]", {1, 4, 7}),
    "exactly_some_without_one": _on_list("codes: [M16.1, M17.0], without: [M17.0]", {1}),
}
PERMITTED = {
    "series_and_events_need_a_permission_of_their_own": """
series
series | patient
I1     | P1
I2     | P2
I3     | P3

permissions
subject | code | kinds
person  | P1   | series reports
person  | P2   | reports
person  | P3   | series events reports
---
unit: series
exclude:
  - {id: dead, level: patient, has: {table: events, where: {kind: death}}}
---
I1 permission
I2 permission
I3 kept
""",
    "series_alone_need_that_for_series": """
series
series | patient | case
I1     | P1      | -
I2     | P2      | C2

cases
case
C2

permissions
subject | code | kinds
person  | P1   | reports
case    | C2   | series
---
unit: series
---
I1 permission
I2 kept
""",
    "an_event_at_a_site_that_opted_out_is_out": """
events
event | patient | site | kind      | date
E1    | P1      | NB01 | procedure | 2020-05-10
E2    | P1      | NB02 | procedure | 2020-05-11
E3    | P2      | NB01 | procedure | 2020-05-10

cases
case | site
C2   | NB02

permissions
subject    | code       | opt_out | kinds
population | population | no      | events reports
site       | NB02       | yes     | -
---
unit: event
index: {table: events, date: date, pick: each}
---
E1 kept
E2 permission
E3 permission
""",
    "what_else_of_a_patient_goes_out_needs_its_own_permission": """
slides
slide | case
S1    | C1

cases
case | patient | site
C1   | P1      | NB01
C2   | P1      | NB01
C3   | P1      | NB01
C4   | P1      | NB02

reports
report | case
R1     | C1
R2     | C2
R3     | C3
R4     | C4

permissions
subject | code | opt_out
case    | C1   | no
case    | C3   | no
case    | C3   | yes
case    | C4   | no
site    | NB02 | yes
---
tables:
  slides: {columns: [slide_id]}
  reports: {rows: of_patients, columns: [report_id]}
---
S1 kept
reports R1
""",
    "age_at_day_0_comes_from_reports": """
series
series | patient | study_date
I1     | P1      | 2020-01-01
I2     | P2      | 2020-01-01

permissions
subject | code | kinds
person  | P1   | series
person  | P2   | series reports
---
unit: series
index: {table: series, date: study_date}
include:
  - {id: old, level: series, where: {age_at_index: {min: 1}}, if_missing: pass}
---
I1 permission
I2 kept
""",
    "what_a_label_or_a_sample_looks_at_must_be_permitted": """
slides
slide | case | sex
S1    | C1   | male
S2    | C2   | male

permissions
subject | code | kinds
person  | P1   | slides
person  | P2   | slides reports
---
sample: {balance: {by: [sex], max: 5}}
---
S1 permission
S2 kept
""",
}
OUT = {
    "a_row_around_two_days_0_goes_out_once_unless_it_says_for_which": """
events
event | patient | kind      | date
E1    | P1      | procedure | 2020-05-10
E2    | P1      | procedure | 2020-05-20

series
series | patient | study_date
I1     | P1      | 2020-05-01
I2     | P1      | 2020-05-15

materials
material | case | made_date
M1       | C1   | 2020-05-01
M2       | C1   | 2020-05-12

cases
case
C1
---
unit: event
index: {table: events, date: date, pick: each}
tables:
  events: {columns: [event_id]}
  series: {within: {from: -30d, to: 0d}, columns: [series_id]}
  materials: {where: {days_from_index: {max: 0}}, columns: [material_id, index_event_id, days_from_index]}
---
E1 kept
E2 kept
materials M1 E1 -9
materials M1 E2 -19
materials M2 E2 -8
series I1
series I2
""",
    "what_reports_say_has_either_date_of_its_report": """
cases
case
C1
C2

reports
report | case | received_date | reported_date
R1     | C1   | 2020-05-01    | 2020-05-10
R2     | C2   | 2020-05-08    | 2020-05-10

diagnoses
report | organ
R1     | breast
R2     | breast
---
unit: case
index: {table: reports, date: reported_date}
include:
  - {id: that_day, level: case, has: {table: diagnoses, within: {from: 0d, to: 0d}}}
  - {id: earlier, level: case, has: {table: diagnoses, within: {to: -9d}, date: received_date}}
tables:
  cases: {columns: [case_id]}
  diagnoses: {rows: of_patients, columns: [report_id, ordinal, days_from_index]}
---
C1 kept
C2 earlier
diagnoses R1 1 0
""",
    "only_what_could_stand_for_itself_goes_out": """
slides
slide | case | status  | tier     | stain
S1    | C1   | ok      | exact    | HE
S2    | C1   | corrupt | exact    | HE
S3    | C1   | ok      | probable | HE
S4    | C1   | ok      | reviewed | -
S5    | C2   | ok      | exact    | HE

reports
report | case | status
R1     | C1   | final
R2     | C1   | withdrawn
R3     | C2   | final

cases
case | patient | organ
C1   | P1      | breast
C2   | P1      | colon
---
unit: case
include: [{id: breast, level: case, where: {organ: breast}}]
tables:
  cases: {columns: [case_id]}
  slides: {where: {stain: HE}, columns: [slide_id]}
  reports: {columns: [report_id]}
---
C1 kept
C2 breast
reports R1
slides S1
""",
    "those_who_were_children_on_day_0_do_not_go_out": """
cases
case | birth_date
C1   | 2000-01-01

patients
patient | birth_date
P1      | 2000-01-01

series
series | patient | study_date
I1     | P1      | 2019-01-01
---
unit: case
index: {table: series, date: study_date}
tables:
  cases: {columns: [case_id]}
  series: {where: {age_at_index: {min: 19}}, columns: [series_id, days_from_index]}
---
C1 kept
series I1 0
""",
}
CASES = DAY_0 | WINDOWS | AGES | PLACES | UNKNOWN | LABELS | SAMPLES | CODELISTS | PERMITTED | OUT
