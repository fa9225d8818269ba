"""Make the weights of ``pathcurate/scrubbers/text/learned.py`` from the marked texts and the lines of ``deid_contexts.txt``.

Names in the texts are replaced by drawn ones, so that what is learned is what stands around them. How usual two characters
are beside each other is counted in the words of pypinyin (MIT licence) and of this package. Same input, same file.

Run it again when names.yaml or labels.yaml has changed. ``--held zh_d`` leaves a set out and says how well the others do.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pypinyin.phrases_dict import phrases_dict

from pathcurate.scrubbers.text import learned
from pathcurate.scrubbers.text.namewords import DOTS, HAN, NameWords, name_words
from pathcurate.scrubbers.text.spelling import simplified
from pathcurate.text.folding import half_width
from pathcurate.text.vocabulary import vocabulary, vocabulary_names
from tests.bench.deid_scoring import Sample, read_corpus

SETS = tuple(f"zh_{letter}" for letter in "abcdefghijklmnopqstuvwxyz12356789")
PEOPLE = frozenset({"patient", "staff", "person"})
PACKAGE = Path(learned.__file__).parents[2]
STORED = Path(learned.__file__).with_name("names.npz")
COPIES, LINES_PER_TEXT, WORDS_PER_TEXT, PASSES, KEPT = 20, 3.0, 0.3, 2, 0.25
BATCH, RATE, SLOWING, SHRINKING, FIRST_SQUARE = 2048, 0.3, 0.7, 1e-6, 1e-2
HIGHEST = 2.0
"""No weight is more."""
OF_A_WORD, OF_A_SURNAME = 0.08, 0.8
"""How many names are drawn as words that no report has (郑重, 蔚蓝), and how many of these begin with a surname."""
RARE, SOME, OFTEN = 1, 30, 300
"""What a pair of characters weighs in a long phrase, and from where on it is usual and very usual."""
Marked = tuple[str, list[tuple[int, int]]]

_HAN = re.compile(f"[{HAN}]")
_WORDS = re.compile(f"[{HAN}]{{2,}}")
_PLAIN = re.compile(f"[{HAN}]+")
_SLOT = re.compile(r"\{([A-Z])\}")
_LABEL = re.compile(f"([{HAN}]{{2,6}})([:：] ?)$")
_FREQUENT = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜"
    "范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段钱汤尹黎易常武乔贺赖龚文"
)
_BETWEEN = ("", "", "", ",", "、", "。", "(", ")", ",", "的", "及", "为", "见", "。\n", "未见", ":")
_BETWEEN_LINES = ("\n",) * 10 + ("。",) * 3 + ("  ",) * 2 + (" ",) * 2 + (";", ",")
_WALL = "\ue000"


class Drawing:
    """Names and words drawn by chance."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        lists = name_words()
        self.common = sorted(lists.single & lists.common)
        self.rare = sorted(lists.single - lists.common)
        self.compound, self.given, self.sounds, self.both = map(
            sorted, (lists.compound, lists.given, lists.sounds, lists.both)
        )
        labels = yaml.safe_load((PACKAGE / "scrubbers" / "text" / "labels.yaml").read_text(encoding="utf-8"))
        self.labels = [*labels["strong"]["staff"], *(role + end for role in labels["roles"] for end in labels["role_ends"])]
        self.no_names = [word for line in written() if line.startswith("= ") for word in line[2:].split()]
        self.words = [word for word in phrases_dict if 2 <= len(word) <= 4]
        self.like_names = [word for word in self.words if word[0] in lists.single and len(word) < 4]
        self.terms = sorted(terms())
        unused = self._unused_words(lists)
        self.unused = [word for word in unused if word[0] in lists.single], unused

    def _unused_words(self, lists: NameWords) -> list[str]:
        """Words of two or three characters that stand in no report outside a name: only what is around them tells more."""
        texts = [sample.text[start:end] for sample in read_corpus(*SETS) for start, end in _outside_marks(sample)]
        used = normal("\n".join([*texts, *written()]))
        stretches = {used[at : at + length] for at in range(len(used)) for length in (2, 3)}
        no_names = {*stretches, *lists.medical, *lists.nobody, *lists.staff_words, *self.no_names, *self.terms}
        return [word for word in self.words if len(word) < 4 and _PLAIN.fullmatch(word) and word not in no_names]

    def word(self) -> str:
        """A word that is somebody's name."""
        return self.random.choice(self.unused[self.random.random() >= OF_A_SURNAME])

    def surname(self) -> str:
        at = self.random.random()
        kind = _FREQUENT if at < 0.45 else self.rare if at < 0.75 else self.common if at < 0.88 else self.compound
        return self.random.choice(kind if at < 0.97 else self.given)

    def alone(self) -> str:
        """A surname that stands without a given name."""
        at = self.random.random()
        return self.random.choice(self.compound if at < 0.07 else [*_FREQUENT, *self.rare] if at < 0.85 else self.common)

    def given_name(self) -> str:
        return "".join(self.random.choice(self.given) for _ in range(1 if self.random.random() < 0.3 else 2))

    def sound(self, fewest: int = 2, most: int = 5) -> str:
        return "".join(self.random.choice(self.sounds) for _ in range(self.random.randint(fewest, most)))

    def name(self) -> str:
        if self.random.random() < OF_A_WORD:
            return self.word()
        at = self.random.random()
        if at < 0.07:
            return self.random.choice(self.both)
        if at < 0.1:
            return self.sound(3)
        return f"{self.sound()}·{self.sound()}" if at < 0.115 else self.surname() + self.given_name()

    def slot(self, kind: str) -> str:
        """What stands for a slot of ``deid_contexts.txt``."""
        if kind == "K":
            return self.random.choice("小小老小阿") + self.random.choice([*_FREQUENT, *self.rare])
        if kind == "M":
            return self.random.choice(_FREQUENT) + self.random.choice(["某", "某", "某", "某某", "××", "**", "X"])
        drawn: dict[str, Callable[[], str]] = {
            "P": self.name,
            "S": self.alone,
            "T": self.sound,
            "D": lambda: f"{self.sound()}·{self.sound()}",
        }
        return drawn[kind]() if kind in drawn else self.random.choice(self.given) + self.random.choice(self.given)

    def like(self, name: str) -> str:
        """Another name of the same form."""
        lists = name_words()
        if any(dot in name for dot in DOTS):
            return f"{self.sound()}·{self.sound()}"
        if not _PLAIN.fullmatch(name):
            return name
        if len(name) == 1 or name in lists.compound:
            return self.alone()
        if len(name) == 2 and name[0] in "小老阿" and name[1] in lists.single:
            return name[0] + self.random.choice([*_FREQUENT, *self.rare])
        if name[:2] in lists.compound or (name[0] in lists.single and len(name) < 4):
            at = self.random.random()
            return (
                self.word()
                if self.random.random() < OF_A_WORD
                else self.random.choice(self.both)
                if at < 0.06
                else self.sound(3)
                if at < 0.1
                else self.surname() + self.given_name()
            )
        return self.sound(max(2, len(name) - 1), len(name) + 1) if lists.sounds.issuperset(name) else name


def _outside_marks(sample: Sample) -> list[tuple[int, int]]:
    """The stretches of a text between its identifiers."""
    starts = [0, *(mark.end for mark in sample.marks)]
    return list(zip(starts, [*(mark.start for mark in sample.marks), len(sample.text)], strict=True))


def marked_names(sample: Sample) -> Marked:
    """A text of the corpus as it is, with its Chinese names."""
    places = [(mark.start, mark.end) for mark in sample.marks if mark.kind in PEOPLE]
    return normal(sample.text), [place for place in places if _HAN.search(sample.text[slice(*place)])]


def changed(sample: Sample, drawing: Drawing) -> Marked:
    """A text of the corpus with other names, digits and labels; now and then with all identifiers gone."""
    by_chance = drawing.random.random
    is_scrubbed = by_chance() < 0.15
    parts: list[str] = []
    places: list[tuple[int, int]] = []
    renamed: dict[str, str] = {}
    last = length = 0
    for mark in sample.marks:
        before, value = sample.text[last : mark.start], sample.text[mark.start : mark.end]
        is_name = mark.kind in PEOPLE and _HAN.search(value) is not None
        if is_scrubbed:
            value, is_name = _WALL * drawing.random.randint(3, 9), False
        elif is_name:
            value = renamed.get(value) or renamed.setdefault(value, drawing.like(value))
            label = _LABEL.search(before) if mark.kind == "staff" and by_chance() < 0.12 else None
            if label:
                before = before[: label.start()] + drawing.random.choice(drawing.labels) + label[2]
            if by_chance() < 0.05 and before[-1:] in {":", "："}:
                before = before[:-1] + drawing.random.choice(["：", " ", "", "= ", "： "])
        elif mark.kind in {"case", "number", "id", "phone", "account", "bed"}:
            value = re.sub("[0-9]", lambda _: drawing.random.choice("0123456789"), value)
        parts += [before, value]
        start = length + len(before)
        length = start + len(value)
        places += [(start, length)] * is_name
        last = mark.end
    return normal("".join([*parts, sample.text[last:]])), places


def lines_drawn(lines: Sequence[str], drawing: Drawing) -> Marked:
    """A few lines of ``deid_contexts.txt``, one behind the other."""
    text = ""
    places: list[tuple[int, int]] = []
    for _ in range(drawing.random.randint(2, 8)):
        sign = drawing.random.choice(_BETWEEN_LINES)
        if text and not (text[-1] in "。;:,；：，" and sign in "。;,"):
            text += sign
        line, last = drawing.random.choice(lines), 0
        for slot in _SLOT.finditer(line):
            text += _digits_drawn(line[last : slot.start()], drawing)
            value = drawing.slot(slot[1])
            places.append((len(text), len(text) + len(value)))
            text += value
            last = slot.end()
        text += _digits_drawn(line[last:], drawing)
    return normal(text), places


def words_drawn(drawing: Drawing) -> Marked:
    """Words that are no names."""
    parts = []
    for _ in range(drawing.random.randint(15, 40)):
        at = drawing.random.random()
        kind = (
            drawing.no_names
            if at < 0.3
            else drawing.like_names
            if at < 0.5
            else drawing.words
            if at < 0.7
            else drawing.terms
        )
        parts += [drawing.random.choice(kind), drawing.random.choice(_BETWEEN)]
    return normal("".join(parts)), []


def usual_pairs() -> NDArray[np.uint8]:
    """How usual pairs of characters are in words, 0 to 3, four to a byte."""
    counted: Counter[str] = Counter()
    lists = name_words()
    own = [word for name in vocabulary_names() for word in vocabulary(name).words]
    weighed: Iterable[tuple[str, int]] = (
        *((phrase, SOME * 3 if len(phrase) == 2 else RARE * 10) for phrase in phrases_dict),
        *((word, OFTEN) for word in (*lists.words, *lists.medical, *own, *terms())),
    )
    for word, weight in weighed:
        for pair in pairwise(word):
            counted["".join(pair)] += weight
    pairs = [pair for pair in counted if all(map(_HAN.match, pair))]
    first, second = (np.array([ord(pair[at]) & 0xFFFF for pair in pairs], np.uint32) for at in (0, 1))
    weights = np.array([counted[pair] for pair in pairs])
    levels = np.where(weights >= OFTEN, 3, np.where(weights >= SOME, 2, 1)).astype(np.uint8)
    usual = np.zeros(1 << learned.PAIR_BITS, np.uint8)
    np.maximum.at(usual, learned.pair_hash(first, second), levels)
    return (usual.reshape(-1, 4) << np.array([0, 2, 4, 6], np.uint8)).sum(axis=1, dtype=np.uint8)


def learn(samples: Sequence[Sample], lines: Sequence[str], pairs: NDArray[np.uint8]) -> dict[str, Any]:
    """The arrays of ``names.npz``: logistic regression by Adagrad (Duchi et al., JMLR 2011)."""
    drawing = Drawing(1)
    usual = learned.packed(np.zeros((1, 3), np.int8), pairs, 1.0, np.zeros(3)).usual
    places, wanted = [], []
    for copy in range(COPIES):
        texts = [changed(sample, drawing) if copy else marked_names(sample) for sample in samples]
        texts += [lines_drawn(lines, drawing) for _ in range(int(LINES_PER_TEXT * len(samples)))]
        texts += [words_drawn(drawing) for _ in range(int(WORDS_PER_TEXT * len(samples)))]
        for text, names in texts:
            goals = np.zeros((len(text), 3), np.float32)
            for start, end in names:
                goals[start, 0] = goals[end - 1, 1] = 1
                goals[start:end, 2] = 1
            places.append(learned.hashes(text, usual).T.astype(np.int32))
            wanted.append(goals)
    weights, bias = _fitted(np.concatenate(places), np.concatenate(wanted))
    scale = HIGHEST / learned.STEPS
    steps = np.clip(np.round(weights / scale), -learned.STEPS, learned.STEPS).astype(np.int8)
    return {"weights": steps, "usual": pairs, "scale": np.array(scale), "bias": bias.astype(np.float64)}


def _fitted(places: NDArray[np.int32], wanted: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    chance = np.random.default_rng(1)
    size = 1 << learned.BITS
    weights, bias = np.zeros((size, 3), np.float32), np.full(3, -2, np.float32)
    squares = np.full((size, 3), FIRST_SQUARE, np.float32)
    is_name = wanted.any(axis=1)
    for one in range(PASSES):
        chosen = np.flatnonzero(is_name | (chance.random(len(places)) < KEPT))
        chance.shuffle(chosen)
        for first in range(0, len(chosen), BATCH):
            rows = chosen[first : first + BATCH]
            batch = places[rows]
            wrong = 1 / (1 + np.exp(-(weights[batch].sum(axis=1) + bias))) - wanted[rows]
            bias -= 0.1 * wrong.mean(axis=0)
            for output in range(3):
                slope = np.bincount(batch.ravel(), np.repeat(wrong[:, output], batch.shape[1]), minlength=size)
                touched = np.flatnonzero(slope)
                step = slope[touched].astype(np.float32) + SHRINKING * len(rows) * weights[touched, output]
                squares[touched, output] += step * step
                rate = RATE * (1 - SLOWING * one / PASSES)
                weights[touched, output] -= rate * step / np.sqrt(squares[touched, output])
    return weights, bias


def report(samples: Sequence[Sample], weights: learned.Weights) -> list[str]:
    """For several least scores: names found in full, share of what is found that is marked, and hits in clean texts."""
    found = []
    for sample in samples:
        text, names = marked_names(sample)
        found.append((sample, names, learned.best_spans(text, learned.scores(text, weights), -4.0)))
    lines = []
    for least in (-2, 0, 2, 4, 6, 8, 10):
        there = whole = taken = inside = hits = 0
        for sample, names, spans in found:
            gone = {at for score, start, end in spans if score > least for at in range(start, end)}
            marked = {at for mark in sample.marks for at in range(mark.start, mark.end)}
            there += len(names)
            whole += sum(all(at in gone or sample.text[at].isspace() for at in range(*name)) for name in names)
            taken += len(gone)
            inside += len(gone & marked)
            hits += sum(score > least for score, _, _ in spans) * sample.is_clean
        lines.append(
            f"above {least:3}: {whole / there:.3f} of {there} names, precision {inside / max(taken, 1):.3f}, {hits} clean"
        )
    return lines


def written() -> list[str]:
    """The lines of ``deid_contexts.txt`` without its comments."""
    lines = Path(__file__).with_name("deid_contexts.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("%")]


def normal(text: str) -> str:
    """A text as the scrubber's rules see it."""
    return simplified(half_width(text))


def _digits_drawn(text: str, drawing: Drawing) -> str:
    return re.sub("#", lambda _: drawing.random.choice("0123456789"), text)


def terms() -> set[str]:
    """Words of the package's lists of terms."""
    paths = sorted((PACKAGE / "text" / "terms").glob("*.yaml"))
    lines = [line.partition("#")[0] for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return {word for line in lines for word in _WORDS.findall(line)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", choices=SETS, help="leave this set out, measure on it, write nothing")
    held = parser.parse_args().held
    lines = [line for line in written() if not line.startswith("= ")]
    arrays = learn(read_corpus(*(name for name in SETS if name != held)), lines, usual_pairs())
    if held is None:
        np.savez_compressed(STORED, **arrays)
        sys.stdout.write(f"{STORED.name}: {STORED.stat().st_size} bytes\n")
    else:
        weights = learned.packed(arrays["weights"], arrays["usual"], float(arrays["scale"]), arrays["bias"])
        sys.stdout.write("\n".join([*report(read_corpus(held), weights), ""]))


if __name__ == "__main__":
    main()
