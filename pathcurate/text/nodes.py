"""Counts of lymph nodes: ratios, Chinese counts of pieces, English words and synoptic lines."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from pathcurate.text.clauses import clause_end, clause_start
from pathcurate.text.found import Found

_MOST = 200
"""More nodes than any dissection yields: a larger number counts something else."""

_RATIO = re.compile(r"/ ?(?P<all>[0-9]{1,3})(?![0-9]|/[0-9]| ?\+| ?%| ?(?:hpf|高倍|个高倍|mm|cm|块|月|分|级|x))")
_BEFORE_SLASH = re.compile(r"(?<![a-z0-9./])(?P<pos>[0-9]{1,3}|o) ?\Z")
_NODE_WORDS = ("淋巴结", "node", "前哨", "sentinel", "lymphadenectomy")
_NODE = re.compile(r"ln(?<![a-z]ln)s?(?![a-z])|n(?<![a-oq-z]n) ?[0-3o][a-c]?(?:mi)?(?:\(\w{1,3}[+-]?\))? ?[(,]? ?\Z")
_OTHER = re.compile(
    r"(?:er|pr|allred|score|评分|grade|级|g|ki-?67|核分裂|mitos[ie]s|mitotic|block|蜡块|slide|fuhrman|nottingham|gleason"
    r"|stage"
    r"|score of|cores?)[ :(]{0,3}\Z"
)
_TOTAL_BEFORE = re.compile(r"(?:共计?|合计|总计|总数|总共|汇总|总|in total|total(?: of)?|overall)[^,。;\n\d]{0,14}\Z")
_LIST_GAP = re.compile(r"[^。\n]{0,24}\Z")

_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_WORDS = {word: number for number, word in enumerate((*_UNITS, *_TEENS))}
_TENS_WORDS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TENS = {word: 10 * number for number, word in enumerate(_TENS_WORDS, 2)}
_WORDS |= {"no": 0, "none": 0, "single": 1, **_TENS}
_COUNT = (
    r"(?:(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[ -]?(?:one|two|three|four|five|six|seven"
    r"|eight|nine)(?![a-z]))?"
    r"|(?:six|seven|eight|nine)teen|zero|one|two|three|four(?:teen)?|five|fifteen|six|seven|eight|nine|ten|eleven"
    r"|twelve|thirteen|none|single|\d{1,3})"
    r"(?: \(\d{1,3}\))?"
)
_OF = re.compile(
    rf" of (?:the |a total of "
    rf"|total )?(?P<all>{_COUNT})(?![0-9./])(?P<node> (?:[a-z-]{{1,20}} ){{0,3}}(?:lymph ?)?node)?"
)
_NO_NODES = re.compile(r" ?(?:cm|mm|cassettes?|blocks?|slides?|sections?|cores?|\d)")
_COUNT_LAST = re.compile(rf"(?<![a-z0-9./])(?P<n>{_COUNT})(?: out)?\Z")
_CLEAR = re.compile(
    r"s?,?(?: \((?:[a-z]+|\d+)\))?,? (?:are |is |all )?(?:negative|uninvolved|free|with no |no evidence|without"
    r"|benign|no malignan|no tumou?r|no metasta)"
)
_NEGATED = re.compile(
    r"(?:\bno (?:[a-z]{1,20} ){1,4}(?:in|involving)|negative for (?:[a-z]{1,20} ){1,3}in) (?:all |a total of "
    r"|any of |total of )?\Z"
)
_NUMBER_OF = re.compile(
    r"(?:number|#|no\.)(?: \(?(?:of|total|regional|all|sentinel|lymph|the|s)\)?| ?nodes?(?:\(s\))?| lymph|/)*\s?"
    r"\(?(?P<what>examined|involved|positive|sampled|identified|evaluated|found|submitted"
    r"|with (?:\w+ )?(?:metasta\w+|macrometasta\w+|disease|tumou?r|carcinoma)(?: disease)?"
    r"|of positive)(?: \(?(?:lymph )?nodes?\)?| by (?:tumou?r|carcinoma)| with metasta\w+)?\)?"
    r"(?: \([^()\n]{0,40}\))? ?(?:[:=]|is|are) ?(?P<n>\d{1,3}|o(?![a-z])|" + _COUNT + r")(?![0-9%]|\.\d)"
)

_PIECES = re.compile(r"(?P<n>\d{1,3}|[一二两三四五六七八九十]{1,3}) ?(?:枚|个|粒|颗)")
_HAN_DIGITS = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_WITH_METASTASIS = re.compile(
    r"[^,。;\n未无]{0,8}?(?:见|有|查见|可见|为|伴)?[^,。;\n未无]{0,8}?(?:癌转移|转移|阳性|受累|见癌|有癌|\(\+\)|癌累及)"
)
_WITHOUT = re.compile(r"[^。;\n\d]{0,16}?(?:未见|未查见|无|未发现|阴性|\(-\)|反应性|慢性炎)")
_ALL_WITH = re.compile(r"[^。;\n\d未无]{0,8}?均[^,。;\n未无]{0,6}?(?:转移|阳性|见癌|受累)")


class _Count(NamedTuple):
    """Nodes of one group; either number may be missing."""

    positive: int | None
    examined: int | None
    start: int
    end: int
    is_total: bool


def node_values(folded: str) -> Iterator[Found]:
    """Nodes positive and examined of a folded text: one pair per group, or the total's alone where one total is said.

    Source of the synoptic lines, which count as totals: CAP cancer protocols ("number of lymph nodes examined").
    """
    if not ("淋巴结" in folded or "node" in folded or "ln" in folded or "前哨" in folded or "/" in folded):
        return
    counts = [*_ratios(folded)]
    if "淋巴结" in folded:
        counts += _beside(_pieces(folded), counts)
    if "node" in folded or "number" in folded:
        counts += _beside(_worded(folded), counts)
        counts += [*_synoptic(folded)]
    counts = _totals(_unrepeated(counts))
    for one in counts:
        if one.positive is not None:
            yield Found("nodes_positive", one.positive, one.start, one.end)
        if one.examined is not None:
            yield Found("nodes_examined", one.examined, one.start, one.end)


def _beside(new: Iterator[_Count], known: list[_Count]) -> list[_Count]:
    """Those of the new counts that no known one repeats: the same nodes in words and as a ratio are counted once."""
    starts = sorted(one.start for one in known)
    return [
        one for one in new if bisect_left(starts, min(one.start - 24, one.end - 69)) == bisect_left(starts, one.end + 70)
    ]


def _unrepeated(counts: list[_Count]) -> list[_Count]:
    return sorted(dict.fromkeys(counts), key=lambda one: (one.start, one.end))


def _totals(counts: list[_Count]) -> list[_Count]:
    synoptic = [one for one in counts if one.positive is None or one.examined is None]
    if any(one.positive is not None for one in synoptic) and any(one.examined is not None for one in synoptic):
        return synoptic
    pairs = [one for one in counts if one.positive is not None and one.examined is not None]
    totals = [one for one in pairs if one.is_total]
    if len(totals) == 1 and all((one.examined or 0) <= (totals[0].examined or 0) for one in pairs):
        return totals
    return pairs or synoptic


def _ratios(folded: str) -> Iterator[_Count]:
    past = -100
    for slash in _RATIO.finditer(folded):
        hit = _BEFORE_SLASH.search(folded, max(0, slash.start() - 4), slash.start())
        if hit is None:
            continue
        start, end = hit.start(), slash.end()
        positive, examined = 0 if hit["pos"] == "o" else int(hit["pos"]), int(slash["all"])
        # "6/1" in a list of blocks: six pieces in one.
        if max(positive, examined) > _MOST or positive > examined == 1:
            continue
        low = clause_start(folded, start, 120)
        before = folded[low:start]
        if _OTHER.search(before[-14:]):
            continue
        near = _names_nodes(before) or _names_nodes(folded[end : end + 24])
        # A list of groups names the nodes once: "第1组0/3; 第3组1/5".
        if not near and not (start - past < 30 and _LIST_GAP.match(folded[past:start])):
            continue
        past = end
        yield _Count(positive, examined, start, end, bool(_TOTAL_BEFORE.search(before[-24:])))


def _names_nodes(text: str) -> bool:
    return any(word in text for word in _NODE_WORDS) or _NODE.search(text) is not None


def _pieces(folded: str) -> Iterator[_Count]:
    """Counts of pieces: 淋巴结15枚,其中2枚见癌转移."""
    past = 0
    for word in re.finditer("淋巴结", folded):
        if word.start() < past:
            continue
        low, high = max(past, clause_start(folded, word.start(), 30)), clause_end(folded, word.end(), 60)
        hits = list(_PIECES.finditer(folded, low, high))[:4]
        if not hits:
            continue
        positive = next((hit for hit in hits if _WITH_METASTASIS.match(folded, hit.end())), None)
        examined = next((hit for hit in hits if hit is not positive), None)
        if examined is None and positive is not None:
            if not _ALL_WITH.match(folded, positive.end()):
                continue
            examined = positive
        if examined is None:
            continue
        total = _han_number(examined["n"])
        first = min(word.start(), examined.start())
        if positive is not None and positive is not examined:
            count, end = _han_number(positive["n"]), max(positive.end(), word.end())
            first = min(first, positive.start())
        elif positive is examined or _ALL_WITH.match(folded, examined.end()):
            count, end = total, max(examined.end(), word.end())
        elif without := _WITHOUT.match(folded, max(examined.end(), word.end() if word.start() - examined.end() < 4 else 0)):
            count, end = 0, without.end()
        else:
            continue
        if max(count, total) > _MOST:
            continue
        past = end
        is_total = bool(_TOTAL_BEFORE.search(folded[max(0, examined.start() - 24) : examined.start()]))
        yield _Count(count, total, first, end, is_total)


def _han_number(text: str) -> int:
    if text.isdigit():
        return int(text)
    tens, ten, ones = text.rpartition("十")
    if not ten:
        return _HAN_DIGITS.get(text[-1], 0)
    return 10 * (_HAN_DIGITS.get(tens[-1:], 1) if tens else 1) + _HAN_DIGITS.get(ones[:1], 0)


def _worded(folded: str) -> Iterator[_Count]:
    if "node" not in folded:
        return
    past: list[int] = []
    for hit in _OF.finditer(folded):
        low = max(0, hit.start() - 28)
        first = _COUNT_LAST.search(folded[low : hit.start()])
        if first is None:
            continue
        start = low + first.start()
        if hit["node"] or (
            not _NO_NODES.match(folded, hit.end()) and "node" in folded[clause_start(folded, start, 60) : start]
        ):
            past.append(hit.end())
            yield _count(folded, _number(first["n"]), _number(hit["all"]), start, hit.end())
    for node in re.finditer("nodes?", folded):
        if any(end - 4 <= node.start() < end + 40 for end in past[-4:]):
            continue
        found = _count_before(folded, node.start())
        if found and (_CLEAR.match(folded, node.start() + 4) or _NEGATED.search(folded[max(0, found[1] - 60) : found[1]])):
            yield _count(folded, 0, found[0], found[1], node.end())


def _count_before(folded: str, end: int) -> tuple[int, int] | None:
    """The number among the four words before a place, and where it stands."""
    for _ in range(5):
        end = folded.rfind(" ", max(0, end - 20), end)
        if end < 0:
            return None
        start = folded.rfind(" ", max(0, end - 20), end) + 1
        word = folded[start:end].strip("(-")
        if word in _WORDS or (word.isdigit() and word.isascii() and len(word) < 4):
            number = _number(word)
            tens = folded[max(0, start - 8) : start].rpartition(" ")[0].rpartition(" ")[2]
            return (number + _TENS[tens], start - len(tens) - 1) if tens in _TENS and number < 10 else (number, start)
        head, dash, tail = word.partition("-")
        if dash and head in _TENS and tail in _WORDS:
            return _TENS[head] + _WORDS[tail], start
        if word.endswith((".", ",", ":", ";", ")")):
            return None
    return None


def _count(folded: str, positive: int, examined: int, start: int, end: int) -> _Count:
    is_total = bool(_TOTAL_BEFORE.search(folded[max(0, start - 24) : start])) or "total" in folded[start:end]
    return _Count(positive, examined, start, end, is_total)


def _number(text: str) -> int:
    text = text.partition(" (")[0].strip()
    if text.isdigit():
        return int(text)
    if text == "o":
        return 0
    for tens, value in _TENS.items():
        if text.startswith(tens):
            return value + _WORDS.get(text[len(tens) :].strip(" -"), 0)
    return _WORDS.get(text, 0)


def _synoptic(folded: str) -> Iterator[_Count]:
    """CAP lines: "Number examined: 15", "Number of lymph nodes involved: 3"."""
    if "number" not in folded and "#" not in folded:
        return
    for hit in _NUMBER_OF.finditer(folded):
        number = _number(hit["n"])
        what = hit["what"]
        if number > _MOST or "node" not in folded[max(0, hit.start() - 160) : hit.end() + 40]:
            continue
        if what in ("examined", "sampled", "identified", "evaluated", "found", "submitted"):
            yield _Count(None, number, hit.start(), hit.end(), True)
        else:
            yield _Count(number, None, hit.start(), hit.end(), True)
