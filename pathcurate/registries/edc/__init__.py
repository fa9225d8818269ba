"""A data space whose door is an Eclipse EDC connector, through version 4 of its management API.

An offer has three parts, and nobody sees any of them before the last: the asset, its contract policy, and the contract
definition that chooses both. The connector's evaluation plan is asked for before that last one, because EDC drops terms
that it does not know.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pathcurate.dataspace.bodies import (
    CATALOG_SCOPE,
    SCOPES,
    asset_body,
    contract_definition_body,
    criterion,
    plan_request_body,
    policy_body,
    query_body,
    refs_of,
)
from pathcurate.dataspace.bodyrules import body_faults
from pathcurate.dataspace.evaluationplan import dropped, not_enforced
from pathcurate.dataspace.policies import offered_terms
from pathcurate.dataspace.terms import Terms, terms_of_connector
from pathcurate.errors import DigestMismatchError, DisclosureRefusedError, PathcurateError, UsageError
from pathcurate.model.dataspace import Listing, Offering
from pathcurate.registries.edc.address import checked_address
from pathcurate.registries.edc.calls import Calls, UnknownOutcomeError, client, quoted
from pathcurate.registries.edc.parts import Part, asset_digest, confirm, found, is_gone, made, parts_of, removed
from pathcurate.registries.edc.versions import API, demand_version

KIND = "edc"
_AGAIN = "Give the command again: what is there already is found."
_MOST_COUNTED = 1000
_MOST_TOLD = 5
_ENDED = frozenset({"COMPLETED", "TERMINATED", "DEPROVISIONED"})


class EdcConnector:
    """A connector; implements ``registries.Space``. Each call opens its connections, and leaves none open.

    Args:
        address: of the management API without version, such as ``https://host/api/management``.
        key: that the connector asks for.
        space: name of the space, for messages.
        access_policy: id of the connector's own policy definition that says who may see the offers.
        version_address: of its version API; empty to ask the management API itself.
        transfer: how a buyer comes by the data, instead of what an offering says.
        timeout_s: seconds that one call may take, with all its attempts.
        insecure: whether it may be reached without TLS from elsewhere than this machine.
        pause_s: seconds before an attempt is repeated.

    Raises:
        UsageError: the address is of another form or not encrypted, there is no key, or httpx is not installed.
    """

    def __init__(
        self,
        address: str,
        key: str,
        space: str,
        *,
        access_policy: str,
        version_address: str = "",
        transfer: Sequence[str] = (),
        timeout_s: float = 30.0,
        insecure: bool = False,
        pause_s: float = 0.5,
    ) -> None:
        shown = f"`address` of the space {space}"
        self._address = checked_address(address, shown, insecure=insecure)
        shown = f"`version_address` of the space {space}"
        self._version_address = checked_address(version_address, shown, insecure=insecure) if version_address else ""
        if not key or not key.isascii() or not key.isprintable() or key != key.strip():
            raise UsageError(f"the key of the space {space} is no line of plain characters", "Store it again.")
        if not access_policy or not access_policy.isprintable() or " " in access_policy:
            raise UsageError(f"`access_policy` of the space {space} is no id", "Ask the connector's operator for it.")
        if timeout_s <= 0:
            raise UsageError(
                f"`timeout_s` of the space {space} is to be more than 0", "Correct it under `spaces` in pathcurate.yaml."
            )
        self._is_encrypted = "https://" in f"{self._address} {self._version_address}"
        client(is_encrypted=False).close()
        self._key, self._space, self._access_policy = key, space, access_policy
        self._transfer, self._timeout_s, self._pause_s = tuple(transfer), timeout_s, pause_s

    @contextmanager
    def _calls(self) -> Iterator[Calls]:
        with client(is_encrypted=self._is_encrypted) as opened:
            yield Calls(
                opened, self._address, self._space, self._key, timeout_s=self._timeout_s, pause_s=self._pause_s
            )  # fmt: skip

    def check(self) -> str:
        """The version that would be spoken, after a question that needs the key.

        Raises:
            InputOutputError: it does not answer, or speaks no version 4, or has no such access policy.
            VaultError: it does not take the key.
        """
        with self._calls() as calls:
            api = demand_version(calls, self._version_address)
            self._access_terms(calls)
        return api

    # --- Listing -----------------------------------------------------------------------------------------------------

    def look(self, offering: Offering) -> Listing | None:
        """What is listed of a version; None if nothing, or only parts that nobody can see.

        Raises:
            DigestMismatchError: its name is taken by something with other content.
            InputOutputError, VaultError: as of :meth:`check`.
        """
        parts = self._parts(offering)
        with self._calls() as calls:
            demand_version(calls, self._version_address)
            # All are looked at, whichever is missing: another's content under one of the names is never passed over.
            present = [found(calls, part) for part in parts]
        return self._listing(offering, is_new=False) if all(present) else None

    def publish(self, offering: Offering) -> Listing:
        """List a version; again changes nothing.

        Raises:
            DigestMismatchError: its name is taken by something with other content.
            DisclosureRefusedError: the connector would not enforce a term of the policy.
            InputOutputError, VaultError: as of :meth:`check`; or the connector refuses a part. What this run made is taken
                away again, and what could not be is said.
            UsageError: what is known of the release cannot be told to a connector.
        """
        parts = self._parts(offering)
        with self._calls() as calls:
            demand_version(calls, self._version_address)
            access = self._access_terms(calls)
            present = [found(calls, part) for part in parts]
            if present[-1] and not all(present):
                self._hide(calls, parts[-1])
            is_listed = all(present)
            new: list[tuple[Part, bool]] = []
            try:
                for part, is_there in zip(parts[:-1], present, strict=False):
                    if not is_there:
                        self._make(calls, part, new)
                self._demand_enforced(calls, self._access_policy, access, (CATALOG_SCOPE,))
                self._demand_enforced(calls, parts[1].id, offered_terms(offering), SCOPES)
                if not is_listed:
                    self._make(calls, parts[-1], new)
                if not all(found(calls, part) for part in parts):
                    raise calls.trouble("lost a part of the offer meanwhile", _AGAIN)
            except PathcurateError as error:
                raise self._after(calls, error, new, is_listed=is_listed) from None
        return self._listing(offering, is_new=bool(new))

    def _parts(self, offering: Offering) -> tuple[Part, ...]:
        bodies = (
            asset_body(offering, self._transfer),
            policy_body(offering),
            contract_definition_body(offering, self._access_policy),
        )
        for body in bodies:
            if faults := body_faults(body):
                raise UsageError(
                    f"the release cannot be listed in the space {self._space}: of the {body['@type']}, {'; '.join(faults)}",
                    "Correct the product file or the space's settings.",
                )
        return parts_of(*bodies)

    def _listing(self, offering: Offering, *, is_new: bool) -> Listing:
        return Listing(self._space, KIND, offering.release_digest, refs_of(offering.asset_id), API, is_new)

    def _hide(self, calls: Calls, definition: Part) -> None:
        """Take away a definition whose parts are not all there: it would show the first of them before its terms stand."""
        if not is_gone(removed(calls, definition.path, definition.id)):
            raise calls.trouble("keeps a contract definition without its parts", "Take it away there by hand.")

    def _make(self, calls: Calls, part: Part, new: list[tuple[Part, bool]]) -> None:
        """Make a part; ``new`` gets it if this run made it (True), or may have (False)."""
        try:
            if made(calls, part):
                new.append((part, True))
                confirm(calls, part)
        except UnknownOutcomeError:
            new.append((part, False))
            raise calls.trouble(f"does not say what became of the {part.word}", _AGAIN) from None

    def _access_terms(self, calls: Calls) -> Terms | None:
        """What the access policy says; None if it is more than this program can read.

        Raises:
            InputOutputError: there is none.
        """
        answer = calls.get(f"/{API}/policydefinitions", self._access_policy)
        if answer.status == 404:
            raise calls.trouble(
                f"has no access policy {self._access_policy}",
                "Check `access_policy` of the space in pathcurate.yaml: it says who may see the offer.",
            )
        if answer.status != 200 or not isinstance(answer.body, dict):
            raise calls.trouble(f"does not give the access policy ({calls.said(answer)})", "Look at its log.")
        return terms_of_connector(answer.body.get("policy"))

    def _demand_enforced(self, calls: Calls, name: str, terms: Terms | None, scopes: Sequence[str]) -> None:
        """Refuse if the connector would drop a term."""
        path = f"/{API}/policydefinitions/{quoted(name)}"
        checked = calls.ask(f"{path}/validate", None)
        body = checked.body if isinstance(checked.body, dict) else {}
        lost: list[str] = []
        if checked.status != 200:
            raise calls.trouble(f"does not check the policy {name} ({calls.said(checked)})", "Look at its log.")
        if body.get("isValid") is not True:
            errors = body.get("errors")
            told = [calls.line(each) for each in (errors if isinstance(errors, list) else [errors])[:_MOST_TOLD]]
            lost.append(f"the connector does not hold it for valid ({'; '.join(each for each in told if each)})")
        for scope in scopes:
            answer = calls.ask(f"{path}/evaluationplan", plan_request_body(scope))
            if answer.status != 200:
                raise calls.trouble(f"gives no evaluation plan for {scope} ({calls.said(answer)})", "Look at its log.")
            lost += dropped(answer.body, scope) if terms is None else not_enforced(terms, answer.body, scope)
        if lost:
            raise DisclosureRefusedError(
                f"the connector of the space {self._space} would not enforce the policy {name}: {'; '.join(lost)}",
                "Its operator binds the words to the scopes, see `bindings/` of the hand-over package "
                "(`pathcurate product publish` to a space of the kind `files` writes it).",
            )

    def _after(
        self, calls: Calls, error: PathcurateError, new: list[tuple[Part, bool]], *, is_listed: bool
    ) -> PathcurateError:
        """The error, and what stays there after what this run made was taken away, the last part first."""
        left = [part for part, is_sure in reversed(new) if not self._taken_back(calls, part, is_sure=is_sure)]
        said = error.message
        if is_listed:
            said = f"{said}; the release is listed there from before"
        elif left:
            is_seen = any(part.name == "contract_definition" for part in left)
            shown = "the release may be visible" if is_seen else "nobody can see it"
            said = f"{said}; what was made could not all be taken away: {', '.join(part.word for part in left)} ({shown})"
        return type(error)(said, error.hint)

    def _taken_back(self, calls: Calls, part: Part, *, is_sure: bool) -> bool:
        try:
            # What this run may not have made is another's, if it says something else.
            if not is_sure and not found(calls, part):
                return True
            return is_gone(removed(calls, part.path, part.id))
        except DigestMismatchError:
            return True
        except (PathcurateError, UnknownOutcomeError):
            return False

    # --- Taking off --------------------------------------------------------------------------------------------------

    def retract(self, listing: Listing) -> list[str]:
        """Take a version off: nobody can begin to negotiate for it. What agreements refer to stays.

        Returns:
            What stays there, and why, a sentence each.

        Raises:
            DigestMismatchError: its name is taken by something with other content; nothing was taken off.
            InputOutputError, VaultError: as of :meth:`check`; it may still be listed.
            UsageError: the listing is not of a connector.
        """
        names = [listing.refs.get(name, "") for name in ("asset", "contract_policy", "contract_definition")]
        if listing.kind != KIND or not all(names):
            raise UsageError(f"{listing.space} lists nothing through a connector", "`pathcurate product spaces`.")
        asset, policy, definition = names
        with self._calls() as calls:
            demand_version(calls, self._version_address)
            answer = calls.get(f"/{API}/assets", asset)
            if answer.status == 200 and asset_digest(answer.body) != listing.release_digest:
                raise DigestMismatchError(
                    f"the asset has another release digest there: {asset}", "Look who put it there; nothing was taken off."
                )
            gone = removed(calls, f"/{API}/contractdefinitions", definition)
            if not is_gone(gone):
                raise calls.trouble(f"does not take the offer away ({calls.said(gone)})", "Look at its log.")
            return list(self._rest(calls, asset, policy))

    def _rest(self, calls: Calls, asset: str, policy: str) -> Iterator[str]:
        """Take away what nothing refers to; sentences about the rest. The offer itself is gone, so nothing here fails."""
        agreements = self._counted(calls, "contractagreements", asset)
        transfers = self._counted(calls, "transferprocesses", asset)
        if agreements is None or transfers is None:
            yield "the connector does not say which agreements and transfers there are: look there"
        if agreements:
            yield f"{agreements} agreement(s) stay in force: a connector has no way to end one, the contracts do"
        if transfers:
            yield f"{transfers} transfer(s) go on: end or suspend them at the connector"
        for path, name, word in (("policydefinitions", policy, "contract policy"), ("assets", asset, "asset")):
            if word == "asset" and agreements:
                yield "the asset stays, because agreements refer to it; nobody can see it"
                continue
            try:
                answer = removed(calls, f"/{API}/{path}", name)
            except PathcurateError:
                yield f"whether the {word} is gone is not known; nobody can see it"
                continue
            if not is_gone(answer):
                yield f"the {word} stays ({calls.said(answer)}); nobody can see it"

    def _counted(self, calls: Calls, path: str, asset: str) -> int | None:
        """How many agreements or running transfers an asset has; None if that is not told."""
        query = query_body([criterion("assetId", asset)], limit=_MOST_COUNTED)
        try:
            answer = calls.ask(f"/{API}/{path}/request", query)
        except PathcurateError:
            return None
        if answer.status != 200 or not isinstance(answer.body, list):
            return None
        states = [each.get("state") if isinstance(each, dict) else None for each in answer.body]
        return sum(state not in _ENDED for state in states)
