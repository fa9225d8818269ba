"""The people who may ask for and approve re-identification: ``vault/people.json``."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from pathcurate.errors import UsageError, VaultError
from pathcurate.model.waiver import is_plain
from pathcurate.storage import private_directory, write_bytes

ROLES = ("curator", "approver")
"""A curator may ask; an approver may ask or approve."""
PEOPLE_FILE = "people.json"


@dataclass(frozen=True, slots=True)
class Trusted:
    """Somebody on the list.

    Attributes:
        name: as it was entered.
        role: one of :data:`ROLES`.
        since: day on which it was entered, ISO 8601.
    """

    name: str
    role: str
    since: str


def read_people(directory: Path) -> list[Trusted]:
    """The people of a vault, in the order in which they were entered.

    Raises:
        VaultError: the list is damaged.
    """
    try:
        rows = json.loads((directory / PEOPLE_FILE).read_bytes())
        people = [Trusted(str(row["name"]), str(row["role"]), str(row["since"])) for row in rows]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        rows, people = None, []
    if not isinstance(rows, list) or any(person.role not in ROLES or not is_plain(person.name) for person in people):
        raise VaultError("the vault's list of people is damaged", "Restore vault/people.json from a copy, or remove it.")
    return people


def write_people(directory: Path, people: Sequence[Trusted]) -> None:
    """Replace the list."""
    content = json.dumps([asdict(person) for person in people], ensure_ascii=False, indent=1)
    write_bytes(private_directory(directory) / PEOPLE_FILE, content.encode() + b"\n", mode=0o600)


def add_people(directory: Path, names: Sequence[str], role: str, today: date) -> list[Trusted]:
    """Enter people, or give those on the list another role; the list as it is then.

    Raises:
        UsageError: a name is not one line of text, or is given twice.
        VaultError: the list is damaged.
    """
    if not all(is_plain(name) for name in names):
        raise UsageError("a name is not one line of text", "Give the name as it is written in the staff list.")
    if len(folded := {_folded(name) for name in names}) < len(names):
        raise UsageError("a name is given twice", "Give each person once.")
    others = [person for person in read_people(directory) if _folded(person.name) not in folded]
    people = [*others, *(Trusted(name.strip(), role, today.isoformat()) for name in names)]
    write_people(directory, people)
    return people


def remove_person(directory: Path, name: str) -> list[Trusted]:
    """Take somebody who has left off the list; the list as it is then.

    Raises:
        UsageError: nobody on it has that name.
        VaultError: the list is damaged.
    """
    people = read_people(directory)
    staying = [person for person in people if _folded(person.name) != _folded(name)]
    if len(staying) == len(people):
        raise UsageError("nobody on the vault's list has that name", "Look at `pathcurate vault people list`.")
    write_people(directory, staying)
    return staying


def demand_two(directory: Path, requested_by: str, approved_by: str) -> tuple[str, str]:
    """The two names as they are on the list, if the first may ask and the second, another person, may approve.

    Raises:
        VaultError: one of them is not on the list or lacks the role, or they are one person.
    """
    known = {_folded(person.name): person for person in read_people(directory)}
    asking, approving = known.get(_folded(requested_by)), known.get(_folded(approved_by))
    if asking is None or approving is None:
        which = "--requested-by" if asking is None else "--approved-by"
        raise VaultError(
            f"the name of {which} is not on the vault's list of people",
            "Look at `pathcurate vault people list`; `pathcurate vault people add` enters somebody.",
        )
    if asking == approving:
        raise VaultError("the same person cannot ask and approve", "Have somebody else approve it.")
    if approving.role != "approver":
        raise VaultError(
            "the person of --approved-by is a curator, who may only ask",
            "Have somebody with the role `approver` approve it.",
        )
    return asking.name, approving.name


def _folded(name: str) -> str:
    """One form for all spellings of a name: width, case and spaces do not make two people of one."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
