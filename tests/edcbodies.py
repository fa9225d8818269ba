"""What a connector's management API takes, for tests: rules written from the JSON schemas and the context of EDC.

They are their own, and know nothing of what this program thinks of a body.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

V2 = "https://w3id.org/edc/connector/management/v2"
NS = "https://w3id.org/edc/v0.0.1/ns/"
OPERATORS = ["eq", "gt", "gteq", "lteq", "hasPart", "isA", "isAllOf", "isAnyOf", "isNoneOf", "isPartOf", "lt", "neq"]
SETS = {"isAllOf", "isAnyOf", "isNoneOf", "hasPart", "isPartOf"}


class WrongBodyError(Exception):
    """What the connector would answer 400 to, or would misunderstand without a word."""


def demand(condition: object, what: str) -> None:
    """Refuse a body."""
    if not condition:
        raise WrongBodyError(what)


def only(node: dict[str, Any], *keys: str) -> None:
    """Refuse what EDC would silently drop."""
    demand(isinstance(node, dict), "no object")
    demand(set(node) <= set(keys), f"would be dropped: {set(node) - set(keys)}")


def check_envelope(body: Any, kind: str) -> None:
    demand(isinstance(body, dict), "no object")
    demand(isinstance(body.get("@context"), list), "context is no list")
    demand(all(isinstance(each, str) for each in body["@context"]), "an inline context")
    demand(body["@context"] == [V2], "another context")
    demand(body.get("@type") == kind, "another type")


def check_id(value: Any) -> None:
    demand(isinstance(value, str) and re.fullmatch(r"\S+", value or ""), "no id")


def check_texts(node: Any, what: str) -> None:
    demand(isinstance(node, dict) and node, f"{what}: no object")
    for key, value in node.items():
        demand(re.fullmatch(r"[A-Za-z]\w*|https?://\S+", key), f"{what}: key")
        for each in value if isinstance(value, list) else [value]:
            demand(isinstance(each, str) and each, f"{what}: value")
        demand(value != [], f"{what}: empty")


def check_asset(body: Any) -> None:
    check_envelope(body, "Asset")
    only(body, "@context", "@type", "@id", "properties", "privateProperties", "dataplaneMetadata")
    check_id(body.get("@id"))
    check_texts(body.get("properties"), "properties")
    digest = body["properties"].get("https://pathcurate.example/ns#releaseDigest", "")
    demand(re.fullmatch("sha256:[0-9a-f]{64}", str(digest)), "no digest")
    if "privateProperties" in body:
        check_texts(body["privateProperties"], "privateProperties")
    metadata = body.get("dataplaneMetadata")
    only(metadata, "@type", "labels", "properties")
    demand(metadata.get("@type") == "DataplaneMetadata", "metadata's type")
    labels = metadata.get("labels")
    demand(isinstance(labels, list) and labels and all(isinstance(each, str) and each for each in labels), "labels")


def check_policy(body: Any) -> None:
    check_envelope(body, "PolicyDefinition")
    only(body, "@context", "@type", "@id", "policy", "privateProperties")
    check_id(body.get("@id"))
    policy = body.get("policy")
    only(policy, "@type", "profile", "permission", "prohibition", "obligation")
    demand(policy.get("@type") == "Set", "a definition has a Set")
    demand("profile" not in policy or re.match("https?://|urn:", str(policy["profile"])), "profile")
    demand("permission" in policy, "nothing is permitted")
    for kind in ("permission", "prohibition", "obligation"):
        if kind in policy:
            check_rules(policy[kind], is_permission=kind == "permission")


def check_rules(rules: Any, *, is_permission: bool) -> None:
    demand(isinstance(rules, list) and rules, "rules are a list")
    for rule in rules:
        only(rule, "action", "constraint", *(["duty"] if is_permission else []))
        check_term(rule.get("action"), ["use"])
        if "constraint" in rule:
            check_constraints(rule["constraint"])
        if "duty" in rule:
            check_rules(rule["duty"], is_permission=False)


def check_term(term: Any, bare: Sequence[str]) -> None:
    demand(isinstance(term, str), "a term is text")
    demand(term in bare or re.fullmatch(r"odrl:[A-Za-z]+|https?://\S+|urn:\S+", term), f"a word that stays one: {term}")


def check_constraints(constraints: Any) -> None:
    demand(isinstance(constraints, list) and constraints, "constraints are a list")
    for constraint in constraints:
        demand(isinstance(constraint, dict), "a constraint is an object")
        if "and" in constraint:
            only(constraint, "and")
            check_constraints(constraint["and"])
            continue
        only(constraint, "leftOperand", "operator", "rightOperand")
        demand(len(constraint) == 3, "a part of a constraint is missing")
        check_term(constraint["leftOperand"], [])
        demand(constraint["operator"] in OPERATORS, "operator")
        right = constraint["rightOperand"]
        if constraint["operator"] in SETS:
            demand(isinstance(right, list) and right and all(isinstance(each, str) for each in right), "set")
        else:
            demand(isinstance(right, str) and right, "right operand")


def check_definition(body: Any) -> None:
    check_envelope(body, "ContractDefinition")
    only(body, "@context", "@type", "@id", "accessPolicyId", "contractPolicyId", "assetsSelector", "privateProperties")
    for key in ("@id", "accessPolicyId", "contractPolicyId"):
        check_id(body.get(key))
    demand(body["accessPolicyId"] != body["contractPolicyId"], "one policy for both")
    selector = body.get("assetsSelector")
    demand(isinstance(selector, list) and len(selector) == 1, "chooses all or several")
    check_criterion(selector[0])
    demand((selector[0]["operandLeft"], selector[0]["operator"]) == (f"{NS}id", "="), "chooses by something else")


def check_criterion(node: Any) -> None:
    only(node, "@type", "operandLeft", "operator", "operandRight")
    demand(node.get("@type") == "Criterion", "a criterion says its type")
    demand(all(isinstance(node.get(key), str) and node[key] for key in ("operandLeft", "operator", "operandRight")), "text")


def check_query(body: Any) -> None:
    check_envelope(body, "QuerySpec")
    only(body, "@context", "@type", "offset", "limit", "filterExpression", "sortField", "sortOrder")
    for key, least in (("offset", 0), ("limit", 1)):
        demand(type(body.get(key, least)) is int and body.get(key, least) >= least, key)
    if "filterExpression" in body:
        demand(isinstance(body["filterExpression"], list), "filter")
        for each in body["filterExpression"]:
            check_criterion(each)


def check_plan_request(body: Any) -> None:
    check_envelope(body, "PolicyEvaluationPlanRequest")
    only(body, "@context", "@type", "policyScope")
    demand(body.get("policyScope") in ("catalog", "contract.negotiation", "transfer.process"), "scope")


CHECKS: dict[str, Callable[[Any], None]] = {
    "Asset": check_asset, "PolicyDefinition": check_policy, "ContractDefinition": check_definition,
    "QuerySpec": check_query, "PolicyEvaluationPlanRequest": check_plan_request,
}  # fmt: skip


def is_accepted(kind: str, body: Any) -> bool:
    """Whether the server takes a body."""
    try:
        CHECKS[kind](body)
    except WrongBodyError:
        return False
    return True
