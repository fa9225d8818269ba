"""The family of registries: where releases, contracts and deliveries are entered, and where releases are listed."""

import builtins
from collections.abc import Sequence
from typing import Protocol

from pathcurate.model.dataspace import Listing, Offering
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Entry, Event, Opened, Step, Subject


class Registry(Protocol):
    """What a registry offers, wherever it is kept. What moves a subject from where to where is ``lifecycle.yaml``'s."""

    def register(self, entry: Entry) -> tuple[Entry, bool]:
        """Enter a version; again gives the stored entry.

        Returns:
            The entry as it stands in the registry, and whether it is new.

        Raises:
            DigestMismatchError: the version is registered with other content, or the content as another version.
        """

    def open(self, opened: Opened) -> Step:
        """Enter a contract or a delivery; again gives what is stored.

        Raises:
            DigestMismatchError: its id is taken by another.
            PlanIncompleteError: what it belongs to is in no state for that.
        """

    def transition(self, command: Command) -> Step:
        """Move a subject, and those that the command moves with it; again changes nothing.

        Raises:
            DigestMismatchError: its key was used for another command, or another subject has what it claims.
            LockedError: somebody was faster.
            PlanIncompleteError: the subject is in no state for that.
        """

    def refuse(self, command: Command, missing: Sequence[str]) -> None:
        """Keep in the history that a command was refused, and which evidence was missing."""

    def get(self, product: str, version: str) -> Entry | None:
        """The entry of a version, None if it is not registered."""

    def claimed(self, kind: str, value: str) -> str | None:
        """The id of the subject that has claimed what no other may have; None if none has."""

    def subject(self, machine: Machine, name: str) -> Subject | None:
        """A release, contract or delivery, None if it is not there."""

    def subjects(self, machine: Machine, *, parent: str | None = None) -> builtins.list[Subject]:
        """All of one kind, or those that belong to one."""

    def list(self) -> builtins.list[Entry]:
        """All releases, by product and version."""

    def history(self, product: str, version: str) -> builtins.list[Event]:
        """What happened to a version, its contracts and deliveries, oldest first; empty if it is not registered."""

    def head(self) -> tuple[int, str]:
        """How many events there are, and the digest of the last: what signatures vouch for."""

    def digest_at(self, seq: int) -> str | None:
        """The digest of an event, None if there is none of that number."""

    def verify(self) -> builtins.list[str]:
        """What was changed outside of this program, as sentences; empty if nothing was."""


class Space(Protocol):
    """A data space's door: where a release on offer is listed, for others to find and to negotiate for."""

    def look(self, offering: Offering) -> Listing | None:
        """What is listed there of a version; None if nothing, or only parts that nobody can see.

        Raises:
            DigestMismatchError: its name is taken by something with other content.
            InputOutputError: it does not answer, or not as its interface says.
        """

    def publish(self, offering: Offering) -> Listing:
        """List a version; again changes nothing. It is listed whole, or nobody can see anything of it.

        Raises:
            DigestMismatchError: its name is taken by something with other content.
            DisclosureRefusedError: the connector would not enforce a term of the policy.
            InputOutputError: it does not answer, refuses, or not as its interface says.
            VaultError: it does not take the key.
        """

    def retract(self, listing: Listing) -> builtins.list[str]:
        """Take a version off: nobody can begin to negotiate for it.

        Returns:
            What stays there, and why, a sentence each.

        Raises:
            InputOutputError: as of :meth:`publish`.
            VaultError: it does not take the key.
        """
