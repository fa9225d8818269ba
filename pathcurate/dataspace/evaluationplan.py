"""What a connector would not enforce of a policy, by its own evaluation plan.

EDC fails open: a constraint whose operand nobody bound is taken out of its rule, a rule whose action nobody bound is taken
out whole, so that an unknown prohibition vanishes, and a rule without constraints always holds (``ScopeFilter``). The plan
(``PolicyEvaluationPlanner``) says what is left: a step for each rule, in the policy's order and without its name, and in
it a step for each constraint, whose parameters begin with the operand.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pathcurate.dataspace.terms import Rule, Terms

_STEPS = (("permissionSteps",), ("prohibitionSteps",), ("obligationSteps", "dutySteps"))
"""Where the steps of permissions, prohibitions and obligations stand; EDC's schema and code name the last differently."""
_MOST_STEPS = 10_000
_DEEPEST = 16
_NAMESPACE = "https://w3id.org/edc/v0.0.1/ns/"


def not_enforced(terms: Terms, plan: Any, scope: str) -> list[str]:
    """What of a policy the connector would not enforce, a sentence each; none if the plan has all of it.

    Args:
        terms: of the policy.
        plan: the connector's answer; whatever it holds.
        scope: in which it would be applied, such as ``contract.negotiation``.
    """
    whole = _keys(plan)
    if whole is None or _type(whole) != "PolicyEvaluationPlan":
        return [f"{scope}: the connector's answer is no evaluation plan"]
    found: list[str] = []
    for (kind, rules), names in zip(terms.kinds, _STEPS, strict=True):
        steps = [step for name in names for step in _listed(whole.get(name))]
        found += _rules(kind, rules, steps)
    return [f"{scope}: {sentence}" for sentence in dict.fromkeys(found)]


def dropped(plan: Any, scope: str) -> list[str]:
    """What a plan says that the connector would drop, of a policy that this program does not read whole.

    Args:
        plan: the connector's answer; whatever it holds.
        scope: in which it would be applied.
    """
    whole = _keys(plan)
    if whole is None or _type(whole) != "PolicyEvaluationPlan":
        return [f"{scope}: the connector's answer is no evaluation plan"]
    steps = [step for names in _STEPS for name in names for step in _listed(whole.get(name))]
    if not steps:
        return [f"{scope}: no rule is left of it"]
    return [f"{scope}: a rule or constraint would be dropped"] if any(_drops(step, 0) for step in steps) else []


def _drops(step: Any, depth: int) -> bool:
    whole = _keys(step)
    if whole is None or depth > _DEEPEST:
        return True
    kind = _type(whole)
    if kind == "AtomicConstraintStep" and not _value(whole.get("functionName")):
        return True
    # The steps of `and`, `or` and `xone` say nothing of themselves.
    if (kind == "AtomicConstraintStep" or not kind.endswith("ConstraintStep")) and _is_filtered(whole):
        return True
    within = [*_listed(whole.get("constraintSteps")), *_listed(whole.get("dutySteps"))]
    return len(within) > _MOST_STEPS or any(_drops(each, depth + 1) for each in within)


def _rules(kind: str, rules: Sequence[Rule], steps: Sequence[Any]) -> Iterator[str]:
    if len(steps) != len(rules) or len(steps) > _MOST_STEPS:
        actions = ", ".join(rule.action for rule in rules) or "none"
        yield f"{len(steps)} of {len(rules)} rules of the kind {kind} are in the plan ({actions})"
        return
    for rule, step in zip(rules, steps, strict=True):
        yield from _rule(f"{kind} {rule.action}", rule, step)


def _rule(name: str, rule: Rule, step: Any) -> Iterator[str]:
    whole = _keys(step)
    if whole is None or _is_filtered(whole):
        yield f"{name} would be dropped: its action is not bound"
        return
    atoms, is_plain = _atoms(_listed(whole.get("constraintSteps")), 0)
    if not is_plain:
        yield f"{name} would be applied in another form: not all of its constraints would have to hold"
    kept = Counter(operand for operand, is_kept in atoms if is_kept)
    asked = Counter(constraint.left for constraint in rule.constraints)
    for operand in sorted((asked - kept).elements()):
        yield f"{name}: the constraint on {operand} would be dropped: it is not bound, or nothing decides it"
    if (kept - asked) and not (asked - kept):
        yield f"{name} would be applied with a constraint that it does not have"
    duties = _listed(whole.get("dutySteps"))
    if len(duties) != len(rule.duties):
        yield f"{name}: {len(duties)} of {len(rule.duties)} duties are in the plan"
    else:
        for duty, duty_step in zip(rule.duties, duties, strict=True):
            yield from _rule(f"duty {duty.action}", duty, duty_step)


def _atoms(steps: Sequence[Any], depth: int) -> tuple[list[tuple[str, bool]], bool]:
    """Operands of the constraints in a plan, each with whether it is enforced; and whether all of them have to hold."""
    found: list[tuple[str, bool]] = []
    is_plain = depth <= _DEEPEST and len(steps) <= _MOST_STEPS
    for step in steps if is_plain else ():
        whole = _keys(step)
        kind = _type(whole) if whole is not None else ""
        if whole is not None and kind == "AndConstraintStep":
            within, is_and = _atoms(_listed(whole.get("constraintSteps")), depth + 1)
            found += within
            is_plain = is_plain and is_and
        elif whole is not None and kind == "AtomicConstraintStep":
            is_kept = not _is_filtered(whole) and bool(_value(whole.get("functionName")))
            found.append((_operand(whole), is_kept))
        else:
            is_plain = False
    return found, is_plain


def _is_filtered(step: Mapping[str, Any]) -> bool:
    """Whether a step is dropped; one that does not say so in so many words is."""
    return _value(step.get("isFiltered")) is not False or bool(_listed(step.get("filteringReasons")))


def _operand(step: Mapping[str, Any]) -> str:
    params = _listed(step.get("functionParams"))
    first = _value(params[0]) if params else ""
    return first.strip("'\"") if isinstance(first, str) else ""


def _keys(node: Any) -> dict[str, Any] | None:
    """An object by its names without prefix: a connector compacts them in one way or another."""
    if not isinstance(node, Mapping):
        return None
    return {str(key).removeprefix(_NAMESPACE).removeprefix("edc:"): value for key, value in node.items()}


def _type(node: Mapping[str, Any]) -> str:
    kind = _listed(node.get("@type"))
    return str(kind[0]).removeprefix(_NAMESPACE).removeprefix("edc:") if len(kind) == 1 else ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _value(value: Any) -> Any:
    return value.get("@value") if isinstance(value, Mapping) else value
