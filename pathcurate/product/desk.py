"""Who does something with a product, where, and when."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pathcurate.errors import DigestMismatchError, UsageError
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Entry, Subject
from pathcurate.registries import Registry
from pathcurate.releases import Release, verify_release
from pathcurate.storage import sweep, write_bytes
from pathcurate.trustfile import TRUST_FILE
from pathcurate.workspace import Workspace


def keep_paper(path: Path, content: bytes) -> None:
    """Keep a paper, for stewards to read, in the place of one of the same name.

    What killed runs left half-written of it goes; the caller holds the lock on the workspace.
    """
    sweep(path)
    write_bytes(path, content, mode=0o640)


@dataclass(frozen=True, slots=True)
class Desk:
    """A steward's desk.

    Attributes:
        workspace: whose products these are.
        registry: where they are entered.
        actor: who sits at it.
        now: the present, with time zone; the day by which evidence is judged is that of this zone.
    """

    workspace: Workspace
    registry: Registry
    actor: str
    now: datetime

    @property
    def today(self) -> date:
        """The day by which evidence is judged."""
        return self.now.date()

    @property
    def now_utc(self) -> datetime:
        """The present in UTC, by whose day keys count."""
        return self.now.astimezone(UTC)

    @property
    def at(self) -> str:
        """The present as the registry keeps it."""
        return self.now_utc.isoformat(timespec="seconds")

    @property
    def trust_file(self) -> Path:
        """Whose signatures count."""
        return self.workspace.root / TRUST_FILE

    def entered(self, directory: Path) -> tuple[Release, Entry]:
        """A release, whole, and its entry.

        Raises:
            DigestMismatchError: it was changed since it was built, or is not the one that was registered.
            UsageError: it is not registered.
        """
        release = verify_release(directory)
        entry = self.registry.get(release.name, release.version)
        if entry is None:
            raise UsageError(
                f"{release.name} {release.version} is not registered",
                f"`pathcurate product register {release.name}@{release.version}` enters it.",
            )
        if entry.release_digest != release.digest:
            raise DigestMismatchError(
                f"{release.name} {release.version} is registered with other content ({entry.release_digest})",
                "What is registered never changes: restore the release with that digest from a copy.",
            )
        return release, entry

    def command(self, entry: Entry, name: str, **parts: Any) -> Command:
        """A command for a release as this desk saw it."""
        return Command(Machine.RELEASE, entry.id, name, self.actor, self.at, seen=entry.last, **parts)

    def found(self, machine: Machine, name: str) -> Subject:
        """The contract or delivery of a name, or of the beginning of one that no other has.

        A beginning says at least of which product and whose it is, so that ``thorax-lab`` is never ``thorax-lab_two``.

        Raises:
            UsageError: there is none, or several.
        """
        found = self.registry.subject(machine, name)
        if found is not None:
            return found
        several = [one for one in self.registry.subjects(machine) if _begins(one.id, name)]
        if len(several) != 1:
            what = f"several {machine.plural} begin" if several else f"no {machine} begins"
            raise UsageError(f"{what} with `{name}`", f"`pathcurate product {machine.plural}` shows them.")
        return several[0]


def _begins(whole: str, name: str) -> bool:
    of_whom = len("-".join(whole.split("-")[:2]))  # product and recipient
    return whole.startswith(name) and (len(name) > of_whom or (len(name) == of_whom and whole[of_whom] == "-"))
