"""Reads a recipe: the file, what it extends, its parameters and code lists; with every fault at its place in its file."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathcurate import yamlsource
from pathcurate.errors import RecipeError, UsageError
from pathcurate.model.column import Table
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.levels import recipe_views
from pathcurate.recipefile.conditions import Named, Vocabularies
from pathcurate.recipefile.criteria import Criteria
from pathcurate.recipefile.extending import Files, assemble
from pathcurate.recipefile.faults import Fault
from pathcurate.recipefile.listfiles import resolve_codelists
from pathcurate.recipefile.merged import Merged
from pathcurate.recipefile.outcomes import Outcomes, with_rows
from pathcurate.recipefile.parameters import Replaced, replace_parameters
from pathcurate.text.vocabulary import codes, vocabulary_names
from pathcurate.yamlsource import Document, Problem, Step

__all__ = ["Fault", "RecipeSource", "canonical_json", "check_columns", "load_recipe"]


@dataclass(frozen=True, slots=True)
class RecipeSource:
    """A recipe as it was read.

    Attributes:
        recipe: the recipe, resolved.
        document: the file, for messages about its parts; a part of another file is shown there.
        canonical: the recipe with its defaults as JSON: UTF-8, keys sorted, no spaces. Comments, order of keys, free
            (``x-``) keys and what is written in which file do not change it.
        sha256: digest of ``canonical``, with the prefix ``sha256:``.
        files: sha256 (64 hexadecimal digits) of every file that was read, by name relative to the recipe's directory: the
            recipe itself, what it extends, and its code lists.
    """

    recipe: Recipe
    document: Document
    canonical: bytes
    sha256: str
    files: Mapping[str, str] = field(default_factory=dict)

    def origin(self, path: Sequence[Step]) -> tuple[str, int, int]:
        """Where a part of the recipe was written: the file as messages call it, line and column from 1."""
        document, inner = self.document.place(path) if isinstance(self.document, Merged) else (self.document, tuple(path))
        return document.name, *document.position(inner)


class _Codes(Mapping[str, Sequence[str]]):
    """Codes of the shipped vocabularies, each read when it is asked for: they are large, and a recipe needs few."""

    def __getitem__(self, name: str) -> Sequence[str]:
        return codes(name)

    def __iter__(self) -> Iterator[str]:
        return iter(vocabulary_names())

    def __len__(self) -> int:
        return len(vocabulary_names())


def load_recipe(
    file: Path, *, parameters: Mapping[str, str] | None = None, text: str | None = None, directory: Path | None = None
) -> RecipeSource:
    """Read a recipe, resolve it, and check it against the tables that recipes may name.

    Args:
        file: the file.
        parameters: text by name of the parameters that a run sets.
        text: a recipe that was sent instead; the file only says what messages call it.
        directory: the only directory, with those below it, whose files the recipe may extend or take codes from; the
            file's own if it is not given. A recipe that was sent as text may name no file without it.

    Raises:
        RecipeError: with all problems and where they are: first those of YAML, then those of form, extended parts,
            parameters and patterns, then those of code lists, columns and values.
        UsageError: the recipe is good, but not a parameter that was given.
    """
    content = yamlsource.read(file, str(file), RecipeError) if text is None else text.encode(errors="surrogatepass")
    main = yamlsource.load(content if text is None else text, str(file), RecipeError)
    root = directory if directory is not None or text is not None else file.parent
    files = Files(root, root if root is not None and text is not None else file.parent)
    files.note(file.name, content)
    merged, problems = assemble(main, files, len(content), file if text is None else None)
    replaced = replace_parameters(merged, parameters or {})
    recipe = _formed(replaced, problems)
    recipe, faults = resolve_codelists(recipe, replaced.merged, files)
    faults += _check_concepts(replaced.merged.data.get("concepts"))
    faults += check_columns(recipe, recipe_views(has_index=recipe.index is not None), _Codes())
    _fail(replaced, _unless_open(replaced, [_problem(replaced.merged, fault) for fault in faults]))
    recipe = with_rows(recipe).model_copy(update={"extends": None})
    canonical = canonical_json(recipe)
    digest = f"sha256:{hashlib.sha256(canonical).hexdigest()}"
    return RecipeSource(recipe, replaced.merged, canonical, digest, dict(sorted(files.digests.items())))


def _formed(replaced: Replaced, problems: list[Problem]) -> Recipe:
    """The recipe if its form is good and its parameters are; what follows from a parameter without a value is not said."""
    merged = replaced.merged
    recipe, found = yamlsource.check(merged, Recipe)
    found = _unless_open(replaced, found)
    if problems or replaced.problems or found:
        content = merged.data if isinstance(merged.data, dict) else {}
        found += [merged.problem(fault.path, fault.message) for fault in _check_concepts(content.get("concepts"))]
    if recipe is None or problems or replaced.problems or found:
        _fail(replaced, [*problems, *replaced.problems, *found])
    if recipe is None:  # only with a fault that was said above
        raise RecipeError(f"{merged.name}: the recipe has a parameter without a value", yamlsource.HINT)
    return recipe


def _unless_open(replaced: Replaced, problems: list[Problem]) -> list[Problem]:
    """Problems but those that only follow from a parameter without a value."""
    places = [replaced.merged.problem(path, "") for path in replaced.open]
    silent = {(place.file, place.line, place.column) for place in places}
    return [problem for problem in problems if (problem.file, problem.line, problem.column) not in silent]


def _fail(replaced: Replaced, problems: list[Problem]) -> None:
    if problems:
        raise RecipeError("\n".join((*replaced.refused, yamlsource.render(replaced.merged, problems))), yamlsource.HINT)
    if replaced.refused:
        raise UsageError("\n".join(replaced.refused), "`pathcurate recipe explain` says what each parameter is.")


def _problem(merged: Merged, fault: Fault) -> Problem:
    if fault.within is None:
        return merged.problem(fault.path, fault.message, key=fault.on_key)
    text = merged.data
    for step in fault.path:
        text = text[step]
    return merged.problem_within(fault.path, fault.message, str(text), *fault.within)


def canonical_json(recipe: Recipe) -> bytes:
    """The recipe with its defaults as JSON: UTF-8, keys sorted, no spaces, and no key that has no value."""
    content = recipe.model_dump(mode="json", exclude_none=True, by_alias=True)
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _check_concepts(concepts: object) -> Iterator[Fault]:
    """Patterns of concepts that cannot be searched for, as far as there are any: their form may be wrong too."""
    if not isinstance(concepts, Mapping) or not concepts:
        return
    from pathcurate.text import patterns  # noqa: PLC0415 (takes long to load, and many recipes have none)

    for name, concept in concepts.items():
        for key in ("any", "unless"):
            listed = concept.get(key) if isinstance(concept, Mapping) else None
            texts = {index: text for index, text in enumerate(listed if isinstance(listed, list) else ()) if text}
            texts = {index: text for index, text in texts.items() if isinstance(text, str)}
            faults = [
                Fault(("concepts", name, key, index), message)
                for index, pattern in texts.items()
                if (message := patterns.fault(pattern))
            ]
            yield from faults
            if texts and not faults and (message := patterns.joint_fault(tuple(texts.values()))):
                yield Fault(("concepts", name, key), f"together, {message}")


def check_columns(recipe: Recipe, views: Mapping[str, Table], vocabularies: Vocabularies) -> list[Fault]:
    """What the recipe says of columns that the tables do not bear out.

    Args:
        recipe: the recipe.
        views: all tables that recipes may name, with their criterion-only columns (``levels.recipe_views``).
        vocabularies: codes of each vocabulary that a column of these tables names.
    """
    has_index = recipe.index is not None
    named = Named(views, vocabularies, recipe.codelists or {}, tuple(recipe.concepts or ()), has_index)
    criteria = Criteria(recipe, named)
    return [*criteria.faults(), *Outcomes(recipe, named, criteria).faults()]
