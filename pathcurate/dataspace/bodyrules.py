"""What a body for a connector must be: checked before it is sent, because EDC drops what it does not understand.

Sources: the JSON schemas of the management API 4 (fields, types, constants), its context (which bare words it knows), and
``ScopeFilter`` of EDC (what becomes of a word that nobody bound).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pathcurate.dataspace.bodies import CATALOG_SCOPE, ID_OPERAND, RELEASE_DIGEST_PROPERTY, SCOPES
from pathcurate.dataspace.terms import OPERATORS, SET_OPERATORS, is_absolute
from pathcurate.model.dataspace import EDC_CONTEXT

_LONGEST = 20_000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ID = re.compile(r"[^\s\x00-\x20\x7f-\x9f]{1,500}")
_UNHELD = re.compile("[\x00\ud800-\udfff]")
_PROPERTY = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_KEYS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "Asset": (frozenset({"@id", "properties", "dataplaneMetadata"}), frozenset({"privateProperties"})),
    "PolicyDefinition": (frozenset({"@id", "policy"}), frozenset({"privateProperties"})),
    "ContractDefinition": (
        frozenset({"@id", "accessPolicyId", "contractPolicyId", "assetsSelector"}), frozenset({"privateProperties"}),
    ),
    "QuerySpec": (frozenset(), frozenset({"offset", "limit", "filterExpression", "sortField", "sortOrder"})),
    "PolicyEvaluationPlanRequest": (frozenset({"policyScope"}), frozenset()),
}  # fmt: skip
"""By type: what must be there besides context and type, and what may be."""


def body_faults(body: Any) -> list[str]:
    """What is wrong with a body of version 4, a sentence each; none of them quotes a value."""
    if not isinstance(body, Mapping):
        return ["it is no object"]
    kind = body.get("@type")
    inside = _INSIDE.get(kind) if isinstance(kind, str) else None
    return [*_envelope(body), *(inside(body) if inside is not None else ())]


def _envelope(body: Mapping[str, Any]) -> Iterator[str]:
    context = body.get("@context")
    if not isinstance(context, list) or not all(isinstance(each, str) for each in context):
        yield "`@context` is to be a list of addresses"
    elif context != [EDC_CONTEXT]:
        yield f"`@context` is to hold {EDC_CONTEXT} and nothing else"
    kind = body.get("@type")
    if not isinstance(kind, str) or kind not in _KEYS:
        yield "`@type` is none of the management API"
        return
    needed, allowed = _KEYS[kind]
    for key in sorted(needed - body.keys()):
        yield f"`{key}` is missing"
    if body.keys() - needed - allowed - {"@context", "@type"}:
        yield "it has a key that the connector would drop"
    if "@id" in needed and not _is_id(body.get("@id")):
        yield "`@id` is to be a name without spaces"
    if "privateProperties" in body:
        yield from _properties("privateProperties", body["privateProperties"])


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_text(value: Any) -> bool:
    # A connector on PostgreSQL cannot keep a text with a NUL, and half a surrogate pair cannot be sent.
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and _UNHELD.search(value) is None


def _properties(name: str, properties: Any) -> Iterator[str]:
    if not isinstance(properties, Mapping) or not properties:
        yield f"`{name}` is to be an object that says something"
        return
    for key, value in properties.items():
        if not isinstance(key, str) or not (_PROPERTY.fullmatch(key) or _is_whole(key)):
            yield f"`{name}` has a key that is neither a word nor an IRI"
        values = value if isinstance(value, list) else [value]
        if not values or not all(_is_text(each) for each in values):
            yield f"`{name}` has a value that is no text"


def _asset(body: Mapping[str, Any]) -> Iterator[str]:
    properties = body.get("properties")
    yield from _properties("properties", properties)
    digest = properties.get(RELEASE_DIGEST_PROPERTY) if isinstance(properties, Mapping) else None
    if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        yield "the asset does not say which release it is"
    metadata = body.get("dataplaneMetadata")
    if not isinstance(metadata, Mapping) or metadata.get("@type") != "DataplaneMetadata":
        yield "`dataplaneMetadata` is to be of its type"
        return
    labels = metadata.get("labels")
    if not isinstance(labels, list) or not labels or not all(_is_id(each) for each in labels):
        yield "`dataplaneMetadata` names no way to come by the data"
    if metadata.keys() - {"@type", "labels", "properties"}:
        yield "`dataplaneMetadata` has a key that the connector would drop"


def _policy_definition(body: Mapping[str, Any]) -> Iterator[str]:
    policy = body.get("policy")
    if not isinstance(policy, Mapping):
        yield "`policy` is to be an object"
        return
    if policy.get("@type") != "Set":
        yield "`policy` is to be a Set: only a request has an Offer"
    if policy.keys() & {"target", "assigner", "assignee", "odrl:target", "odrl:assigner", "odrl:assignee"}:
        yield "`policy` names whom or what it is for, which its definition does"
    if policy.keys() - {"@type", "profile", "permission", "prohibition", "obligation", "target", "assigner", "assignee"}:
        yield "`policy` has a key that the connector would drop"
    profile = policy.get("profile")
    if "profile" in policy and not (isinstance(profile, str) and is_absolute(profile)):
        yield "`profile` is to be one IRI"
    if "permission" not in policy:
        yield "`policy` permits nothing"
    for kind in ("permission", "prohibition", "obligation"):
        if kind in policy:
            yield from _rules(kind, policy[kind])


def _rules(kind: str, rules: Any) -> Iterator[str]:
    if not isinstance(rules, list) or not rules:
        yield f"`{kind}` is to be a list that says something"
        return
    for rule in rules:
        if not isinstance(rule, Mapping):
            yield f"`{kind}` holds something that is no rule"
            continue
        if rule.get("action") != "use" and not _is_term(rule.get("action")):
            yield f"a {kind} has an action that no context knows"
        allowed = {"action", "constraint", "duty"} if kind == "permission" else {"action", "constraint"}
        if rule.keys() - allowed:
            yield f"a {kind} has a key that the connector would drop"
        if "constraint" in rule:
            yield from _constraints(kind, rule["constraint"])
        if "duty" in rule and kind == "permission":
            yield from _rules("duty", rule["duty"])


def _is_term(value: Any) -> bool:
    """Whether a word means something to the connector: one with ``odrl:``, or an IRI."""
    if not isinstance(value, str):
        return False
    prefix, colon, rest = value.partition(":")
    if prefix == "odrl" and colon:
        return _PROPERTY.fullmatch(rest) is not None
    return _is_whole(value)


def _is_whole(name: str) -> bool:
    """Whether a name is no word with a prefix that nobody declares."""
    return is_absolute(name) and ("://" in name or name.startswith("urn:"))


def _constraints(kind: str, constraints: Any, depth: int = 0) -> Iterator[str]:
    if not isinstance(constraints, list) or not constraints or depth > 4:
        yield f"the constraints of a {kind} are to be a list that says something"
        return
    for constraint in constraints:
        if isinstance(constraint, Mapping) and constraint.keys() == {"and"}:
            yield from _constraints(kind, constraint["and"], depth + 1)
        elif not isinstance(constraint, Mapping) or constraint.keys() != {"leftOperand", "operator", "rightOperand"}:
            yield f"a {kind} has a constraint of another form"
        else:
            yield from _constraint(kind, constraint)


def _constraint(kind: str, constraint: Mapping[str, Any]) -> Iterator[str]:
    operator, right = constraint["operator"], constraint["rightOperand"]
    if not _is_term(constraint["leftOperand"]):
        yield f"a {kind} has an operand that no context knows"
    if not isinstance(operator, str) or operator not in OPERATORS:
        yield f"a {kind} has an operator that no context knows"
    elif operator in SET_OPERATORS:
        if not isinstance(right, list) or not right or not all(_is_text(each) for each in right):
            yield f"a {kind} compares a set with something that is none"
    elif not _is_text(right):
        yield f"a {kind} compares with something that is no text"


def _contract_definition(body: Mapping[str, Any]) -> Iterator[str]:
    for key in ("accessPolicyId", "contractPolicyId"):
        if not _is_id(body.get(key)):
            yield f"`{key}` is to be a name without spaces"
    if body.get("accessPolicyId") == body.get("contractPolicyId"):
        yield "who may see the offer and its terms are to be two policies"
    selector = body.get("assetsSelector")
    if not isinstance(selector, list) or len(selector) != 1:
        yield "`assetsSelector` is to choose one asset: without a criterion it chooses all"
        return
    yield from _criteria(selector)
    if isinstance(selector[0], Mapping) and (selector[0].get("operandLeft"), selector[0].get("operator")) != (
        ID_OPERAND,
        "=",
    ):
        yield "`assetsSelector` is to choose the asset by its id"


def _criteria(criteria: Any) -> Iterator[str]:
    for each in criteria if isinstance(criteria, list) else [None]:
        if not isinstance(each, Mapping) or each.get("@type") != "Criterion":
            yield "a criterion is to be of its type"
        elif each.keys() != {"@type", "operandLeft", "operator", "operandRight"}:
            yield "a criterion has two operands and an operator"
        elif not all(_is_text(each[key]) for key in ("operandLeft", "operator", "operandRight")):
            yield "a criterion compares texts"


def _query(body: Mapping[str, Any]) -> Iterator[str]:
    for key, least in (("offset", 0), ("limit", 1)):
        value = body.get(key, least)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            yield f"`{key}` is to be a number from {least}"
    if "filterExpression" in body:
        yield from _criteria(body["filterExpression"])


def _plan_request(body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("policyScope") not in (CATALOG_SCOPE, *SCOPES):
        yield "`policyScope` is none in which a connector applies policies"


_INSIDE = {
    "Asset": _asset,
    "PolicyDefinition": _policy_definition,
    "ContractDefinition": _contract_definition,
    "QuerySpec": _query,
    "PolicyEvaluationPlanRequest": _plan_request,
}
