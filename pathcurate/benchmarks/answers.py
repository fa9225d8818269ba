"""Drawings of answers that are right or wrong: only how many of each topic are is needed, and clusters alike are one kind.

So a set of 350,000 questions costs what its kinds of clusters cost.
"""

from collections.abc import Mapping

import numpy as np

from pathcurate.benchmarks.answered import Flags, Floats, Whole

_CELLS = 1 << 21
"""Counts that are held at once."""


def drawn_answers(
    is_right: Flags, topic: Whole | None, cluster: Whole, drawings: int, seed: int
) -> Mapping[str, Floats]:  # fmt: skip
    """Shares of right answers in each drawing of clusters, of all and as mean of topics.

    How often clusters of each kind are drawn, when as many are drawn as there are, follows a multinomial distribution.

    Args:
        is_right: of each row.
        topic: of each row, as numbers from 0; -1 for none; None if no row has one.
        cluster: of each row, as any whole numbers.
        drawings: how many.
        seed: of the random numbers.
    """
    kinds, numbers = kinds_of(is_right, topic, cluster)
    random = np.random.Generator(np.random.PCG64(seed))
    block = max(1, _CELLS // len(kinds))
    drawn = [
        random.multinomial(numbers.sum(), numbers / numbers.sum(), min(block, drawings - begin)) @ kinds
        for begin in range(0, drawings, block)
    ]
    return shares(np.concatenate(drawn))


def kinds_of(is_right: Flags, topic: Whole | None, cluster: Whole) -> tuple[Floats, Whole]:
    """Different clusters by how many answers they have, and how many clusters are of each kind.

    Returns:
        Kinds by cells: wrong and right answers without a topic, then of the first topic, and so on. Clusters by kind.
    """
    topics = topic if topic is not None else np.full(len(is_right), -1)
    cells, most = 2 * (int(topics.max()) + 2), len(is_right) + 1
    _, of_row = np.unique(cluster, return_inverse=True)
    places, counts = np.unique(of_row * cells + (topics + 1) * 2 + is_right, return_counts=True)
    owners, packed = places // cells, (places % cells) * most + counts
    begins = np.flatnonzero(np.diff(owners, prepend=-1)).tolist()
    found: dict[bytes, int] = {}
    content = packed.astype(np.int64)
    for begin, end in zip(begins, [*begins[1:], len(owners)], strict=True):
        kind = content[begin:end].tobytes()
        found[kind] = found.get(kind, 0) + 1
    kinds = np.zeros((len(found), cells))
    for row, kind in enumerate(found):
        mine = np.frombuffer(kind, np.int64)
        kinds[row, mine // most] = mine % most
    return kinds, np.array(list(found.values()), np.int64)


def shares(answers: Floats) -> Mapping[str, Floats]:
    """Shares of right answers from how many there are of each: cells as of :func:`kinds_of`, a row for each drawing."""
    table = answers.reshape(len(answers), -1, 2)
    asked, right = table.sum(axis=2), table[:, :, 1]
    told = {"exact": right.sum(axis=1) / asked.sum(axis=1)}
    asked, right = asked[:, 1:], right[:, 1:]
    if asked.size:
        share = np.where(asked > 0, right / np.where(asked > 0, asked, 1), 0.0)
        with np.errstate(invalid="ignore"):
            told["macro_topic"] = share.sum(axis=1) / (asked > 0).sum(axis=1)
    return told
