"""Stage groups from TNM categories: AJCC Cancer Staging Manual, 7th edition (Springer 2010), by organ."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_TABLE = Path(__file__).with_name("terms") / "staging.yaml"
_MAIN = re.compile(r"0|IV|I{1,3}")


@dataclass(frozen=True, slots=True)
class _Group:
    """One line of an organ's table.

    Attributes:
        stages: the stages that the line can mean; several where something other than the categories decides.
        t, n, m: categories, each standing for its subdivisions; empty for any.
        grades: grades for which the line holds; empty for any.
        ages: least age and the age below which it holds, None for any.
    """

    stages: tuple[str, ...]
    t: tuple[str, ...]
    n: tuple[str, ...]
    m: tuple[str, ...]
    grades: tuple[str, ...]
    ages: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Organ:
    """The categories of an organ and its groups in order: the first that fits counts."""

    t: tuple[str, ...]
    n: tuple[str, ...]
    m: tuple[str, ...]
    groups: tuple[_Group, ...]


def stage_of(
    organ: str,
    pt: str | None,
    pn: str | None,
    pm: str | None,
    *,
    grade: str | None = None,
    age: int | None = None,
    assume_m0: bool = False,
) -> str | None:
    """The stage group, or its number alone where the categories leave the letter open; None where they do not decide.

    Args:
        organ: code of the vocabulary ``organs``; carcinoma of that organ is meant, for ``skin`` see the table.
        pt: category of the tumour in the spelling of ``reports.pt``.
        pn: category of the nodes; NX and None may be any.
        pm: category of metastasis; MX and None may be any unless ``assume_m0``.
        grade: G1 to G4, for organs whose groups need it.
        age: age in years, for the thyroid.
        assume_m0: whether MX and a missing M stand for M0, as the 7th edition does for a stage given at pathology
            without known metastasis (chapter 1: MX is no longer a category).
    """
    table = _tables().get(organ)
    if table is None:
        return None
    if assume_m0 and (pm is None or pm == "MX"):
        pm = "M0"
    possible = {
        stage
        for t in _leaves(pt, table.t)
        for n in _leaves(pn, table.n)
        for m in _leaves(pm, table.m)
        for stage in _stages(table, t, n, m, grade, age)
    }
    if len(possible) == 1:
        return possible.pop() or None
    mains = {match[0] if (match := _MAIN.match(stage)) else "" for stage in possible}
    return mains.pop() or None if len(mains) == 1 else None


def staged_organs() -> tuple[str, ...]:
    """Codes of the organs that have a table."""
    return tuple(_tables())


def _leaves(category: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """The categories of a table that a category as written may be."""
    if category is None or category.endswith("X"):
        return known
    bare = category.partition("(")[0]
    if exact := tuple(leaf for leaf in known if leaf == bare):
        return exact
    if finer := tuple(leaf for leaf in known if leaf.startswith(bare)):
        return finer
    coarser = [leaf for leaf in known if bare.startswith(leaf)]
    return (max(coarser, key=len),) if coarser else ()


def _stages(table: _Organ, t: str, n: str, m: str, grade: str | None, age: int | None) -> tuple[str, ...]:
    """Stages of one full set of categories; "" stands for a set that has none."""
    possible: list[str] = []
    for group in table.groups:
        if not (_fits(t, group.t) and _fits(n, group.n) and _fits(m, group.m)):
            continue
        if group.ages and age is not None and not group.ages[0] <= age < group.ages[1]:
            continue
        if group.grades and grade in ("G1", "G2", "G3", "G4") and grade not in group.grades:
            continue
        possible += group.stages
        # What is not known keeps the lines after this one possible.
        if not (group.ages and age is None) and not (group.grades and grade not in group.grades):
            break
    return tuple(possible) or ("",)


def _fits(leaf: str, categories: tuple[str, ...]) -> bool:
    return not categories or any(leaf.startswith(category) for category in categories)


@cache
def _tables() -> dict[str, _Organ]:
    content: dict[str, Any] = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    tables: dict[str, _Organ] = {}
    for entry in content.values():
        t, n, m = (tuple(entry[axis].split()) for axis in ("t", "n", "m"))
        organ = _Organ(t, n, m, tuple(_group(line) for line in entry["groups"]))
        tables |= dict.fromkeys(entry["organs"].split(), organ)
    return tables


def _group(line: str) -> _Group:
    """A line such as "IIIA = T0,1,2 N2 M0": stage, then categories; `|` joins what is possible, `,` what is meant."""
    stages, _, conditions = line.partition(" = ")
    parts: dict[str, tuple[str, ...]] = {"T": (), "N": (), "M": (), "G": ()}
    ages = None
    for word in conditions.split():
        if word.startswith("age"):
            low, _, high = word[3:].partition("-")
            ages = (int(low), int(high))
        else:
            parts[word[0]] = tuple(word[0] + category for category in word[1:].split(","))
    return _Group(tuple(stages.split("|")), parts["T"], parts["N"], parts["M"], parts["G"], ages)
