"""The family of registries: where a release is entered by its digest and its history is kept."""

import builtins
from typing import Protocol

from pathcurate.model.product import Entry, Event


class Registry(Protocol):
    """What a registry offers, wherever it is kept."""

    def register(self, entry: Entry) -> tuple[Entry, bool]:
        """Enter a version; again gives the stored entry.

        Returns:
            The entry as it stands in the registry, and whether it is new.

        Raises:
            DigestMismatchError: the version is registered with other content, or the content as another version.
        """

    def get(self, product: str, version: str) -> Entry | None:
        """The entry of a version, None if it is not registered."""

    def list(self) -> builtins.list[Entry]:
        """All entries, by product and version."""

    def history(self, product: str, version: str) -> builtins.list[Event]:
        """What happened to a version, oldest first; empty if it is not registered."""

    def verify(self) -> builtins.list[str]:
        """What was changed outside of this program, as sentences; empty if nothing was."""
