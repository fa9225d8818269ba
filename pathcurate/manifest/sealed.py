"""What a sealed evaluation withholds: the labels of its units, taken from the cohort, and what is asked about them."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute

from pathcurate.errors import DigestMismatchError, PlanIncompleteError, VersionError
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.benchmark import SEALED_COMMITMENT_PATH, SEALED_LABELS, TASK_PATH, BenchmarkTask
from pathcurate.model.deidentified import DEID_TABLES, PSEUDONYM_KINDS, pseudonym_pattern
from pathcurate.model.recipe import Label, Recipe, Sealed
from pathcurate.pseudonyms import product
from pathcurate.recipefile.sealedtask import class_names
from pathcurate.recoding.codes import ColumnCodes
from pathcurate.releases import Release
from pathcurate.sealing import commit, labels_key, open_labels, read_commitment, seal_labels
from pathcurate.sqlplan.relations import unit_key
from pathcurate.tables import conform, read_parquet
from pathcurate.vault import Vault, read_events
from pathcurate.workspace import Workspace

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute
_SCANNER = ("vendor", "scanner_model")
_SEALED_QUESTIONS = "product seal"
"""What the audit trail calls it when the answers of a set of questions were sealed."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """What a sealed release withholds.

    Attributes:
        task: what is asked.
        labels: :data:`~pathcurate.model.benchmark.SEALED_LABELS`, one row for each unit that goes out.
    """

    task: BenchmarkTask
    labels: pa.Table

    def write(self, vault: Vault) -> dict[str, str]:
        """Seal the labels in the vault; the documents of the release by path.

        Raises:
            VersionError: a set of questions of that name and version is sealed already.
        """
        task = self.task
        wanted = (_SEALED_QUESTIONS, task.product, task.version)
        facts = ((one.action, one.facts.get("product"), one.facts.get("version")) for one in read_events(vault.directory))
        if wanted in facts:
            raise VersionError(
                f"a set of questions is sealed as {task.product} {task.version} already",
                "Give the recipe another name, or another version.",
            )
        # Whoever builds has found no such release, so labels that are there were never committed to.
        commitment = seal_labels(vault, task.product, task.version, self.labels, replace=True)
        return {TASK_PATH: json_text(task.as_dict()), SEALED_COMMITMENT_PATH: json_text(commitment.as_dict())}

    def demand_same(self, vault: Vault, release: Release) -> None:
        """Refuse labels that are not those which a release that is there has committed to.

        Raises:
            VersionError: they are others.
        """
        there = read_commitment(release.directory)
        key = labels_key(vault, release.name, release.version, there)
        if commit(key, self.labels).value != there.value:
            raise VersionError(
                f"{release.name} {release.version} exists, and committed to other labels",
                "Raise `version` in the recipe: what was committed to never changes.",
            )

    def relabelled(self, vault: Vault, before: Release) -> int:
        """Units whose label is another one than in an earlier version of the product.

        An earlier version that withholds nothing, or whose labels are lost, has none that could be compared.
        """
        try:
            labels = open_labels(vault, before.name, before.version, read_commitment(before.directory))
        except (PlanIncompleteError, DigestMismatchError):
            return 0
        places: Any = pc.index_in(self.labels["unit_id"], value_set=labels["unit_id"].combine_chunks())
        same, then = self.labels.filter(places.is_valid()), labels.take(places.drop_null())
        differs: Any = pa.repeat(False, same.num_rows)
        for name in ("truth", "days", "event"):
            now, was = same[name].combine_chunks(), then[name].combine_chunks()
            differs = pc.or_(differs, pc.fill_null(pc.not_equal(now, was), False))
        return int(pc.sum(differs).as_py() or 0)


def withheld(workspace: Workspace, recipe: Recipe, released: pa.Table, key: bytes) -> Withheld | None:
    """What the release of a recipe withholds; None if nothing.

    Args:
        workspace: the workspace.
        recipe: the recipe.
        released: the rows of the cohort that go out, by internal pseudonym.
        key: the vault's.

    Raises:
        PlanIncompleteError: a unit has no label, or the labels do not make the task.
    """
    sealed = recipe.sealed
    if sealed is None:
        return None
    label = next(one for one in recipe.labels if one.name == sealed.label)
    unit = unit_key(recipe.unit)
    names = recipe.label_column(label)
    rows = read_parquet(workspace.cohorts / recipe.name / "cohort.parquet", (unit, *names))
    places: Any = pc.index_in(released[unit], value_set=rows[unit].combine_chunks())
    rows = rows.take(places)
    labels = conform(SEALED_LABELS, pa.table({
        **_codes(recipe, unit, released, key), **_truth(label, names, rows),
        **_about(workspace, recipe, sealed, unit, released),
    }))  # fmt: skip
    wanted = ("days", "event") if label.time_to_event is not None else ("truth",)
    if any(labels[name].null_count for name in wanted) or not labels.num_rows:
        raise PlanIncompleteError(
            f"label `{label.name}` is sealed, and not every unit of the cohort has one",
            "Give the label `if_missing: fail`, and run `pathcurate cohort` again.",
        )
    return Withheld(_task(recipe, sealed, label, labels), labels.sort_by("unit_id"))


def _codes(recipe: Recipe, unit: str, released: pa.Table, key: bytes) -> dict[str, Any]:
    """The product's codes of the units, and of whose they are."""
    layer = product(key, recipe.name).codes
    kinds = {pseudonym_pattern(kind): kind for kind in PSEUDONYM_KINDS}
    table = DEID_TABLES[recipe.unit_table]
    named = {"unit_id": unit, "patient_id": "patient_id"}
    return {
        column: ColumnCodes(kinds[table[name].pattern], layer).of(released[name])
        for column, name in named.items() if name in table
    }  # fmt: skip


def _truth(label: Label, names: tuple[str, ...], rows: pa.Table) -> dict[str, Any]:
    """The label as classes, as a number in decimal text, or as days and event."""
    if label.time_to_event is not None:
        return {"days": rows[names[0]], "event": rows[names[1]]}
    values = rows[names[0]].combine_chunks()
    if pa.types.is_boolean(values.type):
        return {"truth": pc.if_else(values, "yes", "no")}
    if pa.types.is_floating(values.type):
        return {"truth": pa.array([None if value is None else repr(value) for value in values.to_pylist()], pa.string())}
    return {"truth": values.cast(pa.string())}


def _about(workspace: Workspace, recipe: Recipe, sealed: Sealed, unit: str, released: pa.Table) -> dict[str, Any]:
    """Site, scanner and topic of each unit, by which scores are told apart; they need not go out."""
    table = DEID_TABLES[recipe.unit_table]
    topic = (sealed.topic,) if sealed.topic is not None else ()
    wanted = [name for name in dict.fromkeys((unit, "site", *_SCANNER, *topic)) if name in table]
    known = read_parquet(workspace.deid / f"{table.name}.parquet", tuple(wanted))
    known = known.take(pc.index_in(released[unit], value_set=known[unit].combine_chunks()))
    about = {"site": known["site"]} if "site" in known.column_names else {}
    if set(_SCANNER) <= set(known.column_names):
        parts = [pc.fill_null(known[name].combine_chunks(), "") for name in _SCANNER]
        scanner = pc.utf8_trim_whitespace(pc.binary_join_element_wise(*parts, " "))
        about["scanner"] = pc.if_else(pc.equal(scanner, ""), None, scanner)
    if topic:
        about["topic"] = known[topic[0]]
    return about


def _task(recipe: Recipe, sealed: Sealed, label: Label, labels: pa.Table) -> BenchmarkTask:
    classes = sealed.order or class_names(label)
    is_of_classes = sealed.task not in {"regression", "survival"}
    quantity = "d" if sealed.task == "survival" else ""
    return BenchmarkTask(
        product=recipe.name, version=recipe.version, task=sealed.task, unit=unit_key(recipe.unit),
        label=recipe.label_column(label)[0], rows=labels.num_rows, classes=tuple(classes) if is_of_classes else (),
        positive=(sealed.positive or "yes") if sealed.task == "binary" else "", quantity=quantity,
        has_topics=sealed.topic is not None, min_cell=recipe.disclosure.min_cell,
    )  # fmt: skip
