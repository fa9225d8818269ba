"""PC-SPL-010: a sealed evaluation asks, commits to its labels, shares nobody with other products, and shows no label."""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from pathcurate.model.benchmark import (
    SEALED_COMMITMENT_PATH,
    SEALED_KIND,
    SEPARATION_JSON_SCHEMA,
    SEPARATION_PATH,
    TASK_JSON_SCHEMA,
    TASK_PATH,
)
from pathcurate.model.validation import Breach
from pathcurate.sealing import COMMITMENT_JSON_SCHEMA
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.opened import Opened

_RULE = "PC-SPL-010"
_DOCUMENTS = {
    TASK_PATH: TASK_JSON_SCHEMA, SEALED_COMMITMENT_PATH: COMMITMENT_JSON_SCHEMA, SEPARATION_PATH: SEPARATION_JSON_SCHEMA,
}  # fmt: skip


def check(opened: Opened) -> Iterator[Breach]:
    """What is wrong with a sealed evaluation; of another release, whether it calls itself one."""
    is_sealed = opened.manifest["kind"] == SEALED_KIND
    asks = opened.recipe is not None and opened.recipe.sealed is not None
    if opened.recipe is not None and asks != is_sealed:
        said, other = ("seals a label", "no sealed evaluation") if asks else ("seals nothing", "a sealed evaluation")
        message = f"the recipe {said}, and the manifest says that it is {other}"
        yield breach(_RULE, message, cause=("sealed",) if asks else None)
    if not is_sealed:
        for path in _DOCUMENTS:
            if path in opened.digests:
                yield breach(_RULE, f"{path} is of a sealed evaluation, and this release is none", file=path)
        return
    documents: dict[str, Any] = {path: opened.json(path) if path in opened.listed else None for path in _DOCUMENTS}
    for path, schema in _DOCUMENTS.items():
        if not Draft202012Validator(schema).is_valid(documents[path]):
            yield breach(_RULE, f"{path} is missing, or not of its schema", file=path)
            return
    yield from _agreeing(opened, documents[TASK_PATH], documents[SEALED_COMMITMENT_PATH])
    if shared := documents[SEPARATION_PATH]["shared_groups"]:
        yield breach(_RULE, f"shares {counted(shared, 'group')} of persons with other products", file=SEPARATION_PATH)


def _agreeing(opened: Opened, task: Any, commitment: Any) -> Iterator[Breach]:
    manifest = opened.manifest
    for name in ("product", "version"):
        if task[name] != manifest[name]:
            yield breach(_RULE, f"{TASK_PATH} is of another {name}", file=TASK_PATH)
    unit = opened.tables.get(opened.unit)
    if unit is not None and not unit.rows == task["rows"] == commitment["rows"]:
        yield breach(_RULE, "task, commitment and table do not have the same number of units", table=unit.name)
    if opened.recipe is None:
        return
    hidden = {name for label in opened.recipe.labels for name in opened.recipe.label_column(label) if name == task["label"]}
    for table in opened.tables.values():
        for name in hidden & set(table.schema.names):
            yield breach(_RULE, "the label that is sealed goes out", table=table.name, column=name)
