"""The end of a registry's chain, where events are added."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, select, update

from pathcurate.digests import canonical_json
from pathcurate.errors import DigestMismatchError, PlanIncompleteError, UsageError
from pathcurate.lifecycle import lifecycle, state_words
from pathcurate.model.lifecycle import Link, Machine
from pathcurate.model.product import Command, Opened, Subject
from pathcurate.registries.sql.rows import FIRST_PREVIOUS, MALFORMED, RESTORE, as_event, as_subject, event_digest
from pathcurate.registries.sql.tables import CLAIMS, EVENTS, REGISTRY, SUBJECTS
from pathcurate.releases import version_key

_LONGEST_NAME = 200


class Ledger:
    """The end of the chain within one transaction: other writers wait, and events are added one after another.

    Raises:
        DigestMismatchError: the last event is not the one that the registry recorded.
    """

    def __init__(self, connection: Connection, name: str, *, writes: bool = True) -> None:
        self._connection = connection
        self._name = name
        chosen = select(REGISTRY.c.event_count, REGISTRY.c.head)
        # SQLite knows no row locks: there, `begin immediate` has locked the file.
        self._count, self._head = connection.execute(chosen.with_for_update() if writes else chosen).one()
        last = connection.execute(select(EVENTS.c.seq, EVENTS.c.digest).order_by(EVENTS.c.seq.desc()).limit(1)).first()
        if (self._count, self._head) != (tuple(last) if last else (0, FIRST_PREVIOUS)):
            raise DigestMismatchError(
                f"{name} was changed outside of pathcurate: its last event is not the one that it recorded",
                f"Nothing was registered. {RESTORE}" if writes else RESTORE,
            )

    def open(self, opened: Opened) -> Subject:
        """Enter a subject by the command that opens its machine.

        Raises:
            UsageError: a part of it is nothing that every registry can hold.
        """
        _demand_actor(opened.actor)
        demand_names(id=opened.id, product=opened.product, version=opened.version)
        opening = lifecycle().table(opened.machine).opens
        subject = Subject(opened.machine, opened.id, opened.product, opened.version, opened.parent, opening.to, opened.facts,
                          opened.at, opened.actor, self._count + 1)  # fmt: skip
        values = {
            "machine": str(subject.machine), "id": subject.id, "product": subject.product, "version": subject.version,
            "parent": subject.parent, "state": subject.state, "facts": _json(subject.facts),
            "opened_at": subject.opened_at, "actor": subject.actor, "last": subject.last,
        }  # fmt: skip
        self._connection.execute(insert(SUBJECTS).values(values))
        self._claim(subject, opened.claims)
        payload = {"to": opening.to, "sets": dict(opened.facts), "claims": [list(claim) for claim in opened.claims]}
        if opened.parent:
            payload["parent"] = opened.parent
        self.add(subject, opening.command, opened.actor, opened.at, payload, "")
        return subject

    def move(self, subject: Subject, command: Command, target: str) -> Subject:
        """Add the event of a command, and let the subject be what it makes of it."""
        payload = {"from": subject.state, "to": target, "sets": dict(command.sets), "says": dict(command.says),
                   "claims": [list(claim) for claim in command.claims]}  # fmt: skip
        moved = replace(subject, state=target, facts={**subject.facts, **command.sets}, last=self._count + 1)
        chosen = and_(SUBJECTS.c.machine == str(subject.machine), SUBJECTS.c.id == subject.id)
        values = {"state": target, "facts": _json(moved.facts), "last": moved.last}
        self._connection.execute(update(SUBJECTS).where(chosen).values(values))
        self._claim(subject, command.claims)
        self.add(subject, command.name, command.actor, command.at, payload, command.key)
        return moved

    def follow(self, subject: Subject, command: Command) -> Iterator[Subject]:
        """Move those that a command moves with its subject; those in whose state that cannot be stay as they are."""
        for link in lifecycle().table(subject.machine).commands[command.name].also:
            for other in self._linked(subject, link):
                target = lifecycle().table(link.machine).target(link.command, other.state)
                if target is None:
                    continue
                followed = replace(
                    command, machine=link.machine, subject=other.id, name=link.command, sets={}, claims=(), key="",
                    says={"because": f"{subject.machine} {subject.id}: {command.name}"},
                )  # fmt: skip
                moved = self.move(other, followed, target)
                yield moved
                yield from self.follow(moved, followed)

    def _linked(self, subject: Subject, link: Link) -> Sequence[Subject]:
        chosen = select(SUBJECTS).where(SUBJECTS.c.machine == str(link.machine))
        if link.of == "children":
            chosen = chosen.where(SUBJECTS.c.parent == subject.id)
        else:
            chosen = chosen.where(SUBJECTS.c.product == subject.product)
        found = by_id(self._connection.execute(chosen), self._name)
        if link.of == "children":
            return found
        return [other for other in found if version_key(other.version) < version_key(subject.version)]

    def demand_parent(self, machine: Machine, parent: str, states: Sequence[str]) -> None:
        """Refuse what needs its release or contract in another state.

        Raises:
            PlanIncompleteError: it is in none of the states.
            UsageError: it is not in the registry.
        """
        if machine is Machine.RELEASE:
            return
        above = Machine.RELEASE if machine is Machine.CONTRACT else Machine.CONTRACT
        found = find(self._connection, above, parent, self._name)
        if found is None:
            raise UsageError(f"{above} `{parent}` is not registered", "`pathcurate product list` shows what is.")
        if states and found.state not in states:
            raise PlanIncompleteError(
                f"{above} {parent} is {found.state}; this needs it to be {' or '.join(states)}",
                f"See `pathcurate product show {found.product}@{found.version}`.",
            )

    def was_done(self, command: Command) -> bool:
        """Whether the same command was given with its key before.

        Raises:
            DigestMismatchError: another one was.
            UsageError: it is no key that a caller can have.
        """
        if not command.key:
            return False
        demand_names(key=command.key)
        if command.key.startswith("#"):
            raise UsageError("keys that begin with `#` are the registry's own", "Give another.")
        row = self._connection.execute(select(EVENTS).where(EVENTS.c.key == command.key)).first()
        if row is None:
            return False
        payload = as_event(row, self._name).payload
        then = (row.machine, row.subject, row.action, payload.get("sets"), payload.get("claims"))
        claims = [list(claim) for claim in command.claims]
        now = (str(command.machine), command.subject, command.name, dict(command.sets), claims)
        if then != now:
            raise DigestMismatchError(
                f"event {row.seq} was another command with the same key", "Give a key of its own, or none; nothing was done."
            )
        return True

    def has_claimed(self, command: Command) -> bool:
        """Whether a command's subject has all that the command claims."""
        chosen = select(CLAIMS.c.kind, CLAIMS.c.value)
        own = chosen.where(CLAIMS.c.machine == str(command.machine), CLAIMS.c.subject == command.subject)
        return not command.claims or set(command.claims) <= {tuple(row) for row in self._connection.execute(own)}

    def _claim(self, subject: Subject, claims: Sequence[tuple[str, str]]) -> None:
        for kind, value in claims:
            demand_names(kind=kind, claim=value)
            chosen = select(CLAIMS).where(CLAIMS.c.kind == kind, CLAIMS.c.value == value)
            there = self._connection.execute(chosen).first()
            if there is None:
                row = {"kind": kind, "value": value, "machine": str(subject.machine), "subject": subject.id}
                self._connection.execute(insert(CLAIMS).values(row))
            elif (there.machine, there.subject) != (str(subject.machine), subject.id):
                raise DigestMismatchError(
                    f"this {kind} is bound to the {there.machine} {there.subject} already",
                    f"It cannot be that of {subject.id} as well; nothing was done.",
                )

    def add(self, subject: Subject, action: str, actor: str, at: str, payload: Mapping[str, Any], key: str) -> None:
        """Add an event at the end of the chain.

        Raises:
            UsageError: it holds what not every registry can.
        """
        _demand_actor(actor)
        seq = self._count + 1
        values = {
            "seq": seq, "at": at, "actor": actor, "action": action, "machine": str(subject.machine), "subject": subject.id,
            "product": subject.product, "version": subject.version, "payload": _json(payload),
            "key": key or f"#{seq}", "previous": self._head,
        }  # fmt: skip
        values["digest"] = event_digest(values)
        self._connection.execute(insert(EVENTS).values(values))
        self._connection.execute(update(REGISTRY).values(event_count=seq, head=values["digest"]))
        self._count, self._head = seq, values["digest"]


def _json(value: Mapping[str, Any]) -> str:
    try:
        return canonical_json(value).decode()
    except MALFORMED as error:
        raise UsageError(f"this cannot be entered: {error}", "Correct what was given; nothing was entered.") from None


def _demand_actor(actor: str) -> None:
    if not actor or "\0" in actor:
        raise UsageError(
            "who does this has no name that can be entered", "Run it as a user of the system whose name can be printed."
        )


def demand_names(**names: str) -> None:
    """Refuse what not every database can hold, or keep an index of, so that all registries take and refuse the same.

    Raises:
        UsageError: a name is empty, longer than 200 characters, or not printable.
    """
    for what, name in names.items():
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise UsageError(
                f"this {what} cannot be entered: it is empty, longer than {_LONGEST_NAME} characters or not printable",
                "Correct it, and give the command again; nothing was entered.",
            )


def find(connection: Connection, machine: Machine, name: str, registry: str) -> Subject | None:
    """A subject by its id, None if it is not there."""
    if not name.isprintable():
        return None  # not every database can be asked for it, and none has it
    chosen = select(SUBJECTS).where(SUBJECTS.c.machine == str(machine), SUBJECTS.c.id == name)
    row = connection.execute(chosen).first()
    return None if row is None else as_subject(row, registry)


def by_id(rows: Iterable[Row[Any]], registry: str) -> list[Subject]:
    """Rows of ``subjects`` in the order of their ids, which is not the database's: each has its own order of text."""
    return sorted((as_subject(row, registry) for row in rows), key=lambda subject: subject.id)


def holds(facts: Mapping[str, Any], sets: Mapping[str, Any]) -> bool:
    """Whether all that a command would set is set."""
    return all(name in facts and facts[name] == value for name, value in sets.items())


def wrong_state(machine: Machine, subject: Subject, command: str) -> tuple[str, str]:
    """What to say of a command that cannot be given in this state, and which can."""
    table = lifecycle().table(machine)
    zh, en = state_words(machine, subject.state)
    needed = " or ".join(table.commands[command].from_)
    possible = [name for name in table.commands if table.target(name, subject.state) is not None]
    return (
        f"{machine} {subject.id} is {subject.state} ({zh}, {en}); `{command}` needs it to be {needed}",
        f"From here: {', '.join(possible)}." if possible else "Nothing can be done with it any more.",
    )
