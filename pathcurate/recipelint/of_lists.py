"""Rules about code lists, concepts and parameters: unused ones, empty ones, ones that say a thing twice."""

from collections.abc import Iterator
from itertools import combinations

from pathcurate import codelists
from pathcurate.model.finding import Severity
from pathcurate.model.recipe import Codelist
from pathcurate.recipelint import places
from pathcurate.recipelint.meaning import MOST_COMPARED, on_list, share_codes
from pathcurate.recipelint.rule import Hit, Rule, Subject


def _lists(subject: Subject) -> Iterator[tuple[str, Codelist]]:
    yield from (subject.recipe.codelists or {}).items()


def _unused_lists(subject: Subject) -> Iterator[Hit]:
    used = {name for _, name in places.codelists_used(subject.recipe)}
    for name, _ in _lists(subject):
        if name not in used:
            yield Hit(("codelists", name), f"nothing asks for code list `{name}`", on_key=True)


def _unused_concepts(subject: Subject) -> Iterator[Hit]:
    used = {rows.text for rows in places.all_rows(subject.recipe)}
    named = {
        str(value)
        for placed in places.conditions(subject.recipe)
        if placed.column == "concept"
        for value in places.values(placed.condition)
    }
    for name in subject.recipe.concepts or {}:
        if name not in used | named:
            yield Hit(("concepts", name), f"nothing asks for concept `{name}`", on_key=True)


def _unused_parameters(subject: Subject) -> Iterator[Hit]:
    for name in subject.recipe.params or {}:
        if subject.used_parameters is not None and name not in subject.used_parameters:
            yield Hit(("params", name), f"nothing uses parameter `{name}`", on_key=True)


def _below_each_other(subject: Subject) -> Iterator[Hit]:
    for name, codelist in _lists(subject):
        if codelist.match != "descendants":
            continue
        beginnings = set(codelists.prefix_codes(codelist))
        for number, code in enumerate(codelist.codes or ()):
            if code.replace(".", "").upper().rstrip("+*") not in beginnings:
                path = ("codelists", name, "codes", number)
                yield Hit(path, f"another code of `{name}` takes this one in")


def _both_ways(subject: Subject) -> Iterator[Hit]:
    used: dict[str, set[str]] = {"include": set(), "exclude": set()}
    for path, name in places.codelists_used(subject.recipe):
        if path[0] in used:
            used[str(path[0])].add(name)
    small = [(name, codelist) for name, codelist in _lists(subject) if len(codelist.codes or ()) <= MOST_COMPARED]
    for (one, first), (other, second) in combinations(small, 2):
        crossing = (one in used["include"] and other in used["exclude"]) or (
            other in used["include"] and one in used["exclude"]
        )
        if crossing and first.system.partition("-cn")[0] == second.system.partition("-cn")[0] and share_codes(first, second):
            message = f"`{one}` and `{other}` share codes, and one of them includes where the other excludes"
            yield Hit(("codelists", other), message, on_key=True)


def _without(subject: Subject, *, removes_all: bool) -> Iterator[Hit]:
    for name, codelist in _lists(subject):
        if not codelist.without or not codelist.codes:
            continue
        whole = on_list(codelist.model_copy(update={"without": None}))
        rest = on_list(codelist)
        if removes_all and not any(map(rest, codelist.codes)) and _nothing_below(codelist):
            yield Hit(("codelists", name, "without"), f"nothing of `{name}` is left", on_key=True)
        for number, code in enumerate(codelist.without if not removes_all else ()):
            if not whole(code):
                yield Hit(("codelists", name, "without", number), f"`{name}` does not have this code")


def _nothing_below(codelist: Codelist) -> bool:
    """Whether each code itself is left out, not only some below it."""
    removed = on_list(codelist.model_copy(update={"codes": codelist.without, "without": None}))
    return all(map(removed, codelist.codes or ()))


def _without_nothing(subject: Subject) -> Iterator[Hit]:
    return _without(subject, removes_all=False)


def _without_everything(subject: Subject) -> Iterator[Hit]:
    return _without(subject, removes_all=True)


def _exact_chinese(subject: Subject) -> Iterator[Hit]:
    for name, codelist in _lists(subject):
        if codelist.system.endswith("-cn") and codelist.match == "exact":
            message = f"`{name}` matches exactly, and Chinese editions write longer codes for the same disease"
            yield Hit(("codelists", name), message, on_key=True)


def _no_edition(subject: Subject) -> Iterator[Hit]:
    for name, codelist in _lists(subject):
        if codelist.system.endswith("-cn") and codelist.version is None:
            yield Hit(("codelists", name), f"`{name}` does not say of which Chinese edition it is", on_key=True)


def _unpinned(subject: Subject) -> Iterator[Hit]:
    for name in sorted(subject.unpinned):
        yield Hit(("codelists", name), f"the file of `{name}` may change without anybody noticing", on_key=True)


def _never_said(subject: Subject) -> Iterator[Hit]:
    for name, concept in (subject.recipe.concepts or {}).items():
        for number, pattern in enumerate(concept.unless):
            if pattern in concept.any:
                yield Hit(("concepts", name, "unless", number), "this takes away what `any` looks for")


RULES = (
    Rule("unused_codelist", Severity.WARNING, "A code list is not used.", "Use it, or take it away.", _unused_lists),
    Rule("unused_concept", Severity.WARNING, "A concept is not used.",
         "Use it with `text`, or take it away; `concepts build` looks for it in every report.", _unused_concepts),
    Rule("unused_parameter", Severity.WARNING, "A parameter is not used.",
         "Write `${name}` as a whole value where it should stand, or take it away.", _unused_parameters),
    Rule("code_taken_in", Severity.WARNING, "A code stands below another one of its list.",
         "Take the longer one away: the list matches descendants.", _below_each_other),
    Rule("lists_overlap", Severity.WARNING, "Two code lists of which one includes and one excludes share codes.",
         "Use `without` in one of them, or be sure that the exclusion is to win.", _both_ways),
    Rule("without_removes_nothing", Severity.WARNING, "`without` names a code that its list does not have.",
         "Correct the code.", _without_nothing),
    Rule("without_removes_all", Severity.ERROR, "`without` takes every code of its list away.",
         "Correct one of the two.", _without_everything),
    Rule("exact_chinese_codes", Severity.WARNING, "A list of a Chinese edition matches exactly.",
         "Write `match: descendants`, or check with `pathcurate codelist check` that no longer code is left out.",
         _exact_chinese),
    Rule("edition_not_named", Severity.WARNING, "A list of a Chinese edition does not name the edition.",
         "Add `version`, such as 医保2.0, 国临2.0 or 国标2016.", _no_edition),
    Rule("file_unpinned", Severity.WARNING, "A code list comes from a file without a digest.",
         "Add `sha256` with at least eight digits of the file's digest.", _unpinned),
    Rule("concept_never_said", Severity.WARNING, "A concept takes away what it looks for.",
         "Take the pattern out of `unless`.", _never_said),
)  # fmt: skip
