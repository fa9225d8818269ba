"""The registration dossier in the forms of authorities (``registration/rendered/*.json``).

A form is a file: what its fields are called, where in the neutral dossier each is from, and what the authority's codes are.
Those that are shipped are second-hand and say so; a workspace's files of the same names take their place.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, StringConstraints, model_validator

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.metadata.dossier import dossier_core
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.description import NAMESPACE, Description

SHIPPED_FORMS = Path(__file__).parent / "forms"
RENDERED_SCHEMA = f"{NAMESPACE}schema/cn-form/1"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_Words = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FormField(_Part):
    """One field of a form.

    Attributes:
        field: what the form calls it.
        from_: its place in the neutral dossier, names joined by dots; below ``each`` in one of its entries. Nothing: no
            program can know it.
        codes: the code table that its value is looked up in.
        join: what stands between the entries of a list that the form wants as one text.
        each: the fields of each entry of a list.
        required: whether the form is incomplete without it.
        most: characters that it may have.
    """

    field: _Words
    from_: Annotated[_Words | None, Field(alias="from")] = None
    codes: _Words | None = None
    join: str | None = None
    each: tuple["FormField", ...] = ()
    required: Annotated[bool, Strict()] = False
    most: Annotated[int, Strict(), Field(ge=1)] | None = None


class Section(_Part):
    """A part of a form."""

    title: _Words
    fields: Annotated[tuple[FormField, ...], Field(min_length=1)]


class Form(_Part):
    """A form.

    Attributes:
        form: version of this language.
        title: of the form.
        authority: whose it is.
        basis: what it rests on.
        source: where these fields and codes are from.
        verified: whether somebody compared them with the form itself.
        codes: code tables: for each the dossier's word, and the authority's code.
        sections: in the form's order.
    """

    model_config = ConfigDict(title="form")

    form: Literal[1]
    title: _Words
    authority: _Words
    basis: _Words
    source: _Words
    verified: Annotated[bool, Strict()]
    codes: dict[_Words, dict[_Words, _Words]] = Field(default_factory=dict)
    sections: Annotated[tuple[Section, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_its_code_tables(self) -> "Form":
        named = {field.codes for section in self.sections for field in _all_fields(section.fields)} - {None}
        if unknown := sorted(str(name) for name in named - set(self.codes)):
            raise ValueError(f"there is no code table `{unknown[0]}`")
        return self


def _all_fields(fields: Iterable[FormField]) -> Iterator[FormField]:
    for field in fields:
        yield field
        yield from _all_fields(field.each)


def load_forms(folder: Path | None = None) -> dict[str, Form]:
    """The forms by name: the shipped ones, and those of a workspace's folder in their place or beside them.

    Raises:
        UsageError: a file is not of this form, and every fault is named with its place; or has a name that no file of a
            release can have.
    """
    files = {path.stem: path for path in sorted(SHIPPED_FORMS.glob("*.yaml"))}
    if folder is not None:
        files |= {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    for name in files:
        if not _NAME.fullmatch(name):
            raise UsageError(
                "a file below forms/ is called otherwise than small letters, digits and hyphens",
                "Rename it: the form goes out in a file of that name.",
            )
    return {name: _load(path) for name, path in sorted(files.items())}


def _load(path: Path) -> Form:
    return yamlsource.validate(yamlsource.load(path, path.name, UsageError), Form, UsageError)


def rendered(description: Description, form: Form) -> str:
    """The dossier in one form; what the dossier does not say, or has no code for, is null and listed."""
    core = dossier_core(description)
    filled = _Filled(form)
    sections = {
        section.title: {field.field: filled.value(core, field, f"{section.title}/{field.field}") for field in section.fields}
        for section in form.sections
    }
    return json_text(
        {
            "schema": RENDERED_SCHEMA, "form": form.title, "authority": form.authority, "basis": form.basis,
            "source": form.source, "verified": form.verified, "product": description.urn, "sections": sections,
            "missing": filled.missing, "uncoded": filled.uncoded, "too_long": filled.too_long,
        },
        sort_keys=False,
    )  # fmt: skip


class _Filled:
    """What a form says of one dossier, and where it falls short."""

    def __init__(self, form: Form) -> None:
        self._codes = form.codes
        self.missing: list[str] = []
        self.uncoded: list[str] = []
        self.too_long: list[str] = []

    def value(self, core: Any, field: FormField, name: str) -> Any:
        value = _at(core, field.from_)
        if field.each:
            entries = value if isinstance(value, list) else []
            value = [{part.field: self.value(entry, part, f"{name}/{part.field}") for part in field.each}
                     for entry in entries] or None  # fmt: skip
        elif field.codes is not None and value is not None:
            value = self._coded(value, self._codes[field.codes], name)
        if field.join is not None and isinstance(value, list):
            value = field.join.join(str(entry) for entry in value)
        if value is None and field.required:
            _note(self.missing, name)
        if field.most is not None and isinstance(value, str) and len(value) > field.most:
            _note(self.too_long, name)
        return value

    def _coded(self, value: Any, codes: Mapping[str, str], name: str) -> Any:
        if isinstance(value, list):
            found = [self._coded(entry, codes, name) for entry in value]
            return [code for code in found if code is not None] or None
        key = str(value).lower() if isinstance(value, bool) else str(value)
        if key not in codes:
            _note(self.uncoded, name)
        return codes.get(key)


def _note(places: list[str], name: str) -> None:
    if name not in places:
        places.append(name)


def _at(core: Any, place: str | None) -> Any:
    """What stands at a place; None where there is no such place. Through a list, what each of its entries has there."""
    if place is None:
        return None
    for number, name in enumerate(names := place.split(".")):
        if isinstance(core, list):
            found = [_at(entry, ".".join(names[number:])) for entry in core]
            return [part for each in found for part in (each if isinstance(each, list) else [each])] or None
        core = core.get(name) if isinstance(core, Mapping) else None
    return core
