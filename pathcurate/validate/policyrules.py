"""PC-POL: what a buyer may do, as a machine reads it, and as people have said it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pathcurate.metadata.duo import duo_terms
from pathcurate.metadata.linkeddata import PREFIXES
from pathcurate.metadata.odrl import FORBIDDEN_ACTIONS, policy_faults
from pathcurate.model.description import URN
from pathcurate.model.productfile import PRODUCT_FILE, ProductFile
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.documentation import missing
from pathcurate.validate.opened import Opened, every_object, every_text

POLICY = "metadata/policy.odrl.jsonld"
_ODRL = PREFIXES["odrl"]
_ABSOLUTE = re.compile(r"(?:https?://|urn:[a-z0-9][a-z0-9-]{0,31}:|mailto:|did:|tag:)[^\s<>\"{}|\\^`]+", re.IGNORECASE)
_PREFIXED = re.compile(r"([A-Za-z][\w.-]*):(?!//)([^\s<>\"{}|\\^`]*)")
_NAMING = frozenset(
    _ODRL + name
    for name in (
        "uid", "profile", "conflict", "target", "assigner", "assignee", "action", "leftOperand", "operator", "refinement",
        "includedIn", "inheritFrom", "implies", "relation", "function", "unit", "dataType", "failure", "consequence",
        "remedy",
    )
)  # fmt: skip
"""Properties of ODRL whose value is a name, or a node; a bare word there is a path below wherever the document is read."""


def check(opened: Opened) -> Iterator[Breach | Unchecked]:
    """What of the policy is ambiguous, contradictory, or not what people said."""
    product = opened.product
    if product is None:
        why = f"nobody says in {PRODUCT_FILE} what a buyer may do"
        yield Unchecked(("PC-POL-003", "PC-POL-004", "PC-POL-005"), why)
    else:
        yield from _said(product)
    content = opened.json(POLICY)
    if content is None and POLICY not in opened.listed | opened.changed and (product is None or not opened.has_documents):
        why = "the release has no policy, which is written from product.yaml"
        yield Unchecked(("PC-POL-001", "PC-POL-002", "PC-POL-004"), why, applies=opened.has_documents)
        return
    context = content.get("@context") if isinstance(content, dict) else None
    if not isinstance(context, dict):
        if isinstance(content, dict):
            message = f"{POLICY} has no context of its own: its names mean what a server says"
            yield breach("PC-POL-001", message, file=POLICY)
        else:
            yield from missing(opened, "PC-POL-002", POLICY)
        yield Unchecked(("PC-POL-001", "PC-POL-004"), f"{POLICY} cannot be read as a policy")
        return
    names = _Names(context)
    if relative := names.relative(content):
        message = f"{POLICY} has {counted(relative, 'name')} that {'is' if relative == 1 else 'are'} no absolute IRI"
        yield breach("PC-POL-001", message, file=POLICY, count=relative)
    yield from _offer(opened, content, names)
    if product is not None:
        yield from _forbidden(content, names, product)


def _said(product: ProductFile) -> Iterator[Breach]:
    for fault in policy_faults(product):
        # The words are those of the table of terms, and codes: the form of a product file allows no other text there.
        yield breach("PC-POL-003", fault, file=PRODUCT_FILE, cause=("policy", "duo"))
    if "cross_border_transfer" not in product.policy.forbidden and not product.declarations.cross_border:
        message = "does not forbid transfer across the border, and does not declare it either"
        yield breach("PC-POL-005", f"{PRODUCT_FILE} {message}", file=PRODUCT_FILE, cause=("policy", "forbidden"))


class _Names:
    """Expands names by the context of a document (JSON-LD 1.1, section 5.2), as far as policies need it."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._terms = {
            key: value if isinstance(value, str) else value.get("@id") if isinstance(value, dict) else None
            for key, value in context.items()
        }
        self._is_name = {
            key for key, value in context.items() if isinstance(value, dict) and value.get("@type") in {"@id", "@vocab"}
        }

    def iri(self, text: object, *, is_term: bool = False, depth: int = 0) -> str | None:
        """The absolute IRI that a name stands for, None if it is relative or its prefix is not declared.

        Args:
            text: the name.
            is_term: whether it may be a word that the context declares.
            depth: names of names that were looked up on the way.
        """
        if not isinstance(text, str) or depth > len(self._terms):
            return None
        if is_term and isinstance(self._terms.get(text), str) and self._terms[text] != text:
            return self.iri(self._terms[text], is_term=True, depth=depth + 1)
        prefixed = _PREFIXED.fullmatch(text)
        if prefixed is not None and isinstance(self._terms.get(prefixed[1]), str):
            return self.iri(f"{self._terms[prefixed[1]]}{prefixed[2]}", depth=depth + 1)
        if is_term and ":" not in text and isinstance(self._terms.get("@vocab"), str):
            return self.iri(f"{self._terms['@vocab']}{text}", depth=depth + 1)
        return text if _ABSOLUTE.fullmatch(text) else None

    def relative(self, content: dict[str, Any]) -> int:
        """How many names of a document are not absolute once they are expanded."""
        body = {key: value for key, value in content.items() if key != "@context"}
        return sum(self._of_node(node) for node in every_object(body))

    def _of_node(self, node: Mapping[str, Any]) -> int:
        faults = 0
        for key, value in node.items():
            if key == "@context":
                faults += 1  # of its own, which may change what every name below means
            elif key == "@id":
                faults += self.iri(value) is None
            elif key == "@type":
                faults += sum(self.iri(one, is_term=True) is None for one in _each(value))
            elif not key.startswith("@"):
                name = self.iri(key, is_term=True)
                faults += name is None
                if name in _NAMING:
                    is_name = key in self._is_name
                    faults += sum(
                        not is_name or self.iri(one, is_term=True) is None
                        for one in _each(value)
                        if not isinstance(one, dict)
                    )
        return faults

    def typed(self, content: Any, *names: str) -> Iterator[dict[str, Any]]:
        """Nodes of one of these types of ODRL."""
        wanted = {_ODRL + name for name in names}
        for node in every_object(content):
            if wanted & {self.iri(one, is_term=True) for one in _each(node.get("@type"))}:
                yield node

    def values(self, node: Mapping[str, Any], name: str) -> list[Any]:
        """The values of a property of ODRL."""
        return [one for key, value in node.items() if self.iri(key, is_term=True) == _ODRL + name for one in _each(value)]

    def named(self, value: object) -> str | None:
        """The name of a node, or a name."""
        return self.iri(value.get("@id")) if isinstance(value, dict) else self.iri(value, is_term=True)


def _each(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _offer(opened: Opened, content: Any, names: _Names) -> Iterator[Breach]:
    offers = list(names.typed(content, "Offer", "Set"))
    if not offers or not any(names.values(offer, "permission") for offer in offers):
        yield breach("PC-POL-002", f"{POLICY} is no Offer with a permission", file=POLICY)
        return
    target = f"{URN}:{opened.manifest['product']}:{opened.manifest['version']}"
    if target not in {names.named(one) for offer in offers for one in names.values(offer, "target")}:
        yield breach("PC-POL-002", f"{POLICY} is of another product or version", file=POLICY)
    if opened.manifest["content_digest"] not in set(every_text(content)):
        yield breach("PC-POL-002", f"{POLICY} does not name the digest of the content", file=POLICY)


def _forbidden(content: Any, names: _Names, product: ProductFile) -> Iterator[Breach]:
    rules = [one for offer in names.typed(content, "Offer", "Set") for one in names.values(offer, "prohibition")]
    found = {names.named(action) for rule in rules if isinstance(rule, dict) for action in names.values(rule, "action")}
    known = duo_terms()
    actions = [known[code].forbids for code in product.policy.duo if code in known]
    actions += [FORBIDDEN_ACTIONS[word] for word in product.policy.forbidden]
    wanted = {_expanded(action) for action in actions if action}
    if wanted - found:
        allowed = len(wanted - found)
        message = f"{POLICY} does not forbid {counted(allowed, 'action')} that {PRODUCT_FILE} forbids"
        yield breach("PC-POL-004", message, file=POLICY, count=allowed, of=len(wanted))
    if found - wanted:
        message = f"{POLICY} forbids {counted(len(found - wanted), 'action')} that {PRODUCT_FILE} does not"
        yield breach("PC-POL-004", message, file=POLICY, count=len(found - wanted))


def _expanded(name: str) -> str:
    prefix, _, rest = name.partition(":")
    return PREFIXES[prefix] + rest
