"""Rules about what becomes of those who are kept: labels, split, tables, disclosure, expectations, the recipe itself."""

from collections.abc import Iterator

from pathcurate.model.column import Type
from pathcurate.model.finding import Severity
from pathcurate.model.recipe import Condition, Label
from pathcurate.model.recipe.levels import LEVEL_VIEWS
from pathcurate.recipelint import places
from pathcurate.recipelint.meaning import shut_out, where_shut_out, where_takes_in
from pathcurate.recipelint.rule import Hit, KeyPath, Rule, Subject

_LEAST_SHARE = 0.05
_MOST_STRATA = 50


def _unused_labels(subject: Subject) -> Iterator[Hit]:
    recipe = subject.recipe
    named = {name for output in recipe.outputs.values() for name in output.columns}
    if recipe.split is not None:
        named |= set(recipe.split.stratify)
    if recipe.sample is not None:
        named |= set(recipe.sample.balance.by if recipe.sample.balance is not None else ())
        named |= {name.lstrip("-") for cap in recipe.sample.per or () for name in cap.order or ()}
    expected = set(recipe.expect.not_empty or ()) if recipe.expect is not None else set()
    named |= {recipe.sealed.label} if recipe.sealed is not None else set()
    for number, label in enumerate(recipe.labels):
        called = {label.name, *(name for table in recipe.outputs for name in recipe.label_column(label, table))}
        if not called & named and not set(label.classes or ()) & expected:
            yield Hit(("labels", number, "name"), f"label `{label.name}` goes nowhere")


def _class_not_let_in(subject: Subject) -> Iterator[Hit]:
    for number, label in enumerate(subject.recipe.labels):
        for name, condition in (label.classes or {}).items():
            for criterion, asked in _asked_of(subject, label):
                if shut_out(subject.recipe, asked, condition):
                    yield Hit(("labels", number, "classes", name), f"`{criterion}` lets no such row through", on_key=True)


def _asked_of(subject: Subject, label: Label) -> Iterator[tuple[str, Condition]]:
    """What inclusions ask of the column that a label is taken from."""
    table, _, column = (label.column or "").partition(".")
    for criterion in subject.recipe.include:
        has = criterion.has
        if has is not None and has.table == table and column in has.where and has.operator in (">=", ">"):
            yield criterion.id, has.where[column]
        where = criterion.where or {}
        if column in where and LEVEL_VIEWS[criterion.level] == table and criterion.if_missing == "fail":
            yield criterion.id, where[column]


def _case_label(subject: Subject) -> Iterator[Hit]:
    for number, label in enumerate(subject.recipe.labels):
        if subject.recipe.unit == "slide" and label.level == "case" and label.column is not None:
            message = f"`{label.name}` is true of the case, and a slide of it may show none of that"
            yield Hit(("labels", number, "level"), message)


def _near_unique(subject: Subject) -> Iterator[Hit]:
    recipe, split = subject.recipe, subject.recipe.split
    view = subject.views[recipe.unit_table]
    for number, name in enumerate(split.stratify if split is not None else ()):
        is_measured = name in view and view[name].type in (Type.FLOAT, Type.DATE, Type.TIMESTAMP)
        distinct = _facts(subject, recipe.unit_table, name).get("distinct")
        is_many = isinstance(distinct, int) and distinct > _MOST_STRATA
        if is_many or is_measured or name.endswith("_id"):
            yield Hit(("split", "stratify", number), f"`{name}` has nearly as many values as there are rows")


def _facts(subject: Subject, table: str, column: str) -> dict[str, object]:
    tables = (subject.archive or {}).get("tables", {})
    return next((one for one in tables.get(table, {}).get("columns", ()) if one["name"] == column), {})


def _quasi_not_output(subject: Subject) -> Iterator[Hit]:
    recipe = subject.recipe
    shown = {name for output in recipe.outputs.values() for name in output.columns}
    for number, name in enumerate(recipe.disclosure.quasi_identifiers or ()):
        if name not in shown:
            yield Hit(("disclosure", "quasi_identifiers", number), f"`{name}` is in no table that goes out")


def _low_k(subject: Subject) -> Iterator[Hit]:
    k = subject.recipe.disclosure.k
    if k is not None and subject.profile_k is not None and k < subject.profile_k:
        message = f"the workspace's profile asks for {subject.profile_k}, and that holds"
        yield Hit(("disclosure", "k"), message)


def _no_stratum(subject: Subject) -> Iterator[Hit]:
    recipe, split = subject.recipe, subject.recipe.split
    if split is None:
        return
    labels = [name for label in recipe.labels if label.classes for name in recipe.label_column(label)]
    if labels and not set(labels) & set(split.stratify):
        yield Hit(("split",), f"the sides may differ in `{labels[0]}`", on_key=True)


def _small_side(subject: Subject) -> Iterator[Hit]:
    split = subject.recipe.split
    for side, share in split.ratios.items() if split is not None else ():
        if share < _LEAST_SHARE:
            yield Hit(("split", "ratios", side), f"`{side}` gets {100 * share:g} % of the patients")


def _no_seed(subject: Subject) -> Iterator[Hit]:
    for key, part in (("split", subject.recipe.split), ("sample", subject.recipe.sample)):
        if part is not None and part.seed is None:
            yield Hit((key,), "another name of the recipe would draw anew", on_key=True)


def _hold_out(subject: Subject) -> Iterator[Hit]:
    recipe, split = subject.recipe, subject.recipe.split
    for side, where in (split.hold_out or {}).items() if split is not None else ():
        path: KeyPath = ("split", "hold_out", side)
        for placed in places.criteria(recipe):
            asked, criterion = placed.criterion.where, placed.criterion
            if asked is None or criterion.level != recipe.unit:
                continue
            is_shut = placed.part == "include" and criterion.if_missing == "fail" and where_shut_out(recipe, asked, where)
            if is_shut or (placed.part == "exclude" and where_takes_in(recipe, asked, where)):
                yield Hit(path, f"`{criterion.id}` lets nobody of `{side}` through", on_key=True)


def _keep_from(subject: Subject) -> Iterator[Hit]:
    recipe, split = subject.recipe, subject.recipe.split
    name, _, version = (split.keep_from or "").partition("@") if split is not None else ("", "", "")
    if name and name != recipe.name:
        yield Hit(("split", "keep_from"), "the sides are those of another recipe's release")
    elif name and version == recipe.version:
        yield Hit(("split", "keep_from"), "this is the version that the recipe builds")


def _cannot_be(subject: Subject) -> Iterator[Hit]:
    recipe, expect = subject.recipe, subject.recipe.expect
    if expect is None:
        return
    # No unit has more than one patient, nor, but for a patient, more than one case; a series may have no case.
    pairs = [("patients", "rows")]
    pairs += [("cases", "rows")] if recipe.unit in ("slide", "case", "series") else []
    pairs += [("patients", "cases")] if recipe.unit in ("slide", "case") else []
    for few, many in pairs:
        least, most = getattr(expect, few), getattr(expect, many)
        if least is not None and most is not None and most.max is not None and (least.min or 0) > most.max:
            yield Hit(("expect", few, "min"), f"there cannot be more {few} than {many}")
    same = {"patient": "patients", "case": "cases"}.get(recipe.unit)
    counts = {"patients": expect.patients, "cases": expect.cases}.get(same or "")
    if counts is not None and expect.rows is not None and (expect.rows.min or 0) > (counts.max or 10**18):
        yield Hit(("expect", "rows", "min"), f"the rows are the {same}, of which there are fewer")


def _reviewed_left_out(subject: Subject) -> Iterator[Hit]:
    if subject.recipe.unit == "slide" and "reviewed" not in subject.recipe.links:
        yield Hit(("links",), "links that a person has found right do not count", on_key=True)


def _split_not_output(subject: Subject) -> Iterator[Hit]:
    recipe = subject.recipe
    if recipe.split is not None and not any("split" in output.columns for output in recipe.outputs.values()):
        yield Hit(("split",), "no table that goes out has the column `split`", on_key=True)


def _withheld_texts(subject: Subject) -> Iterator[Hit]:
    if subject.texts_are_released is False and subject.recipe.released_texts:
        path: KeyPath = ("texts",) if subject.recipe.texts else ("tables", "reports", "columns")
        yield Hit(path, "the workspace's profile lets no text go out", on_key=True)


def _telling_texts(subject: Subject) -> Iterator[Hit]:
    recipe = subject.recipe
    if recipe.sealed is not None and recipe.released_texts:
        path: KeyPath = ("texts",) if recipe.texts else ("tables", "reports", "columns")
        yield Hit(path, f"texts go out that may say what label `{recipe.sealed.label}` withholds", on_key=True)


def _reused_version(subject: Subject) -> Iterator[Hit]:
    if subject.released_differently:
        yield Hit(("version",), "there is a release of this version, and its recipe was another")


def _nobody(subject: Subject) -> Iterator[Hit]:
    missing = [f"`{name}`" for name in ("owner", "approval") if getattr(subject.recipe, name) is None]
    if missing:
        yield Hit(("title",), f"the recipe has no {' and no '.join(missing)}", on_key=True)


RULES = (
    Rule("unused_label", Severity.WARNING, "A label is made and not used.",
         "Name its column in what goes out, in the split or in the sample, or take it away.", _unused_labels),
    Rule("class_not_let_in", Severity.WARNING, "A class of a label can have no row.",
         "Widen the inclusion, or take the class away.", _class_not_let_in),
    Rule("label_of_case", Severity.INFO, "What is true of a case is put on its slides.",
         "Take the label from `diagnoses` on level specimen if it is to be true of the slide.", _case_label),
    Rule("stratum_near_unique", Severity.WARNING, "The split is stratified by a column of nearly unique values.",
         "Stratify by something that has few values.", _near_unique),
    Rule("quasi_identifier_not_shown", Severity.INFO, "A quasi-identifier is counted that does not go out.",
         "Take it away, or add the column.", _quasi_not_output),
    Rule("k_below_profile", Severity.WARNING, "The recipe asks for a smaller k than the profile.",
         "Leave `k` out, or ask for a greater one.", _low_k),
    Rule("split_without_label", Severity.INFO, "The split is not stratified by the recipe's labels.",
         "Name the label's column in `stratify`.", _no_stratum),
    Rule("small_side", Severity.WARNING, "A side of the split is very small.",
         "Give it a share of at least 0.05, or take it away.", _small_side),
    Rule("seed_not_given", Severity.INFO, "The seed is the recipe's name.",
         "Write `seed`, so that a renamed recipe draws the same.", _no_seed),
    Rule("hold_out_dropped", Severity.WARNING, "Those who are held out are dropped by a criterion.",
         "Widen the criterion, or take the side away.", _hold_out),
    Rule("keep_from_another", Severity.WARNING, "Sides are kept from something else than an earlier version.",
         "Name an earlier version of the same recipe, unless two products are to be divided alike.", _keep_from),
    Rule("expected_impossible", Severity.ERROR, "What is expected cannot be.", "Correct the ranges.", _cannot_be),
    Rule("reviewed_left_out", Severity.WARNING, "Links that a person has reviewed do not count.",
         "Add `reviewed` to `links`.", _reviewed_left_out),
    Rule("split_not_shown", Severity.WARNING, "The split goes nowhere.", "Name `split` among the columns.",
         _split_not_output),
    Rule("texts_withheld", Severity.ERROR, "Texts are asked for that the profile lets no one have.",
         "Take them away, or choose a profile that releases texts.", _withheld_texts),
    Rule("sealed_told_in_texts", Severity.WARNING, "Texts of a sealed evaluation may tell the answer.",
         "Take them away, or release only those that are written before the answer is known.", _telling_texts),
    Rule("version_reused", Severity.ERROR, "The recipe has changed since its version was released.",
         "Raise `version`; `pathcurate recipe diff` shows what has changed.", _reused_version),
    Rule("nobody_answers", Severity.INFO, "The recipe does not say who answers for it.",
         "Add `owner`, and the number of the ethics approval as `approval`.", _nobody),
)  # fmt: skip
