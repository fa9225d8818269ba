"""The one door to YAML that people write: plain data, the position of each part, and every fault shown where it stands.

Scalars follow the YAML 1.2 core schema, as editors do: ``no`` is text, ``0123`` is text (the core schema would read 123
and lose an accession number's zeros), ``12:30`` and ``2012-01-01`` are text. Keys are always text as written. Anchors
and aliases work; tags, merge keys, repeated keys and several documents in one file are errors.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pathcurate.errors import PathcurateError
from pathcurate.masking import masked
from pathcurate.terminaltext import blank, visible

MAX_BYTES = 1 << 20
"""Largest file that is read; people do not write more, and the parser takes seconds for this much."""
MAX_DEPTH = 50
"""Deepest nesting, aliases expanded; pydantic and json recurse over the result."""
MAX_EXPANDED = 100_000
"""Most nodes that aliases may stand for together (ten lines of aliases can stand for billions)."""

HINT = "Nothing was done: correct the file and run the command again."

Step = str | int
KeyPath = tuple[Step, ...]

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # PyYAML's own idea of a line, so that its line numbers hold
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # YAML 1.2, 5.1
_CONSTANTS: dict[str, bool | None] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_CONSTANTS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), int),
    (re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)
_MAX_NUMBER = 300  # characters; Python refuses to convert integers of more than 4300 digits

_PARSER_WORDS = (
    (r"character '\\t' that cannot start", "a tab cannot stand here; indent with spaces"),
    (r"character '(.+)' that cannot start", r"text that starts with `\1` must be in quotes"),
    (r"mapping values are not allowed", "a key cannot stand here: check the indentation, or quote text that holds `: `"),
    (r"could not find expected ':'", "a `:` is missing after this key, or the line before does not end"),
    (r"expected <block end>", "this does not fit the lines above: check the indentation and the quotes"),
    (r"expected ',' or '([]}])'", r"a `,` or the closing `\1` is missing before this"),
    (r"expected chomping or indentation", "text that starts with `>` or `|` must be in quotes"),
    (r"expected the node content", "a value is missing before this"),
    (r"found unexpected end of stream", "the quotes opened here are not closed"),
    (r"found unknown escape character", "in double quotes a backslash starts an escape; use single quotes"),
)
_MODEL_WORDS = {
    "dict_type": "Input should be a mapping",
    "model_type": "Input should be a mapping",
    "tuple_type": "Input should be a list",
    "bool_type": "Input should be true or false",
}
_KINDS: dict[type, str] = {dict: "a mapping", list: "a list"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault in a file: where (line and column from 1) and what; ``file`` and ``source`` (its line) if in another file.

    ``severity`` is how the message calls it.
    """

    line: int
    column: int
    message: str
    file: str = ""
    source: str = ""
    severity: str = "error"


@dataclass(frozen=True, slots=True)
class _Node:
    """Where one part of the data stands. ``size`` and ``height`` count the part itself and all below, aliases expanded."""

    position: tuple[int, int]
    key_position: tuple[int, int] | None = None
    children: Mapping[Step, "_Node"] = field(default_factory=dict)
    size: int = 1
    height: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain data (dict, list, str, int, float, bool, None), with positions.

    Attributes:
        name: how messages call the file.
        lines: the source, line by line.
        data: the content; None for an empty file. Parts behind aliases are shared, not copied.
    """

    name: str
    lines: tuple[str, ...]
    data: Any
    _root: _Node = field(default=_Node((1, 1)), repr=False)

    def position(self, path: Sequence[Step], *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of a value, or of its key.

        What is not in the file has the position of the nearest part around it that is; a missing key thus stands at
        the first key of its mapping. An alias stands where it is used, what is inside it where it is written.
        """
        node = self._root
        for step in path:
            child = node.children.get(step)
            if child is None:
                return node.position
            node = child
        return node.key_position if key and node.key_position else node.position

    def problem(self, path: Sequence[Step], message: str, *, key: bool = False) -> Problem:
        """A problem at a part of this file."""
        return Problem(*self.position(path, key=key), message)


def load(path_or_text: Path | str | bytes, name: str, error: type[PathcurateError]) -> Document:
    """Read YAML with positions.

    Args:
        path_or_text: a file (UTF-8, with or without a byte order mark), or its content.
        name: how messages call the file.
        error: the class to raise.

    Raises:
        PathcurateError: of class ``error``, for whatever is wrong with the file; nothing else is raised.
    """
    content = read(path_or_text, name, error) if isinstance(path_or_text, Path) else path_or_text
    if len(content) > MAX_BYTES:
        raise error(f"{name}: larger than {MAX_BYTES} bytes", "Check that this is the file you meant.")
    text = content if isinstance(content, str) else _decode(content, name, error)
    text = text.removeprefix("\ufeff")
    document = Document(name, tuple(_LINE_BREAK.split(text)), None)
    if found := _FORBIDDEN.search(text):
        problem = Problem(*_end(text[: found.start()]), f"character U+{ord(found[0]):04X} is not allowed in YAML")
        raise error(render(document, [problem]), HINT)
    builder = _Builder(text)
    data, root = builder.build()
    document = replace(document, data=data, _root=root)
    fail(document, builder.problems, error)
    return document


def fail(document: Document, problems: Sequence[Problem], error: type[PathcurateError]) -> None:
    """Raise all problems as one error, if there are any."""
    if problems:
        raise error(render(document, problems), HINT)


def render(document: Document, problems: Iterable[Problem]) -> str:
    """All problems in the order of the file, each with its source line and a caret below the column.

    Passwords in addresses (``scheme://user:password@host``) are shown as asterisks.
    """
    ordered = sorted(set(problems), key=lambda problem: (problem.file, problem.line, problem.column, problem.message))
    text = "\n".join(_render_one(document, problem) for problem in ordered)
    return masked(text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean `x`?`` for the known word most like this one, or nothing."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"; did you mean `{folded[close[0]]}`?" if close else ""


_Model = TypeVar("_Model", bound=BaseModel)


def validate(
    document: Document, model: type[_Model], error: type[PathcurateError], *, context: Mapping[str, Any] | None = None
) -> _Model:
    """Check a document against a model and report every fault at its place.

    A key without a value is a fault. A model may list in ``LATER`` (a class variable, names of keys) what a later version
    will accept. A validator that knows better where a fault is than pydantic raises ``PydanticCustomError("fault",
    "{text}", {"text": message, "at": path below the model})``.

    Raises:
        PathcurateError: of class ``error``, with all problems.
    """
    result, problems = check(document, model, context=context)
    fail(document, problems, error)
    return result  # type: ignore[return-value]  # there is one if there is no problem


def check(
    document: Document, model: type[_Model], *, context: Mapping[str, Any] | None = None
) -> tuple[_Model | None, list[Problem]]:
    """What :func:`validate` finds: the model, None if the form is not that, and all problems."""
    if document.data is None:
        return None, [Problem(1, 1, "the file is empty")]
    empty = [path for path in _empty(document.data) if not str(path[0]).startswith("x-")]
    problems = [document.problem(path, "no value is given here", key=True) for path in empty]
    try:
        result = model.model_validate(document.data, context=context)
    except ValidationError as failure:
        places = [_Place.find(document.data, model, details) for details in failure.errors(include_url=False)]
        return None, problems + [
            one.problem(document) for one in places if one.path not in empty and not one.is_echo(places)
        ]
    return result, problems


def read(path: Path, name: str, error: type[PathcurateError]) -> bytes:
    """The bytes of a file, one more than :data:`MAX_BYTES` at most; raises ``error`` if it is none or cannot be read."""
    if not path.is_file():
        raise error(f"{name}: no such file", "Check the path.")
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as failure:
        raise error(f"{name}: cannot be read: {failure.strerror}", "Check the permissions of the file.") from failure


def _decode(data: bytes, name: str, error: type[PathcurateError]) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise error(f"{name}: the file is UTF-16", "Save it as UTF-8.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as failure:
        lines = tuple(_LINE_BREAK.split(data.decode("utf-8", errors="replace").removeprefix("\ufeff")))
        prefix = data[: failure.start].decode("utf-8").removeprefix("\ufeff")
        problem = Problem(*_end(prefix), f"the file is not UTF-8 (byte 0x{data[failure.start]:02X})")
        raise error(render(Document(name, lines, None), [problem]), "Save the file as UTF-8.") from failure


def _end(text: str) -> tuple[int, int]:
    lines = _LINE_BREAK.split(text)
    return len(lines), len(lines[-1]) + 1


class _BrokenError(Exception):
    """The parser cannot go on."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _at(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


class _Builder:
    """Builds data and positions from parser events: PyYAML's own composer loses where an alias is used."""

    def __init__(self, text: str) -> None:
        self.problems: list[Problem] = []
        self._loader = yaml.SafeLoader(text)
        self._anchors: dict[str, tuple[Any, _Node] | None] = {}  # None while the anchored part is still open
        self._expanded = 0

    def build(self) -> tuple[Any, _Node]:
        """The content of the stream; problems are collected, and the first that cannot be passed over ends the reading."""
        data, root = None, _Node((1, 1))
        try:
            self._next()  # stream start
            if isinstance(self._next(), yaml.DocumentStartEvent):
                data, root = self._node(self._next(), 1)
                self._next()  # document end
                after = self._next()
                if isinstance(after, yaml.DocumentStartEvent):
                    self._report(after.start_mark, "a second document starts here; a file holds one")
        except _BrokenError as failure:
            self.problems.append(failure.problem)
        return data, root

    def _next(self) -> Any:
        try:
            return self._loader.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as failure:
            text = failure.problem or ""
            is_open = "unexpected end of stream" in text  # what is not closed is found where it opens, not at the end
            mark = failure.context_mark if is_open else failure.problem_mark
            raise _BrokenError(Problem(*_at(mark), _plain_words(text))) from failure
        except (yaml.YAMLError, ValueError, OverflowError) as failure:
            # PyYAML lets chr() and int() raise for escapes beyond Unicode and for absurd version directives.
            problem = Problem(*_at(self._loader.get_mark()), "this escape or directive is not valid YAML")
            raise _BrokenError(problem) from failure

    def _report(self, mark: Any, message: str) -> None:
        self.problems.append(Problem(*_at(mark), message))

    def _node(self, event: Any, depth: int) -> tuple[Any, _Node]:
        if depth > MAX_DEPTH:
            raise _BrokenError(Problem(*_at(event.start_mark), f"nested more than {MAX_DEPTH} levels deep"))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if event.tag is not None:
            self._report(event.start_mark, f"tag `{_clip(event.tag)}` is not supported; write a plain value")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        built: tuple[Any, _Node]
        if isinstance(event, yaml.MappingStartEvent):
            built = self._mapping(event, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            built = self._sequence(event, depth)
        else:
            self._check_text(event)
            value = _resolve(event.value) if event.implicit[0] and event.style is None else event.value
            built = value, _Node(_at(event.start_mark))
        if event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _alias(self, event: Any, depth: int) -> tuple[Any, _Node]:
        name = _clip(event.anchor)
        if event.anchor not in self._anchors:
            self._report(event.start_mark, f"alias `*{name}` has no anchor `&{name}` before it")
            return None, _Node(_at(event.start_mark))
        anchored = self._anchors[event.anchor]
        if anchored is None:
            self._report(event.start_mark, f"alias `*{name}` stands inside its own anchor")
            return None, _Node(_at(event.start_mark))
        data, node = anchored
        self._expanded += node.size
        if self._expanded > MAX_EXPANDED or depth + node.height - 1 > MAX_DEPTH:
            raise _BrokenError(Problem(*_at(event.start_mark), "the aliases together stand for too much"))
        return data, replace(node, position=_at(event.start_mark), key_position=None)

    def _sequence(self, event: Any, depth: int) -> tuple[list[Any], _Node]:
        items: list[Any] = []
        children: dict[Step, _Node] = {}
        while not isinstance(item := self._next(), yaml.SequenceEndEvent):
            value, node = self._node(item, depth + 1)
            children[len(items)] = node
            items.append(value)
        return items, _parent(event, children)

    def _mapping(self, event: Any, depth: int) -> tuple[dict[str, Any], _Node]:
        items: dict[str, Any] = {}
        children: dict[Step, _Node] = {}
        while not isinstance(key_event := self._next(), yaml.MappingEndEvent):
            key = self._key(key_event, depth)
            value, node = self._node(self._next(), depth + 1)
            if key is None:
                continue
            if key in items:
                first = (children[key].key_position or (0, 0))[0]
                self._report(key_event.start_mark, f"key `{_clip(key)}` is given twice (first at line {first})")
                continue
            items[key] = value
            children[key] = replace(node, key_position=_at(key_event.start_mark))
        return items, _parent(event, children)

    def _key(self, event: Any, depth: int) -> str | None:
        """The key as text, or None after reporting why it is not one."""
        if not isinstance(event, yaml.ScalarEvent):
            self._report(event.start_mark, "a key must be text, not a list, a mapping or an alias")
            if not isinstance(event, yaml.AliasEvent):
                self._node(event, depth + 1)
            return None
        is_plain = event.style is None
        if is_plain and not event.value:
            self._report(event.start_mark, "a key is missing before the `:`")
            return None
        if is_plain and event.value == "<<":
            self._report(event.start_mark, "merge keys (`<<`) are not supported; write the keys out")
            return None
        if event.tag is not None:
            self._report(event.start_mark, f"tag `{_clip(event.tag)}` is not supported; write a plain key")
        if event.anchor is not None:
            self._anchors[event.anchor] = event.value, _Node(_at(event.start_mark))
        self._check_text(event)
        return str(event.value)

    def _check_text(self, event: Any) -> None:
        if found := _FORBIDDEN.search(event.value):
            self._report(event.start_mark, f"character U+{ord(found[0]):04X} is not allowed, not even escaped")


def _parent(event: Any, children: dict[Step, _Node]) -> _Node:
    size = 1 + sum(child.size for child in children.values())
    height = 1 + max((child.height for child in children.values()), default=0)
    return _Node(_at(event.start_mark), None, children, size, height)


def _resolve(text: str) -> str | int | float | bool | None:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) <= _MAX_NUMBER:
        for form, convert in _NUMBERS:
            if form.fullmatch(text):
                return convert(text)
    return text


def _plain_words(problem: str) -> str:
    for pattern, words in _PARSER_WORDS:
        if found := re.search(pattern, problem):
            return found.expand(words)
    return f"not valid YAML: {problem}"


def _clip(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[:length] + "…"


def _render_one(document: Document, problem: Problem) -> str:
    line, column = problem.line, problem.column
    source = problem.source if problem.file else document.lines[line - 1] if line <= len(document.lines) else ""
    start = max(0, column - 60) if len(source) > 120 else 0
    before, after = visible(source[start : column - 1]), visible(source[column - 1 : start + 120])
    before = "…" + before if start else before
    after = after + "…" if start + 120 < len(source) else after
    head = f"{problem.file or document.name}:{line}:{column}: {problem.severity}: {visible(problem.message)}"
    return f"{head}\n{line:>8} | {before}{after}".rstrip() + f"\n         | {blank(before)}^"


def _empty(data: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    items: Iterable[tuple[Step, Any]]
    if isinstance(data, dict):
        items = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    else:
        return
    for step, value in items:
        if value is None:
            yield (*path, step)
        else:
            yield from _empty(value, (*path, step))


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value of this annotation can be, or hold in a list or mapping."""
    if get_origin(annotation) is None and isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in get_args(annotation) for model in _models(part)]


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The fields of a model by the keys that people write."""
    return ((field.alias or name, field) for name, field in model.model_fields.items())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file a pydantic error belongs, and the models that could stand there."""

    path: KeyPath
    on_key: bool
    models: tuple[type[BaseModel], ...]
    details: ErrorDetails

    @staticmethod
    def find(data: Any, model: type[BaseModel], details: ErrorDetails) -> "_Place":
        """Follow an error's location, passing over the steps that pydantic puts in between (tags of unions)."""
        path: list[Step] = []
        models = [model]
        kind, location = details["type"], details["loc"]
        at = details.get("ctx", {}).get("at", ())
        for index, step in enumerate((*location, *at)):
            is_there = isinstance(data, dict) and step in data
            if is_there or (isinstance(data, list) and isinstance(step, int) and step < len(data)):
                is_unknown = kind == "extra_forbidden" and index == len(location) - 1
                declared = [field.annotation for one in models for name, field in _fields(one) if name == step]
                if declared and is_there and not is_unknown:
                    models = [inner for annotation in declared for inner in _models(annotation)]
                path.append(step)
                data = data[step]
        on_key = kind == "extra_forbidden" or bool(location and location[-1] == "[key]")
        return _Place(tuple(path), on_key, tuple(models), details)

    def is_echo(self, others: Sequence["_Place"]) -> bool:
        """Whether this only follows from others: pydantic calls a list too short when items of it are wrong."""
        loc = self.details["loc"]
        below = (len(one.details["loc"]) > len(loc) and one.details["loc"][: len(loc)] == loc for one in others)
        return self.details["type"] == "too_short" and any(below)

    def problem(self, document: Document) -> Problem:
        """The problem in our own words."""
        return document.problem(self.path, self._message(), key=self.on_key)

    def _message(self) -> str:
        ctx, value = self.details.get("ctx", {}), self.details["input"]
        match self.details["type"]:
            case "fault":
                text = str(ctx["text"])
            case "value_error":
                text = str(ctx["error"])
            case "missing":
                text = f"key `{self.details['loc'][-1]}` is missing{self._where()}"
            case "extra_forbidden":
                text = self._unknown_key()
            case "literal_error":
                known = re.findall(r"'([^']*)'", ctx["expected"])
                text = self.details["msg"] + _got(value) + did_you_mean(str(value), known)
            case "too_short" | "string_too_short" if not value:
                text = f"{'the text' if value == '' else _KINDS.get(type(value), 'this')} must not be empty"
            case "too_short":
                text = f"needs at least {ctx['min_length']} items (got {ctx['actual_length']})"
            case kind:
                text = _MODEL_WORDS.get(kind, self.details["msg"]) + _got(value)
        return text

    def _unknown_key(self) -> str:
        key = str(self.path[-1])
        known = [name for model in self.models for name, _ in _fields(model)]
        if any(key in getattr(model, "LATER", ()) for model in self.models):
            return f"key `{key}` is not supported in this version"
        if key in known:
            return f"key `{key}` cannot stand beside the others here"
        guess = did_you_mean(key, known) or f"; known keys: {', '.join(dict.fromkeys(known))}"
        return f"unknown key `{_clip(key)}`{self._where()}{guess}"

    def _where(self) -> str:
        titles = {str(model.model_config.get("title") or model.__name__.lower()) for model in self.models}
        return f" in {titles.pop()}" if len(titles) == 1 else ""


def _got(value: object) -> str:
    if type(value) in _KINDS:
        return f" (got {_KINDS[type(value)]})"
    return f" (got {_clip(json.dumps(value, ensure_ascii=False, default=str))})"
