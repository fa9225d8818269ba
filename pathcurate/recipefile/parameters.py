"""``params``: ``${name}`` as a whole value becomes the parameter's value, which keeps its type and the place in the file."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pathcurate.model.recipe import parse_date, parse_duration
from pathcurate.recipefile.merged import Merged
from pathcurate.terminaltext import visible
from pathcurate.yamlsource import KeyPath, Problem, did_you_mean

_WHOLE = re.compile(r"\$\{([^{}]*)\}")
_NOT_HERE = ("recipe", "name", "version", "extends")
_PATTERNS = ("any", "unless")


def _is_date(value: object) -> bool:
    return isinstance(value, str) and _parses(parse_date, value)


def _is_duration(value: object) -> bool:
    return isinstance(value, str) and _parses(parse_duration, value)


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


_TYPES: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "text": ("text, in quotes where it looks like a number", lambda value: isinstance(value, str) and bool(value)),
    "int": ("a whole number such as 2000", _is_whole),
    "number": ("a number such as 0.25", _is_number),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "date": ("a day of the calendar such as 2020-01-31", _is_date),
    "duration": ("a duration such as 90d, -2w, 24mo or 5y", _is_duration),
}


@dataclass(slots=True)
class Replaced:
    """A recipe whose parameters have their values.

    Attributes:
        merged: the recipe.
        problems: what is wrong with parameters in its files.
        refused: what is wrong with parameters that the run gave.
        open: paths of parts whose parameter has no value, so that what else is said of them follows from that.
    """

    merged: Merged
    problems: list[Problem] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    open: list[KeyPath] = field(default_factory=list)


def replace_parameters(merged: Merged, given: Mapping[str, str]) -> Replaced:
    """Put the values of parameters where they are named.

    Args:
        merged: the recipe as it stands in its files.
        given: text by parameter, as a run gives it.
    """
    replacing = _Replacing(merged, given)
    return replacing.run()


@dataclass(slots=True)
class _Replacing:
    merged: Merged
    given: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    open: list[KeyPath] = field(default_factory=list)
    declared: Mapping[str, Any] = field(default_factory=dict)
    effective: dict[str, Any] = field(default_factory=dict)
    values: dict[KeyPath, tuple[str, object]] = field(default_factory=dict)

    def run(self) -> Replaced:
        """The whole work."""
        data = self.merged.data
        if not isinstance(data, dict):
            return Replaced(self.merged)
        params = data.get("params")
        self.declared = params if isinstance(params, dict) else {}
        for name in self.given:
            if name not in self.declared:
                known = did_you_mean(name, self.declared) if self.declared else "; it has none"
                self._refuse(name, f"the recipe has no parameter of this name{known}")
        for name, declaration in self.declared.items():
            self._evaluate(name, declaration)
        content = {key: self._replaced(value, (key,)) for key, value in data.items() if not key.startswith("x-")}
        free = {key: value for key, value in data.items() if key.startswith("x-")}
        merged = replace(self.merged, data={**content, **free}, values=self.values)
        return Replaced(merged, self.problems, self.refused, self.open)

    def _evaluate(self, name: str, declaration: object) -> None:
        kind = declaration.get("type") if isinstance(declaration, dict) else None
        if not isinstance(declaration, dict) or not isinstance(kind, str) or kind not in _TYPES:
            return  # its own fault, which the model finds
        words, is_one = _TYPES[kind]
        path: KeyPath = ("params", name)
        choices = declaration.get("choices")
        choices = choices if isinstance(choices, list) else None
        for index, choice in enumerate(choices or ()):
            if not is_one(choice):
                self._report((*path, "choices", index), f"a parameter of type {kind} is {words}")
        default = declaration.get("default")
        if default is not None and (fault := self._fault(declaration, default)):
            self._report((*path, "default"), fault)
            default = None
        if name in self.given:
            self._take(name, declaration, self.given[name])
        elif default is not None:
            self.effective[name] = default
        elif "default" not in declaration:
            self._report(path, f"parameter `{name}` has no default, so each run must set it: --param {name}=…", key=True)

    def _take(self, name: str, declaration: Mapping[str, Any], text: str) -> None:
        value = _read(declaration["type"], text)
        if value is None:
            self._refuse(name, f"a parameter of type {declaration['type']} is {_TYPES[declaration['type']][0]}")
        elif fault := self._fault(declaration, value):
            self._refuse(name, fault)
        else:
            self.effective[name] = value

    def _fault(self, declaration: Mapping[str, Any], value: object) -> str:
        words, is_one = _TYPES[declaration["type"]]
        if not is_one(value):
            return f"a parameter of type {declaration['type']} is {words}"
        choices = declaration.get("choices")
        if not isinstance(choices, list) or any(type(one) is type(value) and one == value for one in choices):
            return ""
        known = [str(one) for one in choices]
        return f"not one of the choices{did_you_mean(str(value), known) or '; they are ' + ', '.join(known)}"

    def _replaced(self, value: Any, path: KeyPath) -> Any:
        if path == ("params",) and isinstance(value, dict):
            return {name: self._declaration(name, entry) for name, entry in value.items()}
        if isinstance(value, dict):
            return {key: self._replaced(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._replaced(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        return self._value(value, path)

    def _declaration(self, name: str, entry: Any) -> Any:
        path: KeyPath = ("params", name, "default")
        if not isinstance(entry, dict):
            return entry
        if isinstance(entry.get("default"), str) and _WHOLE.search(entry["default"]):
            self._report(path, "a parameter's default cannot be another parameter")
        return {**entry, "default": self.effective[name]} if name in self.effective else entry

    def _value(self, text: str, path: KeyPath) -> Any:
        found = _WHOLE.fullmatch(text)
        if found is None:
            is_pattern = path[0] == "concepts" and len(path) == 4 and path[2] in _PATTERNS
            if not is_pattern and (inside := _WHOLE.search(text)):
                self._report(path, f"`{inside[0]}` is replaced only where it is the whole value, not inside longer text")
            return text
        name = found[1]
        if path[0] in _NOT_HERE:
            self._report(path, f"a parameter cannot stand in `{path[0]}`")
        elif name not in self.declared:
            known = did_you_mean(name.strip(), self.declared) if self.declared else "; the recipe has no `params`"
            self._report(path, f"unknown parameter `{name}`{known}")
        elif name not in self.effective:
            self.open.append(path)
        else:
            self.values[path] = name, self.effective[name]
            return self.effective[name]
        return text

    def _report(self, path: KeyPath, message: str, *, key: bool = False) -> None:
        self.problems.append(self.merged.problem(path, message, key=key))
        self.open.append(path)

    def _refuse(self, name: str, message: str) -> None:
        self.refused.append(f"--param {visible(f'{name}={self.given[name]}')[:80]}: error: {message}")


def _read(kind: str, text: str) -> str | int | float | bool | None:
    """A value that a run gives, as a recipe would have it; None if it is none of its type."""
    if kind == "bool":
        return {"true": True, "false": False}.get(text)
    if kind in {"int", "number"} and re.fullmatch(r"[-+]?[0-9]{1,19}", text, re.ASCII):
        return int(text)
    if kind == "number":
        return float(text) if re.fullmatch(r"[-+]?([0-9]{1,19}\.?[0-9]{0,30}|\.[0-9]{1,30})", text, re.ASCII) else None
    return text if kind in {"text", "date", "duration"} and text.isprintable() and text else None
