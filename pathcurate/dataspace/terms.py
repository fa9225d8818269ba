"""The terms of a policy, whichever way they are written: as a release's own ODRL document, or as a connector's JSON.

Every word is an absolute IRI here. What cannot be read whole is refused: a term that nobody understood is a term lost.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pathcurate.errors import InputOutputError
from pathcurate.model.description import NAMESPACE

ODRL = "http://www.w3.org/ns/odrl/2/"
DCT = "http://purl.org/dc/terms/"
OWN = f"{NAMESPACE}odrl#"
RELEASE_DIGEST = f"{OWN}releaseDigest"
CITATION = f"{DCT}bibliographicCitation"
SET_OPERATORS = frozenset({"hasPart", "isAllOf", "isAnyOf", "isNoneOf", "isPartOf"})
OPERATORS = frozenset({"eq", "gt", "gteq", "isA", "lt", "lteq", "neq"}) | SET_OPERATORS
"""Operators that the ODRL profile of the Dataspace Protocol 2025-1 knows, by their names in ODRL."""
BARE_WORDS = OPERATORS | {"use"}
"""The only words that are written without a prefix: any other stays a word, which no connector knows for a term."""

_LARGEST = 10_000
_DEEPEST = 16
# RFC 3987 leaves these to the markup around a name; a space or a bracket in one is a value that slipped in.
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x20\x7f-\x9f<>\"{}|\\^`]+")
_RULES = ("permission", "prohibition", "obligation")
_RULE_KEYS = frozenset({f"{ODRL}action", f"{ODRL}constraint", f"{ODRL}duty", CITATION, "@type"})
_POLICY_KEYS = frozenset(
    {"@id", "@type", *(f"{ODRL}{name}" for name in ("uid", "profile", "conflict", "target", "assigner", *_RULES))}
)
_CONSTRAINT_KEYS = frozenset({"@type", *(f"{ODRL}{name}" for name in ("leftOperand", "operator", "rightOperand"))})
_REBUILD = "Build the release anew with this version of pathcurate; its policy was written by something else."


@dataclass(frozen=True, slots=True, order=True)
class Constraint:
    """What an operand must be.

    Attributes:
        left: IRI of the operand.
        operator: its name in ODRL, such as ``isAnyOf``.
        right: IRIs or texts, sorted; several only with an operator on sets.
    """

    left: str
    operator: str
    right: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """A permission, a prohibition or a duty.

    Attributes:
        action: IRI of what may, must not, or must be done.
        constraints: all of them must hold, sorted.
        duties: what must be done for a permission, sorted.
        citation: how the holder wants to be named; empty if the rule does not say.
    """

    action: str
    constraints: tuple[Constraint, ...] = ()
    duties: tuple["Rule", ...] = ()
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a policy says.

    Attributes:
        profiles: IRIs of the profiles that explain its words.
        permissions: what may be done.
        prohibitions: what must not.
        obligations: what must be done, whatever is done with the data.
        assigner: IRI of who offers; empty if nobody is said.
    """

    profiles: tuple[str, ...]
    permissions: tuple[Rule, ...]
    prohibitions: tuple[Rule, ...]
    obligations: tuple[Rule, ...]
    assigner: str = ""

    @property
    def kinds(self) -> tuple[tuple[str, tuple[Rule, ...]], ...]:
        """The rules by what they are in ODRL."""
        return ("permission", self.permissions), ("prohibition", self.prohibitions), ("obligation", self.obligations)

    def same_rules(self, other: "Terms") -> bool:
        """Whether both say the same, in whatever order; a connector keeps no citations."""
        return _plain(self) == _plain(other)


def _plain(terms: Terms) -> list[list[Rule]]:
    return [sorted(_uncited(rule) for rule in rules) for _, rules in terms.kinds]


def _uncited(rule: Rule) -> Rule:
    return Rule(rule.action, rule.constraints, tuple(sorted(_uncited(duty) for duty in rule.duties)))


def is_absolute(name: str) -> bool:
    """Whether a name stands for itself, wherever the document lies."""
    return _IRI.fullmatch(name) is not None


def fault(what: str) -> InputOutputError:
    """What is wrong with a release's policy."""
    return InputOutputError(f"the policy of the release {what}", _REBUILD)


# --- The release's own document ----------------------------------------------------------------------------------------


def terms_of_release(document: Mapping[str, Any]) -> Terms:
    """The terms of ``metadata/policy.odrl.jsonld``: a graph whose prefixes the document itself declares.

    Raises:
        InputOutputError: it holds no policy or several, or says something that a connector's policy has no place for.
    """
    prefixes, nodes = document.get("@context"), document.get("@graph")
    if not isinstance(prefixes, Mapping) or not isinstance(nodes, list) or len(nodes) > _LARGEST:
        raise fault("is no graph with prefixes of its own")
    reader = _Reader({str(key): value for key, value in prefixes.items() if isinstance(value, str)})
    found = [node for node in nodes if isinstance(node, Mapping) and reader.type_of(node) & {"Offer", "Set"}]
    if len(found) != 1:
        raise fault(f"holds {len(found)} offers, not one")
    policy = reader.expanded_keys(found[0], _POLICY_KEYS)
    conflict = reader.names(policy.get(f"{ODRL}conflict"))
    if conflict not in ((), (f"{ODRL}prohibit",)):
        raise fault("settles conflicts in a way that connectors do not: with them a prohibition wins")
    return Terms(
        reader.names(policy.get(f"{ODRL}profile")),
        tuple(reader.rules(policy.get(f"{ODRL}permission"))),
        tuple(reader.rules(policy.get(f"{ODRL}prohibition"))),
        tuple(reader.rules(policy.get(f"{ODRL}obligation"))),
        next(iter(reader.names(policy.get(f"{ODRL}assigner"))), ""),
    )


class _Reader:
    """Reads nodes of a document with the prefixes that it declares."""

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        self._prefixes = prefixes

    def iri(self, name: object) -> str:
        if not isinstance(name, str):
            raise fault("has a name that is no text")
        prefix, colon, rest = name.partition(":")
        whole = f"{self._prefixes[prefix]}{rest}" if colon and prefix in self._prefixes else name
        if not is_absolute(whole):
            raise fault("has a name that is no IRI")
        return whole

    def type_of(self, node: Mapping[str, Any]) -> set[str]:
        kinds = node.get("@type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        return {self.iri(kind).removeprefix(ODRL) for kind in kinds if isinstance(kind, str)}

    def expanded_keys(self, node: object, known: frozenset[str]) -> dict[str, Any]:
        if not isinstance(node, Mapping):
            raise fault("has a rule or constraint that is no object")
        whole = {key if str(key).startswith("@") else self.iri(key): value for key, value in node.items()}
        if not known >= whole.keys():
            raise fault("says something that a connector's policy has no place for")
        return whole

    def names(self, value: object) -> tuple[str, ...]:
        return tuple(self.name(each) for each in _several(value))

    def name(self, value: object) -> str:
        if not isinstance(value, Mapping) or value.keys() != {"@id"}:
            raise fault("names something by a text")
        return self.iri(value["@id"])

    def rules(self, value: object, *, within: bool = False) -> Iterator[Rule]:
        for node in _several(value):
            rule = self.expanded_keys(node, _RULE_KEYS)
            action = self.names(rule.get(f"{ODRL}action"))
            citation = rule.get(CITATION, "")
            if len(action) != 1 or not isinstance(citation, str) or (within and f"{ODRL}duty" in rule):
                raise fault("has a rule without one action")
            yield Rule(
                action[0],
                tuple(sorted(self.constraint(each) for each in _several(rule.get(f"{ODRL}constraint")))),
                tuple(sorted(self.rules(rule.get(f"{ODRL}duty"), within=True))),
                citation,
            )

    def constraint(self, node: object) -> Constraint:
        parts = self.expanded_keys(node, _CONSTRAINT_KEYS)
        left, operator = self.names(parts.get(f"{ODRL}leftOperand")), self.names(parts.get(f"{ODRL}operator"))
        if len(left) != 1 or len(operator) != 1:
            raise fault("has a constraint without an operand or operator")
        name = operator[0].removeprefix(ODRL)
        right = tuple(sorted(self.value(each, left[0], name) for each in _several(parts.get(f"{ODRL}rightOperand"))))
        return checked(Constraint(left[0], name, right))

    def value(self, value: object, left: str, operator: str) -> str:
        if isinstance(value, Mapping):
            if value.keys() == {"@id"}:
                return self.iri(value["@id"])
            if value.keys() == {"@value", "@type"} and isinstance(value["@value"], str):
                kind = self.iri(value["@type"]).rpartition("#")[2]
                return moment(value["@value"], operator) if kind == "date" and left == f"{ODRL}dateTime" else value["@value"]
        if isinstance(value, str):
            return value
        raise fault("compares with something that is neither a name nor a text")


def _several(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else () if value is None else (value,)


def checked(constraint: Constraint) -> Constraint:
    """The constraint, if a connector can hold it.

    Raises:
        InputOutputError: its operator is not of the profile, or does not fit what it compares with.
    """
    if constraint.operator not in OPERATORS:
        raise fault("has an operator that the profile of the Dataspace Protocol does not know")
    if not constraint.right or (len(constraint.right) > 1 and constraint.operator not in SET_OPERATORS):
        raise fault("has a constraint that compares with nothing, or with several things at once")
    return constraint


def moment(day: str, operator: str) -> str:
    """A day as a moment, in the time of China (GB/T 7408: +08:00): what holds up to a day holds until it ends.

    Connectors compare moments; a day alone would be read as its first one, and the last day be lost.

    Raises:
        InputOutputError: it is no day, or ``eq`` is asked of it, which no moment answers.
    """
    if re.fullmatch(r"\d{4}-\d\d-\d\d", day) is None or operator not in {"lt", "lteq", "gt", "gteq"}:
        raise fault("has a day that cannot be said as a moment")
    return f"{day}T{'23:59:59' if operator in {'lteq', 'gt'} else '00:00:00'}+08:00"


# --- A connector's answer ----------------------------------------------------------------------------------------------


def terms_of_connector(policy: object) -> Terms | None:
    """The terms of a policy as a connector gives it back; None if it says anything that is not understood.

    A connector compacts what it holds: one thing may stand without its list, a name as text or as object, with its prefix,
    whole, or as a word of the profile.
    """
    try:
        whole = _keys(policy, 0)
        profiles = tuple(sorted(_text(each) for each in _listed(whole.get("profile"))))
        return Terms(profiles, _rules(whole, "permission"), _rules(whole, "prohibition"), _rules(whole, "obligation"))
    except (_StrangeError, RecursionError):
        return None


class _StrangeError(Exception):
    """A part of an answer that has another form."""


def _keys(node: object, depth: int) -> dict[str, Any]:
    if not isinstance(node, Mapping) or depth > _DEEPEST or len(node) > _LARGEST:
        raise _StrangeError
    whole: dict[str, Any] = {}
    for key, value in node.items():
        name = _word(str(key))
        if name in whole:
            raise _StrangeError
        whole[name] = value
    return whole


def _word(name: str) -> str:
    return name.removeprefix(ODRL).removeprefix("odrl:")


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: object) -> str:
    if isinstance(value, Mapping) and len(value) <= 2:
        value = value.get("@id", value.get("@value"))
    if not isinstance(value, str):
        raise _StrangeError
    return value


def _name(value: object) -> str:
    """The IRI of a term; a word that no context knows stays what it is, and equals no IRI."""
    name = _text(value)
    return f"{ODRL}{name}" if name in BARE_WORDS else f"{ODRL}{name[5:]}" if name.startswith("odrl:") else name


def _rules(policy: Mapping[str, Any], kind: str) -> tuple[Rule, ...]:
    return tuple(_rule(each) for each in _listed(policy.get(kind)))


def _rule(node: object, depth: int = 0) -> Rule:
    whole = _keys(node, depth)
    known = {"action", "constraint", "duty", "target", "@id", "@type"}
    # Empty lists say nothing; anything else that is not known may be a term.
    if any(value not in ([], None) for key, value in whole.items() if key not in known):
        raise _StrangeError
    action = whole.get("action")
    if isinstance(action, Mapping) and "@id" not in action:
        action = _keys(action, depth).get("type")
    return Rule(
        _name(action),
        tuple(sorted(found for each in _listed(whole.get("constraint")) for found in _constraints(each, depth + 1))),
        tuple(sorted(_rule(each, depth + 1) for each in _listed(whole.get("duty")))),
    )


def _constraints(node: object, depth: int) -> Iterator[Constraint]:
    """A constraint, or all within an ``and``; ``or`` and the like mean something else than what is published."""
    whole = {key: value for key, value in _keys(node, depth).items() if key not in {"@id", "@type"}}
    if whole.keys() == {"and"}:
        for each in _listed(whole["and"]):
            yield from _constraints(each, depth + 1)
        return
    if whole.keys() != {"leftOperand", "operator", "rightOperand"}:
        raise _StrangeError
    right = tuple(sorted(_text(each) for each in _listed(whole["rightOperand"])))
    yield Constraint(_name(whole["leftOperand"]), _word(_text(whole["operator"])), right)
