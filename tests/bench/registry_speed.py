"""How long the registry takes at the size of a national base: listing, a history, the whole chain, and commands.

    python tests/bench/registry_speed.py [--products 1000] [--events 100000] [--only sqlite]

The events are added in one transaction, as no user can; commands are measured one by one, as users give them.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import insert, update

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.digests import canonical_json
from pathcurate.registries.sql import SqlRegistry, look_at_registry, open_registry
from pathcurate.registries.sql.rows import event_digest, facts_of
from pathcurate.registries.sql.tables import EVENTS, REGISTRY, SUBJECTS
from tests.bench.rows import Row, record
from tests.bench.slides import say
from tests.postgres import started
from tests.registered import AT, Place, command, entry, offered


def fill(registry: SqlRegistry, products: int, events: int) -> None:
    """Releases that were checked again and again."""
    for number in range(products):
        registry.register(entry(f"p{number}", title=f"product {number}"))
    count, head = registry.head()
    rows, last = [], {}
    for seq in range(count + 1, events + 1):
        product = f"p{seq % products}"
        sets = {"quality": f"Q-{seq}"}
        payload = {
            "from": "frozen",
            "to": "validated",
            "sets": sets,
            "says": {"evidence": {"ethics": "x" * 71}},
            "claims": [],
        }
        row = {
            "seq": seq, "at": AT, "actor": "steward", "action": "check", "machine": "release", "subject": f"{product}@1.0.0",
            "product": product, "version": "1.0.0", "payload": canonical_json(payload).decode(), "key": f"#{seq}",
            "previous": head,
        }  # fmt: skip
        head = row["digest"] = event_digest(row)
        rows.append(row)
        last[product] = (seq, sets)
    with registry._transaction(writes=True) as connection:
        connection.execute(insert(EVENTS), rows)
        for product, (seq, sets) in last.items():
            facts = {**facts_of(entry(product, title=f"product {product[1:]}")), **sets}
            values = {"state": "validated", "last": seq, "facts": canonical_json(facts).decode()}
            connection.execute(update(SUBJECTS).where(SUBJECTS.c.product == product).values(values))
        connection.execute(update(REGISTRY).values(event_count=events, head=head))


def timed(what: str, of: str, act: Callable[[], object], repeat: int = 3) -> None:
    """Print and record the shortest of some tries."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    record(Row(f"registry, {of}: {what}", min(times) * 1000, "ms", at_least=False))
    say(f"  {what:<42}{min(times) * 1000:>12,.1f} ms")


def measure(kind: str, place: Place, products: int, events: int) -> None:
    """Fill a registry and print what things take."""
    of = f"{kind}, {events:,} events"
    say(f"{kind}: {products:,} products, {events:,} events")
    start = time.perf_counter()
    with open_registry(place) as registry:
        fill(registry, products, events)
        say(f"  filled in {time.perf_counter() - start:.0f} s")
        timed("list", of, registry.list)
        timed("get", of, lambda: registry.get("p7", "1.0.0"))
        timed("history of one version", of, lambda: registry.history("p7", "1.0.0"))
        timed("verify", of, registry.verify, 1)
        offered(registry, product="thorax")
        count = 200
        start = time.perf_counter()
        for number in range(count):
            registry.transition(command("renew", sets={"certificate": f"C-{number}"}))
        rate = count / (time.perf_counter() - start)
        record(Row(f"registry, {of}: commands, one after another", rate, "a second"))
        say(f"  commands, one after another: {rate:,.0f} a second")

    def looked() -> None:
        with look_at_registry(place) as copy:
            assert copy is not None
            copy.list()

    timed("open to look, and list", of, looked)


def main() -> None:
    """Measure on a file and on a server of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--products", type=int, default=1000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp())
        stack.callback(shutil.rmtree, folder)
        if options.only != "postgresql":
            measure("SQLite", folder / "registry.db", options.products, options.events)
        if options.only != "sqlite":
            server = stack.enter_context(started())
            measure("PostgreSQL without fsync", server.address, options.products, options.events)


if __name__ == "__main__":
    main()
