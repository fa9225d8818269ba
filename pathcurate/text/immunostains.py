"""Immunostains and special stains in a report: which marker, with what result, in which block.

Marker names are looked up in one pass of an automaton over all spellings of `markers.yaml`; only where one stands
is the text around it read. A marker without a result (ordered, not done, or a word that looks like one) is no stain.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from pathcurate.text.vocabulary import every_spelling, vocabulary


class Stain(NamedTuple):
    """One stain with its result.

    Attributes:
        marker: canonical marker, a code of the vocabulary `markers`.
        result: positive, negative, equivocal, retained or lost. HER2 by its score (0 and 1+ negative, 2+ equivocal,
            3+ positive; ASCO/CAP 2018); proteins of mismatch repair are retained or lost instead of positive or negative.
        percent_low: share of positive cells in percent, or the lower end of its range.
        percent_high: upper end of the range, or the share itself.
        intensity: weak, weak to moderate, moderate, moderate to strong, strong or variable.
        score: 0, 1+ to 4+, or CPS or TPS with a number.
        block: the block that the list of stains is of, as A1 or 2.
        start: index of the marker's first character.
        end: index after the result's last.
    """

    marker: str
    result: str
    percent_low: int | None
    percent_high: int | None
    intensity: str | None
    score: str | None
    block: str | None
    start: int
    end: int


class _Mark(NamedTuple):
    marker: str
    start: int
    end: int


class _Reading(NamedTuple):
    """What a stretch of text says, whatever the marker; polarity None if it only gives details."""

    polarity: str | None
    low: int | None
    high: int | None
    intensity: str | None
    score: str | None
    shared: bool
    length: int = 0


class _Read(NamedTuple):
    mark: _Mark
    reading: _Reading | None
    stop: int


_REACH = 160
"""Characters after a marker in which its result may stand."""
_NOTHING = _Reading(None, None, None, None, None, False)
_GENERAL = (
    "defined as", "considered", "patients", "classified as", "interpretation:", "guideline", "criteri", "may not", " if the",
    "gene/chromosome", "negative control", "adjuvant", "survival", "regardless", "ratio of", "are scored",
    "breast cancers", "定义为", "判读标准", "评分标准", "判定标准",
)  # fmt: skip
"""Words of sentences that explain a test instead of giving its result."""
_SENTENCE = re.compile(r"[。\n]|[.;]\s")
_REPAIR = frozenset({"MLH1", "MSH2", "MSH6", "PMS2"})
_NO_STAIN = _Reading("none", None, None, None, None, False)
_CLOSE = re.compile(r"[^()\[\]]{0,40}[)\]]\)?|")
_OF_REPAIR = {"positive": "retained", "negative": "lost"}
_HAN = "\u4e00-\u9fff"
_PERCENT = r"(?:[<>≤≥]=?\s*)?\d{1,3}(?:\.\d)?\s*%?\s*(?:(?:-|~|至|到|to)\s*[<>]?\d{1,3}(?:\.\d)?\s*)?(?:%|percent|per cent)"
_INTENSITY = (
    r"强弱不[等一均]|强度不[等一均]|染色强度不|variable(?: intensity)?|heterogeneous(?:ly)?"
    r"|弱(?:阳性)?\s*(?:-|~|至|到)\s*(?:中等?|强)|中等?(?:度|强度)?\s*(?:-|~|至|到)\s*强|中等(?:强度)?|中强度?|中度"
    r"|中(?=[,+阳)(、;])|强(?!度)|弱(?!度)"
    r"|weak(?:ly)?(?:\s*(?:-|to|and)\s*|-to-)(?:moderate|strong)(?:ly)?|moderate(?:ly)?(?:\s*(?:-|to|and)\s*"
    r"|-to-)strong(?:ly)?"
    r"|strong(?:ly)?|intense(?:ly)?|moderate(?:ly)?|weak(?:ly)?|faint(?:ly)?"
)
_KEPT = (
    r"(?:未|无|未见)(?:明显)?缺失|(?:蛋白)?(?:保留|表达正常|正常表达|无异常|未见异常)|retained|intact|preserved"
    r"|no(?:t)? los[st]"
)
_LOST = r"(?:表达)?(?:缺失|丢失)|lost|loss(?: of)?|deficient"
_DENIED = (
    r"阴性?|(?:不|未|无)(?:见|明显)*(?:阳性)?(?:表达|着色)|未检出|(?<![a-z])negative(?!\.? (?:for|with|control))"
    r"|(?<![a-z])neg(?![a-z]| cont)"
    r"|not (?:expressed|detected|reactive|positive|identified|seen)|no (?:expression|staining|reactivity)"
    r"|non-?\s?(?:immuno)?reactive(?!\.? (?:for|with|to))|unreactive|absent"
)
_DOUBT = r"equivocal|indeterminate|borderline|可疑|不确定|±|\+\s*/\s*-|-\s*/\s*\+|\+-|-\+"
_AFFIRMED = (
    r"阳(?!性)|阳性(?!率|指数|细胞|比例|面积|数)|(?<![a-z])positive(?!\.? (?:cells?|nuclei|tumou?r|for|with|score"
    r"|control))|(?<![a-z])pos(?![a-z])|(?:immuno)?reactive(?!\.? (?:for|with|to|cells))"
)
_EXPRESSED = r"表达|express(?:ed|es)"
_NOT_DONE = (
    r"未做|未检(?!出)|未行|待做|待定|待检|待查|失败|脱片|not (?:done|performed|available|interpretable)|pending"
    r"|(?<![a-z])n/?a(?![a-z])"
)
_SHARE = (
    r"(?:combined positive score|联合阳性(?:评分|分数))?\s*\(?(?:cps)\)?\s*(?:评分|score|is|为|of|约"
    r"|[:=])*\s*[<>≥]?\s*\d{1,3}(?:\s*(?:-|~)\s*\d{1,3})?"
    r"|(?:tumou?r proportion score|肿瘤(?:细胞)?阳性(?:比例)?(?:评分|分数))?\s*\(?(?:tps)\)?\s*(?:评分|score|is|为|of"
    r"|约|[:=])*\s*[<>≥]?\s*\d{1,3}"
    r"(?:\s*%?\s*(?:-|~)\s*\d{1,3})?\s*%?"
)
_SCORE = r"(?:[0-4]\+?\s*(?:-|~|/|to)\s*)?[0-4]\s?\+(?![0-9a-z])"
_SCORED = r"(?:score[sd]?|评分)(?: of| is|为)?\s*[:=]?\s*(?:[0-4]\s*[-~]\s*)?[0-4](?![0-9.%-])(?:\s?\+)?"
# Cells other than the tumour's that take the stain, as a control or as a help in reading.
_OTHERS = (
    r"(?:血管|淋巴管|脉管|内皮|间质|基质|肌上皮|基底|背景|正常|残留|残存|周围|周边|滋养|支持|[tb]细胞|[tb]淋巴"
    r"|淋巴细胞|组织细胞|浆细胞|fdc|滤泡树突"
    r"|对照|control|stroma|vessel|vascular|endotheli|myoepitheli|lymphocyt|background|normal|histiocyt)"
)
_CONTROL = _OTHERS + rf"[{_HAN}a-z ]{{0,10}}(?:\(?\s*\+{{1,3}}\s*\)?|阳性|positive)"
_HAN_GLUE = (
    r"约占?|大约|接近|近|为|呈|示|均为?|皆|都|全部|全|弥漫(?:性)?|局灶(?:性)?|灶性?|部分|个别|少数|少量|少许|散在|散"
    r"|小灶|极少|偶见|多数|大部分?|片状|斑驳状?|核旁?|胞?[浆质]|胞?膜"
    r"|蛋白|抗体|染色|免疫组化|检测|结果|指数|增殖指数?|标记指数|阳性(?:率|指数|细胞数?|比例|面积)(?:约?占)?|热点区?"
    r"|最高处?|高处|平均|强度|着色"
    r"|肿瘤细胞|瘤细胞|癌细胞|肿瘤|细胞|上皮|腺上皮|腺体|基底|腔缘|点状"
)
_LATIN_GLUE = (
    r"is|are|was|were|be|both|all|each|also|the|of|in|by|with|and(?= (?:diffuse|focal|strong|weak|patchy))|shows?"
    r"|showed|showing|demonstrates?|reveals?|reported|as|at|immunostain(?:s|ing)?|immunohistochem\w+|ihc|stain(?:s|ed"
    r"|ing)?"
    r"|status|receptors?|expression|express|protein|antigen|index|labell?ing|proliferati(?:on|ve)|mitotic|rate"
    r"|scores?|nuclear|nuclei|cytoplasmic|membran(?:e|ous)"
    r"|diffuse(?:ly)?|focal(?:ly)?|patchy|rare(?:ly)?|scattered|approximately|approx|about|estimated|up|to|only|over"
    r"|around|circa|ca|less|more|than|tumou?r|cells?|cell|neoplastic|lesional|invasive|carcinoma|intensity|low|high"
    r"|favou?rable|unfavou?rable"
)
_BRACKET = r"\((?:[^()\n]|\n(?!\n)){0,60}(?:\([^()\n]{0,24}\)[^()\n]{0,30}){0,2}\)|\[[^\[\]\n]{0,40}\]"
_PLUS = r"\+{1,4}(?![0-9a-z])(?!\s*(?:[tb]|nk)?[- ]?(?:cells?|细胞|淋巴|浆细胞))"
_MINUS = r"-(?![0-9a-z\-])(?!\s+[a-z])"
_GLUE = rf"{_HAN_GLUE}|(?<![a-z])(?:{_LATIN_GLUE})(?![a-z])"
_ITEM = (
    f"{_BRACKET}|{_NOT_DONE}|{_DOUBT}|{_SHARE}|{_PERCENT}|{_SCORED}|{_SCORE}|{_PLUS}|{_MINUS}|{_KEPT}|{_LOST}"
    f"|{_DENIED}|{_AFFIRMED}"
    f"|(?:{_INTENSITY})|{_EXPRESSED}|[0-3](?=\\s*(?:[,;。.)分、]|$))|{_GLUE}"
)
_CLONE = (
    r"(?:\s*-?\s*\((?![^()]*(?:[+%]|-\s*\)|[^a-z]\d\s*\)|pos|neg|strong|weak|score|cps|tps|retain|intact|lost"
    r"|loss))[a-z0-9][a-z0-9/ .:-]{1,24}\)|\s*-\s*(?:d5f3|22c3|28-8|sp\d{2,3}))?"
)
_AFTER = re.compile(
    rf"\)?{_CLONE}(?:\s*(?:[:=~-]|\.(?=\s+(?:pos|neg))|,(?=\s*(?:约|[<>≥≤(]|tps|cps|强|中|弱|\d{{1,3}}(?:-\d+)?\s*%"
    rf"|(?:strong|moderate|weak)(?:ly)?\b)))?\s*(?:{_ITEM})){{1,12}}",
)
_TOKEN = re.compile(
    f"(?P<none>{_NOT_DONE})|(?P<control>{_CONTROL})|(?P<kept>{_KEPT})|(?P<share>{_SHARE})|(?P<percent>{_PERCENT})"
    f"|(?P<doubt>{_DOUBT})|(?P<denied>{_DENIED})|(?P<lost>{_LOST})|(?P<intensity>{_INTENSITY})|(?P<scored>{_SCORED}"
    f"|{_SCORE})"
    rf"|(?P<plus>\+{{1,4}})|(?P<minus>(?<![0-9a-z])-(?![0-9a-z])|(?<=[{_HAN}])-|^-(?![0-9a-z]))"
    rf"|(?P<affirmed>{_AFFIRMED})|(?P<expressed>{_EXPRESSED})"
    r"|(?P<digit>(?<![0-9.+-])[0-3](?![0-9.%/+]))|(?P<shared>均|皆|都|both|all|each)"
)
_NUMBERS = re.compile(r"\d{1,3}(?:\.\d)?")
_JOIN = re.compile(r"\s*(?:[,、/&+]|和|及|与|或|以及)?\s*(?:and|or|as well as)?\s*")
_BEFORE = re.compile(
    r"(?:(?P<denied>(?<![a-z])negative(?:ly)?(?: (?:staining|stain|immunostaining|reaction))?\.? (?:for|with)"
    r"|non-?\s?reactive\.? (?:for|with|to)"
    r"|do(?:es)? not express|no (?:expression of|staining for)|without expression of|[不未]表达|阴性(?:表达)?[:(])"
    r"|(?P<lost>(?:loss|absence|lack) of(?: \w+)?(?: expression| staining)?(?: of| for)|缺失[:(])"
    r"|(?P<kept>(?:no loss of|retained|intact|preserved|retention of)(?: \w+)?(?: expression| staining)?(?: of| for))"
    r"|(?P<affirmed>(?:(?P<weak>weak|faint)(?:ly)? |(?P<strong>strong|intense)(?:ly)? |(?P<moderate>moderate)(?:ly)? )?"
    r"(?:(?<![a-z])positiv(?:e|ity)(?: (?:staining|stain|immunostaining|reaction))?\.? (?:for|with)"
    r"|(?:immuno)?reactiv(?:e|ity)\.? (?:for|with|to)"
    r"|(?<!not )express(?:es|ing)?|(?:cells?|tumou?r|it) (?:also )?stains? (?:for|with))|(?<![不未无])表达"
    r"|阳性(?:表达)?[:(]))"
    r"(?: both| all| the|均|有)?[:\s]*$"
)
# "No cells immunoreactive with" denies all that follows.
_NONE_BEFORE = re.compile(r"(?<![a-z])(?:no|not|none|neither|without|lacks?|fails? to)(?![a-z])[^.;:,\n]{0,40}\Z")
_CUE_END = re.compile(r"(?:for|with|of|to|ing|express(?:es)?|both|all|the|ive|有|均|表达|[性达失]\s?[:(])[:\s]*$")
_ID = r"([a-z]?\d{1,3}(?:-\d{1,2})?)"
_HEADS = ("蜡块", "block", "免疫组", "特殊染色", "酶标", "ihc", "immuno")
_BLOCK = re.compile(
    rf"(?:蜡块|blocks?(?: no\.?)?)\s*(?:编?号)?\s*[:#]?\s*{_ID}(?![0-9a-z])"
    rf"|(?:免疫组(?:化|织化学)|特殊染色|酶标|ihc|immuno(?:histochem\w+|stains?))[^\n(:。]{{0,8}}"
    rf"(?:\(\s*#?{_ID}\s*号?\s*\)|(?=\s*[:(]))"
)
_BLOCK_BEFORE = re.compile(rf"(?<![0-9a-z]){_ID}\s*号?\s*$")
_PAUSE = re.compile(r"[\n。;]")


def stains(folded: str) -> list[Stain]:
    """All stains of a text that have a result, in the order of the text.

    Args:
        folded: a text as :func:`pathcurate.text.folding.fold` gives it.
    """
    found: list[Stain] = []
    for group in _groups(folded):
        found.extend(_resolved(folded, group))
    if found and any(word in folded for word in _GENERAL):
        found = [stain for stain in found if not _is_general(folded, stain)]
    return _with_blocks(folded, found) if found else found


def _is_general(folded: str, stain: Stain) -> bool:
    """Whether its sentence explains a test, or tells of other patients."""
    sentence = _SENTENCE.split(folded[max(0, stain.start - 90) : stain.start])[-1]
    sentence += folded[stain.start : stain.end] + _SENTENCE.split(folded[stain.end : stain.end + 60])[0]
    return any(word in sentence for word in _GENERAL)


def _groups(folded: str) -> Iterator[list[_Read]]:
    """Markers in a row with at most signs of a list between them, each with what follows it; a result ends a group."""
    group: list[_Read] = []
    marks = _marks(folded)
    stop = 0
    for place, mark in enumerate(marks):
        if mark.start < stop:
            continue
        if group and not _JOIN.fullmatch(folded, stop, mark.start):
            yield group
            group = []
        limit = mark.end + _REACH
        for later in marks[place + 1 : place + 4]:
            if later.marker != mark.marker:
                limit = min(limit, later.start)
                break
        reading, stop = _read(folded, mark, limit)
        group.append(_Read(mark, reading, stop))
        if reading and reading.polarity:
            yield group
            group = []
    if group:
        yield group


def _resolved(folded: str, group: list[_Read]) -> Iterator[Stain]:
    """The stains of a group: each by its own result, by the one announced before the list, or by the one at its end."""
    last = group[-1]
    followed = last.reading if last.reading and last.reading.polarity else None
    announced = _announced(folded, group[0].mark.start) if len(group) > 1 or not followed else None
    for (marker, start, _), own, stop in group:
        source = own if own and own.polarity else announced or followed
        result = _result(marker, source) if source else None
        if source is None or result is None:
            continue
        detail = own or (source if source is announced or source.shared else _NOTHING)
        score = detail.score or (source.score if marker == "HER2" else None)
        end = last.stop if source is followed else stop
        yield Stain(marker, result, detail.low, detail.high, detail.intensity, score, None, start, end)


def _result(marker: str, source: _Reading) -> str | None:
    polarity = source.polarity
    if polarity == "scored" and marker == "HER2":
        polarity = {"0": "negative", "1+": "negative", "2+": "equivocal"}.get(source.score or "", "positive")
    elif polarity == "scored":
        polarity = "negative" if source.score == "0" else "positive"
    elif polarity == "percent":
        # Below 1 % counts as negative (ER, PR, PD-L1), but for Ki-67, which is a share and no answer.
        few = source.low == 0 and source.high is not None and source.high <= (0 if marker == "Ki-67" else 1)
        polarity = "negative" if few else "positive"
    elif polarity == "none":
        return None
    return _OF_REPAIR.get(polarity or "", polarity) if marker in _REPAIR else polarity


def _announced(folded: str, start: int) -> _Reading | None:
    """What stands before a list of markers: "negative for", 表达."""
    if not _CUE_END.search(folded, max(0, start - 12), start):
        return None
    cue = _BEFORE.search(folded, max(0, start - 48), start)
    if cue is None:
        return None
    names = {name for name, text in cue.groupdict().items() if text}
    if "affirmed" in names and _NONE_BEFORE.search(folded[max(0, cue.start() - 44) : cue.start()]):
        names = {"denied"}
    polarity = {"denied": "negative", "lost": "lost", "kept": "retained", "affirmed": "positive"}
    intensity = next((name for name in ("weak", "moderate", "strong") if name in names), None)
    return _Reading(next(polarity[name] for name in polarity if name in names), None, None, intensity, None, True)


def _read(folded: str, mark: _Mark, limit: int) -> tuple[_Reading | None, int]:
    """What follows a marker up to a limit, None if it says nothing of a stain; and where that ends."""
    after = _AFTER.match(folded, mark.end, limit)
    reading = _said(after[0], mark.marker == "HER2") if after else None
    if reading is None:
        return None, mark.end
    stop = mark.end + reading.length
    # "negative < 5.5" is a range of reference.
    return (reading if folded[stop : stop + 2].lstrip()[:1] not in {"<", ">"} else _NO_STAIN), stop


@lru_cache(maxsize=8192)
def _said(text: str, her2: bool) -> _Reading | None:
    """The sense of what follows a marker. Few wordings make up nearly all lists, so they are remembered."""
    polarity = low = high = intensity = score = None
    faint = None
    shared = others = False
    length = 0
    for token in _TOKEN.finditer(text):
        kind, word = str(token.lastgroup), token[0]
        said = _SAYS.get(kind)
        if kind == "none":
            return _NO_STAIN._replace(length=len(text))
        if kind == "share":
            said, share = "percent", _NUMBERS.search(word)
            below = "<" in word
            score = score or (None if below or share is None else f"{'CPS' if 'cps' in word else 'TPS'} {share[0]}")
            if "cps" in word:
                said = "negative" if below or score == "CPS 0" else "positive"
            elif low is None:
                low, high = _bounds(word)
        elif kind == "percent":
            low, high = (low, high) if low is not None else _bounds(word)
        elif kind in {"scored", "plus", "digit"}:
            said, score = _scored(kind, word, her2, text, score)
        elif kind == "intensity":
            intensity = intensity or _intensity(word)
        shared = shared or kind == "shared"
        length = token.end() if kind != "shared" else length
        faint = faint or ("positive" if kind == "expressed" else None)
        others = others or kind == "control"
        if said and (polarity is None or (polarity == "percent" and said != "percent")):
            polarity = said
    polarity = polarity or ("none" if others else faint)
    if polarity is None and low is None and intensity is None:
        return None
    close = _CLOSE.match(text, length)
    return _Reading(polarity, low, high, intensity, score, shared, close.end() if close else length)


def _scored(kind: str, word: str, her2: bool, text: str, score: str | None) -> tuple[str | None, str | None]:
    """Sense and score of a number or a run of plus signs."""
    if kind == "scored":
        number = re.findall(r"[0-4]", word)[-1]
        return "scored", score or ("0" if number == "0" else f"{number}+")
    if kind == "plus" and len(word) > 1:
        return "scored" if score is None else None, score or f"{len(word)}+"
    if kind == "plus" and not (her2 and text.strip() == "(+)"):
        return "positive", score
    if kind == "digit" and (not her2 or score):
        return None, score
    # HER2 (+) in brackets is the score 1+; HER2 0 is a score, while a bare number says nothing of other markers.
    return "scored", score or {"0": "0", "+": "1+"}.get(word, f"{word}+")


_SAYS = {
    "kept": "retained", "lost": "lost", "doubt": "equivocal", "denied": "negative", "minus": "negative",
    "affirmed": "positive", "percent": "percent",
}  # fmt: skip


def _bounds(text: str) -> tuple[int | None, int | None]:
    """Whole percents that enclose what a text says: ``<1%`` is 0 to 1, ``>90%`` is 90 to 100."""
    numbers = [float(number) for number in _NUMBERS.findall(text)][:2]
    if not numbers or max(numbers) > 100:
        return None, None
    low, high = min(numbers), max(numbers)
    if len(numbers) == 1:
        low = 0.0 if "<" in text or "≤" in text else low
        high = 100.0 if ">" in text or "≥" in text else high
    return int(low), -int(-high // 1)


def _intensity(text: str) -> str:
    weak, moderate = ("弱" in text or "weak" in text or "faint" in text), ("中" in text or "moder" in text)
    strong = "强" in text.replace("强度", "") or "strong" in text or "intense" in text
    if "不" in text or "variable" in text or "heterogen" in text or (weak and strong):
        return "variable"
    names = [name for name, is_so in (("weak", weak), ("moderate", moderate), ("strong", strong)) if is_so]
    return " to ".join(names)


def _with_blocks(folded: str, found: list[Stain]) -> list[Stain]:
    heads = _heads(folded)
    if not any(block for _, block in heads):
        return found
    placed, current, next_head = [], None, 0
    for stain in found:
        while next_head < len(heads) and heads[next_head][0] <= stain.start:
            current = heads[next_head][1]
            next_head += 1
        placed.append(stain._replace(block=current))
    return placed


def _heads(folded: str) -> list[tuple[int, str | None]]:
    """Where a list of stains is headed, and by which block; a head without one ends the block before it."""
    heads: list[tuple[int, str | None]] = []
    starts = sorted({start for word in _HEADS for start in _places(folded, word)})
    for start in starts:
        head = _BLOCK.match(folded, start)
        before = _BLOCK_BEFORE.search(folded, max(0, start - 8), start) if folded.startswith("蜡块", start) else None
        block = before[1] if before else next((name for name in head.groups() if name), None) if head else None
        if block in _dictionary()[2]:
            block = None
        named_here = heads and heads[-1][1] and not _PAUSE.search(folded, heads[-1][0], start)
        if block or (head and not named_here):
            heads.append((head.end() if head else start, block.upper() if block else None))
    return heads


def _places(folded: str, word: str) -> Iterator[int]:
    start = folded.find(word)
    while start >= 0:
        yield start
        start = folded.find(word, start + 1)


def _marks(folded: str) -> list[_Mark]:
    """Markers that stand as words of their own, in the order of the text."""
    automaton, words, markers = _dictionary()
    marks = []
    for place, start, _ in automaton.find_matches_as_indexes(folded):
        word = words[place]
        if start and word[0] in _LATIN and folded[start - 1] in _LATIN and not _NUMBERED.match(folded, max(0, start - 2)):
            continue
        while word and word[-1] in _LATIN and folded[start + len(word) : start + len(word) + 1] in _LATIN:
            # "chromogranin and" begins with the spelling "chromogranin a": the word before the space is meant.
            word = word.rpartition(" ")[0]
        if word in markers and not folded[max(0, start - 6) : start].rstrip().endswith(_FOREIGN):
            marks.append(_Mark(markers[word], start, start + len(word)))
    return marks


@cache
def _dictionary() -> tuple[AhoCorasick, list[str], dict[str, str]]:
    """An automaton over all spellings, the spellings in its order, and the marker of each."""
    spelt = every_spelling(vocabulary("markers").words)
    words = list(spelt)
    return AhoCorasick(words, matchkind=MatchKind.LeftmostLongest, implementation=Implementation.DFA), words, spelt


_LATIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_FOREIGN = ("危", "危型", "risk", "hr", "hr-")
# ① is folded to 1; 9p16 is a place on a chromosome.
_NUMBERED = re.compile(r"[:;。,(、\n ]?[1-9](?=[a-z]{2})")
