"""TNM categories and stage groups as texts write them.

AJCC Cancer Staging Manual, 7th edition (2010), chapter 1: prefixes, categories and their suffixes. Scanned reports write the
letter O for the digit 0 and l or I for 1 ("pTlaNO"); where the place leaves no other reading they are read as digits.
"""

import re
from collections.abc import Iterator

from pathcurate.model.report import VALUES
from pathcurate.text.found import Found

_PATTERNS = {column.name: re.compile(column.pattern) for column in VALUES if column.name in {"pt", "pn", "pm", "stage"}}
_PREFIXES = {
    "": "", "p": "p", "yp": "yp", "py": "yp", "rp": "rp", "pr": "rp", "yrp": "yrp", "ryp": "yrp", "ap": "ap", "y": "yp",
}  # fmt: skip
"""Prefixes of categories found at pathology; clinical ones (cT2, ycN0) are not values of a pathology report."""

_SUFFIX_N = r"(?: ?\((?:sn|i[+-]|mol[+-])\)){0,2}"
_T = re.compile(
    r"t ?(?P<v>is(?: ?\((?:dcis|lcis|paget)[^()\n]{0,12}\))?|[0-4](?:[a-d][1-3]?)?(?:mic?)?|[il][a-d]?(?:mic?)?|x)"
    r"(?=$|[^a-z0-9]|[cp]?n ?[0-3oxil]|[cp]?m ?[01oxil])(?: ?\((?:m|s|mult|multifocal|\d{1,2})\))?"
)
_N = re.compile(
    r"(?P<p>[ycrpa]{0,2}) ?n ?(?P<v>(?P<d>[0-3oxil])[a-d]?(?:mic?)?" + _SUFFIX_N + r")"
    r"(?=$|[^a-z0-9]|[cp]?m ?[01oxil]|p?[lvr] ?[0-2ox])"
)
_M = re.compile(r"(?P<p>[ycrpa]{0,2}) ?m ?(?P<v>[01oxil][a-d]?(?:\(i\+\))?)(?:(?![a-z0-9])|(?=r ?[0-2ox]))(?! x)")
_LONE_N = re.compile(r"n(?<![a-z0-9]n) ?(?P<v>[0-3x][a-c]?(?:mic?)?" + _SUFFIX_N + r")(?![a-z0-9/%])")
_LONE_M = re.compile(r"m(?<![a-z0-9]m) ?(?P<v>[01x][a-c]?)(?![a-z0-9/%]|\.\d| x)")
_LONE_PN = re.compile(r"p(?: (?=n [0-3x]))?n ?(?P<v>(?:[0-3oxl]|i(?=[a-c]))[a-d]?(?:mic?)?" + _SUFFIX_N + r")(?![a-z0-9])")
_LONE_PM = re.compile(r"pm(?P<v>[01xo][a-d]?(?:\(i\+\))?)(?![a-z0-9])")
_WORDED = re.compile(r"[tnm](?<![a-z0-9][tnm])[ -](?:stage|category) ?[:=]? ?(?P<v>[0-4x][a-d]?)(?![a-z0-9./])")
_PLACED = re.compile(r" ?(?:$|[.,;)\n]|[cp]?m ?[01ox](?![a-z0-9])|p?[lvr] ?[0-2ox])")
_GAP = re.compile(r"[ ,;/.|、:]{0,3}(?:\([^()\n]{0,60}\)[ ,;/.]{0,2})?")
_NEAR_T = re.compile(r"tnm|stag|分期|primary tumou?r|原发肿瘤|\(t\)")
_NEAR_N = re.compile(r"tnm|\(p?n\)|stag|分期|t ?[0-4x][a-d]?[1-3]?[^a-z]*$|regional lymph nodes? ?:")
_NEAR_M = re.compile(r"tnm|\(p?m\)|stag|分期|n ?[0-3xo][a-d]?[^a-z]*$|distant metastas[ei]s ?:|远处转移")
_LONE: tuple[tuple[re.Pattern[str], str, re.Pattern[str] | None], ...] = (
    (_LONE_PN, "pn", None), (_LONE_PM, "pm", None), (_LONE_N, "pn", _NEAR_N), (_LONE_M, "pm", _NEAR_M),
)  # fmt: skip
_PICTURE = re.compile(r" ?(?:weighted|-?wi|加权|相|信号|level|vertebra|椎|胸椎|hyper|signal|flair)")
_AFTER_SPACE = re.compile(r" *(?:$|[,;.:()\n/|\[]|[cp]?n ?[0-3oxil]|[cp]?m ?[01oxil])")

_ROMAN = {"ⅰ": "I", "Ⅰ": "I", "ⅱ": "II", "Ⅱ": "II", "ⅲ": "III", "Ⅲ": "III", "ⅳ": "IV", "Ⅳ": "IV",
          "一": "I", "二": "II", "三": "III", "四": "IV", "0": "0", "1": "I", "2": "II", "3": "III", "4": "IV"}  # fmt: skip
_LEVEL = r"(?:[il1]{0,2}v|[il]{1,3}|1{1,3}|[ⅰⅠⅡⅱⅢⅲⅣⅳ]|[02-4])"
_GROUP = rf"(?P<level>{_LEVEL})(?P<sub>(?:is|[a-es]{{1,2}}| [abc](?! ?[a-z]))?[1-3]?[abes]{{0,2}})"
_STAGE_WORD = re.compile(r"stag(?:e|ing)|figo|ajcc|dukes|ann arbor|masaoka|分期|enneking|durie|rai|binet")
_BETWEEN = re.compile(
    r"(?:[ :=()\[\]\"'/,-]|s\b|group(?:ing)?|classification|is\b|the\b|of\b|pathologic(?:al)?|ajcc|figo|uicc|tnm"
    r"|stage|staging|edition|ed\b"
    r"|\d(?:th|rd|st|nd)|(?:19|20)\d\d|overall|tumou?r|system|koga|salmon|分期|系统|为|第?[678]版|版){0,14}"
)
_STAGE = re.compile(_GROUP + r"(?![a-z0-9%])(?! ?(?:级|of \d|/|\.\d|-? ?[1-9]\d|cm|mm|cases?\b|patients?\b))")
_STAGED = re.compile("stag|分期|masaoka|binet|rai")
_DUKES = re.compile(r"[' s:分期]{0,6}(?P<v>[a-d][1-3]?)(?![a-z0-9])")
_TERM_WORD = re.compile("期")
_TERM = re.compile(rf"(?:(?P<han>[一二三四])|{_GROUP}) ?\Z")
_MEANT = re.compile(r"分期|临床|figo|ajcc|uicc|tnm|病理|ann ?arbor|masaoka|癌|瘤")
_NOT_MEANT = re.compile(r"纤维化|肾病|肝硬化|手术|试验|研究|疗效|褥疮|压疮|视网膜|增殖|分裂|睡眠|妊娠|子宫内膜异位")
_NOT_STAGE = re.compile(
    r"fibros|hepatit|cirrho|portal|septa|scheuer|batts|metavir|ishak|steato|clinical(?:ly)? *$|patients|early"
    r"|[tnm][ -]$|ckd|kidney disease|ulcer"
)
_NOT_AFTER = re.compile(r"[^.\n]{0,40}patients|[, ]{0,2}(?:手术|试验|缝合|研究|临床)")
_SYSTEMS = (
    ("figo", "figo"), ("ann_arbor", "ann arbor"), ("ann_arbor", "annarbor"), ("dukes", "dukes"), ("masaoka", "masaoka"),
    ("ajcc", "ajcc"), ("ajcc", "uicc"), ("ajcc", "tnm"), ("other", "enneking"), ("other", "durie"), ("other", "binet"),
    ("other", "rai "), ("other", "inss"),
)  # fmt: skip


def tnm_values(folded: str) -> Iterator[Found]:
    """Prefix and categories T, N and M of a folded text; each category has a span of its own."""
    taken: set[int] = set()
    for hit in _T.finditer(folded):
        if found := _sequence(folded, hit):
            taken.update(range(found[0].start, found[-1].end))
            yield from found
    for pattern, column, near in _LONE:
        for hit in pattern.finditer(folded):
            if hit.start() in taken:
                continue
            if one := _lone(folded, hit, column, near):
                taken.update(range(one.start, one.end))
                yield one
    if "stage" in folded or "category" in folded:
        for hit in _WORDED.finditer(folded):
            column = f"p{hit[0][0]}"
            if value := _category(column, hit["v"]):
                yield Found(column, value, hit.start(), hit.end())


def _lone(folded: str, hit: re.Match[str], column: str, near: re.Pattern[str] | None) -> Found | None:
    """A category N or M that follows no T: with its prefix, or where the words before it say what it is."""
    begin = hit.start()
    if near is None:
        prefix, begin = _prefix(folded, begin + 1)
        if prefix is None:
            return None
    elif not near.search(folded[max(0, begin - 30) : begin]):
        return None
    value = _category(column, hit["v"])
    return Found(column, value, begin, hit.end()) if value else None


def _sequence(folded: str, hit: re.Match[str]) -> list[Found]:
    """A category T with what follows it; nothing if the letter T means something else here."""
    start, end = hit.start(), hit.end()
    prefix, begin = _prefix(folded, start)
    if prefix is None or (hit["v"][0] in "xil" and not prefix and begin == start and not _N.match(folded, end)):
        return []
    nodes = _following(folded, _N, end)
    metastasis = _following(folded, _M, nodes.end() if nodes else end)
    if not prefix and not nodes and not metastasis:
        near = _NEAR_T.search(folded[max(0, start - 40) : start])
        if not near or _PICTURE.match(folded, end):
            return []
    if hit[0][1] == " " and not _AFTER_SPACE.match(folded, end):
        return []
    value = _category("pt", hit["v"])
    if value is None:
        return []
    found = [Found("tnm_prefix", prefix, begin, start)] if prefix else []
    found.append(Found("pt", value, begin, end))
    for column, match in (("pn", nodes), ("pm", metastasis)):
        if match and (value := _category(column, match["v"])) and _PREFIXES.get(match["p"].replace("c", "")) is not None:
            found.append(Found(column, value, match.start(), match.end()))
    return found


def _following(folded: str, pattern: re.Pattern[str], end: int) -> re.Match[str] | None:
    gap = _GAP.match(folded, end)
    at = gap.end() if gap else end
    hit = pattern.match(folded, at)
    if hit is None or hit["v"][0] not in "oil" or at == end:
        return hit
    # After a blank, "no", "ni" and "mi" may be words; only what stands where a category must stand is read as one.
    if hit["p"] == "p" and hit["v"] != "i":
        return hit
    return hit if _PLACED.match(folded, hit.end()) else None


def _prefix(folded: str, start: int) -> tuple[str | None, int]:
    """The prefix of a category that starts here and where it begins; None where the letter belongs to another word."""
    begin = start
    if folded[max(0, start - 2) : start] == "p " and not _joined(folded, start - 2):
        return "p", start - 2
    while begin > 0 and start - begin < 4 and folded[begin - 1] in "ycrpa":
        begin -= 1
    if _joined(folded, begin):
        return None, begin
    return _PREFIXES.get(folded[begin:start]), begin


def _joined(folded: str, start: int) -> bool:
    before = folded[start - 1] if start else " "
    return before.isascii() and before.isalnum()


def _category(column: str, text: str) -> str | None:
    digits = text.replace("mic", "mi").replace(" ", "")
    head, suffix = (digits[: digits.index("(")], digits[digits.index("(") :]) if "(" in digits else (digits, "")
    if head[0] in "oil" and head != "is":
        head = ("0" if head[0] == "o" else "1") + head[1:]
    if "paget" in suffix:
        suffix = "(Paget)"
    elif "cis" in suffix:
        suffix = f"({suffix[1]}CIS)".replace("l", "L").replace("d", "D")
    value = column[1].upper() + head.replace("x", "X") + suffix
    return value if _PATTERNS[column].fullmatch(value) else None


def stage_values(folded: str) -> Iterator[Found]:
    """Stage groups of a folded text, with the system where it is named beside them."""
    if "期" in folded:
        for hit in _TERM_WORD.finditer(folded):
            yield from _stage_before(folded, hit.start())
    past = 0
    for word in _STAGE_WORD.finditer(folded):
        if word.start() < past:
            continue
        between = _BETWEEN.match(folded, word.end())
        at = between.end() if between else word.end()
        found = _dukes(folded, word) if word[0] == "dukes" else _group(folded, word, at)
        if found:
            past = found[0].end
            yield from found


def _group(folded: str, word: re.Match[str], at: int) -> list[Found]:
    hit = _STAGE.match(folded, at)
    if hit is None or at == word.end() or folded.startswith("期", hit.end()):
        return []
    before = folded[max(0, word.start() - 40) : word.start()]
    named = word[0] not in ("stage", "staging")
    if not named and (_NOT_STAGE.search(before) or _NOT_AFTER.match(folded, hit.end())):
        return []
    if "grade" in folded[word.end() : at] or _NOT_STAGE.search(folded[word.end() : at]):
        return []
    # "FIGO 2" is a grade.
    if named and hit[0].isdigit() and not _STAGED.search(folded, word.start(), at):
        return []
    value = _stage(hit["level"], hit["sub"])
    return _with_system(folded, value, word.start(), hit.end()) if value else []


def _dukes(folded: str, word: re.Match[str]) -> list[Found]:
    hit = _DUKES.match(folded, word.end())
    if not hit:
        return []
    return [
        Found("stage", hit["v"].upper(), word.start(), hit.end()),
        Found("stage_system", "dukes", word.start(), hit.end()),
    ]


def _stage_before(folded: str, end: int) -> list[Found]:
    """The stage that stands before 期."""
    low = max(0, end - 8)
    hit = _TERM.search(folded[low:end])
    if hit is None:
        return []
    start = low + hit.start()
    if _joined(folded, start):
        return []
    before = folded[max(0, start - 14) : start]
    level = hit["han"] or hit["level"]
    if _NOT_MEANT.search(before) or _NOT_AFTER.match(folded, end + 1):
        return []
    # An Arabic or Chinese number before 期 counts operations, trials and fibrosis too.
    if level in "0123411一二三四" and not _MEANT.search(before):
        return []
    value = _stage(level, "" if hit["han"] else hit["sub"])
    return _with_system(folded, value, start, end + 1) if value else []


def _with_system(folded: str, value: str, start: int, end: int) -> list[Found]:
    near = folded[max(0, start - 24) : end].rpartition("\n")[2] + folded[end : end + 10].partition("\n")[0]
    system = next((name for name, word in _SYSTEMS if word in near), None)
    found = [Found("stage", value, start, end)]
    return [*found, Found("stage_system", system, start, end)] if system else found


def _stage(level: str, sub: str) -> str | None:
    roman = _ROMAN.get(level) or level.replace("l", "i").replace("1", "i").upper()
    sub = sub.replace(" ", "")
    value = roman + (sub if roman == "0" else sub.upper())
    return value if _PATTERNS["stage"].fullmatch(value) else None
