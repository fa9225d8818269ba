"""The form of ``MANIFEST.json``, as JSON Schema (draft 2020-12): of the releases of today, and of every earlier form.

1 (0.1.0 to 0.8.0): each table is one file. 2 (since 0.9.0): a table has one or several parts, each with its digest.
"""

from collections.abc import Mapping
from typing import Any

from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import SLIDES_DEID

_SCHEMA = "https://pathcurate.example/schema/manifest"
MANIFEST_SCHEMA = f"{_SCHEMA}/2"
MANIFEST_NAME = "MANIFEST.json"
KINDS = ("manifest-only", "dataset", "api", "tre-session", "benchmark-sealed")
"""What a product is: its tables alone, with slide files, an interface, a session where the data stays, a sealed test."""
MOST_PARTS = 10_000

SEMANTIC_VERSION = r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"
_DIGEST = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
_NAME = {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"}
_PROFILE = {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,39}$"}
_COUNT = {"type": "integer", "minimum": 0}


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_ONE_FILE = {"path": {"type": "string", "pattern": r"^data/[a-z0-9_]+\.parquet$"}, "rows": _COUNT, "sha256": _DIGEST}
_PARTS = {
    "rows": _COUNT,
    "parts": {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_PARTS,
        "items": _object({
            "path": {"type": "string", "pattern": r"^data/[a-z0-9_]+(/part-[0-9]{5})?\.parquet$"},
            "rows": _COUNT, "bytes": _COUNT, "sha256": _DIGEST,
        }),
    },
}  # fmt: skip


def _schema(number: int, files: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{_SCHEMA}/{number}",
        "title": "MANIFEST.json of a pathcurate release",
        **_object(
            {
                "schema": {"const": f"{_SCHEMA}/{number}"},
                "kind": {"enum": list(KINDS)} if number > 1 else {"const": "manifest-only"},
                "product": _NAME,
                "version": {"type": "string", "pattern": SEMANTIC_VERSION},
                "title": {"type": "string"},
                "previous": {
                    "oneOf": [
                        {"type": "null"},
                        _object(
                            {
                                "version": {"type": "string"},
                                "release_digest": _DIGEST,
                                # The least step that the changes allow; releases of 0.1.0 do not say it.
                                "bump": {"enum": ["patch", "minor", "major"]},
                            },
                            optional=("bump",),
                        ),
                    ]
                },
                "tables": {
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": _NAME,
                    "additionalProperties": _object(
                        {
                            **files,
                            "key": {"type": "array", "items": {"type": "string"}},
                            "table_digest": _DIGEST,
                            "schema_sha256": _DIGEST,
                        }
                    ),
                },
                **more,
                "content_digest": _DIGEST,
                "counts": _object({"slides": _COUNT, "cases": _COUNT, "patients": _COUNT}),
                "split": {
                    "type": "object",
                    "propertyNames": _NAME,
                    "additionalProperties": _COUNT,
                },
                "recipe": _object({"name": _NAME, "lock_sha256": _DIGEST, "canonical_sha256": _DIGEST}),
                "inputs": {"type": "object", "additionalProperties": _DIGEST},
                "permissions": _object({"configured": {"type": "boolean"}, "purpose": {"type": "string"}}),
                # What the release tells about people; releases of before 0.6.0 do not say it.
                "deid": _object(
                    {
                        "profile": _PROFILE,
                        "scenario": {"enum": ["public", "agreement", "enclave", "internal"]},
                        "k_required": {"oneOf": [{"type": "null"}, {"type": "integer", "minimum": 2}]},
                        "k_min": _COUNT,
                        "gbt42460_level": {"enum": [1, 2, 3, 4]},
                    }
                ),
                "tool": _object({"name": {"const": "pathcurate"}, "version": {"type": "string"}}),
            },
            optional=("deid",),
        ),
    }


_DAY = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
MANIFEST_JSON_SCHEMAS: Mapping[str, dict[str, Any]] = {
    schema["$id"]: schema
    for schema in (_schema(1, _ONE_FILE, {}), _schema(2, _PARTS, {"published": _DAY, "urn": {"type": "string"}}))
}
"""Every form that was ever released, by what a manifest's ``schema`` says."""

COMMITMENT_PATH = "provenance/source-commitment.json"
COMMITMENTS_PATH = "provenance/source-commitments.parquet"
COMMITMENTS = Table(
    name="source_commitments",
    row="one slide of the release and what its holder has committed to",
    key=("slide_id",),
    columns=(
        SLIDES_DEID["slide_id"],
        Column("over", Type.STRING, "What of the source is committed to: the digest of its bytes, or its place and size.",
               values=("bytes", "place"), required=True),
        Column("commitment", Type.STRING, "HMAC-SHA-256 of the source, as hexadecimal digits.", pattern="[0-9a-f]{64}",
               required=True),
    ),
)  # fmt: skip
"""One row for each slide of a release whose source is known; it stands beside the tables, not in MANIFEST.json."""
