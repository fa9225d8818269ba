"""JSON Schemas of recipes for editors: draft-07, as the YAML language server reads it, with what the models say of keys."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from pathcurate.model.concept import Concept
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.forms import Part

DRAFT = "http://json-schema.org/draft-07/schema#"

_PARAMETER = "parameter_value"
_FIXED = ("recipe", "name", "version", "extends", "params")
"""Keys of a recipe in which no parameter can stand."""
_REFERENCE = re.compile(r":\w+:`~?([^`]*)`")


def recipe_schema() -> dict[str, Any]:
    """Of a whole recipe. With ``extends``, what a recipe needs may stand in another file."""
    schema = _schema()
    choice = schema.pop("oneOf")
    required = schema["required"]
    schema["required"] = [name for name in required if name != "unit"]
    schema["not"] = {"required": ["columns", "tables"]}
    schema["if"] = {"required": ["extends"]}
    schema["then"] = {}
    schema["else"] = {"required": ["unit"], "oneOf": choice}
    return schema


def part_schema() -> dict[str, Any]:
    """Of a file that recipes extend, which may have any of their keys."""
    schema = _schema()
    del schema["required"], schema["oneOf"]
    schema["title"] = "part of a recipe"
    schema["description"] = "A file that recipes extend: any of their keys."
    schema["minProperties"] = 1
    return schema


def _schema() -> dict[str, Any]:
    schema = Recipe.model_json_schema(ref_template="#/definitions/{model}")
    models: dict[str, type[BaseModel]] = {model.__name__: model for model in _descendants(Part)}
    models[Concept.__name__] = Concept
    definitions = schema.pop("$defs")
    for name, definition in definitions.items():
        _describe(definition, models[name])
    _describe(schema, Recipe)
    _listing(definitions["Label"])
    for name in ("Inclusion", "Exclusion"):
        definitions[name]["not"] = {"required": ["has", "if_missing"]}  # a count is never missing
    with_parameters = {name: _accepting(one) if name != "Parameter" else one for name, one in definitions.items()}
    schema["properties"] = {
        name: one if name in _FIXED else _accepting(one) for name, one in schema["properties"].items()
    }  # fmt: skip
    reference = {
        "type": "string", "pattern": r"^\$\{[a-z0-9_]{1,64}\}$",
        "description": "The value of a parameter: ${name}, in quotes and as the whole value.",
    }  # fmt: skip
    whole = {"$schema": DRAFT, **schema, "definitions": {**with_parameters, _PARAMETER: reference}}
    return {name: _referring(one) for name, one in whole.items()}


def _listing(label: dict[str, Any]) -> None:
    """The model reads a list of a class's values as the condition that it stands for, which its schema does not say."""
    scalar = {"type": ["string", "number", "boolean"]}
    for condition in label["properties"]["classes"]["patternProperties"].values():
        condition["oneOf"].append({"type": "array", "items": scalar, "minItems": 1, "uniqueItems": True})


def _descendants(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in model.__subclasses__():
        yield child
        yield from _descendants(child)


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Say of each key what the docstring of its model, or of one that this is made from, says under ``Attributes``."""
    said: dict[str, str] = {}
    for one in reversed(model.__mro__):
        said |= _attributes(one.__doc__ or "")
    for name, field in model.model_fields.items():
        key = field.alias or name
        if name in said and key in schema["properties"]:
            schema["properties"][key] = {**schema["properties"][key], "description": said[name]}


def _attributes(docstring: str) -> dict[str, str]:
    words = _REFERENCE.sub(lambda found: found[1].rpartition(".")[2], docstring.partition("Attributes:\n")[2])
    entries = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", words, re.MULTILINE)
    return {name: " ".join(text.replace("``", "`").split()) for name, text in entries}


def _accepting(node: Any) -> Any:
    """The schema that takes the value of a parameter wherever it takes one value of its own."""
    if not isinstance(node, dict):
        return node
    inner = dict(node)
    for key in {"items", "additionalProperties"} & set(node):
        inner[key] = _accepting(node[key])
    for key in {"properties", "patternProperties"} & set(node):
        inner[key] = {name: _accepting(one) for name, one in node[key].items()}
    if "patternProperties" in node:
        inner.setdefault("additionalProperties", False)  # a name of another form is one that the model refuses
    if "oneOf" in node:
        inner["oneOf"] = [_accepting(one) for one in node["oneOf"]]
    if not _is_value(node):
        return inner
    around = {key: inner.pop(key) for key in ("title", "description", "default") if key in inner}
    options = inner.get("anyOf", [inner])
    return {**around, "anyOf": [*options, {"$ref": f"#/definitions/{_PARAMETER}"}]}


def _is_value(node: Mapping[str, Any]) -> bool:
    """Whether a schema is one of single values and refuses some texts."""
    if "anyOf" in node:
        return all(_is_value(option) for option in node["anyOf"])
    kinds = node.get("type")
    if kinds == "string":
        return bool({"enum", "const", "pattern", "format"} & set(node))
    return kinds in ("integer", "number", "boolean") or (kinds is None and "const" in node)


def _referring(node: Any) -> Any:
    """The schema with nothing beside a ``$ref``, because draft-07 ignores that."""
    if isinstance(node, list):
        return [_referring(one) for one in node]
    if not isinstance(node, dict):
        return node
    inner = {key: _referring(value) for key, value in node.items()}
    if isinstance(inner.get("$ref"), str) and len(inner) > 1:
        return {**{key: value for key, value in inner.items() if key != "$ref"}, "allOf": [{"$ref": inner["$ref"]}]}
    return inner
