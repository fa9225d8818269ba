"""What ``--log-json`` writes: one JSON object per line, and no patient's value in any."""

from collections.abc import Mapping
from typing import Any, Final

from pathcurate.errors import EXIT_NAMES

EVENTS: Final[Mapping[str, str]] = {
    "start": "The command begins.",
    "stage": "A stage of `run` begins, ends, or is skipped because it is up to date.",
    "progress": "How much of a stage is done, at most every 30 seconds, and once at its end.",
    "message": "What people are told.",
    "result": "The numbers of the result that is printed.",
    "error": "Why the command stops, and what to do next.",
    "end": "The last line.",
}

_COUNT: Final = {"type": "integer", "minimum": 0}
RUN_LOG_JSON_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "run-log-1.schema.json",
    "title": "A line of --log-json",
    "description": "On standard error, one object per line, UTF-8. Later versions may add keys and events.",
    "type": "object",
    "required": ["ts", "level", "command", "run", "event"],
    "properties": {
        "ts": {"type": "string", "format": "date-time", "pattern": "Z$", "description": "When, in UTC."},
        "level": {"enum": ["info", "warning", "error"]},
        "command": {"type": "string", "description": "Such as `deid apply`, without its arguments; may be empty."},
        "run": {
            "type": "string", "pattern": "^[A-Za-z0-9_.:+-]{1,128}$",
            "description": "The same in all lines of one call: PATHCURATE_RUN_ID, or made up.",
        },
        "event": {"enum": list(EVENTS), "description": " ".join(f"{name}: {text}" for name, text in EVENTS.items())},
        "stage": {"type": "string", "description": "Such as `scan`."},
        "status": {"enum": ["begin", "end", "skipped"], "description": "Of a stage."},
        "done": {**_COUNT, "description": "Of the unit, so far."},
        "total": {**_COUNT, "description": "Of the unit, as far as is known yet."},
        "unit": {"type": "string", "description": "What is counted: slides, reports, files, bytes."},
        "message": {"type": "string", "description": "In English, whatever the language is."},
        "hint": {"type": "string", "description": "What to do next, in English."},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}, "description": "Numbers of the result."},
        "seconds": {"type": "number", "minimum": 0, "description": "How long the stage or the command took."},
        "exit_code": {"type": "integer"},
        "exit_name": {"enum": list(EXIT_NAMES.values())},
    },
    "allOf": [
        {"if": {"properties": {"event": {"const": "end"}}}, "then": {"required": ["exit_code", "exit_name", "seconds"]}},
        {"if": {"properties": {"event": {"const": "error"}}}, "then": {"required": ["message", "hint", "exit_code"]}},
        {"if": {"properties": {"event": {"const": "progress"}}}, "then": {"required": ["stage", "done", "total", "unit"]}},
        {"if": {"properties": {"event": {"const": "stage"}}}, "then": {"required": ["stage", "status"]}},
    ],
}  # fmt: skip
