"""The form of ``MANIFEST.json``, as JSON Schema (draft 2020-12)."""

from typing import Any

MANIFEST_SCHEMA = "https://pathcurate.example/schema/manifest/1"
MANIFEST_NAME = "MANIFEST.json"

_DIGEST = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
_NAME = {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"}
_PROFILE = {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,39}$"}
_COUNT = {"type": "integer", "minimum": 0}


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


MANIFEST_JSON_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": MANIFEST_SCHEMA,
    "title": "MANIFEST.json of a pathcurate release",
    **_object(
        {
            "schema": {"const": MANIFEST_SCHEMA},
            "kind": {"const": "manifest-only"},
            "product": _NAME,
            "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"},
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
                        "path": {"type": "string", "pattern": r"^data/[a-z0-9_]+\.parquet$"},
                        "rows": _COUNT,
                        "key": {"type": "array", "items": {"type": "string"}},
                        "sha256": _DIGEST,
                        "table_digest": _DIGEST,
                        "schema_sha256": _DIGEST,
                    }
                ),
            },
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
