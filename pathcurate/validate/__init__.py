"""Stage: checks a release, a table, a recipe, a workspace or a registry, by what is on disk alone."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pathcurate import yamlsource
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.finding import Severity
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.validation import NOT_RUN, Breach, Unchecked, Validation, Waiver, WaiverFile, waive
from pathcurate.model.validation import Subject as Kind
from pathcurate.model.validationrules import EXPIRED_WAIVER, RULES, UNUSED_WAIVER
from pathcurate.recipefile import load_recipe
from pathcurate.registries.sql import look_at_registry
from pathcurate.releases import is_release
from pathcurate.tables import read_schema
from pathcurate.validate import genetics, quality, reciperules, splitrules, workspacerules
from pathcurate.validate.anchors import Anchors
from pathcurate.validate.breaches import breach
from pathcurate.validate.opened import TABLES, declared_table, written_recipe
from pathcurate.validate.release import check_release
from pathcurate.validate.tablerules import check_table, open_table
from pathcurate.workspace import WORKSPACE_FILE
from pathcurate.yamlsource import did_you_mean

_SQLITE = b"SQLite format 3\x00"
Result = Breach | Unchecked


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked of a validation.

    Attributes:
        select: beginnings of the rules that are checked; all if there are none.
        ignore: beginnings of rules that are not.
        not_run: how bad it is that a rule was not checked although it should have been.
        today: the day by which expiry and waivers are judged; without it expiry is not checked.
        waivers: see :func:`load_waivers`.
        recipe: the file that a release's recipe is in; findings then have its lines instead of those of the lock.
        recipe_name: how reports call it, or the recipe that is checked.
        workers: processes that may be used for large tables.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    not_run: Severity = Severity.WARNING
    today: date | None = None
    waivers: tuple[Waiver, ...] = ()
    recipe: Path | None = None
    recipe_name: str = ""
    workers: int = 1

    def __post_init__(self) -> None:
        for prefix in (*self.select, *self.ignore):
            if not any(rule.startswith(prefix) for rule in RULES):
                packs = sorted({rule.pack for rule in RULES.values()})
                raise UsageError(
                    f"no rule begins with `{prefix}`{did_you_mean(prefix, [*packs, *RULES])}",
                    "`pathcurate validate --list-rules` shows them all.",
                )

    def wants(self, rule: str) -> bool:
        """Whether a rule is checked."""
        chosen = not self.select or any(rule.startswith(prefix) for prefix in self.select)
        return chosen and not any(rule.startswith(prefix) for prefix in self.ignore)

    def wants_of(self, pack: str) -> bool:
        """Whether a rule of a pack is checked."""
        return any(self.wants(rule.id) for rule in RULES.values() if rule.pack == pack)


def validate(path: Path, choice: Choice | None = None) -> Validation:
    """Check whatever a path is.

    Raises:
        UsageError: it is nothing that can be checked, or a broken workspace file.
        RecipeError: it is a broken recipe.
        InputOutputError: it cannot be read.
    """
    choice = choice or Choice()
    kind = _kind(path)
    if kind is None:
        if not path.exists():
            hint = "Give a release, a recipe, a workspace, a registry or a Parquet table."
            raise InputOutputError(f"{path.name} does not exist", hint)
        raise UsageError(
            f"{path.name} is neither a release, a recipe, a workspace, a registry nor a table",
            "Give a directory with MANIFEST.json or pathcurate.yaml, a .yaml recipe, a registry's .db or a .parquet table.",
        )
    results, facts = _CHECKS[kind](path, choice)
    return _concluded(kind, results, facts, choice)


def _kind(path: Path) -> Kind | None:
    if path.is_dir():
        return "release" if is_release(path) else "workspace" if (path / WORKSPACE_FILE).exists() else None
    named = _BY_NAME.get(path.name)
    if named is not None or not path.is_file():
        return named
    return _BY_SUFFIX.get(path.suffix) or ("registry" if _begins_with(path, _SQLITE) else None)


_BY_NAME: Mapping[str, Kind] = {WORKSPACE_FILE: "workspace", MANIFEST_NAME: "release"}
_BY_SUFFIX: Mapping[str, Kind] = {".yaml": "recipe", ".yml": "recipe", ".parquet": "table"}


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise InputOutputError(f"{path.name} cannot be read: {error.strerror}", "Check its path, and who owns it.") from None


def load_waivers(file: Path, name: str) -> tuple[Waiver, ...]:
    """Read a file of waivers.

    Args:
        file: the file.
        name: how messages call it.

    Raises:
        UsageError: the file is not of its form; every fault is named with its place.
    """
    document = yamlsource.load(file, name, UsageError)
    waivers = yamlsource.validate(document, WaiverFile, UsageError).waivers
    problems = [
        document.problem(("waivers", number, "rule"), f"no rule is called `{one.rule}`{did_you_mean(one.rule, RULES)}")
        for number, one in enumerate(waivers)
        if one.rule not in RULES
    ]
    yamlsource.fail(document, problems, UsageError)
    return waivers


# --- Kinds -----------------------------------------------------------------------------------------------------------


def _release(path: Path, choice: Choice) -> tuple[list[Result], Mapping[str, str]]:
    directory = path if path.is_dir() else path.parent
    found = check_release(directory, choice.wants_of, choice.today, choice.workers)
    results = list(found.results)
    if found.opened is not None:
        anchors = Anchors(found.opened, choice.recipe, choice.recipe_name)
        breaches = [one for one in results if isinstance(one, Breach)]
        others = [one for one in results if isinstance(one, Unchecked)]
        results = [*anchors.placed(breaches), *anchors.is_other_recipe(), *others]
    if choice.recipe is None:
        results.append(Unchecked(("PC-RCP-003",), "no recipe was given", applies=False))
    return results, found.facts


def _table(path: Path, choice: Choice) -> tuple[list[Result], Mapping[str, str]]:
    """A Parquet file of any folder, by its footer, its folder or its name; one that nobody declares by shapes and names."""
    try:
        footer = read_schema(path).metadata or {}
    except ValueError:  # a name that is not UTF-8
        return [breach("PC-SCH-002", "cannot be read as Parquet")], {}
    stated = footer.get(b"pathcurate.table", b"").decode("utf-8", "replace")
    name = next((one for one in (stated, path.stem, path.parent.name) if one in TABLES), None)
    recipe = written_recipe(footer.get(b"pathcurate.recipe", b""))
    declared = None if name is None else declared_table(name, recipe)
    table = open_table(name or "table", (path,), declared, has_digests=False, workers=choice.workers)
    if isinstance(table, str):
        return [breach("PC-SCH-002", table)], {}
    results: list[Result] = [*check_table(table), *genetics.of_table(table)]
    if declared is None:
        why = "neither the file's footer nor its name or folder says which table it is"
        results.append(Unchecked(("PC-SCH", "PC-LNK", "PC-SPL", "PC-QLT", *_DECLARED_PRIVACY), why))
        return results, {}
    results += [*splitrules.of_table(table), *quality.of_table(table)]
    if not table.has("tier"):
        results.append(Unchecked(("PC-LNK-004",), "the table does not say how links came about", applies=False))
    if name != "slides":
        results.append(Unchecked(("PC-QLT-002", "PC-QLT-007"), "the table is not of slides", applies=False))
    results.append(Unchecked(("PC-QLT-005",), "a table alone does not say when it was published", applies=False))
    return results, {"table": str(name)}


_DECLARED_PRIVACY = ("PC-PRIV-002", "PC-PRIV-003", "PC-PRIV-011")


def _recipe(path: Path, choice: Choice) -> tuple[list[Result], Mapping[str, str]]:
    source = load_recipe(path)
    facts = {"name": source.recipe.name, "version": source.recipe.version, "recipe": source.sha256}
    return [*reciperules.check(source, {str(path): choice.recipe_name or str(path)})], facts


def _workspace(path: Path, choice: Choice) -> tuple[list[Result], Mapping[str, str]]:
    file = path / WORKSPACE_FILE if path.is_dir() else path
    return [*workspacerules.check(file, choice.today)], {}


def _registry(path: Path, _choice: Choice) -> tuple[list[Result], Mapping[str, str]]:
    with look_at_registry(path) as registry:
        if registry is None:
            raise UsageError(
                f"{path.name} is a database, but no registry", "Give the file that `registry` in pathcurate.yaml names."
            )
        return [breach("PC-RGY-001", fault) for fault in registry.verify()], {}


_CHECKS: Mapping[Kind, Callable[[Path, Choice], tuple[list[Result], Mapping[str, str]]]] = {
    "release": _release, "table": _table, "recipe": _recipe, "workspace": _workspace, "registry": _registry,
}  # fmt: skip
_ABOUT_WAIVERS = (EXPIRED_WAIVER, UNUSED_WAIVER)


# --- The result ------------------------------------------------------------------------------------------------------


def _concluded(kind: Kind, results: Iterable[Result], facts: Mapping[str, str], choice: Choice) -> Validation:
    rules = [
        rule for rule in RULES.values()
        if kind in rule.subjects and choice.wants(rule.id) and rule.id not in {NOT_RUN, *_ABOUT_WAIVERS}
    ]  # fmt: skip
    findings: list[Breach] = []
    not_run: dict[str, str] = {}
    inapplicable: dict[str, str] = {}
    for result in results:
        if isinstance(result, Breach):
            findings += [result] if choice.wants(result.rule) else []
        else:
            target = not_run if result.applies else inapplicable
            for rule in rules:
                if rule.id.startswith(result.rules):
                    target.setdefault(rule.id, result.why)
    found = {breach_.rule for breach_ in findings}
    inapplicable = {rule: why for rule, why in inapplicable.items() if rule not in found and rule not in not_run}
    checks = tuple(rule.id for rule in rules if rule.id not in inapplicable and (rule.id not in not_run or rule.id in found))
    if choice.wants(NOT_RUN):
        findings += _unchecked(not_run, choice.not_run)
    validation = Validation(kind, tuple(findings), checks, not_run, inapplicable, facts=facts)
    if not choice.waivers:
        return validation
    if choice.today is None:
        raise ValueError("waivers are judged by a day")
    return waive(validation, choice.waivers, choice.today, expired=EXPIRED_WAIVER, unused=UNUSED_WAIVER)


def _unchecked(not_run: Mapping[str, str], severity: Severity) -> Iterable[Breach]:
    """One finding for each reason."""
    groups: dict[str, list[str]] = {}
    for rule in (one for one in RULES if one in not_run):
        groups.setdefault(not_run[rule], []).append(rule)
    for why, rules in groups.items():
        yield breach(NOT_RUN, f"not run: {', '.join(_folded(rules))}: {why}", count=len(rules), severity=severity)


def _folded(rules: Collection[str]) -> Iterable[str]:
    """Rules by name, or a pack of which none is left out."""
    for pack in dict.fromkeys(RULES[rule].pack for rule in rules):
        members = {rule.id for rule in RULES.values() if rule.pack == pack}
        named = [rule for rule in rules if rule in members]
        yield from [f"{pack} (all of it)"] if len(named) > 1 and members == set(named) else named
