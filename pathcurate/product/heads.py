"""Signed heads of the registry's chain: what a signature vouches for, compared with what the registry holds."""

from collections.abc import Iterator, Mapping
from typing import Any

from pathcurate.registries import Registry


def head_faults(registry: Registry, name: str, predicate: Mapping[str, Any], heads: list[int]) -> Iterator[str]:
    """What is wrong with the head that a statement names; none if it names none.

    Args:
        registry: the registry.
        name: of the statement's file.
        predicate: of the statement.
        heads: how many events each head vouches for; this one is added.
    """
    said = predicate.get("registry")
    if not isinstance(said, dict) or not isinstance(said.get("events"), int) or not isinstance(said.get("head"), str):
        return
    heads.append(said["events"])
    found = registry.digest_at(said["events"])
    if found is None:
        yield f"{name} vouches for {said['events']} events, and the registry has fewer: events are missing"
    elif found != said["head"]:
        yield f"{name} vouches for another event {said['events']}: the registry was rewritten since"
