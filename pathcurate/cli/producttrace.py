"""``pathcurate product trace``: whose copy a leaked file is."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from pathcurate.cli.productdesk import reading_desk
from pathcurate.cli.purpose import purpose_option
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.product.desk import Desk
    from pathcurate.vault import Vault

Name = tuple[str | None, str | None]
"""A product and a recipient of it: without the recipient the product's own codes, without both those of ``deid/``."""
_PIECE = 1 << 22


@click.command("trace")
@click.argument("file")
@purpose_option
@common_options
def trace_command(session: Session, file: str, *, purpose: str | None) -> int:
    """Say whose copy a leaked file is.

    Each recipient of a product has codes of its own, so the codes in a file, or in a list of names of slide files, tell to
    whom it was delivered. FILE is text, CSV, Excel, Parquet or a zip archive, or - for standard input. Neither the codes nor
    what they stand for are shown; the audit trail notes the question. Exits with 1 if no code is anybody's.

    \b
    Example:
      pathcurate product trace found.txt
    """
    from pathcurate import __version__
    from pathcurate.recoding.tracing import codes_in, codes_in_text
    from pathcurate.vault import append_event, open_vault

    with _opened(file) as content:
        codes = codes_in(content)
    if file != "-":
        codes |= codes_in_text(Path(file).name)
    with reading_desk(session) as desk:
        vault = open_vault(desk.workspace.vault)
        found = _traced(desk, vault, codes)
        facts: dict[str, str | int] = {"codes": len(codes), "known": sum(found.values()), "layers": len(found)}
        append_event(
            desk.workspace.vault, session.actor, "product trace", {**facts, "version": __version__}, purpose=purpose
        )
    unknown = len(codes) - sum(found.values())
    rows = [{"product": product, "recipient": recipient, "codes": count} for (product, recipient), count in found.items()]
    lines = [f"{_words(*name)}: {counted(count, 'code')}" for name, count in found.items()]
    lines += [f"of nobody that is known here: {counted(unknown, 'code')}"] if unknown else []
    session.show({"codes": len(codes), "found": rows, "unknown": unknown}, lines or ["there is no code in it"])
    return 0 if found else 1


def _words(product: str | None, recipient: str | None) -> str:
    if product is None:
        return "the workspace's own tables (deid/), which were never delivered"
    return f"recipient {recipient} of {product}" if recipient is not None else f"the release of {product} itself"


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """The file, or a copy of standard input that can be sought."""
    import tempfile

    from pathcurate.errors import UsageError

    if file == "-":
        with tempfile.TemporaryFile() as copied:
            while piece := sys.stdin.buffer.read(_PIECE):
                copied.write(piece)
            copied.seek(0)
            yield cast("BinaryIO", copied)
        return
    if not Path(file).is_file():
        raise UsageError("FILE is no file that can be read", "Give its path, or - for standard input.")
    with Path(file).open("rb") as opened:
        yield opened


def _traced(desk: "Desk", vault: "Vault", codes: set[str]) -> dict[Name, int]:
    """How many codes are whose, the most first; those that have none are not in it."""
    from pathcurate import pseudonyms
    from pathcurate.model.lifecycle import Machine
    from pathcurate.recoding.tracing import trace
    from pathcurate.vault.rotation import retired_keys

    products = sorted({entry.product for entry in desk.registry.list()})
    contracts = desk.registry.subjects(Machine.CONTRACT)
    recipients = sorted(
        {(one.product, one.facts["recipient"]) for one in contracts if isinstance(one.facts.get("recipient"), str)}
    )
    totals: dict[Name, int] = {}
    for held in (vault, *retired_keys(vault)):
        layers: dict[Name, pseudonyms.Pseudonyms | None] = {(None, None): None}
        layers |= {(name, None): pseudonyms.product(held.key, name).codes for name in products}
        layers |= {(name, to): pseudonyms.recipient(held.key, name, to).codes for name, to in recipients}

        def inside(kind: str, held: "Vault" = held) -> Iterable[Any]:
            return _inside(desk, vault, held, kind)

        for name, count in trace(codes, layers, inside).items():
            totals[name] = totals.get(name, 0) + count
    return {name: count for name, count in sorted(totals.items(), key=lambda item: -item[1]) if count}


def _inside(desk: "Desk", vault: "Vault", held: "Vault", kind: str) -> Iterator[Any]:
    """Internal codes of a kind under a key: those of ``deid/``, and those that the crosswalk still knows."""
    import pyarrow as pa

    from pathcurate.model.crosswalk import ORIGINALS
    from pathcurate.recoding.behind import internal_codes
    from pathcurate.vault import crosswalk

    if held is vault:
        yield from internal_codes(desk.workspace, kind)
    if kind in ORIGINALS and (vault.directory / crosswalk.CROSSWALK_FILE).exists():
        of_key = None if held is vault else held.fingerprint
        yield pa.array(list(crosswalk.internal_codes(vault, kind, of_key)), pa.string())
