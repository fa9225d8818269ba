"""Why a cohort differs from its last run: each unit that came, went or looks otherwise, with exactly one reason.

Two things can change between two runs: the archive (with permissions, profile and tool), and the recipe. A difference is
counted as the archive's if the recipe of before would have made it alone, as far as the two ledgers tell, else as the
recipe's. What neither explains is said to be unexplained.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.disclosure.counts import suppress
from pathcurate.errors import InputOutputError
from pathcurate.goingback import LOCK, numbers
from pathcurate.model.attrition import COHORT_FILE
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.recipe.levels import DATA_KINDS, LEVEL_KEYS, LEVEL_VIEWS, recipe_views
from pathcurate.storage import write_bytes
from pathcurate.tables import column_values, read_parquet, write_parquet

DIFFERENCES = "differences.json"
"""Beside ``cohort.json``, for analysts; its small counts are hidden."""
DIFFERENCES_BY_UNIT = "differences.parquet"
"""The same unit by unit: the curator's alone."""
_CURATORS_OWN = 0o600
_OF_LEDGER = ("case_id", "patient_id", "step_number", "failed")
_LOST, _GAINED, _ALTERED = "lost", "gained", "altered"


class Reason(StrEnum):
    """Why a unit is in one of two runs only, or another row in the other."""

    NEW = "new"
    GONE = "gone"
    LINK = "link"
    PERSON = "person"
    DATA = "data"
    PERMISSION = "permission"
    ADDED = "criterion_added"
    REMOVED = "criterion_removed"
    CHANGED = "criterion_changed"
    CODELIST = "codelist"
    CONCEPT = "concept"
    INDEX = "index"
    MOVED = "moved"
    UNIT = "unit"
    KEY = "key"
    PROFILE = "profile"
    TOOL = "tool"
    UNEXPLAINED = "unexplained"


WORDS: Mapping[Reason, str] = {
    Reason.NEW: "new in the archive",
    Reason.GONE: "no longer in the archive",
    Reason.LINK: "linked to another case, or no longer linked",
    Reason.PERSON: "now known to be another person's",
    Reason.DATA: "its data changed",
    Reason.PERMISSION: "permissions or opt-outs changed",
    Reason.ADDED: "the recipe has a new criterion",
    Reason.REMOVED: "the recipe no longer has a criterion",
    Reason.CHANGED: "the recipe says it differently",
    Reason.CODELIST: "a code list changed",
    Reason.CONCEPT: "a concept changed",
    Reason.INDEX: "day 0 is another one",
    Reason.MOVED: "sample or split moved it, because others came or went",
    Reason.UNIT: "the recipe counts another unit",
    Reason.KEY: "another key or scheme makes the codes, so nothing can be compared",
    Reason.PROFILE: "the de-identification profile changed",
    Reason.TOOL: "another version of pathcurate",
    Reason.UNEXPLAINED: "unexplained",
}


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a cohort left.

    Attributes:
        facts: of its ``cohort.json``.
        ledger: of everybody who was looked at, or of those at least whom only one of two runs keeps.
        rows: the cohort.
    """

    facts: Mapping[str, Any]
    ledger: pa.Table
    rows: pa.Table

    @property
    def key(self) -> str:
        """The column that tells its units apart."""
        (key,) = LEVEL_KEYS[self.facts["unit"]]
        return key


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between two runs.

    Attributes:
        units: one row per difference: the unit, its patient, what happened (``lost``, ``gained``, ``altered``), why, and the
            step or column where it shows.
        patients_not_permitted: patients who were in the cohort, and are not for want of a permission.
    """

    units: pa.Table
    patients_not_permitted: int

    @property
    def counts(self) -> Mapping[tuple[str, Reason, str], int]:
        """How many differences have each reason; they add up to all. Exact, so for the curator alone."""
        columns = (column_values(self.units, name) for name in ("change", "reason", "step"))
        return Counter((change, Reason(reason), step) for change, reason, step in zip(*columns, strict=True))

    @property
    def unexplained(self) -> int:
        """How many differences have no reason; a fault of this tool if it is not 0."""
        return sum(count for (_, reason, _), count in self.counts.items() if reason is Reason.UNEXPLAINED)

    def as_dict(self) -> dict[str, Any]:
        """For analysts, as plain JSON values: what happened to how many, and why. Small counts are hidden."""
        told: dict[str, Any] = {}
        for change in (_LOST, _GAINED, _ALTERED):
            counts = {f"{reason}:{step}": count for (one, reason, step), count in self.counts.items() if one == change}
            told[change] = [
                {"reason": name.partition(":")[0], "step": name.partition(":")[2], "count": count,
                 "words": WORDS[Reason(name.partition(":")[0])]}
                for name, count in sorted(suppress(counts).items())
            ]  # fmt: skip
        return told

    def lines(self) -> Iterator[str]:
        """The same for people."""
        for change, parts in self.as_dict().items():
            for part in parts:
                where = f" ({part['step']})" if part["step"] else ""
                yield f"{change:<8} {part['count']:>9}  {part['words']}{where}"


def read_runs(before: Path, after: Path) -> tuple[Run, Run]:
    """What two runs left in their folders; of the ledgers, which may have millions of rows, only what is needed.

    Raises:
        InputOutputError: a file is missing, damaged, or of an earlier pathcurate.
    """
    first, second = (
        Run(_facts(folder), pa.table({}), read_parquet(folder / "cohort.parquet")) for folder in (before, after)
    )
    if first.key != second.key:
        return first, second
    keys = [set(column_values(run.rows, run.key)) for run in (first, second)]
    differing = pa.array(sorted(keys[0] ^ keys[1]), pa.string())
    ledgers = [_some_rows(folder / "ledger.parquet", first.key, differing) for folder in (before, after)]
    return replace(first, ledger=ledgers[0]), replace(second, ledger=ledgers[1])


def _some_rows(path: Path, key: str, wanted: "pa.Array[Any]") -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in dict.fromkeys((key, *_OF_LEDGER)) if name in file.schema_arrow.names]
            pieces = (pa.Table.from_batches([batch]) for batch in file.iter_batches(columns=names))
            found = [piece.filter(pc.is_in(piece[key], value_set=wanted)) for piece in pieces]
            return pa.concat_tables(found) if found else file.schema_arrow.empty_table().select(names)
    except (OSError, pa.ArrowException) as error:
        raise InputOutputError(
            f"{path.name} cannot be read as Parquet ({type(error).__name__})", "Run `pathcurate cohort` again."
        ) from None


def _facts(directory: Path) -> dict[str, Any]:
    try:
        facts = json.loads((directory / COHORT_FILE).read_bytes())
        _Circumstances.of(facts)
        steps = [str(step["id"]) for step in facts["attrition"]["steps"]]
        return {**facts, "steps": steps, "unit": str(facts["unit"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputOutputError(
            f"{COHORT_FILE} of the run before cannot be compared: it is missing, damaged, or of an earlier pathcurate",
            "Differences are told from the next run on.",
        ) from None


def write_differences(directory: Path, differences: Differences) -> None:
    """Write both files, see :data:`DIFFERENCES`."""
    write_parquet(directory / DIFFERENCES_BY_UNIT, differences.units, mode=_CURATORS_OWN)
    content = json.dumps(differences.as_dict(), ensure_ascii=False, indent=1, sort_keys=True)
    write_bytes(directory / DIFFERENCES, content.encode() + b"\n")


def attribute(before: Run, after: Run) -> Differences:
    """Give every difference between two runs of a cohort its reason.

    Args:
        before: the earlier run, in today's codes or in others.
        after: the later one.
    """
    judge = _Judge(before.facts, after.facts)
    lost = _moved(before, after, _LOST, judge.lost)
    gained = _moved(after, before, _GAINED, judge.gained)
    altered = _altered(before, after, judge)
    units = pa.concat_tables([lost, gained, altered])
    not_permitted = lost.filter(pc.field("reason") == Reason.PERMISSION.value)["patient_id"]
    still = _column(after.rows, "patient_id").unique()
    return Differences(units, len({*not_permitted.to_pylist()} - {*still.to_pylist(), None}))


# --- The ledgers side by side -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """How a unit that one run keeps stands in the other one.

    Attributes:
        is_there: whether the other run looked at it.
        same_case, same_patient: whether it is the same case's and person's there.
        failed: numbers of the steps that it fails there.
    """

    is_there: bool
    same_case: bool
    same_patient: bool
    failed: tuple[int, ...]


def _column(rows: pa.Table, name: str) -> "pa.ChunkedArray[Any]":
    """A column of codes; without values where the rows have none such."""
    if name in rows.column_names:
        return rows[name]
    return pa.chunked_array([pa.nulls(rows.num_rows, pa.string())])


def _moved(here: Run, there: Run, change: str, reason: Callable[[_Elsewhere], tuple[Reason, str]]) -> pa.Table:
    """Units that one run keeps and the other does not, with the reasons."""
    key, kept = here.key, here.rows
    if there.key != key:
        nowhere = reason(_Elsewhere(is_there=False, same_case=True, same_patient=True, failed=()))
        return _differences(kept, key, change, [nowhere] * kept.num_rows)
    kept = kept.filter(pc.invert(pc.is_in(kept[key], value_set=there.rows[key].combine_chunks())))
    places: Any = pc.index_in(kept[key], value_set=there.ledger[key].combine_chunks())
    other = there.ledger.take(places)
    same_case, same_patient = (_same(kept, other, name) for name in ("case_id", "patient_id"))
    masks, steps = column_values(other, "failed"), column_values(other, "step_number")
    stands = zip(places.is_valid().to_pylist(), same_case, same_patient, map(_bits, masks, steps), strict=True)
    # Few ways to stand are shared by many units.
    reasons = cache(lambda *facts: reason(_Elsewhere(*facts)))
    return _differences(kept, key, change, [reasons(*facts) for facts in stands])


def _same(kept: pa.Table, other: pa.Table, name: str) -> list[bool]:
    if name not in kept.column_names or name not in other.column_names:
        return [True] * kept.num_rows
    return [a == b for a, b in zip(column_values(kept, name), column_values(other, name), strict=True)]


def _bits(mask: int | None, first: int | None) -> tuple[int, ...]:
    # Steps after the criteria, as labels and sample, are not in the mask: a unit falls at one of them only.
    numbered = {number for number in range(64) if (mask or 0) >> number & 1}
    return tuple(sorted(numbered | ({first} if first is not None else set())))


def _differences(rows: pa.Table, key: str, change: str, reasons: Sequence[tuple[Reason, str]]) -> pa.Table:
    columns: dict[str, Any] = {
        "unit_id": rows[key],
        "patient_id": _column(rows, "patient_id"),
        "change": pa.array([change] * len(reasons), pa.string()),
        "reason": pa.array([reason.value for reason, _ in reasons], pa.string()),
        "step": pa.array([step for _, step in reasons], pa.string()),
    }
    return pa.table(columns)


def _altered(before: Run, after: Run, judge: "_Judge") -> pa.Table:
    """Units of both runs whose rows differ in a column that both have."""
    key = after.key
    if key != before.key:
        return _differences(after.rows.slice(0, 0), key, _ALTERED, [])
    places = pc.index_in(after.rows[key], value_set=before.rows[key].combine_chunks())
    now, then = after.rows.filter(places.is_valid()), before.rows.take(places.drop_null())
    first: dict[int, str] = {}
    # What belongs to whom comes first, what is made of the rest last: each row is told of once, by its first such column.
    names = [name for name in now.column_names if name in then.column_names]
    for name in sorted(names, key=lambda name: (name == "split", name in judge.labels)):
        for row in _differing(now[name], then[name]):
            first.setdefault(row, name)
    rows = sorted(first)
    reasons = [judge.altered(first[row]) for row in rows]
    return _differences(now.take(pa.array(rows, pa.int64())), key, _ALTERED, reasons)


def _differing(now: "pa.ChunkedArray[Any]", then: "pa.ChunkedArray[Any]") -> list[int]:
    """Numbers of the rows in which two columns differ."""
    if now.type != then.type or pa.types.is_nested(now.type):
        pairs = zip(now.to_pylist(), then.to_pylist(), strict=True)
        return [row for row, (new, old) in enumerate(pairs) if new != old]
    unlike: Any = pc.fill_null(pc.not_equal(now, then), pa.scalar(False))
    one_missing: Any = pc.not_equal(now.is_null(), then.is_null())
    found: list[int] = pc.indices_nonzero(pc.or_(unlike, one_missing)).to_pylist()
    return found


# --- Reasons -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """What a run was made of, beside its recipe."""

    states: Mapping[str, int]
    day: date
    codes: tuple[str, str]
    profile: str
    tool: str

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "_Circumstances":
        states = facts["states"]
        codes = (str(facts["key"]), str(states["scheme"]))
        day = datetime.fromisoformat(facts[LOCK]["at"]).date()
        return cls(numbers(states), day, codes, str(states["profile"]), str(facts["tool"]))


class _Judge:
    """Knows what changed between two runs, and which of it explains a difference.

    Attributes:
        labels: columns that the later recipe makes.
    """

    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        then, now = _Circumstances.of(before), _Circumstances.of(after)
        archive = [name for name in now.states if name != PERMISSIONS.name]
        self._archive_changed = any(then.states[name] != now.states[name] for name in archive)
        self._same_codes, self._same_unit = then.codes == now.codes, before["unit"] == after["unit"]
        self._same_profile, self._same_tool = then.profile == now.profile, then.tool == now.tool
        # Permissions are today's, also where the archive is not; a column more may ask for one more.
        only_recipe = then == now and before["recipe"] != after["recipe"]
        self._permission = Reason.CHANGED if only_recipe else Reason.PERMISSION
        self._nothing_changed = before["recipe"] == after["recipe"] and then == now
        self._unit = str(after["unit"])
        self._recipes = before["recipe"]["canonical"], after["recipe"]["canonical"]
        self._steps = before["steps"], after["steps"]
        made = (step for steps in self._steps for step in steps)
        self._changes = {step: self._change_of(step) for step in made}
        self.labels = _label_columns(self._recipes[1])

    def lost(self, after: _Elsewhere) -> tuple[Reason, str]:
        """Why a unit is no longer kept, by how it stands in the later run."""
        if (plain := self._without_steps(after, Reason.GONE)) is not None:
            return plain
        failed = [self._steps[1][number] for number in after.failed]
        # A step that was there before and is the same now would have made it fall, whatever the recipe's changes.
        same = [step for step in failed if self._changes[step] is None]
        if same:
            return self._by_archive(same[0], after), same[0]
        return (self._changes[failed[0]] or Reason.UNEXPLAINED, failed[0]) if failed else (Reason.UNEXPLAINED, "")

    def gained(self, before: _Elsewhere) -> tuple[Reason, str]:
        """Why a unit is kept now, by how it stood in the earlier run."""
        if (plain := self._without_steps(before, Reason.NEW)) is not None:
            return plain
        failed = [self._steps[0][number] for number in before.failed]
        # As long as a step of before is gone or another one, the recipe of before would still have left it out.
        for step in failed:
            if (change := self._changes[step]) is not None:
                return change, step
        return (self._by_archive(failed[0], before), failed[0]) if failed else (Reason.UNEXPLAINED, "")

    def altered(self, column: str) -> tuple[Reason, str]:
        """Why a row of both runs differs, by the first column that does."""
        then, now = self._recipes
        if column == "split":
            return (Reason.CHANGED if then.get("split") != now.get("split") else self._moved()), column
        if column in self.labels and (change := self._change_of(f"label_{self.labels[column]}")) is not None:
            return change, column
        if column == "days_from_index" and then.get("index") != now.get("index"):
            return Reason.INDEX, column
        return self._by_surroundings(Reason.DATA), column

    def _without_steps(self, other: _Elsewhere, absent: Reason) -> tuple[Reason, str] | None:
        if not self._same_codes:
            return Reason.KEY, ""
        if not self._same_unit:
            return Reason.UNIT, ""
        if other.is_there:
            return None
        # Units of events are those rows that day 0 picks.
        if self._unit == "event" and _differ(*self._recipes, "index", "codelists", "concepts"):
            return Reason.INDEX, ""
        return self._by_surroundings(absent), ""

    def _by_archive(self, step: str, other: _Elsewhere) -> Reason:
        """Why a step that is the same in both recipes has another answer."""
        if step == "readable":
            return self._by_surroundings(Reason.DATA)
        if step == "linked" or not other.same_case:
            return self._by_surroundings(Reason.LINK)
        if not other.same_patient:
            return self._by_surroundings(Reason.PERSON)
        if step == "permission":
            return self._permission
        return self._moved() if step.startswith("sample") else self._by_surroundings(Reason.DATA)

    def _by_surroundings(self, reason: Reason) -> Reason:
        """A reason of the archive's, if the archive has changed at all."""
        if self._archive_changed:
            return reason
        if not self._same_profile:
            return Reason.PROFILE
        return Reason.UNEXPLAINED if self._same_tool else Reason.TOOL

    def _moved(self) -> Reason:
        return Reason.UNEXPLAINED if self._nothing_changed else Reason.MOVED

    def _change_of(self, step: str) -> Reason | None:
        """What of the recipe's changes is about a step; None if it is the same in both."""
        then, now = (_definition(recipe, step) for recipe in self._recipes)
        if (then is None) != (now is None):
            return Reason.ADDED if then is None else Reason.REMOVED
        if then is None or now is None or then == now:
            return None
        kinds = {"itself": Reason.CHANGED, "codelists": Reason.CODELIST, "concepts": Reason.CONCEPT, "index": Reason.INDEX}
        return next(reason for kind, reason in kinds.items() if then[kind] != now[kind])


def _differ(then: Mapping[str, Any], now: Mapping[str, Any], *names: str) -> bool:
    return any(then.get(name) != now.get(name) for name in names)


_VIEWS = frozenset(recipe_views(has_index=True))
_BY_INDEX = ('"within"', '"match"', "age_at_index", "days_from_index")
"""What of a criterion's text says that it looks at day 0."""


def _definition(recipe: Mapping[str, Any], step: str) -> Mapping[str, Any] | None:
    """All that decides a step's answer; None if the recipe has no such step."""
    own = _own_words(recipe, step)
    if own is None:
        return None
    text = json.dumps(own, sort_keys=True)
    index = recipe.get("index") if any(word in text for word in _BY_INDEX) else None
    used = json.dumps([own, index], sort_keys=True)
    named = {
        section: {name: content for name, content in (recipe.get(section) or {}).items() if f'"{name}"' in used}
        for section in ("codelists", "concepts")
    }
    return {"itself": own, **named, "index": index}


def _own_words(recipe: Mapping[str, Any], step: str) -> Any:
    """What the recipe says of a step itself, without words that are only for people; None if it has no such step."""
    sample = recipe.get("sample")
    if step.startswith("sample"):
        return [sample, recipe["name"], recipe.get("labels")] if sample else None
    words = {
        "permission": [recipe.get("purpose"), sorted({*_kinds(recipe), *(["reports"] if recipe.get("texts") else [])})],
        "readable": [],
        "linked": recipe.get("links"),
    }
    words |= {f"label_{label['name']}": label for label in recipe.get("labels") or ()}
    for part in ("include", "exclude"):
        for criterion in recipe.get(part) or ():
            words[criterion["id"]] = [part, {name: value for name, value in criterion.items() if name != "label"}]
    return words.get(step)


def _kinds(content: Any) -> Iterator[str]:
    """The kinds of data that a recipe names, in tables, levels and what goes out."""
    if isinstance(content, Mapping):
        levels = (LEVEL_VIEWS.get(str(content[name]), "") for name in ("level", "unit") if name in content)
        outputs = content["tables"] if isinstance(content.get("tables"), Mapping) else ()
        named = {*levels, *outputs, content.get("table", ""), str(content.get("column", "")).partition(".")[0]}
        yield from (DATA_KINDS.get(name, "reports") for name in named & _VIEWS)
        yield from (kind for value in content.values() for kind in _kinds(value))
    elif isinstance(content, list | tuple):
        yield from (kind for value in content for kind in _kinds(value))


def _label_columns(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Columns that labels make, with the label's name."""
    return {
        f"{prefix}{label['name']}{suffix}": label["name"]
        for label in recipe.get("labels") or ()
        for prefix in ("", "case_", "patient_")
        for suffix in ("", "_days", "_event")
    }
