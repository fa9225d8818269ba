"""The words behind the coding of diagnosis lines: what each one can mean, from the shipped YAML and a site's own."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pathcurate.errors import UsageError
from pathcurate.text.folding import fold
from pathcurate.text.vocabulary import vocabulary
from pathcurate.yamlsource import did_you_mean

_DIRECTORY = Path(__file__).with_name("terms")
_BRITISH = (("tumour", "tumor"), ("haem", "hem"), ("oesoph", "esoph"), ("leukaem", "leukem"), ("oestr", "estr"),
            ("thrombocythaem", "thrombocythem"), ("colour", "color"), ("coeliac", "celiac"), ("caecum", "cecum"),
            ("naevus", "nevus"), ("favour", "favor"), ("centre", "center"), ("gynaec", "gynec"))  # fmt: skip
Extension = Mapping[str, Mapping[str, Sequence[str]]]
_KINDS = ("organs", "topographies", "morphologies")
CONTEXTS = ("metastatic", "in_situ", "microinvasive", "invasive", "borderline", "malignant", "benign", "margin",
            "in_passing", "origin", "history", "minor", "doubtful")  # fmt: skip


@dataclass(slots=True, eq=False)
class Word:
    """All that one word can mean.

    Attributes:
        kind: what it is first of all: none, morphology, topography, organ, subtype, place, laterality or context.
        organ: the organ it names, or that its histology implies.
        topography: code of the sub-site it names.
        side: laterality it names.
        morphologies: organ (or ``any``) to code.
        subtypes: ``CODE`` or ``CODE organ`` that it refines, to the refined code.
        places: organ to code of the sub-site.
        nodes: code of the lymph nodes of the region.
        contexts: what it does to words around it, of :data:`CONTEXTS`.
    """

    kind: str = "context"
    organ: str | None = None
    topography: str | None = None
    side: str | None = None
    morphologies: dict[str, str] = field(default_factory=dict)
    subtypes: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    nodes: str | None = None
    contexts: frozenset[str] = frozenset()

    @property
    def code(self) -> str:
        """The first of its codes."""
        choices = (*self.morphologies.values(), self.topography, self.organ, *self.subtypes.values(), *self.places.values())
        return next((code for code in (*choices, self.side, self.nodes, *sorted(self.contexts)) if code), "")


@dataclass(frozen=True, slots=True)
class Words:
    """Everything that a coder knows.

    Attributes:
        meanings: folded word, hyphens as spaces, to what it means.
        topographies: organ to its code where no sub-site is said.
        combinations: two codes to the one that stands for both.
        usual: first and last number of a range of morphologies, and the organ they usually are of.
        general: code to how little it says; absent for a specific one.
        digest: sha256 (hexadecimal) of all of it.
    """

    meanings: Mapping[str, Word]
    topographies: Mapping[str, str]
    combinations: Mapping[tuple[str, str], str]
    usual: Sequence[tuple[str, str, str]]
    general: Mapping[str, int]
    digest: str


@cache
def _source(name: str) -> tuple[str, Any]:
    text = (_DIRECTORY / f"{name}.yaml").read_text(encoding="utf-8")
    # The C loader is as safe and ten times as fast; it is missing where PyYAML was built without libyaml.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return text, loader(text).get_single_data()


def load_words(extension: Extension | None = None) -> Words:
    """The shipped words and a site's own.

    Args:
        extension: ``organs``, ``topographies`` and ``morphologies`` (code to words), each optional.

    Raises:
        UsageError: a kind or an organ is unknown, or a code is not one.
    """
    texts, data = zip(*(_source(name) for name in ("morphologies", "topographies", "contexts")), strict=True)
    morphologies, topographies, contexts = data
    builder = _Builder(topographies["organs"])
    builder.add_morphologies(morphologies)
    builder.add_topographies(topographies)
    builder.add_contexts(contexts)
    for word in morphologies["none"]:
        builder.word(word).kind = "none"
    builder.extend(extension or {})
    organs = sorted(vocabulary("organs").words.items())
    own = sorted((kind, code, sorted(words)) for kind, codes in (extension or {}).items() for code, words in codes.items())
    combinations = {tuple(key.split()): code for key, code in morphologies["combinations"].items()}
    return Words(
        builder.finished(),
        topographies["organs"],
        {**combinations, **{(second, first): code for (first, second), code in combinations.items()}},
        [(str(first), str(last), organ) for organ, ranges in morphologies["usual"].items() for first, last in ranges],
        {code: rank for rank, codes in morphologies["general"].items() for code in codes},
        hashlib.sha256(repr((texts, organs, own)).encode()).hexdigest(),
    )


class _Builder:
    """Collects what words mean, in all their spellings."""

    def __init__(self, organs: Mapping[str, str]) -> None:
        self._words: dict[str, Word] = {}
        self._organs = organs

    def word(self, word: str) -> Word:
        return self._words.setdefault(fold(word).replace("-", " "), Word())

    def add_morphologies(self, data: Mapping[str, Any]) -> None:
        for codes in data["words"].values():
            for key, words in codes.items():
                code, _, organ = key.partition(" ")
                for word in words:
                    self.word(word).morphologies["any"] = code
                    self.word(word).organ = organ or None
        for entry in data["by_organ"]:
            for word in entry["words"]:
                self.word(word).morphologies.update(entry["codes"])
        for entry in data["subtypes"]:
            for word in entry["words"]:
                self.word(word).subtypes.update(entry["of"])

    def add_topographies(self, data: Mapping[str, Any]) -> None:
        for word, organ in vocabulary("organs").words.items():
            self.word(word).organ = organ
        for organ, codes in data["sites"].items():
            for code, words in codes.items():
                for word in words:
                    self._site(word, organ, code)
        for entry in data["by_organ"]:
            for word in entry["words"]:
                self.word(word).places.update({organ: code for organ, code in entry.items() if organ != "words"})
        for entry in data["nodes"]:
            for word in entry["words"]:
                self.word(word).nodes = entry["code"]

    def _site(self, word: str, organ: str, code: str) -> None:
        self.word(word).organ = organ
        self.word(word).topography = code

    def add_contexts(self, data: Mapping[str, Any]) -> None:
        for name in CONTEXTS:
            for word in data[name]:
                self.word(word).contexts |= {name}
        for word, side in vocabulary("lateralities").words.items():
            # Single Latin letters mean too much else in running text.
            if len(word) > 1 or not word.isascii():
                self.word(word).side = side
        for side, words in data["sides"].items():
            for word in words:
                self.word(word).side = side

    def extend(self, extension: Extension) -> None:
        for kind, codes in extension.items():
            if kind not in _KINDS:
                raise UsageError(
                    f"words of the unknown kind `{kind}`{did_you_mean(kind, _KINDS)}", f"Use {', '.join(_KINDS)}."
                )
            for code, words in codes.items():
                for word in words:
                    self._add_own(kind, code, word)

    def _add_own(self, kind: str, code: str, word: str) -> None:
        if kind == "organs":
            if code not in self._organs:
                raise UsageError(
                    f"unknown organ `{code}`{did_you_mean(code, self._organs)}", "Use a code of the vocabulary organs."
                )
            self.word(word).organ = code
        elif kind == "topographies":
            self._site(word, self._organ_of(code), code)
        elif len(code) == 6 and code[4] == "/" and code.replace("/", "").isdigit():
            self.word(word).morphologies = {"any": code}
        else:
            raise UsageError(f"`{code}` is not an ICD-O-3 morphology", "Write the code with its behaviour: 8500/3.")

    def _organ_of(self, code: str) -> str:
        same = [organ for organ, own in self._organs.items() if own == code]
        near = [organ for organ, own in self._organs.items() if own[:3] == code[:3]]
        if not (same or near):
            raise UsageError(f"`{code}` is not the ICD-O-3 topography of a known organ", "Write the code as C16.3.")
        return (same or near)[0]

    def finished(self) -> dict[str, Word]:
        for text, word in self._words.items():
            word.kind = _kind(word)
            word.side = word.side or (_side(text) if _has_place(word) else None)
        spelt: dict[str, Word] = {}
        for text, word in self._words.items():
            if self._is_only_sided(text, word):
                continue
            for spelling in _spellings(text):
                # A word as it is written comes before what is derived from another.
                spelt.setdefault(spelling, self._words.get(spelling, word))
        return spelt

    def _is_only_sided(self, text: str, word: Word) -> bool:
        """Whether a word is a side and an organ that is a word too; it would hide a longer one (左肾 in 左肾盂)."""
        rest = self._words.get(text[1:]) if text[0] in "左右双" else None
        # 左乳 alone would make an adenocarcinoma (腺癌) of 左乳腺癌.
        if rest is None or (len(text) > 2 and text[:-1] in self._words) or word.kind not in ("organ", "topography", "place"):
            return False
        return (rest.organ, rest.topography, rest.places) == (word.organ, word.topography, word.places)


def _kind(word: Word) -> str:
    choices: Iterable[tuple[str, Any]] = (
        ("none", word.kind == "none"), ("morphology", word.morphologies), ("topography", word.topography),
        ("organ", word.organ), ("subtype", word.subtypes), ("place", word.places or word.nodes), ("laterality", word.side),
    )  # fmt: skip
    return next((kind for kind, is_so in choices if is_so), "context")


def _has_place(word: Word) -> bool:
    return bool((word.organ or word.places or word.nodes) and not word.morphologies)


def _side(text: str) -> str | None:
    sides = (("左", "left"), ("left ", "left"), ("右", "right"), ("right ", "right"), ("双", "bilateral"))
    if side := next((side for prefix, side in sides if text.startswith(prefix)), None):
        return side
    # 甲状腺左叶, 前列腺右叶
    inside = [side for sign, side in (("左", "left"), ("右", "right")) if sign in text]
    return inside[0] if len(inside) == 1 else None


def _spellings(text: str) -> Iterator[str]:
    forms = {text, text.replace("黏", "粘")}
    if text.isascii():
        american = text
        for british, other in _BRITISH:
            american = american.replace(british, other)
        forms |= {
            american,
            american.replace("izing", "ising"),
            american.replace("izing", "ising").replace("tumor", "tumour"),
        }
        forms |= {plural for form in forms for plural in _plurals(form)}
    yield from sorted(forms, key=lambda form: form != text)


def _plurals(word: str) -> Iterator[str]:
    if word[-1].isalpha() and len(word) > 3 and word[-1] != "s":
        yield word[:-1] + "ies" if word[-1] == "y" else word + "s"
    if word.endswith("oma"):
        yield word + "ta"
