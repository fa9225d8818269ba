"""Intervals by the cluster bootstrap: patients (or sites, or scanners) are drawn with all their rows.

Rows of one patient are alike, so drawing rows would give intervals that are too narrow. Clusters are drawn with replacement,
as many as there are, and the interval is between percentiles of the drawn values: Davison AC, Hinkley DV. Bootstrap Methods
and their Application, 1997, sections 3.8 and 5.3; Field CA, Welsh AH. Bootstrapping clustered data. J R Stat Soc B
2007;69:369-390. With few clusters such intervals are too narrow as well.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from pathcurate.benchmarks.answered import Answered, Floats, Whole
from pathcurate.benchmarks.answers import drawn_answers
from pathcurate.benchmarks.drawn import drawn_metrics
from pathcurate.benchmarks.metrics import measured
from pathcurate.model.benchmark import Score

FEW_CLUSTERS = 10
"""With fewer, an interval says little, which is told."""
_CELLS = 1 << 21
"""Weights that are held at once."""


def drawn_weights(cluster: Whole, drawings: int, seed: int) -> Iterator[Floats]:
    """How often each row counts in each drawing, in blocks (drawings by rows); the same seed gives the same.

    Args:
        cluster: the cluster of each row, as any whole numbers.
        drawings: how many in all.
        seed: of the random numbers.
    """
    _, of_row = np.unique(cluster, return_inverse=True)
    clusters = int(of_row.max()) + 1
    random = np.random.Generator(np.random.PCG64(seed))
    block = max(1, min(drawings, _CELLS // len(of_row)))
    for begin in range(0, drawings, block):
        counts = np.empty((min(block, drawings - begin), clusters))
        for row in counts:
            row[:] = np.bincount(random.integers(0, clusters, clusters), minlength=clusters)
        yield counts[:, of_row]


def scored(
    rows: Answered, cluster: Whole | None, drawings: int, seed: int, confidence: float, *, by_class: bool = False
) -> tuple[Score, ...]:
    """The metrics of these rows with intervals from drawing clusters; without clusters or drawings, none has one.

    An interval is told where a metric is defined in at least half of the drawings.

    Args:
        rows: labels and predictions.
        cluster: of each row.
        drawings: of the bootstrap.
        seed: of its random numbers.
        confidence: such as 0.95.
        by_class: with recall and precision of each class.
    """
    values = measured(rows, by_class=by_class)
    drawn = _drawn(rows, cluster, drawings, seed, by_class) if cluster is not None and drawings and values else {}
    return tuple(_score(name, value, drawn.get(name), confidence) for name, value in values.items())


def _drawn(rows: Answered, cluster: Whole, drawings: int, seed: int, by_class: bool) -> Mapping[str, Floats]:
    if len(np.unique(cluster)) < 2:
        return {}
    if rows.is_right is not None:
        return drawn_answers(rows.is_right, rows.topic, cluster, drawings, seed)
    metrics = drawn_metrics(rows, by_class=by_class)
    blocks = [metrics(weights) for weights in drawn_weights(cluster, drawings, seed)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _score(name: str, value: float, drawn: Floats | None, confidence: float) -> Score:
    if drawn is None:
        return Score(name, told(value))
    defined = drawn[np.isfinite(drawn)]
    failed = len(drawn) - len(defined)
    if 2 * len(defined) < len(drawn):
        return Score(name, told(value), failed=failed)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Score(name, told(value), told(float(low)), told(float(high)), failed)


def told(value: float) -> float:
    """A figure as it is told: four decimals, and no minus before nought."""
    return round(value, 4) + 0.0
