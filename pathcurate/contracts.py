"""Renders ``schemas/``: JSON Schemas and table contracts, from the declarations in ``model/`` and from nothing else."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pathcurate.model.benchmark import RESULT_JSON_SCHEMA, SEALED_LABELS, SEPARATION_JSON_SCHEMA, TASK_JSON_SCHEMA
from pathcurate.model.catalog import CATALOG_TABLES
from pathcurate.model.column import Table
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, PERMISSION_CODES
from pathcurate.model.deidfile import DEID_FILES, RECEIPT_JSON_SCHEMA
from pathcurate.model.manifest import MANIFEST_JSON_SCHEMAS
from pathcurate.model.runlog import RUN_LOG_JSON_SCHEMA
from pathcurate.model.text import TEXT_TABLES
from pathcurate.recipeschema import part_schema, recipe_schema
from pathcurate.sealing import COMMITMENT_JSON_SCHEMA
from pathcurate.storage import write_bytes


def contracts() -> dict[str, bytes]:
    """Every file of ``schemas/`` by relative path."""
    documents: dict[str, Any] = {
        "recipe-v1.schema.json": recipe_schema(),
        "recipe-part-v1.schema.json": part_schema(),
        **{f"manifest-{name.rpartition('/')[2]}.schema.json": schema for name, schema in MANIFEST_JSON_SCHEMAS.items()},
        **{f"catalog/{table.name}.json": _contract(table) for table in CATALOG_TABLES},
        **{f"deid/{name}.json": _contract(table) for name, table in DEID_TABLES.items()},
        **{f"criteria/{name}.json": _contract(table) for name, table in CRITERIA_TABLES.items()},
        f"files/{DEID_FILES.name}.json": _contract(DEID_FILES),
        "run-log-1.schema.json": RUN_LOG_JSON_SCHEMA,
        "deid-files-receipt-1.schema.json": RECEIPT_JSON_SCHEMA,
        "evaluation/benchmark-task-1.schema.json": TASK_JSON_SCHEMA,
        "evaluation/benchmark-result-1.schema.json": RESULT_JSON_SCHEMA,
        "evaluation/sealed-commitment-1.schema.json": COMMITMENT_JSON_SCHEMA,
        "evaluation/separation-1.schema.json": SEPARATION_JSON_SCHEMA,
        "evaluation/sealed_labels.json": _contract(SEALED_LABELS),
        **{f"deid/texts/{name}.json": _contract(table) for name, table in TEXT_TABLES.items()},
        "criteria/permissions.json": _contract(PERMISSION_CODES),
    }
    return {path: json.dumps(item, ensure_ascii=False, indent=1).encode() + b"\n" for path, item in documents.items()}


def write_contracts(directory: Path) -> None:
    """Write ``schemas/``, and remove what is no longer rendered."""
    rendered = contracts()
    for relpath, content in rendered.items():
        write_bytes(directory / relpath, content)
    for path in directory.rglob("*.json"):
        if path.relative_to(directory).as_posix() not in rendered:
            path.unlink()


def _contract(table: Table) -> dict[str, Any]:
    columns = []
    for column in table.columns:
        described = {name: value for name, value in asdict(column).items() if value not in ("", (), False)}
        columns.append({**described, "required": column.required})
    return {"table": table.name, "version": table.version, "row": table.row, "key": list(table.key), "columns": columns}
