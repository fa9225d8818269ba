"""Histological grades as texts write them: differentiation, numbers of a named system, high and low, Gleason."""

import re
from bisect import bisect_left
from collections.abc import Iterator

from pathcurate.text.clauses import clause_start
from pathcurate.text.found import Found

_DEGREES = {"高": 1, "中": 2, "低": 3, "未": 4, "well": 1, "moderate": 2, "moderately": 2, "mod": 2, "poor": 3, "poorly": 3,
            "intermediate": 2, "好": 1, "差": 3}  # fmt: skip
_ROMAN = {"i": 1, "ⅰ": 1, "Ⅰ": 1, "ii": 2, "ⅱ": 2, "Ⅱ": 2, "iii": 3, "ⅲ": 3, "Ⅲ": 3, "iv": 4, "ⅳ": 4, "Ⅳ": 4, "v": 5,
          "l": 1, "ll": 2, "lll": 3}  # fmt: skip
_LEVEL = r"(?:iv|i{1,3}|l{1,3}|[ⅰⅠⅡⅱⅢⅲⅣⅳ]|[1-5])"

_HAN_BEFORE = re.compile(r"(?P<a>[高中低未])度?(?:[ ]?[-~至到、/][ ]?)?(?:(?P<b>[高中低未])度?)?\Z")
_HAN_AFTER = re.compile(r"(?:程度|较|度|[:= ]){0,3}(?P<a>[好差]|[高中低](?!分))")
_EN_DEGREE = r"(?:well|moderate(?:ly)?|mod|poor(?:ly)?|intermediate)"
_EN_BEFORE = re.compile(
    rf"(?<![a-z])(?P<a>{_EN_DEGREE})[ .,-]{{0,3}}(?:(?:differentiated)?[ ,.]{{0,2}}(?:to|and|or|-"
    rf"|/)[ .-]{{0,2}}(?P<b>{_EN_DEGREE}))?[ .-]{{0,3}}\Z"
)
_EN_AFTER = re.compile(
    rf"(?:ion|iation|entiation)? ?(?:[:=]|is) ?(?P<a>{_EN_DEGREE})(?: ?(?:to|-|/) ?(?P<b>{_EN_DEGREE}))?(?![a-z])"
)

_HAN_GRADE = re.compile("级(?!别|医)")
_LAST_NUMBER = re.compile(rf"(?:(?P<a>{_LEVEL}) ?[-~至到] ?)?(?P<b>{_LEVEL}) ?(?:/ ?(?:[3459]|iii|iv|Ⅲ|Ⅳ) ?)?\Z")
_GRADE_IS = re.compile(
    r"(?:[ :=.()\[\]/,-]|\bis\b|\bof\b|\bthe\b|\bgrade\b|\bgroup\b|\bscore\b|\bnuclear\b|\bhistologic(?:al)?\b"
    r"|\boverall\b|\btumou?r\b|"
    r"\bfigo\b|\bwho\b|\bisup\b|\bfuhrman\b|\bnottingham\b|\bfinal\b|\bcombined\b|\bcarcinoma\b|分级|分组|组|为|级|约){0,10}"
    rf"(?:g ?)?(?P<a>{_LEVEL})(?: ?(?:-|~|to|至) ?(?:g ?)?(?P<b>{_LEVEL}))?(?![a-z0-9%])(?!\.\d| ?(?:mm|cm|\+|x ?\d))"
)
_GRADE_WORD = re.compile(r"grade|分级")
_NAMES = ("g", "steiner", "edmondson", "fuhrman", "who", "isup", "figo", "nottingham", "fnclcc")
_FIGO = re.compile(r"figo ?\)? ?[:=]? ?(?P<a>[1-3])(?! ?[a-z0-9.级期/-])")
_LEVEL_OF = re.compile(r"[ :=.(-]{0,3}(?:is )?(?P<v>high|low|intermediate)(?![a-z])(?!-? ?(?:power|risk))")
_G = re.compile(
    r"g(?<![a-z0-9]g)[ .]?(?P<a>[1-4]|x(?![a-z])|i{2,3}v?|iv)(?: ?[-~/] ?(?:g ?)?(?P<b>[1-4]))?(?![a-z0-9+/.%]"
    r"| ?p ?\d)"
)
_HIGH_LOW = re.compile(
    r"高级别|中级别|低级别|high[- ]{0,2}(?:nuclear )?grade|low[- ]{0,2}(?:nuclear )?grade"
    r"|intermediate[- ]{0,2}(?:nuclear )?grade"
)
_LEVELS = {"高": "high", "中": "intermediate", "低": "low", "h": "high", "i": "intermediate", "l": "low"}
_PRECURSOR = re.compile(
    r"[^。;\n]{0,24}?(?:上皮内|异型增生|dysplasia|intra-?epithelial|pin\b|prostatic|squamous intra|atypia|sil\b)"
)
_NEGATED = re.compile(r"(?:未见|未查见|无|除外|排除|\bno|without|negative for|not)[^,。;\n]{0,12}\Z")
_NOT_TUMOUR = re.compile(
    "trg|消退|退缩|缓解|疗效|反应|mp ?$|miller|mandard|becker|clark|炎|纤维化|变性|cin ?$|vin ?$|ain ?$|pin ?$|asa|心功能|"
    "水肿|护理|医院|mvi|风险|坏死|乳头肌|牙周|痔|"
    "portal|inflam|regress|fibrosis|steato|treatment|response|rejection|hepatitis|gvhd|toxicity|necrosis|banff|risk|"
    "lymphocyt|mitotic|tubul|gastritis|oesophagitis|esophagitis|reflux|atrophy"
)
_SYSTEMS = (
    ("fuhrman", ("fuhrman", "furhman")),
    ("isup", ("isup", "grade group", "分级分组", "预后分组", "预后分级")),
    ("nottingham", ("nottingham", "诺丁汉", "bloom", "sbr", "elston", "scarff", "mbr")),
    ("fnclcc", ("fnclcc",)),
    ("edmondson", ("edmondson",)),
    ("figo", ("figo",)),
    ("who", ("who", "世界卫生")),
    ("nuclear", ("核分级", "核级", "nuclear grade")),
)

_PLUS = re.compile(
    r"(?P<a>[1-5]) ?\+ ?(?P<b>[1-5])(?: ?分?(?:\( ?\d+ ?%\))?[ ,]?= ?(?:score )?(?P<sum>10|[2-9]))?(?!\d|\.\d| ?\+)"
)
_PATTERNS = re.compile(
    r"(?:primary|major|主要)[^\n。;]{0,40}?(?P<a>[1-5])(?![\d%./])[^\n。]{0,60}?(?:secondary|minor"
    r"|次要)[^\n。;]{0,40}?(?P<b>[1-5])(?![\d%/])"
)
_GLEASON = re.compile(r"gleason|格里森|格利森")


def grade_values(folded: str) -> Iterator[Found]:
    """Grades of a folded text, each with its system where one is named: systems have the span of their grade.

    Differentiation is graded as UICC TNM 7th edition (2010) does: well G1, moderate G2, poor G3, undifferentiated G4. High
    and low belong to a precursor only where its clause has no other grade; a nuclear grade gives way to Nottingham.
    """
    found = [*_gleason(folded), *_differentiation(folded), *_numbered(folded)]
    taken = _places(found)
    found += [one for one in _high_low(folded, sorted(one.start for one in found)) if one.start not in taken]
    taken = _places(found)
    found += [one for one in _bare_g(folded) if one.start not in taken]
    if any(one.value == "nottingham" for one in found):
        nuclear = {(one.start, one.end) for one in found if one.value == "nuclear"}
        found = [one for one in found if (one.start, one.end) not in nuclear]
    yield from found


def _places(found: list[Found]) -> set[int]:
    return {place for one in found for place in range(one.start, one.end)}


def _grade(low: int, high: int | None, start: int, end: int, system: str | None) -> list[Found]:
    first, last = sorted((low, high or low))
    value = f"G{first}" if first == last else f"G{first}-G{last}"
    found = [Found("grade", value, start, end)]
    return [*found, Found("grade_system", system, start, end)] if system else found


def _differentiation(folded: str) -> Iterator[Found]:
    if "分化" in folded:
        for hit in re.finditer("分化", folded):
            low = max(0, hit.start() - 6)
            before = _HAN_BEFORE.search(folded[low : hit.start()])
            if before:
                yield from _degrees(before, low + before.start(), hit.end())
            elif after := _HAN_AFTER.match(folded, hit.end()):
                yield from _degrees(after, hit.start(), after.end())
    if "differentiat" in folded:
        for hit in re.finditer("differentiat", folded):
            end = hit.end() + 2 if folded.startswith("ed", hit.end()) else hit.end()
            low = max(0, hit.start() - 48)
            if folded[low : hit.start()].endswith("un"):
                yield from _grade(4, None, hit.start() - 2, end, "differentiation")
            elif before := _EN_BEFORE.search(folded[low : hit.start()]):
                yield from _degrees(before, low + before.start(), end)
            elif after := _EN_AFTER.match(folded, hit.end()):
                yield from _degrees(after, hit.start(), after.end())


def _degrees(hit: re.Match[str], start: int, end: int) -> list[Found]:
    second = hit.groupdict().get("b")
    return _grade(_DEGREES[hit["a"]], _DEGREES[second] if second else None, start, end, "differentiation")


def _number(text: str) -> int:
    return _ROMAN.get(text) or int(text)


def _numbered(folded: str) -> Iterator[Found]:
    if "级" in folded:
        for hit in _HAN_GRADE.finditer(folded):
            yield from _before_han(folded, hit.start())
    if "figo" in folded:
        for hit in _FIGO.finditer(folded):
            yield from _grade(int(hit["a"]), None, hit.start(), hit.end(), "figo")
    if "grade" in folded or "分级" in folded:
        past = 0
        for word in _GRADE_WORD.finditer(folded):
            if word.start() >= past and (found := _after_word(folded, word)):
                past = found[0].end
                yield from found


def _before_han(folded: str, end: int) -> list[Found]:
    """The number that stands before 级."""
    low = max(0, end - 12)
    hit = _LAST_NUMBER.search(folded[low:end])
    if hit is None or _glued(folded, low + hit.start()):
        return []
    start = low + hit.start()
    before = folded[clause_start(folded, start, 24) : start]
    if _NOT_TUMOUR.search(before[-12:]):
        return []
    last = _number(hit["b"])
    return _grade(_number(hit["a"]) if hit["a"] else last, last, start, end + 1, _system(before))


def _after_word(folded: str, word: re.Match[str]) -> list[Found]:
    """The number, or the word high or low, that stands after "grade" or 分级."""
    before = folded[clause_start(folded, word.start(), 48) : word.start()]
    if _NOT_TUMOUR.search(before):
        return []
    hit = _GRADE_IS.match(folded, word.end())
    if hit and hit.end("a") > word.end() and not folded.startswith("级", hit.end()):
        system = _system(before[-40:] + folded[word.start() : hit.end()])
        second = _number(hit["b"]) if hit["b"] else None
        return _grade(_number(hit["a"]), second, word.start(), hit.end(), system)
    level = _LEVEL_OF.match(folded, word.end()) if word[0] == "grade" else None
    if level is None:
        return []
    span = (word.start(), level.end())
    system = _system(before[-40:] + "grade")
    return [Found("grade", level["v"], *span), *([Found("grade_system", system, *span)] if system else [])]


def _glued(folded: str, start: int) -> bool:
    """Whether a number continues a word, another number or a list of them."""
    before = folded[start - 1] if start else " "
    if before in "./" or not (before.isascii() and before.isalnum()) or not folded[start].isascii():
        return before in "./"
    return not folded.endswith(_NAMES, 0, start)


def _system(near: str) -> str | None:
    return next((name for name, words in _SYSTEMS if any(word in near for word in words)), None)


def _bare_g(folded: str) -> Iterator[Found]:
    for hit in _G.finditer(folded):
        before = folded[max(0, hit.start() - 12) : hit.start()]
        if _NOT_TUMOUR.search(before):
            continue
        if hit["a"] == "x":
            yield Found("grade", "GX", hit.start(), hit.end())
            continue
        second = int(hit["b"]) if hit["b"] and "/" not in hit[0] else None
        yield from _grade(_number(hit["a"]), second, hit.start(), hit.end(), _system(before))


def _high_low(folded: str, others: list[int]) -> Iterator[Found]:
    if "级别" not in folded and "grade" not in folded:
        return
    for hit in _HIGH_LOW.finditer(folded):
        start = clause_start(folded, hit.start(), 60)
        before = folded[start : hit.start()]
        if (
            _NEGATED.search(before)
            or before[-6:].endswith(("出芽", "出芽:", "budding ", "budding: "))
            or (before[-1:].isalpha() and before[-1:].isascii())
        ):
            continue
        is_precursor = _PRECURSOR.match(folded, hit.end())
        if is_precursor and bisect_left(others, start) < bisect_left(others, hit.end() + 60):
            continue
        if is_precursor and ("pin" in is_precursor[0] or "prostatic" in is_precursor[0]):
            continue
        yield Found("grade", _LEVELS[hit[0][0]], hit.start(), hit.end())
        if system := _system(folded[max(start, hit.start() - 12) : hit.start()]):
            yield Found("grade_system", system, hit.start(), hit.end())


def _gleason(folded: str) -> Iterator[Found]:
    """Gleason patterns as a sum (ISUP 2005, 2014): the first is the primary one."""
    if not ("gleason" in folded or "格" in folded):
        return
    past = 0
    for word in _GLEASON.finditer(folded):
        if word.start() < past:
            continue
        low, high = word.start(), min(len(folded), word.end() + 140)
        plus = _PLUS.search(folded, word.end(), min(len(folded), word.end() + 48))
        hit = plus or _PATTERNS.search(folded, max(past, low - 60), high)
        if hit is None:
            continue
        first, second = hit["a"], hit["b"]
        total = plus["sum"] if plus and plus["sum"] else str(int(first) + int(second))
        start, past = min(low, hit.start()), hit.end()
        yield Found("grade", f"{first}+{second}={total}", start, past)
        yield Found("grade_system", "gleason", start, past)
