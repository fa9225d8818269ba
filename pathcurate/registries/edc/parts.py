"""The parts of an offer in a connector, each made, found again, compared and taken away in the same way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pathcurate.dataspace.bodies import ID_OPERAND, RELEASE_DIGEST_PROPERTY
from pathcurate.dataspace.terms import terms_of_connector
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.registries.edc.calls import Answer, Calls, UnknownOutcomeError
from pathcurate.registries.edc.versions import API

_NAMESPACE = "https://w3id.org/edc/v0.0.1/ns/"
_GONE = frozenset({404, 410})
_TAKEN = "Take that one away, or publish this version under a name of its own."


@dataclass(frozen=True, slots=True)
class Part:
    """One of the three.

    Attributes:
        name: as a listing's references call it.
        path: below the address.
        word: for messages.
        body: what is sent.
        is_same: whether what a connector gives back is that.
    """

    name: str
    path: str
    word: str
    body: Mapping[str, Any]
    is_same: Callable[[Mapping[str, Any], Any], bool]

    @property
    def id(self) -> str:
        """What it is called there."""
        return str(self.body["@id"])


def parts_of(asset: Mapping[str, Any], policy: Mapping[str, Any], definition: Mapping[str, Any]) -> tuple[Part, ...]:
    """The parts of an offer in the order in which they are made: nobody sees anything before the last is there."""
    return (
        Part("asset", f"/{API}/assets", "asset", asset, same_asset),
        Part("contract_policy", f"/{API}/policydefinitions", "contract policy", policy, same_policy),
        Part("contract_definition", f"/{API}/contractdefinitions", "contract definition", definition, same_definition),
    )


def found(calls: Calls, part: Part) -> bool:
    """Whether it is there.

    Raises:
        DigestMismatchError: something else has its name.
        InputOutputError, VaultError: as of :meth:`Calls.get`.
    """
    answer = calls.get(part.path, part.id)
    if answer.status in _GONE:
        return False
    if answer.status != 200 or not isinstance(answer.body, Mapping):
        raise calls.trouble(f"does not give its {part.word} ({calls.said(answer)})", "Look at its log.")
    if not part.is_same(part.body, answer.body):
        raise DigestMismatchError(
            f"the name of the {part.word} is taken there by something with other content: {part.id}", _TAKEN
        )
    return True


def made(calls: Calls, part: Part) -> bool:
    """Make it if it is not there; whether it was made now. What the connector keeps of it, :func:`confirm` asks.

    Raises:
        DigestMismatchError: something else has its name.
        UnknownOutcomeError: it may be there or not.
        InputOutputError: the connector refuses it; it was not made.
        VaultError: it does not take the key.
    """
    is_again = False
    while True:
        try:
            answer = calls.change("POST", part.path, None, part.body)
        except UnknownOutcomeError:
            if _looked(calls, part):
                return True
            if is_again:
                raise
            is_again = True
            continue
        if answer.status == 409:
            if not found(calls, part):
                raise calls.trouble(f"has the {part.word} and does not give it", "Give the command again.")
            # The first attempt arrived late: this run made it.
            return is_again
        if answer.status not in {200, 201, 204}:
            raise calls.trouble(f"refuses the {part.word} ({calls.said(answer)})", "Look at its log.")
        return True


def _looked(calls: Calls, part: Part) -> bool:
    """Whether it is there after all; what is not told then stays unknown."""
    try:
        return found(calls, part)
    except InputOutputError:
        raise UnknownOutcomeError from None


def confirm(calls: Calls, part: Part) -> None:
    """Ask a connector for what it was given: it drops what it does not understand.

    Raises:
        InputOutputError: it keeps something else, or nothing.
        VaultError: it does not take the key.
    """
    try:
        is_there = found(calls, part)
    except DigestMismatchError:
        raise calls.trouble(f"keeps something else than the {part.word} that it was given", "Look at its log.") from None
    if not is_there:
        raise calls.trouble(f"does not keep the {part.word} that it was given", "Look at its log.")


def removed(calls: Calls, path: str, name: str) -> Answer:
    """Take it away; that it is gone already is as good.

    Raises:
        InputOutputError: nobody can say whether it is gone.
        VaultError: the connector does not take the key.
    """
    try:
        answer = calls.change("DELETE", path, name)
    except UnknownOutcomeError:
        answer = calls.get(path, name)
        if answer.status not in _GONE:
            raise calls.trouble("does not take away what it was asked to", "Give the command again.") from None
    return answer


def is_gone(answer: Answer) -> bool:
    """Whether what was to be taken away is not there any more."""
    return answer.status in {200, 202, 204, *_GONE}


# --- Comparing with what a connector gives back ------------------------------------------------------------------------


def same_asset(sent: Mapping[str, Any], held: Any) -> bool:
    """By the release digest."""
    return bool(asset_digest(held) == sent["properties"][RELEASE_DIGEST_PROPERTY])


def asset_digest(held: Any) -> str:
    """The release digest of an asset; empty if it says none."""
    properties = _plain(_plain(held).get("properties"))
    return _text(properties.get(RELEASE_DIGEST_PROPERTY))


def same_policy(sent: Mapping[str, Any], held: Any) -> bool:
    """By what it says, in whatever order."""
    ours, theirs = terms_of_connector(sent["policy"]), terms_of_connector(_plain(held).get("policy"))
    return ours is not None and theirs is not None and ours.same_rules(theirs)


def same_definition(sent: Mapping[str, Any], held: Any) -> bool:
    """By its policies, and by the one asset that it chooses."""
    theirs = _plain(held)
    if any(_text(theirs.get(key)) != sent[key] for key in ("accessPolicyId", "contractPolicyId")):
        return False
    selector = theirs.get("assetsSelector")
    chosen = [_plain(each) for each in (selector if isinstance(selector, list) else [selector])]
    asked = sent["assetsSelector"][0]
    return len(chosen) == 1 and (
        _text(chosen[0].get("operandLeft")) in {ID_OPERAND, "edc:id", "id"}
        and _text(chosen[0].get("operator")) == "="
        and _text(chosen[0].get("operandRight")) == asked["operandRight"]
    )


def _plain(node: Any) -> dict[str, Any]:
    """An object by its names; those of EDC's vocabulary without it."""
    if not isinstance(node, Mapping):
        return {}
    return {str(key).removeprefix(_NAMESPACE).removeprefix("edc:"): value for key, value in node.items()}


def _text(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping):
        value = value.get("@value", value.get("@id"))
    return value if isinstance(value, str) else ""
