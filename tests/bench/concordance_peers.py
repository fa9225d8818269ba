"""The concordance and the Kaplan-Meier estimate beside those of lifelines; prints the largest differences and the seconds.

Runs in an environment of ``requirements-evaluate.txt``, which needs nothing else of pathcurate:
`python tests/bench/concordance_peers.py --trials 300`
"""

import argparse
import importlib.util
import sys
import time
import types
from pathlib import Path

import numpy as np
from lifelines import KaplanMeierFitter
from lifelines.utils import concordance_index


def load() -> types.ModuleType:
    """The module by itself: of the package, only numpy's types are asked for, which stand in for the rest of it."""
    root = Path(__file__).resolve().parents[2]
    answered = types.ModuleType("pathcurate.benchmarks.answered")
    for name in ("Flags", "Floats", "Whole"):
        setattr(answered, name, np.ndarray)
    sys.modules[answered.__name__] = answered
    name = "concordance_of_pathcurate"
    spec = importlib.util.spec_from_file_location(name, root / "pathcurate" / "benchmarks" / "concordance.py")
    if spec is None or spec.loader is None:
        raise SystemExit("the module is not where it should be")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Compare on random rows with many ties, then time a large set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--rows", type=int, default=20_000)
    settings = parser.parse_args()
    ours, random = load(), np.random.default_rng(13)
    apart = curve_apart = 0.0
    compared = 0
    for _ in range(settings.trials):
        rows = int(random.integers(2, 300))
        days = random.integers(1, random.integers(2, 200), rows)
        event = random.random(rows) < random.random()
        risk = np.round(random.normal(size=rows), int(random.integers(0, 4)))
        mine = ours.concordance(days, event, risk, np.ones((1, rows)))[0]
        try:
            theirs = concordance_index(days, -risk, event)
        except ZeroDivisionError:
            theirs = np.nan
        if np.isnan(mine) != np.isnan(theirs):
            raise SystemExit(f"only one is defined: {mine} and {theirs}")
        if not np.isnan(mine):
            apart, compared = max(apart, abs(mine - theirs)), compared + 1
        times, survival, _ = ours.kaplan_meier(days, event)
        if len(times):
            fitted = KaplanMeierFitter().fit(days, event).survival_function_at_times(times).to_numpy()
            curve_apart = max(curve_apart, float(np.abs(fitted - survival).max()))
    sys.stdout.write(f"concordance: {compared} sets, largest difference {apart:.1e}; Kaplan-Meier {curve_apart:.1e}\n")
    days, event = random.integers(1, 3000, settings.rows), random.random(settings.rows) < 0.6
    risk = random.normal(size=settings.rows)
    begun = time.perf_counter()
    ours.concordance(days, event, risk, np.ones((1, settings.rows)))
    middle = time.perf_counter()
    concordance_index(days, -risk, event)
    sys.stdout.write(f"{settings.rows} rows: ours {middle - begun:.3f} s, lifelines {time.perf_counter() - middle:.3f} s\n")


if __name__ == "__main__":
    main()
