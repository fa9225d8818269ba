"""What a recipe expects of its cohort, held against what was selected."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import InputOutputError, RecipeError
from pathcurate.model.attrition import Counts
from pathcurate.model.recipe import Between, Recipe
from pathcurate.pseudonyms import internal
from pathcurate.tables import column_values
from pathcurate.vault import open_vault
from pathcurate.workspace import Workspace


def unmet(recipe: Recipe, rows: pa.Table, kept: Counts, known: Mapping[str, bool] | None) -> list[str]:
    """Expectations that the cohort does not meet, as sentences without a patient's value.

    Args:
        recipe: the recipe.
        rows: the cohort.
        kept: how many are kept on each level.
        known: internal case codes to whether they must be in; None if the recipe names none.
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
        present = set(column_values(rows, "case_id")) if "case_id" in rows.column_names else set()
        absent = sum(must and case not in present for case, must in known.items())
        intruding = sum(not must and case in present for case, must in known.items())
        faults += [f"{absent} known cases must be in the cohort and are not"] if absent else []
        faults += [f"{intruding} known cases must not be in the cohort and are"] if intruding else []
    return faults


def _between(what: str, count: int, wanted: Between | None) -> Iterator[str]:
    if wanted is not None and wanted.min is not None and count < wanted.min:
        yield f"{what} must be at least {wanted.min:,}, and are fewer"
    if wanted is not None and wanted.max is not None and count > wanted.max:
        yield f"{what} must be at most {wanted.max:,}, and are {count:,}"


def _classes(recipe: Recipe, rows: pa.Table) -> set[str]:
    """Classes of labels, and sides of the split, that have at least one unit."""
    named = [name for label in recipe.labels if label.classes is not None for name in recipe.label_column(label)[:1]]
    named += ["split"] if recipe.split is not None else []
    return {str(value) for name in named for value in pc.unique(rows[name]).drop_null().to_pylist()}


def known_cases(workspace: Workspace, recipe: Recipe) -> dict[str, bool] | None:
    """The known cases of ``expect.cases_file`` by internal code; None without such a file.

    Their numbers identify patients, so the file lies in the catalog, and no message says any of them.

    Raises:
        RecipeError: the file is not in the catalog, or is not what it should be.
        InputOutputError: it cannot be read.
    """
    if recipe.expect is None or recipe.expect.cases_file is None:
        return None
    path = Path(recipe.expect.cases_file)
    whole = path if path.is_absolute() else workspace.root / path
    if not whole.resolve().is_relative_to(workspace.catalog.resolve()):
        raise RecipeError(
            "`expect.cases_file` lies outside of catalog/", "Case numbers identify patients: keep the file below catalog/."
        )
    try:
        text = whole.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        hint = "Put it below catalog/, as the recipe says."
        raise InputOutputError("the file of `expect.cases_file` is missing", hint) from None
    except UnicodeDecodeError:
        raise RecipeError("the file of `expect.cases_file` is not UTF-8", "Save it as CSV in UTF-8.") from None
    reader = csv.DictReader(io.StringIO(text))
    if not {"site", "accession", "expected"} <= set(reader.fieldnames or ()):
        raise RecipeError(
            "the file of `expect.cases_file` lacks a column",
            "It needs the columns site, accession and expected (in or out).",
        )
    rows = list(reader)
    if wrong := [number for number, row in enumerate(rows, 2) if row["expected"] not in {"in", "out"}]:
        raise RecipeError(
            f"row {wrong[0]} of the file of `expect.cases_file` says neither `in` nor `out`",
            "Correct the column `expected`.",
        )
    sites, numbers = ([row[name] for row in rows] for name in ("site", "accession"))
    codes = internal(open_vault(workspace.vault).key).codes.codes("C", sites, numbers)
    return {str(code): row["expected"] == "in" for code, row in zip(codes, rows, strict=True)}
