"""One diagnosis line while it is coded: which organ was taken, which histology counts, and on which side.

What was taken counts and not what is mentioned in passing, the most specific histology that is affirmed, and nothing that is
denied.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

from pathcurate.text.coding_words import Word, Words

Assertion = Literal["affirmed", "negated", "possible"]
Span = tuple[int, int]
_PUNCTUATION = re.compile(r"[,;:。、.()\n]")
# Between an organ and the word for a spread: 肝腺癌转移 came from the liver, in 肝见癌转移 it is there.
_FOUND_THERE = re.compile(r"[,;:。、.()\n见有未无查]")
_IN_NODES = re.compile(
    r" (?:\([^()\n]{0,16}\) )?(?:is )?(?:present |identified )?(?:in|to|involv\w+) (?:[^;:。,\n.]|\.(?!\s))*"
)
_SENTENCE_END = re.compile(r"[;。\n]|\.\s")
_CONJUNCTION = re.compile(r"[及与和、+;&]|\band\b")
# The latter of two organs that touch is what was taken: 乳腺皮肤 is skin.
_HEADS = frozenset(
    {"lymph_node", "skin", "soft_tissue", "cervix", "bone", "pleura", "meninges", "peritoneum", "bone_marrow"}
)
_NEAR, _FAR = 3, 45
"""Characters between a histology and what changes it: behind it, and before it without punctuation."""
_WINDOW, _SENTENCE = 60, 200
"""Characters within which words can change one another, and within which a margin or node is what a sentence is about."""
_GROWN = 16
"""Characters between an organ and the histology that is said to grow in it."""
# Organs that are taken for a tumour of a part of them, or of what is taken with them.
_PARTS = {
    "kidney": ("renal_pelvis", "ureter"), "uterus": ("cervix", "ovary", "fallopian_tube"),
    "liver": ("bile_duct", "gallbladder"), "pancreas": ("ampulla", "bile_duct"),
}  # fmt: skip
# What was found before this specimen was taken: 乳腺癌保乳术后.
_TAKEN_FOR = re.compile("标本|切除|根治|术后|治疗后|放疗|化疗|病史")
_HAD = re.compile(r"[癌瘤][^,。;:()\n]{0,8}?病史")
_PAST_AFTER = re.compile(r"[^,。;:()\n]{0,8}?(?:术后|病史|放疗后|化疗后|治疗后)")
_LEVELS = {"3": 3, "6": 3, "9": 3, "2": 2, "1": 1, "0": 0}
_HAEMATOLOGICAL = "9590"


class Term(NamedTuple):
    """A word of the vocabularies in a text.

    Attributes:
        kind: morphology, topography, organ, subtype, place, laterality or context.
        code: the first of the codes it can mean.
        start: where it begins in the text.
        end: where it ends.
        word: all that it can mean.
    """

    kind: str
    code: str
    start: int
    end: int
    word: Word


class _Judgement(Protocol):
    @property
    def assertion(self) -> Assertion: ...


class Judge(Protocol):
    """Says whether a text affirms what it says at a place."""

    def of(self, start: int, end: int) -> _Judgement:
        """The judgement of a mention at [start, end)."""
        ...


@dataclass(frozen=True, slots=True)
class Coding:
    """What a diagnosis line says.

    Attributes:
        organ: canonical organ that was taken.
        laterality: left, right or bilateral.
        topography: ICD-O-3 topography.
        morphology: ICD-O-3 morphology with behaviour; None where no neoplasm is affirmed or suspected.
        behaviour: the morphology's last digit.
        assertion: of the morphology; without one, negated if the line denies a neoplasm.
        start: where the line begins.
        end: where it ends.
        spans: name of a value to where the text says it.
    """

    organ: str | None
    laterality: str | None
    topography: str | None
    morphology: str | None
    behaviour: str | None
    assertion: Assertion
    start: int
    end: int
    spans: dict[str, Span] = field(default_factory=dict)


class _Mention(NamedTuple):
    """A histology in a line."""

    code: str
    term: Term
    assertion: Assertion
    is_minor: bool
    rank: int

    @property
    def weight(self) -> tuple[int, bool, int, int]:
        return _LEVELS.get(self.code[-1], 3), not self.is_minor, self.rank, -self.term.start


class LineCoding:
    """One diagnosis line while it is coded."""

    def __init__(
        self, words: Words, text: str, start: int, end: int, judge: Judge, terms: Sequence[Term], specimen_organ: str | None
    ) -> None:
        self._words = words
        self._text = text
        self._start, self._end = start, end
        self._judge = judge
        self._terms = terms
        self._starts = [term.start for term in terms]
        self._contexts = [term for term in terms if term.word.contexts or term.word.organ == "lymph_node"]
        self._context_starts = [term.start for term in self._contexts]
        self._specimen_organ = specimen_organ
        self._spans: dict[str, Span] = {}
        self._grown_from = 0
        self._histologies = [term for term in terms if term.kind == "morphology"]
        self._head_end = self._end_of_head()
        self._bracket_end = text.find(")", start, end) if text.startswith("(", start) else text.find(":", start, end)

    def coding(self) -> Coding:
        """What the line says."""
        organ_term = self._organ_term()
        organ = self._organ(organ_term)
        best, denied = self._morphology(organ)
        code = best.code if best else None
        if organ is None and best and not best.code.endswith("6"):
            organ = best.term.word.organ or self._usual(best.code) or self._implied()
            if organ:
                self._spans["organ"] = best.term[2:4]
        if best:
            self._spans["morphology"] = best.term[2:4]
        assertion: Assertion = best.assertion if best else "negated" if denied else "affirmed"
        topography = self._topography(organ, organ_term)
        side = self._laterality()
        return Coding(
            organ, side, topography, code, code[-1] if code else None, assertion, self._start, self._end, self._spans
        )

    def _implied(self) -> str | None:
        """The organ that another word for a tumour in the line says by itself: (子宫肌瘤)富于细胞性平滑肌瘤."""
        return next((term.word.organ for term in self._histologies if term.word.organ), None)

    def _usual(self, code: str) -> str | None:
        return next((organ for first, last, organ in self._words.usual if first <= code[:4] <= last), None)

    def _around(self, term: Term, before: int = _WINDOW) -> Sequence[Term]:
        """The terms near one: a line may be a whole report, and must not take time by the square of its length."""
        first = bisect_left(self._starts, term.start - before)
        return self._terms[first : bisect_right(self._starts, term.end + _WINDOW)]

    def _contexts_around(self, term: Term, before: int = _WINDOW) -> Sequence[Term]:
        first = bisect_left(self._context_starts, term.start - before)
        return self._contexts[first : bisect_right(self._context_starts, term.end + _WINDOW)]

    def _end_of_head(self) -> int:
        """Where the part that says what was taken ends: a bracket or colon at the beginning, or the first histology."""
        first = self._histologies[0].start if self._histologies else self._end
        places = [term for term in self._terms if term.start < first and (term.word.organ or term.kind == "place")]
        if not places:
            return first
        opening = places[0]
        if "(" in self._text[self._start : opening.start] and (close := self._text.find(")", opening.end, first)) >= 0:
            # A bracket that names only a region, （左腋窝）淋巴结, does not say what was taken.
            return close if any(place.word.organ for place in places if place.start < close) else first
        colon = self._text.find(":", opening.end, first)
        return colon if colon >= 0 else first

    def _organ_term(self) -> Term | None:
        named = [term for term in self._terms if term.kind in ("organ", "topography")]
        head = [term for term in named if term.start < self._head_end and not self._is_passing(term)]
        if node := self._invaded_node(named):
            return node
        if head:
            return self._grown_in(head, named) or self._head_organ(head)
        if moved := self._site_of_metastasis(named):
            return moved
        if self._specimen_organ:
            return None
        return next((term for term in named if term.start >= self._head_end and not self._is_passing(term)), None)

    def _grown_in(self, head: list[Term], named: list[Term]) -> Term | None:
        """Of several organs taken together, the one in which the tumour is said to grow: (子宫+双附件)右卵巢浆液性癌."""
        if not self._histologies or "lymph_node" in (organs := {term.word.organ for term in head}):
            return None
        first = self._histologies[0]
        is_spread = all(code.endswith("6") for code in first.word.morphologies.values())
        for term in reversed(named):
            gap = self._text[term.end : first.start]
            if (
                self._head_end <= term.start < first.start and len(gap) <= _GROWN and not _PUNCTUATION.search(gap)
                and (len(organs) > 1 or term.word.organ in _PARTS.get(head[0].word.organ or "", ()))
                and not self._is_passing(term) and not is_spread and not self._has_beside(first, "metastatic")
            ):  # fmt: skip
                self._grown_from = self._head_end
                return term
        return None

    def _head_organ(self, head: list[Term]) -> Term:
        chosen = self._usual_of(head) or head[0]
        for before, term in pairwise(head):
            gap = self._text[before.end : term.start]
            if _CONJUNCTION.search(gap):
                break
            touches = len(gap) <= 1 and not _PUNCTUATION.search(gap)
            if term.word.organ == "lymph_node" or (touches and term.word.organ in _HEADS):
                chosen = term
        return self._site_of_metastasis([term for term in self._terms if term.kind in ("organ", "topography")]) or chosen

    def _usual_of(self, head: list[Term]) -> Term | None:
        """Of several organs in a head, the one in which what is found usually grows: a meningioma beside the falx."""
        if len(head) == 1 or not self._histologies:
            return None
        usual = self._usual(next(iter(self._histologies[0].word.morphologies.values())))
        return next((term for term in head if term.word.organ == usual), None)

    def _site_of_metastasis(self, named: list[Term]) -> Term | None:
        """The organ in 乳腺癌淋巴结转移: behind a histology, before the word for its spread, in one breath."""
        if "(" in self._text[self._start : self._start + 1] or ":" in self._text[self._start : self._head_end + 1]:
            return None
        for term in named:
            around = self._around(term)
            if any(self._reaches(mention, term, _WINDOW) for mention in around if mention.kind == "morphology") and any(
                self._reaches(term, spread, _NEAR) for spread in around if "metastatic" in spread.word.contexts
            ):
                return term
        return None

    def _invaded_node(self, named: list[Term]) -> Term | None:
        """The nodes in "metastatic carcinoma in two of fourteen lymph nodes"."""
        if not self._histologies:
            return None
        first = self._histologies[0]
        node = next((term for term in named if term.word.organ == "lymph_node" and term.start >= first.end), None)
        if node is None or node.start - first.end > _WINDOW or not _IN_NODES.fullmatch(self._text, first.end, node.start):
            return None
        is_spread = all(code.endswith("6") for code in first.word.morphologies.values())
        return node if is_spread or self._has_beside(first, "metastatic") else None

    def _reaches(self, before: Term, after: Term, reach: int) -> bool:
        gap = after.start - before.end
        return 0 <= gap <= reach and not _PUNCTUATION.search(self._text, before.end, after.start)

    def _is_passing(self, term: Term) -> bool:
        """Whether an organ is only mentioned: where it came from, how far it is, what it grows into, what once was there."""
        if _HAD.match(self._text, term.end, self._end):
            return True
        for other in self._contexts_around(term):
            contexts = other.word.contexts
            gap_after = other.start - term.end
            if (
                "origin" in contexts
                and 0 <= gap_after <= _NEAR
                and not _FOUND_THERE.search(self._text, term.end, other.start)
            ):
                return True
            if other.end > term.start or not contexts:
                continue
            gap = self._text[other.end : term.start]
            if _PUNCTUATION.search(gap):
                continue
            if "in_passing" in contexts and len(gap) <= (_FAR if gap.isascii() else 8):
                return True
            if "metastatic" in contexts and term.word.organ != "lymph_node" and len(gap) <= 8:
                return True
        return False

    def _organ(self, term: Term | None) -> str | None:
        if term is None:
            return self._specimen_organ
        self._spans["organ"] = term[2:4]
        return term.word.organ

    def _morphology(self, organ: str | None) -> tuple[_Mention | None, bool]:
        """The histology that counts; without one, whether any neoplasm is denied."""
        mentions = list(self._mentions(organ)) if self._histologies else []
        affirmed = [mention for mention in mentions if mention.assertion == "affirmed"]
        if affirmed and all(self._names_specimen(mention.term) for mention in affirmed) and self._denies():
            return None, True
        pool = affirmed or [
            mention
            for mention in mentions
            if mention.assertion == "possible" and not _PAST_AFTER.match(self._text, mention.term.end, self._end)
        ]
        if not pool:
            return None, self._denies()
        best = max(pool, key=lambda mention: mention.weight)
        code = self._combined(best, pool)
        if code == best.code:
            code = self._refined(code, organ, best)
        return best._replace(code=self._with_invasion(code, organ, best)), False

    def _denies(self) -> bool:
        """Whether any neoplasm is denied."""
        return any(
            (term.kind == "morphology" or not _ALTERS.isdisjoint(term.word.contexts)) and self._assertion(term) == "negated"
            for term in self._terms
        )

    def _assertion(self, term: Term) -> Assertion:
        """Of a mention; 非 denies the word that it touches and no other: 非乳头状癌, but 非黏液性腺癌."""
        if self._text.startswith("非", term.start - 1) and term.start > self._start:
            return "negated"
        return self._judge.of(term.start, term.end).assertion

    def _names_specimen(self, term: Term) -> bool:
        """Whether a histology is only what the specimen was taken for: (左乳导管内癌切除标本)未见残余肿瘤."""
        return term.start < self._bracket_end and _TAKEN_FOR.search(self._text, term.end, self._bracket_end) is not None

    def _mentions(self, organ: str | None) -> Iterator[_Mention]:
        """The histologies that are affirmed or suspected."""
        for term in self._histologies:
            codes = term.word.morphologies
            code = codes.get(organ or term.word.organ or "") or codes.get("any")
            assertion = self._assertion(term)
            if code is None or assertion == "negated" or self._is_of_something_else(term, organ):
                continue
            code = self._behaved(code, term, organ)
            yield _Mention(code, term, assertion, self._is_minor(term), self._words.general.get(code, 9))

    def _is_of_something_else(self, term: Term, organ: str | None) -> bool:
        """Whether a histology is said of a margin, of nodes of another organ's line, or of the past."""
        for other in self._contexts_around(term, _SENTENCE):
            if other.start >= term.start:
                return False
            contexts = other.word.contexts
            is_margin = "margin" in contexts
            is_node = other.word.organ == "lymph_node" and organ != "lymph_node" and other.start >= self._head_end
            if (is_margin or is_node) and not _SENTENCE_END.search(self._text, other.end, term.start):
                return True
            if "history" in contexts and 0 <= term.start - other.end <= _FAR:
                gap = self._text[other.end : term.start]
                if not _PUNCTUATION.search(gap) and len(gap) <= (_FAR if gap.isascii() else 4):
                    return True
        return False

    def _is_minor(self, term: Term) -> bool:
        return any(
            "minor" in other.word.contexts
            and 0 <= term.start - other.end <= 20
            and not _PUNCTUATION.search(self._text, other.end, term.start)
            for other in self._contexts_around(term)
        )

    def _behaved(self, code: str, term: Term, organ: str | None) -> str:
        """The code with the behaviour that the words around it say."""
        base, behaviour = code.split("/")
        said = {name for other in self._contexts_around(term) for name in other.word.contexts}
        for name in _BEHAVIOURS:
            if name not in said or not self._has_beside(term, name):
                continue
            match name, behaviour:
                case ("metastatic", "3"):
                    behaviour = "6"
                case ("in_situ", "3"):
                    behaviour = "2"
                case ("borderline", "0"):
                    behaviour = "1"
                case ("malignant", "0" | "1"):
                    behaviour = "3"
                case ("benign", "1"):
                    behaviour = "0"
        is_spread = organ == "lymph_node" and behaviour == "3" and base < _HAEMATOLOGICAL  # what grows there grew elsewhere
        return f"{base}/6" if is_spread else f"{base}/{behaviour}"

    def _has_beside(self, term: Term, name: str) -> bool:
        for other in self._contexts_around(term):
            if name not in other.word.contexts:
                continue
            if other.end <= term.start:
                reach = _FAR if name == "metastatic" else _NEAR
                between = self._text[other.end : term.start]
                # 肝转移灶:腺癌
                is_headed = name == "metastatic" and between == ":"
                is_near = len(between) <= reach and (is_headed or not _PUNCTUATION.search(between))
                # In 结肠癌肝转移,腺癌 the word belongs to what is before it.
                is_near = is_near and not any(
                    third.kind == "morphology" and other.end <= third.start < term.start for third in self._around(term)
                )
            else:
                is_near = 0 <= other.start - term.end <= (0 if name == "malignant" else _NEAR)
                if name == "metastatic":
                    # 腺癌,肝转移 tells of another place than the one that was taken.
                    is_near = is_near and not (
                        _PUNCTUATION.search(self._text, term.end, other.start)
                        and any(third.word.organ and term.end <= third.start < other.start for third in self._around(term))
                    )
                    is_near = is_near or self._spreads(term, other)
            if is_near and self._judge.of(other.start, other.end).assertion != "negated":
                return True
        return False

    def _spreads(self, term: Term, other: Term) -> bool:
        """Whether only an organ stands between a histology and the word for its spread: 腺癌肝转移."""
        between = [third for third in self._around(term) if term.end <= third.start and third.end <= other.start]
        return (
            bool(between)
            and all(third.word.organ and third.kind != "morphology" for third in between)
            and (not _PUNCTUATION.search(self._text, term.end, other.start) and other.start - term.end <= 12)
        )

    def _combined(self, best: _Mention, pool: list[_Mention]) -> str:
        for other in pool:
            if (code := self._words.combinations.get((best.code, other.code))) is not None:
                return code
        return best.code

    def _refined(self, code: str, organ: str | None, best: _Mention) -> str:
        base = code[:-1] + "3" if code.endswith("6") else code
        for term in self._terms:
            if not term.word.subtypes:
                continue
            finer = term.word.subtypes.get(f"{base} {organ or best.term.word.organ}") or term.word.subtypes.get(base)
            if finer and not self._is_minor(term) and self._judge.of(term.start, term.end).assertion == best.assertion:
                return finer[:-1] + "6" if code.endswith("6") else finer
        return code

    def _with_invasion(self, code: str, organ: str | None, best: _Mention) -> str:
        if not code.endswith("/2"):
            return code
        if code in _GROWS and self._is_affirmed("invasive"):
            return f"{code[:-1]}3"
        for term in self._terms:
            if "microinvasive" in term.word.contexts and self._judge.of(term.start, term.end).assertion == "affirmed":
                return {"8077/2": "8076/3", "8070/2": "8076/3", "8120/2": "8120/3"}.get(code, f"{code[:-1]}3")
        return code

    def _is_affirmed(self, context: str) -> bool:
        return any(
            context in term.word.contexts and self._judge.of(term.start, term.end).assertion == "affirmed"
            for term in self._terms
        )

    def _topography(self, organ: str | None, organ_term: Term | None) -> str | None:
        if organ is None:
            return None
        if organ == "lymph_node":
            return self._node_region(organ_term)
        general = self._words.topographies.get(organ)
        for term in self._terms:
            code = term.word.topography if term.word.organ == organ else None
            code = code or term.word.places.get(organ)
            if code and code != general and (term is organ_term or not (self._is_passing(term) or self._is_clear(term))):
                self._spans["topography"] = term[2:4]
                return code
        if "organ" in self._spans:
            self._spans["topography"] = self._spans["organ"]
        return general

    def _is_clear(self, term: Term) -> bool:
        """Whether a part is named only for its nodes, or to say that nothing is there: 肺门淋巴结, 乳头未见癌."""
        if term.start < self._head_end:
            return False
        nodes = [node.start - term.end for node in self._contexts_around(term) if node.word.organ == "lymph_node"]
        if any(0 <= gap <= _NEAR for gap in nodes):
            return True
        return self._judge.of(term.start, term.end).assertion == "negated" or any(
            self._reaches(term, mention, 8) and self._judge.of(mention.start, mention.end).assertion == "negated"
            for mention in self._around(term)
            if mention.kind == "morphology" or "doubtful" in mention.word.contexts
        )

    def _node_region(self, organ_term: Term | None) -> str:
        stop = organ_term.start if organ_term else self._head_end
        regions = [term for term in self._terms if term.word.nodes and term is not organ_term]
        before = [term for term in regions if term.end <= stop]
        chosen = before[-1] if before else next(iter(regions), None)
        if chosen is None:
            return self._words.topographies["lymph_node"]
        self._spans["topography"] = chosen[2:4]
        return chosen.word.nodes or ""

    def _laterality(self) -> str | None:
        sides = [term for term in self._terms if term.word.side]
        chosen = (
            [term for term in sides if self._grown_from and self._grown_from <= term.start < self._histologies[0].start]
            or [term for term in sides if term.start < self._head_end]
            or [term for term in sides if not self._is_passing(term)]
        )
        if not chosen:
            return None
        self._spans["laterality"] = chosen[0][2:4]
        is_both = len(chosen) > 1 and {term.word.side for term in chosen[:2]} == {"left", "right"}
        if is_both and chosen[1].start - chosen[0].end <= 2:
            return "bilateral"
        return chosen[0].word.side


_GROWS = frozenset({"8130/2", "8120/2"})
_BEHAVIOURS = ("metastatic", "in_situ", "borderline", "malignant", "benign")
_ALTERS = frozenset({"doubtful", "metastatic", "malignant"})
