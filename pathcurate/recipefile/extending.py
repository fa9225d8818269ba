"""``extends``: reads the files that a recipe builds on, and merges them in order, the recipe itself last.

Criteria and labels of all files follow one another. What is given by name (parameters, code lists, concepts, tables) and the
keys of ``disclosure`` and ``expect`` are taken from all files, each from the last that has it; of a parameter, each key.
Everything else is taken as a whole from the last file that has it. What says who a recipe is stays with its own file.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from pathcurate import yamlsource
from pathcurate.errors import RecipeError
from pathcurate.model.recipe import LANGUAGE
from pathcurate.recipefile.merged import Merged, Origin
from pathcurate.yamlsource import MAX_BYTES, Document, KeyPath, Problem, Step, did_you_mean

MOST_FILES = 20
"""Files that one recipe may be made of."""

_OWN = ("recipe", "name", "version", "title", "owner", "approval", "extends")
_APPENDED = {"include": "id", "exclude": "id", "labels": "name"}
_BY_NAME = ("params", "codelists", "concepts", "tables", "disclosure", "expect")
_EITHER = {"columns": "tables", "tables": "columns"}


@dataclass(slots=True)
class Files:
    """The directory tree whose files a recipe may read, and what it has read.

    Attributes:
        root: the directory; None if the recipe may read none.
        shown: the directory as messages call it.
        digests: sha256 (64 hexadecimal digits) of what was read, by name relative to ``root``.
        directories: where the extended files lie, by what messages call them.
    """

    root: Path | None
    shown: Path
    digests: dict[str, str] = field(default_factory=dict)
    directories: dict[str, Path] = field(default_factory=dict)

    def find(self, text: str, beside: Path) -> Path | str:
        """A file that a recipe names, with links followed, or why it may not be read.

        Args:
            text: its path, relative to the file that names it.
            beside: the directory of that file.
        """
        if self.root is None:
            return "this recipe was sent as text, so it cannot name other files"
        if not text.isprintable() or Path(text).is_absolute():
            return "must be a path relative to this file"
        try:
            target = (beside / text).resolve()
        except (OSError, RuntimeError):
            return "links lead round in a circle here"
        if not target.is_relative_to(self.root.resolve()):
            return "this lies outside of the recipe's directory; only files in it and below it can be named"
        if not target.is_file():
            there = sorted(path.name for path in target.parent.glob("*.*")) if target.parent.is_dir() else []
            return f"no such file{did_you_mean(target.name, there)}"
        return target

    def beside(self, document: Document) -> Path:
        """The directory of the recipe's own file, or of one that it extends."""
        return self.directories.get(document.name, self.root or self.shown)

    def name(self, target: Path) -> str:
        """A file's name relative to the root."""
        return target.relative_to(self.root.resolve()).as_posix() if self.root is not None else target.name

    def note(self, name: str, content: bytes) -> str:
        """Note what was read; its digest."""
        self.digests[name] = hashlib.sha256(content).hexdigest()
        return self.digests[name]


def assemble(main: Document, files: Files, size: int, path: Path | None) -> tuple[Merged, list[Problem]]:
    """A recipe's file together with what it extends.

    Args:
        main: the recipe's own file.
        files: what it may read; gains what was read.
        size: bytes of the recipe's own file.
        path: the recipe's own file; None if it was sent as text.

    Raises:
        RecipeError: a file that it extends is not YAML.
    """
    reading = _Reading(files, size, open=[path.resolve()] if path is not None else [])
    reading.extend(main)
    if reading.broken:
        own = [yamlsource.render(main, reading.problems)] if reading.problems else []
        raise RecipeError("\n".join((*own, *reading.broken)), yamlsource.HINT)
    merging = _Merging(main)
    for document in (*reading.documents, main):
        merging.add(document)
    merged = Merged(main.name, main.lines, merging.data, origin=Origin(main, (), merging.parts))
    return merged, [*reading.problems, *merging.problems]


@dataclass(slots=True)
class _Reading:
    """Reads what is extended, depth first, each file once; problems are shown beside the ``extends`` that has them."""

    files: Files
    size: int
    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    open: list[Path] = field(default_factory=list)
    done: set[Path] = field(default_factory=set)
    main: Document | None = None

    def extend(self, document: Document) -> None:
        """Read what a file extends, and what those extend."""
        self.main = self.main or document
        named = document.data.get("extends") if isinstance(document.data, dict) else None
        if document is not self.main and named is not None and not _is_list_of_texts(named):
            self._report(document, ("extends",), "must be a list of files")
        texts: list[str] = named if _is_list_of_texts(named) else []
        for index, text in enumerate(texts):
            if fault := self._read(text, self.files.beside(document)):
                self._report(document, ("extends", index), fault)

    def _read(self, text: str, directory: Path) -> str:
        """Read a file with all that it extends, unless it was read before; why it cannot be, if it cannot."""
        target = self.files.find(text, directory)
        if isinstance(target, str):
            return target
        if target in self.open:
            return "this leads back to a file that extends this one"
        if target in self.done:
            return ""
        self.done.add(target)
        return self._take(target) if len(self.done) < MOST_FILES else f"a recipe is made of at most {MOST_FILES} files"

    def _take(self, target: Path) -> str:
        name = self.files.name(target)
        shown = str(self.files.shown / name)
        try:
            content = yamlsource.read(target, shown, RecipeError)
            self.size += len(content)
            if self.size > MAX_BYTES:
                return f"with this file, the recipe is larger than {MAX_BYTES} bytes"
            document = yamlsource.load(content, shown, RecipeError)
        except RecipeError as failure:
            self.broken.append(failure.message)
            return ""
        self.files.note(name, content)
        self.files.directories[shown] = target.parent
        if isinstance(document.data, dict):
            self.open.append(target)
            self.extend(document)
            self.open.pop()
            self.documents.append(document)
        else:
            self._report(document, (), "the file is empty" if document.data is None else "must be a mapping, as a recipe is")
        return ""

    def _report(self, document: Document, path: KeyPath, message: str) -> None:
        self.problems.append(_problem(document, path, message, self.main))


def _is_list_of_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _problem(document: Document, path: Sequence[Step], message: str, main: Document | None, *, key: bool = False) -> Problem:
    whole = Merged(main.name, main.lines, main.data, origin=Origin(document)) if main else document
    return whole.problem(path, message, key=key)


@dataclass(slots=True)
class _Merging:
    main: Document
    data: dict[str, Any] = field(default_factory=dict)
    parts: dict[Step, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    names: dict[tuple[str, str], tuple[Document, KeyPath]] = field(default_factory=dict)

    def add(self, document: Document) -> None:
        """Merge another file over those before it."""
        if not isinstance(document.data, dict):
            self.data = document.data  # of the recipe itself, and refused by its model
            return
        is_base = document is not self.main
        if is_base and document.data.get("recipe", LANGUAGE) != LANGUAGE:
            self._report(document, ("recipe",), f"this version of pathcurate reads version {LANGUAGE} of the language")
        for key, value in document.data.items():
            if is_base and (key in _OWN or key.startswith("x-")):
                continue
            if is_base and not self._has_kind(document, key, value):
                continue
            if key in _APPENDED and isinstance(value, list) and isinstance(self.data.get(key, []), list):
                self._append(document, key, value)
            elif key in _BY_NAME and isinstance(value, dict) and isinstance(self.data.get(key), dict):
                self._merge(document, key, value)
            else:
                self._drop_other(document, key)
                self.data[key] = value
                self.parts[key] = Origin(document, (key,))

    def _has_kind(self, document: Document, key: str, value: object) -> bool:
        """Whether a part of a base is what it must be; if a later file replaced it unseen, nobody would learn of it."""
        kind: type = list if key in _APPENDED else dict if key in _BY_NAME else object
        if value is None:
            self.problems.append(_problem(document, (key,), "no value is given here", self.main, key=True))
        elif not isinstance(value, kind):
            self._report(document, (key,), f"Input should be a {'list' if kind is list else 'mapping'}")
        return value is not None and isinstance(value, kind)

    def _append(self, document: Document, key: str, items: list[Any]) -> None:
        kept, parts = list(self.data.get(key, [])), dict(self.parts[key].parts) if key in self.parts else {}
        for index, item in enumerate(items):
            path = (key, index)
            if self._is_new(document, key, item, path):
                parts[len(kept)] = Origin(document, path)
                kept.append(item)
        self.data[key] = kept
        self.parts[key] = Origin(document, (key,), parts)

    def _is_new(self, document: Document, key: str, item: object, path: KeyPath) -> bool:
        """Whether no other file has a criterion or label of this name; twice in one file is what the model refuses."""
        name = item.get(_APPENDED[key]) if isinstance(item, dict) else None
        if not isinstance(name, str):
            return True
        kind = "label" if key == "labels" else "criterion"
        other, there = self.names.setdefault((kind, name), (document, path))
        if other is document:
            return True
        line, column = other.position((*there, _APPENDED[key]))
        self._report(document, (*path, _APPENDED[key]), f"{kind} `{name}` is given in {other.name}:{line}:{column} already")
        return False

    def _merge(self, document: Document, key: str, value: dict[str, Any]) -> None:
        content, before = dict(self.data[key]), self.parts[key]
        parts = {name: before.parts.get(name) or Origin(before.document, (*before.path, name)) for name in content}
        for name, entry in value.items():
            here = Origin(document, (key, name))
            old = content.get(name)
            if key == "params" and isinstance(old, dict) and isinstance(entry, dict):
                known = parts[name]
                inner = {one: known.parts.get(one) or Origin(known.document, (*known.path, one)) for one in old}
                inner |= {one: Origin(document, (key, name, one)) for one in entry}
                content[name], parts[name] = {**old, **entry}, Origin(document, (key, name), inner)
            else:
                content[name], parts[name] = entry, here
        self.data[key] = content
        self.parts[key] = Origin(document, (key,), parts)

    def _drop_other(self, document: Document, key: str) -> None:
        """``columns`` replaces ``tables`` of an earlier file, and the other way round."""
        other = _EITHER.get(key)
        if other in self.data and self.parts[other].document is not document:
            del self.data[other], self.parts[other]

    def _report(self, document: Document, path: KeyPath, message: str) -> None:
        self.problems.append(_problem(document, path, message, self.main))
