"""How long the registry takes at the size of a national base: listing, a history, the whole chain, and commands.

    PYTHONPATH=. python tests/bench/registry_speed.py [--products 1000] [--events 100000] [--only sqlite]

The events are added 500 in a transaction, as no user can; commands are measured one by one, as users give them.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pathcurate.model.lifecycle import Machine
from pathcurate.registries.sql import SqlRegistry, look_at_registry, open_registry
from pathcurate.registries.sql.ledger import Ledger, find
from tests.postgres import started
from tests.registered import Place, command, entry, offered


def fill(registry: SqlRegistry, products: int, events: int) -> None:
    """Releases on offer whose certificates are renewed again and again."""
    for number in range(products):
        registry.register(entry(f"p{number}", title=f"product {number}"))
    for first in range(0, events - products, 500):
        with registry._transaction(writes=True) as connection:
            ledger = Ledger(connection, "bench")
            for number in range(first, min(first + 500, events - products)):
                name = f"p{number % products}@1.0.0"
                subject = find(connection, Machine.RELEASE, name, "bench")
                assert subject is not None
                given = command("check", name, sets={"certificate": f"C-{number}"}, says={"evidence": {"ethics": "x" * 71}})
                ledger.move(subject, given, "validated")


def timed(what: str, act: Callable[[], object], repeat: int = 3) -> None:
    """Print the shortest of some tries."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    print(f"  {what:<42}{min(times) * 1000:>12,.1f} ms", flush=True)


def measure(place: Place, products: int, events: int) -> None:
    """Fill a registry and print what things take."""
    start = time.perf_counter()
    with open_registry(place) as registry:
        fill(registry, products, events)
        print(f"  filled in {time.perf_counter() - start:.0f} s", flush=True)
        timed("list", registry.list)
        timed("get", lambda: registry.get("p7", "1.0.0"))
        timed("history of one version", lambda: registry.history("p7", "1.0.0"))
        timed("verify", lambda: registry.verify() == [] or exit("faults"), 1)
        offered(registry, product="thorax")
        count = 200
        start = time.perf_counter()
        for number in range(count):
            registry.transition(command("renew", sets={"certificate": f"C-{number}"}))
        print(f"  commands, one after another: {count / (time.perf_counter() - start):,.0f} a second", flush=True)

    def looked() -> None:
        with look_at_registry(place) as copy:
            assert copy is not None
            copy.list()

    timed("open to look, and list", looked)


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
            print(f"SQLite: {options.products:,} products, {options.events:,} events", flush=True)
            measure(folder / "registry.db", options.products, options.events)
        if options.only != "sqlite":
            server = stack.enter_context(started())
            print(f"PostgreSQL without fsync: {options.products:,} products, {options.events:,} events", flush=True)
            measure(server.address, options.products, options.events)


if __name__ == "__main__":
    main()
