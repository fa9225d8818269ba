"""Make the weights of ``pathcurate/scrubbers/text/signertokens.py`` from the marked texts.

All rules go through each text, with what is known of it and without. What they leave are examples as they stand; each name
that they found is one too, seen as if it alone had not been found: of what is really left there is far too little to learn
from. Same input, same file.

Run it again when rules, lists or texts have changed. ``--held zh_1 zh_2`` leaves sets out and says how well the others do.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber
from pathcurate.scrubbers.text.signertokens import BITS, LEARNED_SIGNER, STEPS, Candidate, candidates, place_of
from pathcurate.scrubbers.text.spelling import simplified
from pathcurate.text.folding import half_width
from tests.bench.deid_scoring import Sample, read_corpus
from tests.bench.learn_names import terms, written

SETS = tuple(f"zh_{letter}" for letter in "abcdefghijklmnopqstuvwxyz12356789")
PEOPLE = frozenset({"patient", "staff", "person"})
STORED = Path(__file__).parents[2] / "pathcurate" / "scrubbers" / "text" / "signers.npz"
YEAR = 2024
PASSES, BATCH, RATE, SHRINKING, FIRST_SQUARE, FEWEST = 6, 64, 0.15, 2e-4, 1e-2, 2
LONGEST, LINES_OF_A_WORD = 4, 2
ROLES_OF_MEDICINE = (
    *(
        "诊断",
        "检查",
        "检测",
        "取材",
        "描述",
        "冰冻",
        "石蜡",
        "染色",
        "制片",
        "切片",
        "镜检",
        "报告",
        "送检",
        "会诊",
        "记录",
    ),
    *("分析", "手术", "标本", "部位", "备注", "特染", "分子", "免疫组化"),
)
BEFORE = ("", "", "慢性炎。\n", "灰白组织一枚\n", "(胃窦)")
BEHIND = ("", "", "\n", "  ", "。", "\n镜检:腺体增生", ", 另见", " 报告:")


def scrubbed(samples: Sequence[Sample], *, is_known: bool) -> list[list[Removal]]:
    """What the rules find in each text, without what was learned by this program."""
    scrubber = TextScrubber(SiteRules("NB01"))
    found = []
    for sample in samples:
        known = sample.known if is_known else KnownValues()
        [removals] = scrubber.removals([sample.text], known, language="zh", year=YEAR)
        found.append([one for one in removals if one.rule != LEARNED_SIGNER])
    return found


def examples(samples: Sequence[Sample], found: Sequence[Sequence[Removal]]) -> Iterator[tuple[Candidate, int, bool, Sample]]:
    """Each short word: whether it is somebody, and whether the rules left it; what is marked in part is passed over."""
    for sample, removals in zip(samples, found, strict=True):
        normal = simplified(half_width(sample.text))
        marked = {at: mark.kind for mark in sample.marks for at in range(mark.start, mark.end)}
        seen = [(one, True) for one in candidates(normal, removals)]
        for removal in removals:
            if removal.kind in {Kind.STAFF, Kind.PERSON, Kind.PATIENT}:
                others = [one for one in removals if one is not removal]
                seen += [
                    (one, False)
                    for one in candidates(normal, others)
                    if removal.start <= one.start and one.end <= removal.end
                ]
        for one, is_left in seen:
            kinds = {marked.get(at, "") for at in range(one.start, one.end)}
            if kinds <= PEOPLE or kinds.isdisjoint(PEOPLE):
                yield one, int(kinds <= PEOPLE), is_left, sample


def medicine() -> Iterator[str]:
    """Lines on which a word of medicine stands where somebody might: 石蜡:同前, 诊断 胃癌."""
    chance = Random(1)
    no_names = [word for line in written() if line.startswith("= ") for word in line[2:].split()]
    words = [word for word in sorted({*terms(), *no_names}) if len(word) <= LONGEST]
    for word in words:
        for _ in range(LINES_OF_A_WORD):
            role, sign = chance.choice(ROLES_OF_MEDICINE), chance.choice((":", ":", " ", ": ", "(", ""))
            yield f"{chance.choice(BEFORE)}{role}{sign}{word}{')' * (sign == '(')}{chance.choice(BEHIND)}"


def learn(samples: Sequence[Sample]) -> tuple[NDArray[np.float64], float]:
    """Weights by place and the bias: logistic regression by Adagrad (Duchi et al., JMLR 2011)."""
    rows = [
        ([place_of(feature) for feature in set(one.features)], goal)
        for is_known in (True, False)
        for one, goal, _, _ in examples(samples, scrubbed(samples, is_known=is_known))
    ]
    rows += [
        ([place_of(feature) for feature in set(one.features)], 0) for line in medicine() for one in candidates(line, [])
    ]
    often = Counter(place for places, _ in rows for place in places)
    features = [np.array([place for place in places if often[place] >= FEWEST], np.int64) for places, _ in rows]
    goals = np.array([goal for _, goal in rows], np.float64)
    sys.stderr.write(f"{len(rows)} examples, {int(goals.sum())} of them somebody\n")
    chance = np.random.default_rng(1)
    weights, squares, bias = np.zeros(1 << BITS), np.full(1 << BITS, FIRST_SQUARE), -3.0
    for _ in range(PASSES):
        order = chance.permutation(len(features))
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            places = np.concatenate([features[number] for number in batch])
            row = np.repeat(np.arange(len(batch)), [len(features[number]) for number in batch])
            logits = np.bincount(row, weights[places], minlength=len(batch)) + bias
            wrong = 1 / (1 + np.exp(-logits)) - goals[batch]
            slope = np.bincount(places, wrong[row], minlength=1 << BITS)
            touched = np.flatnonzero(slope)
            step = slope[touched] + SHRINKING * len(batch) * weights[touched]
            squares[touched] += step * step
            weights[touched] -= RATE * step / np.sqrt(squares[touched])
            bias -= 0.05 * float(wrong.mean())
    return weights, bias


def report(samples: Sequence[Sample], weights: NDArray[np.float64], bias: float) -> Iterator[str]:
    """For several least scores how many of those whom the rules leave are found, and how many words that are nobody."""
    scored = [
        (bias + sum(weights[place_of(feature)] for feature in one.features), goal, sample, one)
        for one, goal, is_left, sample in examples(samples, scrubbed(samples, is_known=True))
        if is_left
    ]
    somebody = sum(goal for _, goal, _, _ in scored)
    for least in (2.0, 1.0, 0.5, 0.0, -0.5, -1.0, -1.5, -2.0, -3.0):
        right = sum(goal for score, goal, _, _ in scored if score > least)
        wrong = sum(not goal for score, goal, _, _ in scored if score > least)
        clean = len({sample.sample_id for score, goal, sample, _ in scored if score > least and sample.is_clean})
        others = len(scored) - somebody
        yield f"above {least:4}: {right} of {somebody} who are left, {wrong} of {others} others, {clean} clean texts"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--held", nargs="+", default=(), metavar="SET", help="leave these out, measure on them, write nothing"
    )
    held = parser.parse_args().held
    weights, bias = learn(read_corpus(*(name for name in SETS if name not in held)))
    if held:
        sys.stdout.write("\n".join([*report(read_corpus(*held), weights, bias), ""]))
        return
    scale = float(np.abs(weights).max()) / STEPS
    np.savez_compressed(
        STORED, weights=np.round(weights / scale).astype(np.int8), scale=np.array(scale), bias=np.array(bias)
    )
    sys.stdout.write(f"{STORED.name}: {STORED.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
