"""A release's policy in the form of the Dataspace Protocol 2025-1 and of Eclipse EDC.

The profile of ODRL that both use knows ``use``, the operators and little else: any other bare word stays a word, and a
connector that does not know a term drops it. So each is written whole, or with ``odrl:``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pathcurate.dataspace.terms import (
    ODRL,
    RELEASE_DIGEST,
    SET_OPERATORS,
    Constraint,
    Rule,
    Terms,
    fault,
    terms_of_release,
)
from pathcurate.errors import DigestMismatchError
from pathcurate.model.dataspace import Offering

Node = dict[str, Any]


def offered_terms(offering: Offering) -> Terms:
    """The terms of the release's own policy, all of them, and that they are about this release and no other.

    Raises:
        DigestMismatchError: its policy names another release digest.
        InputOutputError: it cannot be read whole, or permits nothing.
    """
    terms = terms_of_release(offering.policy)
    if not terms.permissions:
        raise fault("permits nothing")
    return replace(terms, permissions=tuple(_bound(rule, offering.release_digest) for rule in terms.permissions))


def _bound(rule: Rule, digest: str) -> Rule:
    bound = Constraint(RELEASE_DIGEST, "eq", (digest,))
    others = [each for each in rule.constraints if each.left == RELEASE_DIGEST and each != bound]
    if others:
        raise DigestMismatchError(
            "the policy of the release is about another release digest", "Take the policy of this release."
        )
    return replace(rule, constraints=tuple(sorted({*rule.constraints, bound})))


def connector_policy(terms: Terms) -> Node:
    """The policy of a policy definition: a Set without target, because the definition says to what it applies.

    How the holder wants to be named is not in it: connectors keep no text with a rule. It stands with the asset.
    """
    return _policy("Set", terms, cited=False)


def offer(offering: Offering, *, target: bool = False) -> Node:
    """The policy as an Offer of a catalogue, or of a contract request.

    Args:
        offering: what is offered.
        target: whether it names what it is about: a request must (Dataspace Protocol 2025-1, section 6), an offer within
            the dataset of a catalogue must not (there, section 5: the dataset is the target).
    """
    terms = offered_terms(offering)
    policy = _policy("Offer", terms, cited=True)
    more: Node = {"assigner": terms.assigner} if terms.assigner else {}
    if target:
        more["target"] = offering.asset_id
    # Connectors mean the same without it: with them any prohibition that holds refuses.
    more["odrl:conflict"] = {"@id": "odrl:prohibit"}
    return {"@type": "Offer", "@id": f"{offering.asset_id}:offer", **policy, **more}


def _policy(kind: str, terms: Terms, *, cited: bool) -> Node:
    node: Node = {"@type": kind}
    if terms.profiles:
        node["profile"] = terms.profiles[0] if len(terms.profiles) == 1 else list(terms.profiles)
    for name, rules in terms.kinds:
        if rules:
            node[name] = [_rule(rule, cited=cited) for rule in rules]
    return node


def _rule(rule: Rule, *, cited: bool) -> Node:
    node: Node = {"action": "use" if rule.action == f"{ODRL}use" else word(rule.action)}
    constraints = [_constraint(each) for each in rule.constraints]
    if constraints:
        node["constraint"] = constraints if len(constraints) == 1 else [{"and": constraints}]
    if rule.duties:
        node["duty"] = [_rule(duty, cited=cited) for duty in rule.duties]
    if rule.citation and cited:
        node["dct:bibliographicCitation"] = rule.citation
    return node


def _constraint(constraint: Constraint) -> Node:
    several = constraint.operator in SET_OPERATORS
    return {
        "leftOperand": word(constraint.left),
        "operator": constraint.operator,
        "rightOperand": list(constraint.right) if several else constraint.right[0],
    }


def word(iri: str) -> str:
    """A term as it is written: with ``odrl:``, else whole."""
    return f"odrl:{iri.removeprefix(ODRL)}" if re.fullmatch(f"{re.escape(ODRL)}[A-Za-z]+", iri) else iri


def citations(terms: Terms) -> tuple[str, ...]:
    """How the holder wants to be named, as the rules say it."""
    rules = [rule for _, rules in terms.kinds for each in rules for rule in (each, *each.duties)]
    return tuple(dict.fromkeys(rule.citation for rule in rules if rule.citation))


def words_to_bind(terms: Terms) -> tuple[list[str], list[str]]:
    """IRIs of the actions and of the operands that a connector must know, sorted; one that is not bound is dropped."""
    rules = [rule for _, rules in terms.kinds for each in rules for rule in (each, *each.duties)]
    return _sorted(rule.action for rule in rules), _sorted(each.left for rule in rules for each in rule.constraints)


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(set(names))


def labels(policy: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What the words of a release's policy mean, by IRI and language, as the document itself says."""
    prefixes, nodes = policy.get("@context"), policy.get("@graph")
    told: dict[str, dict[str, str]] = {}
    if not isinstance(prefixes, Mapping) or not isinstance(nodes, list):
        return told
    for node in nodes:
        if isinstance(node, Mapping) and isinstance(node.get("@id"), str) and isinstance(node.get("rdfs:label"), list):
            prefix, colon, rest = node["@id"].partition(":")
            iri = f"{prefixes[prefix]}{rest}" if colon and isinstance(prefixes.get(prefix), str) else node["@id"]
            told[iri] = {
                each["@language"]: each["@value"]
                for each in node["rdfs:label"]
                if isinstance(each, Mapping)
                and isinstance(each.get("@language"), str)
                and isinstance(each.get("@value"), str)
            }
    return told
