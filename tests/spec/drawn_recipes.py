"""Hypothesis strategies: small hospitals with everything that recipes may look at, and recipes over the whole language."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from drawn_hospital import CURRENT, STALE, Drawn, Row, completed, long
from hypothesis import strategies as st
from oracle import Answers

TODAY = date(2026, 5, 20)
# Around one another by less and more than a month: month ends, a leap day, and the days of permissions.
DATES = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31), date(2024, 4, 1), date(2023, 2, 28)]
STATEMENT_DATES = [date(2026, 5, 19), TODAY, date(2026, 5, 21)]
BIRTHS = [date(1960, 2, 29), date(1960, 3, 1), date(2023, 12, 31)]
SITES = ["NB01", "NB02"]
CODES = ["M16.1", "M16.900x001", "M16.900X002", "M17.0", "C34.1", "C34"]
SIDES = ["left", "right", "bilateral"]
# What values a column has, and so what conditions may compare it with. Two floats lie within the tolerance of 0.25.
VALUES: Mapping[str, Mapping[str, list[Any]]] = {
    "slides": {
        "stain": ["HE", "PAS", "IHC:Ki-67"], "width": [0, 1, 2], "mpp": [0.25, 0.2500000005, 0.250000003, 0.5],
        "is_control": [True, False], "scan_datetime": DATES, "size_bytes": [1, 5_000_000_000], "age": [17, 95],
        "year": [2020, 2026], "sex": ["male", "female"], "site": SITES, "specimen": ["A", "B"], "block": ["1", "2"],
    },
    "cases": {
        "organ": ["breast", "colon"], "age": [17, 64, 95], "received_date": DATES, "birth_date": BIRTHS, "site": SITES,
        "slide_count": [0, 1, 2], "year": [2020, 2026], "icd10": CODES,
    },
    "patients": {"sex": ["male", "female"], "case_count": [1, 2], "slide_count": [0, 1], "birth_date": BIRTHS},
    "reports": {
        "status": ["final", "withdrawn"], "report_type": ["primary", "consultation"], "is_current": [True, False],
        "organ": ["breast", "colon"], "age": [17, 95], "reported_date": DATES, "icd10": CODES,
    },
    "events": {
        "kind": ["procedure", "diagnosis", "death"], "code": ["81.5100", *CODES[:4]],
        "code_system": ["icd10", "icd10", "icd9cm3"], "laterality": SIDES, "date": DATES,
        "value": [0.0, 49.9999999999, 50.0, 50.1], "site": SITES,
    },
    "series": {
        "modality": ["DX", "CT"], "laterality": ["L", "R", "B", "U"], "study_date": DATES, "site": SITES,
        "instance_count": [1, 2],
    },
    "diagnoses": {
        "specimen": ["1", "B", "2"], "organ": ["breast", "colon"], "grade": ["G1", "G2"], "icd10": CODES,
        "assertion": ["affirmed", "negated"], "laterality": SIDES,
    },
    "ihc_results": {"marker": ["CD3", "CD20"], "result": ["positive", "negative"], "specimen": ["1", "B"],
                    "percent_low": [0, 50]},
    "report_concepts": {"assertion": ["affirmed", "negated"], "specimen": ["A", "2"]},
    "materials": {"kind": ["block", "slide"], "stain": ["HE", "PAS"], "specimen": ["A", "B"], "block": ["1", "2"],
                  "made_date": DATES},
    "annotations": {"label": ["tumour", "stroma"], "tool": ["qupath"]},
    "specimens": {"organ": ["breast", "colon"], "grade": ["G1", "G2"], "slide_count": [1, 2], "icd10": CODES},
    "blocks": {"slide_count": [1, 2]},
}  # fmt: skip
REQUIRED = {("reports", "status"), ("reports", "report_type"), ("events", "kind"), ("diagnoses", "assertion"),
            ("ihc_results", "marker"), ("ihc_results", "result"), ("report_concepts", "assertion"), ("materials", "kind"),
            ("annotations", "tool")}  # fmt: skip
LEVELS = {
    "patient": ["patient"], "case": ["case", "patient"], "slide": ["slide", "block", "specimen", "case", "patient"],
    "series": ["series", "case", "patient"], "event": ["event", "patient"],
}  # fmt: skip
VIEW = {"patient": "patients", "case": "cases", "slide": "slides", "series": "series", "event": "events",
        "specimen": "specimens", "block": "blocks"}  # fmt: skip
ALL_ROWS = ["slides", "cases", "reports", "events", "series", "diagnoses", "ihc_results", "report_concepts", "materials",
            "annotations"]  # fmt: skip
COUNTED = {
    "patient": ALL_ROWS, "case": ALL_ROWS, "event": ALL_ROWS, "slide": ["annotations"], "block": ["slides", "materials"],
    "specimen": ["slides", "diagnoses", "ihc_results", "report_concepts", "materials"], "series": [],
}  # fmt: skip
UNDATED = {"annotations"}
REPORTED = ["reports", "diagnoses", "ihc_results", "report_concepts"]
OUTPUTS = ["slides", "cases", "patients", "series", "events", "reports", "diagnoses", "ihc_results", "annotations",
           "materials"]  # fmt: skip
PATIENTS = [long(f"P{number}") for number in range(1, 4)]
CASES = [long(f"C{number}") for number in range(1, 5)]
GROUPS = [long(f"Q{number}") for number in range(1, 4)]
CODELISTS: dict[str, Any] = {
    "exact": {"system": "icd10-cn", "codes": ["M16.900x001", "M17.0"]},
    "below": {"system": "icd10-cn", "codes": ["M16", "C34.1"], "match": "descendants"},
    "less": {"system": "icd10-cn", "codes": ["M16", "M17"], "match": "descendants", "without": ["M16.900x001"]},
    "exactly_less": {"system": "icd10-cn", "codes": ["M16.1", "M17.0"], "without": ["M17.0"]},
}
CONCEPTS: dict[str, Any] = {"it": {"any": ["a"]}, "denied": {"any": ["b"], "assertion": "negated"},
                            "either": {"any": ["c"], "assertion": "any"}}  # fmt: skip


def _unknown(test: Callable[[Any], bool], column: str) -> Callable[[Row], bool | None]:
    return lambda row: None if row.get(column) is None else test(row[column])


SQL: Mapping[str, list[tuple[str, Callable[[Row], bool | None]]]] = {
    "slides": [("width + 1 > 2", _unknown(lambda width: width > 1, "width")),
               ("stain in ('HE', 'PAS')", _unknown(lambda stain: stain in {"HE", "PAS"}, "stain")),
               ("coalesce(stain, 'HE') = 'HE'", lambda row: (row.get("stain") or "HE") == "HE")],
    "cases": [("organ = 'breast'", _unknown(lambda organ: organ == "breast", "organ"))],
    "patients": [("not (sex = 'male')", _unknown(lambda sex: sex != "male", "sex"))],
    "series": [("instance_count >= 2 and modality is not null",
                lambda row: False if row.get("modality") is None or row.get("instance_count") == 1
                else None if row.get("instance_count") is None else True)],
    "events": [("laterality = 'left' or laterality is null", lambda row: row.get("laterality") in {"left", None})],
    "specimens": [("grade = 'G1'", _unknown(lambda grade: grade == "G1", "grade"))],
    "blocks": [("slide_count > 1", _unknown(lambda count: count > 1, "slide_count"))],
}  # fmt: skip
ANSWERS: Answers = {text: answer for known in SQL.values() for text, answer in known}


# --- hospitals -----------------------------------------------------------------------------------------------------


def _value(table: str, column: str) -> st.SearchStrategy[Any]:
    known = VALUES[table][column]
    return st.sampled_from(known if (table, column) in REQUIRED else [*known, None])


@st.composite
def hospitals(draw: st.DrawFn) -> Drawn:
    """Tables with a few rows each, and perhaps permissions."""

    def rows(table: str, most: int, without: tuple[str, ...] = (), **fields: st.SearchStrategy[Any]) -> list[Row]:
        own = {column: _value(table, column) for column in VALUES[table] if column not in {*fields, *without}}
        return draw(st.lists(st.fixed_dictionaries({**own, **fields}), min_size=most // 2, max_size=most))

    def keyed(found: list[Row], key: str, code: str) -> list[Row]:
        return [{key: long(f"{code}{number}"), **row} for number, row in enumerate(found, 1)]

    site, patient = st.sampled_from(SITES), st.sampled_from(PATIENTS)
    cases = keyed(rows("cases", 4, ("slide_count",), site=site, patient_id=patient), "case_id", "C")
    codes = [row["case_id"] for row in cases]
    people = {row["patient_id"]: draw(st.sampled_from(GROUPS)) for row in cases}
    patients = [
        {"patient_id": code, "group_id": group, "sex": draw(_value("patients", "sex")),
         "birth_date": draw(st.sampled_from([*BIRTHS, None, None]))}
        for code, group in people.items()
    ]  # fmt: skip
    slides = keyed(rows(
        "slides", 6, site=site, case_id=st.sampled_from([*codes, *codes, None]),
        status=st.sampled_from([*["ok"] * 6, "corrupt"]), tier=st.sampled_from([*["exact"] * 5, "reviewed", "none"]),
    ), "slide_id", "S")  # fmt: skip
    for row in slides:
        row["site"] = next((case["site"] for case in cases if case["case_id"] == row["case_id"]), row["site"])
    reports = keyed(rows("reports", 5, case_id=st.sampled_from(codes)), "report_id", "R") if codes else []
    of_report = st.sampled_from([row["report_id"] for row in reports]) if reports else None
    said: dict[str, list[Row]] = {}
    for table in ("diagnoses", "ihc_results", "report_concepts") if of_report is not None else ():
        more = {"concept": st.sampled_from(sorted(CONCEPTS)), "concept_sha": st.sampled_from([CURRENT, CURRENT, STALE])}
        said[table] = rows(table, 4, report_id=of_report, **(more if table == "report_concepts" else {}))
    own = st.sampled_from([*codes, None]) if codes else st.none()
    series = rows("series", 4, site=site, patient_id=patient, case_id=own, status=st.sampled_from(["ok", "ok", "corrupt"]))
    of_case = {row["case_id"]: row["patient_id"] for row in cases}
    for row in series:
        row["patient_id"] = of_case.get(row["case_id"], row["patient_id"])
    drawn_on = st.sampled_from([row["slide_id"] for row in slides])
    tables = {
        "slides": slides, "cases": cases, "patients": patients, "reports": reports, **said,
        "events": keyed(rows("events", 5, site=site, patient_id=patient), "event_id", "E"),
        "series": keyed(series, "series_id", "I"),
        "materials": keyed(rows("materials", 3, case_id=st.sampled_from(codes)), "material_id", "M") if codes else [],
        "annotations": keyed(rows("annotations", 4, slide_id=drawn_on), "annotation_id", "A"),
    }  # fmt: skip
    listed = draw(st.sampled_from([False, False, True])) and draw(st.lists(statements(), min_size=1, max_size=5))
    return Drawn(completed(tables), listed or None)


@st.composite
def statements(draw: st.DrawFn) -> Row:
    """One statement of a permission list."""
    opt_out = draw(st.sampled_from([False, False, False, True]))
    subject = draw(st.sampled_from(["person", "person", "case", "site", "population", "population"]))
    codes = {"person": GROUPS if opt_out else PATIENTS, "case": CASES, "site": SITES, "population": ["population"]}
    every = ["slides", "reports", "events", "series"]
    return {
        "subject": subject,
        "subject_code": draw(st.sampled_from(codes[subject])),
        "purposes": draw(st.sampled_from([["research"], ["teaching", "research"], ["teaching"], None])),
        "data_kinds": draw(st.sampled_from([every, every, ["slides", "reports"], ["reports"], ["events", "series"]])),
        "valid_from": draw(st.sampled_from([None, None, None, *STATEMENT_DATES])),
        "valid_to": draw(st.sampled_from([None, None, None, *STATEMENT_DATES])),
        "opt_out": opt_out,
    }


# --- recipes -------------------------------------------------------------------------------------------------------


def conditions(table: str, column: str) -> st.SearchStrategy[Any]:
    """Any condition on a column."""
    known = VALUES[table][column]
    written = [value.isoformat() if isinstance(value, date) else value for value in known]
    forms: list[st.SearchStrategy[Any]] = [
        st.sampled_from(written),
        st.lists(st.sampled_from(written), min_size=1, max_size=2, unique=True).map(lambda some: {"any_of": some}),
        st.booleans().map(lambda missing: {"missing": missing}),
    ]
    if not isinstance(known[0], bool | str):
        forms += [
            st.sampled_from(written).map(lambda bound: {"min": bound}),
            st.sampled_from(written).map(lambda bound: {"max": bound}),
            st.tuples(st.sampled_from(written), st.sampled_from(written)).map(
                lambda bounds: {"min": min(bounds), "max": max(bounds)}
            ),
        ]
    if column in {"icd10", "code"}:
        forms += [st.sampled_from(sorted(CODELISTS)).map(lambda name: {"codelist": name})] * 3
    return st.one_of(forms)


@st.composite
def wheres(draw: st.DrawFn, table: str, least: int, *, is_timed: bool = False) -> dict[str, Any]:
    """Conditions on columns of a table; with day 0, on age and days too."""
    known = sorted(set(VALUES[table]) - {"concept"})
    columns = draw(st.lists(st.sampled_from(known), min_size=least, max_size=2, unique=True))
    where = {column: draw(conditions(table, column)) for column in columns}
    if "codelist" in str(where.get("code", "")):
        where.pop("code_system", None)  # the list's own system is asked for anyway
    if is_timed and table in {"patients", "cases", "slides", "series", "events"} and draw(st.integers(0, 3)) == 0:
        where["age_at_index"] = {draw(st.sampled_from(["min", "max"])): draw(st.sampled_from([63, 64]))}
    dated = table not in {*UNDATED, "patients", "specimens", "blocks"}
    if is_timed and dated and draw(st.integers(0, 3)) == 0:
        where["days_from_index"] = {draw(st.sampled_from(["min", "max"])): draw(st.sampled_from([-30, 0, 1]))}
    return where


WINDOWS = [{"from": "-1mo", "to": "0d"}, {"from": "0d", "to": "1mo"}, {"to": "-1d"}, {"from": "1y"},
           {"from": "-1w", "to": "2mo"}, {"from": "-2mo", "to": "-1mo"}, {"from": "+1d", "to": "30d"}]  # fmt: skip


@st.composite
def rows(draw: st.DrawFn, table: str, unit: str, *, is_timed: bool, side: bool) -> dict[str, Any]:
    """Rows of a table that belong to an entity."""
    found: dict[str, Any] = {"table": table, "where": draw(wheres(table, 0, is_timed=is_timed))}
    if table in REPORTED and draw(st.integers(0, 2)) == 0:
        found["text"] = draw(st.sampled_from(sorted(CONCEPTS)))
    if is_timed and table not in UNDATED and draw(st.booleans()):
        found["within"] = draw(st.sampled_from(WINDOWS))
    matches = ["laterality"] if side and table in {"events", "series", "diagnoses"} else []
    if unit == "slide":
        matches += ["specimen"] if "specimen" in VALUES[table] else []
        matches += ["block"] if table in {"slides", "materials"} else []
    if matches and draw(st.booleans()):
        found["match"] = draw(st.lists(st.sampled_from(matches), min_size=1, max_size=2, unique=True))
    return found


@st.composite
def verbs(draw: st.DrawFn, unit: str, level: str, *, is_timed: bool, side: bool, depth: int = 0) -> dict[str, Any]:
    """What a criterion asks."""
    kind = draw(st.sampled_from(["where", "has", "has", "sql", *(["any_of"] if depth < 2 else [])]))
    if kind == "has" and COUNTED[level]:
        table = draw(st.sampled_from(COUNTED[level]))
        count = draw(st.sampled_from([">=1", ">=2", ">0", ">1", "=0", "=1", "=2", "<=0", "<=1", "<= 2"]))
        return {"has": {**draw(rows(table, unit, is_timed=is_timed, side=side)), "count": count}}
    if kind == "any_of":
        found = []
        for _ in range(draw(st.integers(2, 3))):
            other = draw(st.sampled_from([level, *LEVELS[unit]]))
            one = draw(verbs(unit, other, is_timed=is_timed, side=side, depth=depth + 1))
            found.append(one if other == level else {"level": other, **one})
        return {"any_of": found}
    if kind == "sql":
        return {"sql": draw(st.sampled_from(SQL[VIEW[level]]))[0]}
    return {"where": draw(wheres(VIEW[level], 1, is_timed=is_timed))}


@st.composite
def recipes(draw: st.DrawFn) -> dict[str, Any]:
    """Any recipe."""
    unit = draw(st.sampled_from([*LEVELS, "slide", "event"]))
    recipe: dict[str, Any] = {"recipe": 1, "name": "r", "version": "1.0.0", "title": "r", "unit": unit,
                              "codelists": CODELISTS, "concepts": CONCEPTS}  # fmt: skip
    if draw(st.booleans()):
        recipe["links"] = draw(st.lists(st.sampled_from(["exact", "reviewed"]), min_size=1, unique=True))
    is_timed = unit == "event" or draw(st.booleans())
    side = False
    if is_timed:
        recipe["index"] = draw(indexes(unit))
        side = recipe["index"]["table"] in {"events", "series"}
    for part in ("include", "exclude"):
        recipe[part] = []
        for number in range(draw(st.sampled_from([0, 1, 1, 2]) if part == "include" else st.integers(0, 1))):
            level = draw(st.sampled_from(LEVELS[unit]))
            one = {"id": f"{part}_{number}", "level": level, **draw(verbs(unit, level, is_timed=is_timed, side=side))}
            if "has" not in one and draw(st.booleans()):
                one["if_missing"] = draw(st.sampled_from(["pass", "fail"]))
            recipe[part].append(one)
    labels = [draw(labels_of(unit, f"l{number}", is_timed=is_timed, side=side)) for number in range(draw(st.integers(0, 2)))]
    recipe |= {"labels": labels} if labels else {}
    recipe |= {"sample": draw(samples(unit))} if draw(st.integers(0, 3)) == 0 else {}
    recipe["tables"] = draw(outputs(unit, is_timed=is_timed, side=side))
    return recipe


@st.composite
def indexes(draw: st.DrawFn, unit: str) -> dict[str, Any]:
    """Day 0."""
    dates = {"reports": "reported_date", "events": "date", "series": "study_date", "slides": "scan_datetime",
             "materials": "made_date"}  # fmt: skip
    table = "events" if unit == "event" else draw(st.sampled_from(sorted(dates)))
    index: dict[str, Any] = {"table": table, "date": dates[table], "where": draw(wheres(table, 0))}
    index["pick"] = draw(st.sampled_from(["first", "last", *(["each", "each"] if unit == "event" else [])]))
    if unit == "event" and index["pick"] != "each" and draw(st.booleans()):
        index["per"] = draw(st.sampled_from([["laterality"], ["code"], ["laterality", "code"]]))
    if table == "reports" and draw(st.booleans()):
        index["text"] = draw(st.sampled_from(sorted(CONCEPTS)))
    return index


@st.composite
def labels_of(draw: st.DrawFn, unit: str, name: str, *, is_timed: bool, side: bool) -> dict[str, Any]:
    """A label."""
    levels = [level for level in LEVELS[unit] if level not in {"block", "series"}]
    level = draw(st.sampled_from(levels))
    label: dict[str, Any] = {"name": name, "level": level, "on_conflict": draw(st.sampled_from(["drop", "latest"])),
                             "if_missing": draw(st.sampled_from(["pass", "pass", "fail"]))}  # fmt: skip
    kinds = ["column", "has"] + (["time_to_event", "nearest"] if is_timed and level != "slide" else [])
    kind = draw(st.sampled_from(kinds + (["from"] if level == "slide" else [])))
    if kind == "has":
        table = draw(st.sampled_from(COUNTED[level]))
        return label | {"has": {**draw(rows(table, unit, is_timed=is_timed, side=side)), "count": ">=1"}}
    if kind == "time_to_event":
        dated = ["diagnoses", "slides"] if level == "specimen" else ["events", "series", "reports"]
        tables = [draw(st.sampled_from(dated)) for _ in range(2)]
        event, censor = (draw(rows(table, unit, is_timed=True, side=side)) for table in tables)
        return label | {"time_to_event": {"event": event, "censor": censor}}
    if kind == "from":
        return label | {"from": "annotations", "classes": {"tumour": ["tumour"], "other": ["stroma"]}}
    columns = {"reports": ["organ", "icd10"], "diagnoses": ["organ", "grade", "icd10"], "ihc_results": ["result"],
               "events": ["kind", "code"], "series": ["modality"], "cases": ["organ"], "slides": ["stain", "width"],
               "materials": ["stain"], "patients": ["sex"]}  # fmt: skip
    own = [VIEW[level]] if level in {"patient", "case", "slide", "event"} else []
    tables = [table for table in dict.fromkeys([*own, *COUNTED[level]]) if table in columns]
    if kind == "nearest":
        tables = [table for table in tables if table != "patients"]
    table = draw(st.sampled_from(tables))
    column = draw(st.sampled_from(columns[table]))
    if column in {"icd10", "code"}:
        label["classes"] = {"hip": {"codelist": "less"}, "lung": ["C34.1", "C34"]}
    elif draw(st.booleans()):
        values = VALUES[table][column]
        label["classes"] = {"one": values[:1], "more": values[1:]}
    if kind == "column":
        return label | {"column": f"{table}.{column}", "where": draw(wheres(table, 0, is_timed=is_timed))}
    found = draw(rows(table, unit, is_timed=True, side=side))
    nearest = {key: value for key, value in found.items() if key != "text"} | {"column": column}
    return label | {"nearest": nearest | {"direction": draw(st.sampled_from(["before", "after", "either"]))}}


@st.composite
def samples(draw: st.DrawFn, unit: str) -> dict[str, Any]:
    """Caps and balance."""
    caps = [level for level in LEVELS[unit] if level not in {"slide", "series", "event"}]
    by = {"slide": ["stain", "site"], "case": ["organ", "site"], "patient": ["sex"], "series": ["modality", "site"],
          "event": ["kind", "laterality"]}[unit]  # fmt: skip
    key = f"{unit}_id"
    cap = {"level": draw(st.sampled_from(caps)), "max": draw(st.integers(1, 2)),
           "order": draw(st.sampled_from([[f"-{by[0]}"], [by[0], f"-{key}"], [key]]))}  # fmt: skip
    balance = {"by": draw(st.lists(st.sampled_from(by), min_size=1, unique=True)), "max": draw(st.integers(1, 2))}
    return draw(st.sampled_from([{"per": [cap]}, {"balance": balance, "seed": "s"}, {"per": [cap], "balance": balance}]))


@st.composite
def outputs(draw: st.DrawFn, unit: str, *, is_timed: bool, side: bool) -> dict[str, Any]:
    """What goes out: the units' table, and perhaps another."""
    own = VIEW[unit]
    days = ["days_from_index"] if is_timed and unit != "patient" and draw(st.booleans()) else []
    tables: dict[str, Any] = {own: {"columns": [f"{unit}_id", *days]}}
    table = draw(st.sampled_from([*(name for name in OUTPUTS if name != own), None, None]))
    if table is None:
        return tables
    has_case = unit in {"slide", "case", "series"}
    owners = ["of_patients", *(["of_cases"] if has_case and table not in {"patients", "events"} else [])]
    owners += ["of_slides"] if unit == "slide" and table in {"slides", "annotations"} else []
    key = {"diagnoses": "report_id", "ihc_results": "report_id", "series": "series_id"}.get(
        table, f"{table.removesuffix('s')}_id"
    )
    output: dict[str, Any] = {"columns": [key], "where": draw(wheres(table, 0, is_timed=is_timed))}
    if draw(st.booleans()):
        output["rows"] = draw(st.sampled_from(owners))
    more = draw(rows(table, unit, is_timed=is_timed, side=side)) if table != "patients" else {}
    output |= {key: more[key] for key in ("within", "match") if key in more}
    if unit == "event" and draw(st.booleans()):
        output["columns"].append("index_event_id")
    dated = table not in {*UNDATED, "patients"}
    if is_timed and dated and (unit != "event" or "index_event_id" in output["columns"]) and draw(st.booleans()):
        output["columns"].append("days_from_index")
    return {**tables, table: output}
