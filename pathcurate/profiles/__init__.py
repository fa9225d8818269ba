"""De-identification profiles: the shipped ones, and those that a workspace brings along."""

from collections.abc import Iterator
from pathlib import Path

from pathcurate import yamlsource
from pathcurate.errors import RecipeError, UsageError
from pathcurate.model.column import Action, Identifying
from pathcurate.model.deidentified import COMPANIONS, CRITERIA_TABLES, DEID_TABLES, SCRUBBED, VIEWS
from pathcurate.model.profile import UNTOUCHED, Profile, Treatment, every_treatment, fits
from pathcurate.model.recipe import AnyOf, Condition, Missing
from pathcurate.model.recipe.mentions import mentions
from pathcurate.recipefile import RecipeSource
from pathcurate.workspace import Workspace
from pathcurate.yamlsource import Document, KeyPath, Problem, did_you_mean

_DIRECTORY = Path(__file__).parent
_PLACES = {f"{name}.{column.name}": (table, column) for name, table in SCRUBBED.items() for column in table.columns}


def profile_names() -> list[str]:
    """Names of the shipped profiles."""
    return sorted(path.stem for path in _DIRECTORY.glob("*.yaml"))


def read_profile(name: str, base: Path) -> Profile:
    """A profile by its name, or by the path of a file of one's own.

    Args:
        name: of a shipped profile; what ends in ``.yaml`` is a path.
        base: directory that a relative path starts from.

    Raises:
        UsageError: there is none, or it would show more than the declarations of the columns allow; every fault is named
            with its place.
    """
    if name.endswith((".yaml", ".yml")):
        return _load(base / name)
    if name not in profile_names():
        raise UsageError(_unknown(name), "A profile of your own is named by the path of its file, which ends in .yaml.")
    return _load(_DIRECTORY / f"{name}.yaml")


def load_profile(workspace: Workspace) -> Profile:
    """The profile of a workspace.

    Raises:
        UsageError: as :func:`read_profile`.
    """
    name = workspace.settings.deid.profile
    if not name.endswith((".yaml", ".yml")) and name not in profile_names():
        document = workspace.document
        yamlsource.fail(document, [document.problem(("deid", "profile"), _unknown(name))], UsageError)
    return read_profile(name, workspace.root)


def _unknown(name: str) -> str:
    known = profile_names()
    guess = did_you_mean(name, known) or f"; known: {', '.join(known)}, or the path of a file that ends in .yaml"
    return f"no profile is called `{name}`{guess}"


def _load(file: Path) -> Profile:
    document = yamlsource.load(file, str(file), UsageError)
    profile = yamlsource.validate(document, Profile, UsageError)
    yamlsource.fail(document, list(_problems(document, profile)), UsageError)
    return profile


def _problems(document: Document, profile: Profile) -> Iterator[Problem]:
    for name, rule in profile.classes.items():
        class_ = Identifying(name)
        path: KeyPath = ("classes", name)
        if class_ is Identifying.DIRECT and Treatment(Action.KEEP) in rule:
            yield document.problem(path, "would keep direct identifiers; write `drop` or `pseudonym`")
            continue
        members = [(table, column) for table, column in _PLACES.values() if column.identifying is class_]
        for asked in rule:
            if not any(fits(table, column, asked) for table, column in members):
                yield document.problem(path, f"no column of class {name} can be treated as `{asked}`")
    for place, (asked, *more) in profile.columns.items():
        path = ("columns", place)
        if place not in _PLACES:
            yield document.problem(path, f"no column is called `{place}`{did_you_mean(place, _PLACES)}", key=True)
        elif more:
            yield document.problem(path, "a column is generalised to one thing only")
        elif not fits(*_PLACES[place], asked):
            yield document.problem(path, _too_much(place, asked))
    yield from _dates(document, profile)
    if profile.most_suppressed is not None and profile.k is None:
        yield document.problem(("most_suppressed",), "rows are suppressed only to reach a `k`", key=True)


def _too_much(place: str, asked: Treatment) -> str:
    table, column = _PLACES[place]
    if column.action is Action.WITHHOLD:
        return f"`{place}` is free text, which `texts` decides about"
    if column.action in UNTOUCHED:
        return f"`{place}` is for criteria only and never shown, so there is nothing to decide"
    allowed = [f"`{other}`" for other in every_treatment() if fits(table, column, other)]
    choice = f"its declaration allows {' or '.join(allowed)}" if allowed else "it stays, because rows are told apart by it"
    if asked.action is Action.KEEP and column.identifying is Identifying.DIRECT:
        return f"`{place}` would keep a direct identifier; {choice}"
    return f"`{place}` cannot be treated as `{asked}`: a profile is only stricter than the declaration; {choice}"


def _dates(document: Document, profile: Profile) -> Iterator[Problem]:
    """Dates that are shown both moved and with their true year; see :data:`COMPANIONS` for why that is too much."""
    done = profile.treatments()
    moved = [place for place, treatment in done.items() if treatment.action is Action.SHIFT]
    true = [
        place for place, treatment in done.items()
        if treatment.action is Action.GENERALISE and _PLACES[place][1].action is Action.SHIFT
    ]  # fmt: skip
    why = "together they would narrow down by how much dates are moved"
    if moved and true:
        place = next((place for place in (*true, *moved) if place in profile.columns), None)
        path: KeyPath = ("columns", place) if place else ("classes", "quasi")
        yield document.problem(path, f"`{true[0]}` would show its true year and `{moved[0]}` a moved day; {why}")
    if true and profile.texts.released and profile.texts.dates == "shift":
        yield document.problem(("texts", "dates"), f"texts would show moved days and `{true[0]}` its true year; {why}")


def check_recipe(source: RecipeSource, profile: Profile) -> None:
    """Refuse a recipe that names a column which the profile leaves empty.

    A criterion on a column with a true value in the vault is answered by that, whatever the profile shows.

    Raises:
        RecipeError: every such column is named with its place in the recipe.
    """
    yamlsource.fail(source.document, list(_empty(source, profile)), RecipeError)


def _empty(source: RecipeSource, profile: Profile) -> Iterator[Problem]:
    recipe, document = source.recipe, source.document
    if recipe.unit_table == "slides" and "status" not in profile.filled("slides"):
        why = _why("slides", "status", profile)
        yield document.problem(("unit",), f"slides are kept only if their `status` is ok: {why}")
    for one in mentions(recipe):
        # What is made of other tables, and what an index gives, no profile takes away.
        if one.table not in DEID_TABLES or one.column not in VIEWS[one.table]:
            continue
        shown = profile.filled(one.table)
        has_truth = one.table in CRITERIA_TABLES and one.column in CRITERIA_TABLES[one.table]
        if one.column not in shown and not (one.condition is not None and has_truth):
            yield document.problem(one.path, _why(one.table, one.column, profile), key=one.condition is not None)
        elif one.column == "age_band" and (foreign := sorted(_texts(one.condition) - set(profile.bands))):
            message = f"profile {profile.name} shows no band `{foreign[0]}`; it shows {', '.join(profile.bands)}"
            yield document.problem(one.path, message, key=True)


def _texts(condition: Condition | None) -> set[str]:
    values = condition.any_of if isinstance(condition, AnyOf) else () if isinstance(condition, Missing) else (condition,)
    return {value for value in values if isinstance(value, str)}


def _why(table: str, name: str, profile: Profile) -> str:
    """That a column is empty, and what tells nearly the same."""
    shown = profile.filled(table)
    instead = next((f"; use `{other}`" for other in _alike(name) if other in shown), "")
    return f"column `{name}` is empty under profile {profile.name}{instead}"


def _alike(name: str) -> Iterator[str]:
    for place, companions in COMPANIONS.items():
        family = (place.partition(".")[2], *(companion.name for companion in companions))
        if name in family:
            yield from family
