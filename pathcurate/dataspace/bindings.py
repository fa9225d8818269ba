"""What a connector's operator has to bind before a release's policy means anything there.

A word that is bound in no scope is dropped, see :mod:`pathcurate.dataspace.evaluationplan`. Which words a policy has, where
each is to be bound, and expressions to begin with are said here, as JSON and in a few lines.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from pathcurate import yamlsource
from pathcurate.dataspace.bodies import SCOPES
from pathcurate.dataspace.policies import labels, offered_terms, words_to_bind
from pathcurate.dataspace.terms import ODRL, Constraint, Rule, Terms
from pathcurate.errors import UsageError
from pathcurate.model.dataspace import EDC_CONTEXT, Offering
from pathcurate.model.description import NAMESPACE

_FILE = Path(__file__).parent / "bindings.yaml"


class _Operand(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["decided", "claimed", "agreed"]
    zh: str
    en: str


class _Known(BaseModel):
    """``bindings.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operators: Mapping[str, str]
    moments: Mapping[str, str]
    claims: Mapping[str, str]
    proof: str
    agreed: str
    operands: Mapping[str, _Operand]


_CLAIMED = _Operand(
    by="claimed",
    zh="由对方的凭证证明，凭证类型由数据空间选定",
    en="the other side proves it; the data space chooses by which credential",
)  # fmt: skip


@cache
def _known() -> _Known:
    return yamlsource.validate(yamlsource.load(_FILE, _FILE.name, UsageError), _Known, UsageError)


def bindings(offering: Offering) -> dict[str, Any]:
    """The words of the release's policy, where each is to be bound, and an expression for each operand.

    Raises:
        DigestMismatchError: the policy names another release digest.
        InputOutputError: the policy cannot be read whole.
    """
    terms = offered_terms(offering)
    told = labels(offering.policy)
    actions, operands = words_to_bind(terms)
    uses = list(_uses(terms))
    return {
        "asset": offering.asset_id,
        "scopes": list(SCOPES),
        "actions": [
            {
                "iri": iri,
                "label": told.get(iri, {}),
                "rules": sorted({kind for kind, rule, _ in uses if rule.action == iri}),
            }
            for iri in actions
        ],
        "operands": [_operand(iri, told.get(iri, {}), uses) for iri in operands],
        "celExpressions": [body for iri in operands for body in _expressions(iri, uses)],
    }


def _uses(terms: Terms) -> Iterator[tuple[str, Rule, Constraint | None]]:
    """Each rule, and each with each of its constraints."""
    rules = [(kind, rule) for kind, several in terms.kinds for rule in several]
    rules += [("duty", duty) for _, rule in list(rules) for duty in rule.duties]
    for kind, rule in rules:
        yield kind, rule, None
        for constraint in rule.constraints:
            yield kind, rule, constraint


def _operand(iri: str, label: Mapping[str, str], uses: list[tuple[str, Rule, Constraint | None]]) -> dict[str, Any]:
    known = _known().operands.get(iri, _CLAIMED)
    found = [(kind, constraint) for kind, _, constraint in uses if constraint is not None and constraint.left == iri]
    return {
        "iri": iri,
        "label": dict(label),
        "decided": known.by,
        "zh": known.zh,
        "en": known.en,
        "rules": sorted({kind for kind, _ in found}),
        "operators": sorted({constraint.operator for _, constraint in found}),
        "values": sorted({value for _, constraint in found for value in constraint.right}),
    }


def _expressions(iri: str, uses: list[tuple[str, Rule, Constraint | None]]) -> Iterator[dict[str, Any]]:
    """Bodies for ``/v5beta/celexpressions``, one for each operator that the operand is used with."""
    known = _known()
    operand = known.operands.get(iri, _CLAIMED)
    found = [(rule, constraint) for _, rule, constraint in uses if constraint is not None and constraint.left == iri]
    for operator in sorted({constraint.operator for _, constraint in found}):
        name = iri.removeprefix(ODRL).removeprefix(f"{NAMESPACE}odrl#")
        yield {
            "@context": [EDC_CONTEXT],
            "@type": "CelExpression",
            "@id": f"pathcurate-{name}-{operator}",
            "leftOperand": iri,
            "expression": _expression(operand, operator, name),
            "description": f"{operand.en} ({operand.zh})",
            "scopes": list(SCOPES),
            "actions": sorted({rule.action for rule, constraint in found if constraint.operator == operator}),
            "supportedOperators": [known.operators[operator]],
        }


def _expression(operand: _Operand, operator: str, name: str) -> str:
    """What a connector can be told to begin with; ``false``, which lets nobody in, where nothing is known."""
    known = _known()
    if operand.by == "agreed":
        return known.agreed
    if operand.by == "decided":
        return known.moments.get(operator, "false")
    test = known.claims.get(operator)
    return "false" if test is None else known.proof.replace("{test}", test.replace("{claim}", name))


def bindings_text(bound: Mapping[str, Any]) -> str:
    """The same for people: what to bind, and how to see that it is done."""
    lines = [
        "连接器侧绑定 / Bindings at the connector",
        "",
        "连接器会丢弃没有绑定的词：没有绑定的禁止条款整条消失，没有绑定的限制条件被删去。上架前须全部绑定。",
        "A connector drops words that are not bound: a prohibition vanishes, a constraint is taken out. Bind them all.",
        "",
        f"作用域 / scopes: {', '.join(bound['scopes'])}",
        "",
        "一、动作 / actions",
        *(f"   - {each['iri']}{_label(each['label'])}: {', '.join(each['rules'])}" for each in bound["actions"]),
        "",
        "二、操作数 / operands",
        *(f"   - {each['iri']}{_label(each['label'])}: {each['zh']}; {each['en']}" for each in bound["operands"]),
        "",
        "三、celexpressions.json 是表达式的起点；CREDENTIAL 和其后的字段名须换成本数据空间的凭证。",
        "   表达式为 false 的操作数没有可用的起点，须由运营方编写。",
        "   celexpressions.json holds expressions to begin with; CREDENTIAL and the name after it are to be those of the",
        "   data space. Where an expression is `false`, the operator has to write one.",
        "四、检查：POST /v4/policydefinitions/{id}/evaluationplan，任何一步都不能有 isFiltered: true 或 filteringReasons。",
        "   To check: in the answer of that call no step may have `isFiltered: true` or `filteringReasons`.",
        "五、动作已绑定而没有判断函数的禁止条款和义务留在合同中，由合同约束，连接器不作判断。",
        "   Prohibitions and duties whose action is bound and that no function decides stay in the contract and hold by it.",
        "",
    ]
    return "\n".join(lines)


def _label(label: Mapping[str, str]) -> str:
    words = " / ".join(label[language] for language in ("zh", "en") if label.get(language))
    return f" ({words})" if words else ""
