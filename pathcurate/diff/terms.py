"""What became of a product's promises: the terms of its policy, what it tells about people, and its scorecard."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from pathcurate.diff.contents import Contents
from pathcurate.model.diff import Bump, FigureChange, TermChange
from pathcurate.model.productfile import ProductFile

_TIGHTENED, _LOOSENED, _CHANGED, _REWORDED = "tightened", "loosened", "changed", "reworded"
# A change of codes that no rule can judge counts as if it allowed more.
_STEPS = {_TIGHTENED: Bump.MINOR, _LOOSENED: Bump.MAJOR, _CHANGED: Bump.MAJOR, _REWORDED: Bump.PATCH}

_BREADTH = {"DUO_0000007": 1, "DUO_0000011": 1, "DUO_0000006": 2, "DUO_0000042": 3, "DUO_0000004": 4}
"""Purposes that a Data Use Ontology term permits, the widest last: a disease or ancestry, health, research, anything."""
_WIDENING = {"DUO_0000043"}
"""Modifiers that permit something more (clinical care) instead of limiting."""
_DISEASE = "DUO_0000007"
_CLOSENESS = ("file", "api", "tre", "sealed")
"""How a buyer meets the data, the loosest first."""
_SHARINGS = ("public", "agreement", "enclave", "internal")
"""For whom a profile makes data coarse enough, the widest circle first."""


def term_changes(before: ProductFile | None, after: ProductFile | None) -> tuple[TermChange, ...]:
    """What became of the product file. One that is there for the first time limits what nobody had written down before."""
    if before is None or after is None:
        if before is after:
            return ()
        effect = _TIGHTENED if before is None else _LOOSENED
        return (TermChange("policy", effect, _STEPS[effect]),)
    old, new = (_said(file) for file in (before, after))
    found = []
    for term, judge in _POLICY.items():
        if old.get(term) != new.get(term):
            effect = judge(old, new)
            found.append(_change(term, effect, old.get(term), new.get(term)))
    others = sorted({*old, *new} - {*_POLICY})
    found += [TermChange(term, _REWORDED, Bump.PATCH) for term in others if old.get(term) != new.get(term)]
    return tuple(sorted(found, key=lambda change: -change.bump.rank))


def _said(file: ProductFile) -> dict[str, Any]:
    """Keys and values of a product file, those of the policy as ``policy.KEY``."""
    said = file.model_dump(mode="json", exclude_none=True)
    policy = said.pop("policy")
    said = {key: value for key, value in said.items() if value not in ({}, [], None)}
    return {**said, **{f"policy.{key}": value for key, value in policy.items() if value not in ([], None)}}


_NAMED = {"policy.duo", "policy.diseases", "policy.environment", "policy.forbidden", "policy.valid_until"}
"""Terms whose values are codes and days; of what is words only that it changed is told."""


def _change(term: str, effect: str, old: Any, new: Any) -> TermChange:
    if term not in _NAMED:
        # Words: whether others allow more is for a person to say.
        return TermChange(term, effect, Bump.MINOR if effect == _CHANGED else _STEPS[effect])
    left, right = (_listed(value) for value in (old, new))
    return TermChange(
        term, effect, _STEPS[effect],
        tuple(name for name in right if name not in left), tuple(name for name in left if name not in right),
    )  # fmt: skip


def _listed(value: Any) -> Sequence[str]:
    return value if isinstance(value, list) else [] if value is None else [str(value)]


_Said = Mapping[str, Any]


def _duo(old: _Said, new: _Said) -> str:
    left, right = (set(said.get("policy.duo", ())) for said in (old, new))
    effects = set()
    purposes = [{term for term in side if term in _BREADTH} for side in (left, right)]
    if purposes[0] != purposes[1]:
        breadth = [max((_BREADTH[term] for term in side), default=0) for side in purposes]
        effects.add(_CHANGED if breadth[0] == breadth[1] else _LOOSENED if breadth[1] > breadth[0] else _TIGHTENED)
    for term in (left ^ right) - _BREADTH.keys():
        effects.add(_LOOSENED if (term in right) == (term in _WIDENING) else _TIGHTENED)
    return _together(effects)


def _diseases(old: _Said, new: _Said) -> str:
    left, right = (set(said.get("policy.diseases", ())) for said in (old, new))
    if not all(_DISEASE in said.get("policy.duo", ()) for said in (old, new)):
        return _REWORDED  # they limit nothing
    if not left or not right:
        return _LOOSENED if left else _TIGHTENED
    return _LOOSENED if right > left else _TIGHTENED if right < left else _CHANGED


def _environment(old: _Said, new: _Said) -> str:
    places = [_place(_CLOSENESS, said.get("policy.environment")) for said in (old, new)]
    return _LOOSENED if places[1] < places[0] else _TIGHTENED


def _place(order: Sequence[str], name: object) -> int:
    """The place of a name in an order; beyond its end if nothing is said."""
    return order.index(name) if isinstance(name, str) and name in order else len(order)


def _forbidden(old: _Said, new: _Said) -> str:
    left, right = (set(said.get("policy.forbidden", ())) for said in (old, new))
    return _together({_LOOSENED} if left - right else {_TIGHTENED} if right > left else {_REWORDED})


def _valid_until(old: _Said, new: _Said) -> str:
    first, last = (date.fromisoformat(said.get("policy.valid_until", "9999-12-31")) for said in (old, new))
    return _LOOSENED if last > first else _TIGHTENED


def _duty(term: str) -> Callable[[_Said, _Said], str]:
    def judge(old: _Said, new: _Said) -> str:
        if bool(old.get(term)) == bool(new.get(term)):
            return _REWORDED
        return _TIGHTENED if new.get(term) else _LOOSENED

    return judge


def _limits(old: _Said, new: _Said) -> str:
    if "limits" in old and "limits" in new:
        return _CHANGED
    return _TIGHTENED if "limits" in new else _LOOSENED


def _together(effects: set[str]) -> str:
    return next(effect for effect in (_CHANGED, _LOOSENED, _TIGHTENED, _REWORDED) if effect in effects)


_POLICY: Mapping[str, Callable[[_Said, _Said], str]] = {
    "policy.duo": _duo,
    "policy.diseases": _diseases,
    "policy.environment": _environment,
    "policy.forbidden": _forbidden,
    "policy.valid_until": _valid_until,
    "policy.attribution": _duty("policy.attribution"),
    "policy.report_use": _duty("policy.report_use"),
    "limits": _limits,
}


# --- What it tells about people, and its scorecard ---------------------------------------------------------------------


def privacy_changes(before: Contents, after: Contents) -> Iterator[FigureChange]:
    """What became of the profile, the required and the reached k, and the level; nothing if either version does not say."""
    old, new = before.deid, after.deid
    if not old or not new:
        return
    judges: Mapping[str, Callable[[Any, Any], str]] = {
        "scenario": lambda left, right: _order(_place(_SHARINGS, left), _place(_SHARINGS, right)),
        "k_required": lambda left, right: _order(left or 0, right or 0),
        "k_min": lambda _, __: _CHANGED,
        "gbt42460_level": lambda _, __: _CHANGED,
        "profile": lambda _, __: _CHANGED,
    }
    for name, judge in judges.items():
        if old[name] != new[name]:
            yield FigureChange(name, old[name], new[name], judge(old[name], new[name]))
    if has_other_rules(before, after):
        yield FigureChange("profile_digest", before.profile_digest, after.profile_digest)


def has_other_rules(before: Contents, after: Contents) -> bool:
    """Whether the de-identification profile does something else than before, as far as both versions say."""
    digests = before.profile_digest, after.profile_digest
    return all(digests) and digests[0] != digests[1]


def _order(left: int, right: int) -> str:
    return _TIGHTENED if right > left else _LOOSENED


def quality_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FigureChange]:
    """Indicators of two scorecards whose state or whose measured figures differ; nothing if either version has none."""
    left, right = (_indicators(card) for card in (old, new))
    if left and right:
        for name in dict.fromkeys((*left, *right)):
            before, after = left.get(name), right.get(name)
            if before != after:
                yield FigureChange(name, before, after)


def _indicators(card: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Name of each indicator and figure to its state, number or share of a whole; what has another form is passed over."""
    found: dict[str, str | int | float] = {}
    listed = card.get("indicators")
    for one in listed if isinstance(listed, list) else ():
        code, status = (one.get(key) if isinstance(one, Mapping) else None for key in ("code", "status"))
        if not isinstance(code, str) or not code.isalnum() or status not in {"measured", "attested", "not_assessed"}:
            continue
        found[code] = str(status)
        measured = one.get("measured")
        for figure in measured if isinstance(measured, list) else ():
            told = figure if isinstance(figure, Mapping) else {}
            name, value, whole = (told.get(key) for key in ("figure", "value", "of"))
            if isinstance(value, int | float) and isinstance(name, str) and name.isidentifier():
                found[f"{code}.{name}"] = round(value / whole, 4) if isinstance(whole, int | float) and whole else value
    return found
