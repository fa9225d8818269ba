"""``pathcurate product``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pathcurate.cli.session import Session, common_options, count_lines

if TYPE_CHECKING:
    from pathcurate.registries.sql import SqlRegistry


@click.group("product")
def command() -> None:
    """Register releases as products, list and show them."""


@command.command("register")
@click.argument("release")
@common_options
def register_command(session: Session, release: str) -> None:
    """Enter a release into the registry, by its digest.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. Again gives the same answer.

    \b
    Example:
      pathcurate product register demo_he_2023@1.0.0
    """
    from pathlib import Path

    from pathcurate.product import register
    from pathcurate.registries.sql import open_registry
    from pathcurate.releases import find_release

    with session.locked("product register") as workspace, open_registry(workspace.registry_path) as registry:
        directory = find_release(workspace.releases, release, Path.cwd())
        entry, is_new = register(registry, directory, actor=session.actor, now=session.now)
    session.show(
        {**asdict(entry), "is_new": is_new},
        [f"{entry.product} {entry.version} is registered ({entry.state})" + ("" if is_new else ", as it was before"),
         f"  {entry.release_digest}"],
    )  # fmt: skip


@command.command("list")
@common_options
def list_command(session: Session) -> None:
    """List the registered products.

    \b
    Example:
      pathcurate product list
    """
    with _intact_registry(session) as registry:
        entries = registry.list()
    session.show(
        {"products": [asdict(entry) for entry in entries]},
        [f"{entry.product:<31} {entry.version:<11} {entry.state:<11} {entry.release_digest}" for entry in entries]
        or ["nothing is registered yet; `pathcurate product register RELEASE` enters one"],
    )


@command.command("show")
@click.argument("product")
@common_options
def show_command(session: Session, product: str) -> None:
    """Show a product and its history.

    PRODUCT is NAME@VERSION, or NAME for its highest version.

    \b
    Example:
      pathcurate product show demo_he_2023
    """
    from pathcurate.errors import UsageError
    from pathcurate.releases import version_key

    name, _, version = product.partition("@")
    with _intact_registry(session) as registry:
        entries = [entry for entry in registry.list() if entry.product == name and version in ("", entry.version)]
        if not entries:
            raise UsageError(f"`{product}` is not registered", "`pathcurate product list` shows what is.")
        entry = max(entries, key=lambda item: version_key(item.version))
        events = registry.history(entry.product, entry.version)
    session.show(
        {**asdict(entry), "history": [asdict(event) for event in events]},
        [f"{entry.product} {entry.version}: {entry.title}", f"  state    {entry.state}",
         f"  release  {entry.release_digest}",
         f"  content  {entry.content_digest}", *count_lines(entry.counts),
         *(f"  {event.at}  {event.action} by {event.actor}" for event in events)],
    )  # fmt: skip


@contextmanager
def _intact_registry(session: Session) -> "Iterator[SqlRegistry]":
    """The registry, if nobody has changed it from outside: what it shows is what was registered."""
    from pathcurate.errors import DigestMismatchError
    from pathcurate.registries.sql import open_registry

    with open_registry(session.workspace().registry_path) as registry:
        faults = registry.verify()
        if faults:
            raise DigestMismatchError(
                f"the registry was changed from outside: {faults[0]}"
                + (f" and {len(faults) - 1} more" if len(faults) > 1 else ""),
                "Restore it from a backup; nothing in it can be relied on.",
            )
        yield registry
