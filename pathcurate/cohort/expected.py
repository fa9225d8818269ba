"""What a recipe expects of its cohort, held against what was selected."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import InputOutputError, RecipeError
from pathcurate.model.attrition import Counts
from pathcurate.model.recipe import Between, Recipe
from pathcurate.pseudonyms import internal
from pathcurate.tables import column_values, read_parquet
from pathcurate.text.accession import AccessionPatterns
from pathcurate.vault import open_vault
from pathcurate.workspace import Workspace

_COLUMNS = ("site", "accession", "expected")


@dataclass(frozen=True, slots=True)
class KnownCases:
    """Cases that a person said must be in or out.

    Attributes:
        expected: the internal code of each, or of its patient where the units are of patients, to whether it must be in.
        unknown: of how many more the de-identified tables have no case, or none whose patient is known.
    """

    expected: Mapping[str, bool]
    unknown: int


def unmet(recipe: Recipe, rows: pa.Table, kept: Counts, known: KnownCases | None) -> list[str]:
    """Expectations that the cohort does not meet, as sentences without a patient's value.

    Args:
        recipe: the recipe.
        rows: the cohort.
        kept: how many are kept on each level.
        known: the known cases; None if the recipe names none.
    """
    expect = recipe.expect
    if expect is None:
        return []
    faults = [
        *_between("rows", rows.num_rows, expect.rows),
        *_between("cases", kept.cases, expect.cases),
        *_between("patients", kept.patients, expect.patients),
    ]
    if expect.not_empty is not None:
        there = _classes(recipe, rows)
        faults += [f"`{name}` must not be empty, and has no {recipe.unit}" for name in expect.not_empty if name not in there]
    if known is not None:
        present = set(column_values(rows, _key(recipe)))
        absent = sum(must and code not in present for code, must in known.expected.items())
        intruding = sum(not must and code in present for code, must in known.expected.items())
        faults += [f"{_cases(known.unknown)} not found: no case has such a site and number"] if known.unknown else []
        faults += [f"{_cases(absent)} must be in the cohort and left it"] if absent else []
        faults += [f"{_cases(intruding)} must not be in the cohort and stayed in it"] if intruding else []
    return faults


def _cases(count: int) -> str:
    return f"{count} known case{'' if count == 1 else 's'}"


def _between(what: str, count: int, wanted: Between | None) -> Iterator[str]:
    if wanted is not None and wanted.min is not None and count < wanted.min:
        yield f"{what} must be at least {wanted.min:,}, and are fewer"
    if wanted is not None and wanted.max is not None and count > wanted.max:
        yield f"{what} must be at most {wanted.max:,}, and are more"


def _classes(recipe: Recipe, rows: pa.Table) -> set[str]:
    """Classes of labels, and sides of the split, that have at least one unit."""
    named = [name for label in recipe.labels if label.classes is not None for name in recipe.label_column(label)[:1]]
    named += ["split"] if recipe.split is not None else []
    return {str(value) for name in named for value in pc.unique(rows[name]).drop_null().to_pylist()}


def _key(recipe: Recipe) -> str:
    """The column of the cohort that says whose case a unit is; units of patients stand for all their cases."""
    return "patient_id" if recipe.unit in {"patient", "event"} else "case_id"


def known_cases(workspace: Workspace, recipe: Recipe) -> KnownCases | None:
    """The known cases of ``expect.cases_file``; None without such a file.

    Their numbers identify patients, so the file lies in the catalog, and no message says any of them. They are read as those
    of reports are, by the patterns of their site, so each spelling of a number finds its case.

    Raises:
        RecipeError: the file is not in the catalog, or is not what it should be.
        InputOutputError: it cannot be read.
    """
    if recipe.expect is None or recipe.expect.cases_file is None:
        return None
    patterns = {site.code: AccessionPatterns(site.accession.patterns) for site in workspace.sites}
    said: dict[tuple[str, str], bool] = {}
    for number, row in enumerate(_read(workspace, recipe.expect.cases_file), 2):
        site, accession, expected = (row[name].strip() for name in _COLUMNS)
        if expected not in {"in", "out"}:
            raise _misfit(number, "says neither `in` nor `out`", "Correct the column `expected`.")
        case = site, patterns[site].normalise(accession) if site in patterns else accession
        if said.setdefault(case, expected == "in") != (expected == "in"):
            raise _misfit(number, "says otherwise than a row before it of the same case", "Keep one of them.")
    return _found(workspace, said, _key(recipe))


def _misfit(number: int, what: str, hint: str) -> RecipeError:
    return RecipeError(f"row {number} of the file of `expect.cases_file` {what}", hint)


def _found(workspace: Workspace, said: Mapping[tuple[str, str], bool], key: str) -> KnownCases:
    sites, numbers = ([case[place] for case in said] for place in (0, 1))
    codes = [str(code) for code in internal(open_vault(workspace.vault).key).codes.codes("C", sites, numbers)]
    cases = read_parquet(workspace.deid / "cases.parquet", ("case_id", "patient_id"))
    there = cases.filter(pc.is_in(cases["case_id"], value_set=pa.array(codes, pa.string())))
    owners = dict(zip(column_values(there, "case_id"), column_values(there, key), strict=True))
    expected: dict[str, bool] = {}
    for code, must in zip(codes, said.values(), strict=True):
        if (owner := owners.get(code)) is not None:
            # A patient of whom one case must be in and another out is expected to be in.
            expected[owner] = expected.get(owner, False) or must
    return KnownCases(expected, sum(owners.get(code) is None for code in codes))


def _read(workspace: Workspace, name: str) -> Sequence[Mapping[str, str]]:
    path = Path(name)
    whole = path if path.is_absolute() else workspace.root / path
    if not whole.resolve().is_relative_to(workspace.catalog.resolve()):
        raise RecipeError(
            "`expect.cases_file` lies outside of catalog/", "Case numbers identify patients: keep the file below catalog/."
        )
    try:
        text = whole.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        hint = "Put it below catalog/, as the recipe says; its columns are site, accession and expected (in or out)."
        raise InputOutputError("the file of `expect.cases_file` is missing", hint) from None
    except UnicodeDecodeError:
        raise RecipeError("the file of `expect.cases_file` is not UTF-8", "Save it as CSV in UTF-8.") from None
    reader = csv.DictReader(io.StringIO(text), restval="")
    if not set(_COLUMNS) <= set(reader.fieldnames or ()):
        raise RecipeError(
            "the file of `expect.cases_file` lacks a column",
            "It needs the columns site, accession and expected (in or out).",
        )
    return list(reader)
