"""Margins, and invasion of vessels and nerves: what a text says of each."""

import re
from collections.abc import Iterator

from pathcurate.text.clauses import clause_start
from pathcurate.text.found import Found

_POSSIBLE = (
    r"可疑|疑似|疑有|不除外|不能除外|不能排除|难以排除|难以评估|无法评估|不能评估|待除外|\(\?\)|\?|"
    "cannot|can not|indeterminate|suspicious|suspected|uncertain|equivocal|not excluded|possible"
)
_NO = (
    r"未见|未查见|未发现|未累及|未侵犯|未侵及|未检出|未找到|未受累|未受侵|无|阴性|"
    r"\(-\)|[:= ]-(?=[,。;)、\n ]|$)|-(?=[,。;)\n]|$)|净(?!化|重)|不伴|"
    r"not (?:\w+ )?(?:involved|identified|seen|present|detected|found)|not lidentified|uninvolved|negative|free"
    r"|clear\b|absent|none|\bno\b|without"
)
_YES = (
    r"阳性|\(\+{1,3}\)|[:= ]\+|\+(?=[,。;)\n]|$)|可见|查见|见(?!下|上|图|注|附|后|备)|有|残留|累及|受侵|受累|侵犯|侵及|浸润|"
    r"involved|positive|present|identified|invol?ving|extensive|focal|seen\b|\byes\b"
)

_MARGIN_HAN = re.compile("切缘|切端|断缘|断端|残缘|残端")
_MARGIN_STATE = re.compile(rf"(?P<possible>{_POSSIBLE})|(?P<no>{_NO})|(?P<yes>{_YES})")
_TUMOUR = re.compile("癌|瘤|残留|累及|肿|侵|病变|阳|异型|恶")
_LIMIT = re.compile(r"[约: ]{0,2}(?:[<≤] ?[0-9]|不足 ?[0-9]|小于 ?[0-9])[0-9.]{0,4} ?(?:cm|mm|毫米|厘米)?")
_LISTED = re.compile(r"[^,]{0,6},[^,]{0,8}(?:切缘|断端|切端|残端)")
_STATE_NEXT = re.compile(rf",(?:均|亦)?(?:{_MARGIN_STATE.pattern})")
_CLOSE_HAN = re.compile(r"[<≤] ?\d|不足 ?\d|小于 ?\d")
_CLOSE_TO = re.compile(r"[^,。;\n]{0,4}距[^,。;\n]{0,10}(?:[<≤] ?\d|不足 ?\d|小于 ?\d)[\d.]{0,3} ?(?:cm|mm|毫米|厘米)?")
_DISTANCE = re.compile(r"距[^,。;\n]{0,12}\Z")
_TO_MARGIN = re.compile(r"(?P<no>未见|未|无)?[^,。;\n]{0,10}?(?P<yes>累及|侵犯|侵及|达|浸润至)[^,。;\n距]{0,8}\Z")
_MARGIN_EN = re.compile(r"margins?(?![a-z])")
_EN_STATE = re.compile(
    r"(?P<possible>cannot be|can not be|could not be|indeterminate|difficult to|suspicious|equivocal|uncertain)"
    r"|(?P<no>(?<!not )(?:uninvolved|not (?:\w+ )?(?:involved|identified|seen|present)|negative"
    r"|(?:tumou?r[- ])?free|clear\b|no (?:residual )?(?:tumou?r|carcinoma|evidence|malignan|invasive|involvement)"
    r"|without))"
    r"|(?P<close>close(?:st)?\b(?! margin))"
    r"|(?P<yes>not free|not clear|positive|involved|involv(?:es|ing)|present (?:at|on)|tumou?r present|extends? to"
    r"|transected)"
)
_EN_BEFORE = re.compile(
    r"(?:(?P<no>negative|clear|free|uninvolved|tumou?r-free|no (?:tumou?r|carcinoma|malignancy"
    r"|\w+ carcinoma)[^.;\n]{0,40}|free of (?:tumou?r|carcinoma)[^.;\n]{0,24})|(?P<close>(?<!to )close)|"
    r"(?P<yes>positive|involved|(?:extends?|extending|present|involves|involving|infiltration|transected"
    r"|extension)(?: (?:to|at|on|of))?(?: and involves)?))"
    r" (?:(?:the|all|at|surgical|resection|soft|tissue|mucosal|inked|deep|excision|specimen|parenchymal|radial"
    r"|basal|resected|vascular|bronchial|ureteral|final|and) ?){0,5}\Z"
)

_VESSEL_HAN = re.compile("脉管|血管|淋巴管|静脉|神经|mvi(?![a-z])")
_LARGE = ("肾静脉", "门静脉", "腔静脉", "肝静脉", "大血管")
_VESSEL_NOUN = r"(?:癌栓|瘤栓|栓子|侵犯|侵袭|浸润|受侵|累及|受累|侵及|癌侵|癌累|转移)"
_LINK = r"(?:脉管|微血管|血管|淋巴管|静脉|神经|束膜|束|间隙|周围|周|旁|内|腔|鞘|组织"
_LINK += r"|[及与和、/或]|均|\(mvi\)|\(lvi\)|\(lvsi\)|\(pni\)|\(vi\))"
_AFTER = re.compile(
    rf"{_LINK}{{0,10}}[ ]?(?:(?P<possible>{_POSSIBLE})[^,。;\n]{{0,4}}?{_VESSEL_NOUN}"
    rf"|(?P<no>未见|未查见|未发现|未检出|未找到|未|无|不伴)[^,。;\n]{{0,8}}?(?:{_VESSEL_NOUN}|癌|肿瘤)"
    rf"|(?P<yes>可见|查见|见|有|伴|内有|受|被)?[^,。;:\n未无]{{0,6}}?(?P<noun>{_VESSEL_NOUN})(?:情况|状态|状况)?)"
)
_STATE = re.compile(
    rf"(?:{_LINK}|癌栓|瘤栓|侵犯|浸润|受侵|累及|情况|分级|[: =(]|\(?[ml]vi\)?|\(?pni\)?){{0,12}}(?:"
    r"(?P<possible>可疑|疑似|不除外|不能除外|无法评估|不确定|\(?[+-]/[+-]\)?|\(?\?\)?)"
    r"|(?P<no>\(?-{1,2}\)?(?![0-9a-z])|阴性|无|未见|未查见|未发现|否|\(?m0\)?(?![0-9]))"
    r"|(?P<yes>\(?\+{1,3}\)?|阳性|有|可见|查见|见(?!下|上|图|注)|是(?!否)|易见|\(?m[12]\)?(?![0-9])))"
)
_POSSIBLE_AFTER = re.compile(r"[^,。;\n]{0,3}(?:可疑|不除外|不能除外|不能排除|可能|\?)")
_SUSPECTED = re.compile("可疑|疑似|疑有|不除外|不能除外|不能排除|可能")
_ENDED = re.compile(r"$|[,。;)、\n及和与 ]")
_ALONE = re.compile(r"(?:内|分级|\(mvi\))? ?(?:[:(]|[及、和]神经|阴性|阳性|[可查]?见(?![一-龥]))")
_PRE_NO = re.compile(r"(?:未见|未查见|未发现|未检出|未找到|没有|无|不伴|未)(?!除)[^,。;\n]{0,12}\Z")
_PRE_VERB = re.compile(r"(?P<no>未见?|无)?[^,。;\n]{0,6}?(?:侵犯|累及|侵及|浸润|侵入|包绕|围绕)[^,。;\n]{0,6}\Z")
_PRE_YES = re.compile(r"(?:见|伴|伴有|有|查见|可见|并|侵及)[^,。;\n未无]{0,6}\Z")
_NO_VESSEL = re.compile(
    r"瘤(?!栓)|鞘|内分泌|纤维瘤|节|胶质|母细胞|畸形|增生|扩张|外皮|源性|平滑肌|丛状|肌脂|曲张|炎|免疫母|根|元|阻滞"
)

_VESSEL_EN = re.compile(
    r"angio(?:lymphatic|vascular)[^.:;\n]{0,30}?(?:invasion|involvement|permeation)"
    r"|lympho?[- ]{0,2}(?:vascular|vessel|angitic)[^.:;\n]{0,30}?(?:invasion|involvement|permeation|embol\w{1,6})"
    r"|lymphatic[^.:;\n]{0,32}?(?:invasion|involvement|permeation)|lymph[- ]vessels?[^.:;\n]{0,12}(?:invasion"
    r"|involvement)"
    r"|vascular[^.:;\n]{0,20}?(?:invasion|involvement|permeation)|venous[^.:;\n]{0,32}?(?:invasion|involvement)"
    r"|vessel (?:invasion|involvement)|perineur[^.:;\n]{0,24}?(?:invasion|involvement|infiltration)"
    r"|lvi(?<![a-z]lvi)(?![a-z])|lvsi(?<![a-z]lvsi)(?![a-z])|pni(?<![a-z]pni)(?![a-z])"
)
_EN_AFTER = re.compile(
    r"(?: \([^()\n]{1,24}\))?(?:[ :=.-]|\bis\b|\bare\b|\bby tumou?r\b|\bstatus\b|\bhas been\b|\bwas\b|,"
    r"|\binvasion\b|\bdefinitively\b|\bdefinite\b){0,6}"
    r"(?:(?P<possible>cannot|can not|indeterminate|suspicious|suspected|equivocal|uncertain|possible"
    r"|not definite\w*|probable)"
    r"|(?P<no>not (?:\w+ )?(?:identified|seen|present|observed|detected|found|evident|noted|lidentified)|absent"
    r"|absence|none|no(?= ?(?:$|[.,;)\n]|identified))|negative|n0\b|not identif|\(-\))"
    r"|(?P<yes>present|identified|positive|yes\b|extensive|focal(?:ly)?|seen\b|multifocal|intratumou?ral"
    r"|extratumou?ral|noted|prominent|minimal|rare|1\+|\(\+\)))"
)
_EN_PRE_NO = re.compile(r"(?:\bno\b|\bnot\b|without|negative for|absence of|free of|neither)[^.;:\n]{0,50}\Z")
_EN_PRE_POSSIBLE = re.compile(r"(?:suspicious for|possible|suggestive of|suspected|questionable)[^.;:\n]{0,30}\Z")
_EN_PRE_YES = re.compile(
    r"(?:with|shows?|positive(?: for)?|extensive|focal|prominent|presence of|there is|and|multifocal|demonstrat\w+"
    r"|exhibit\w*|multiple foci of|focus of|foci of)[^.;:\n]{0,20}\Z"
)
_EN_ENDS = re.compile(r"[ ]{0,2}(?:$|[.,;)\n]|and\b|of\b|\()")


def margin_values(folded: str) -> Iterator[Found]:
    """What a folded text says of its margins; a distance alone says nothing, a limit that is not kept says close."""
    past = -1
    for hit in _MARGIN_HAN.finditer(folded):
        found = _margin_han(folded, hit) if hit.end() > past else None
        if found and found.end > past:
            past = found.end
            yield found
    if "margin" in folded:
        past = -1
        for hit in _MARGIN_EN.finditer(folded):
            found = _margin_en(folded, hit)
            if found and found.end > past:
                past = found.end
                yield found


def _margin_han(folded: str, hit: re.Match[str]) -> Found | None:
    low = clause_start(folded, hit.start(), 24)
    before = folded[low : hit.start()]
    is_measured = _DISTANCE.search(before)
    limit = (_LIMIT if is_measured else _CLOSE_TO).match(folded, hit.end())
    if is_measured or limit:
        return Found("margin", "close", hit.start(), limit.end()) if limit else None
    # A margin's state stands in its own part of the clause, except for a list of margins that share one.
    tail = re.split(r"[。;\n]", folded[hit.end() : hit.end() + 36], maxsplit=1)[0]
    reach = tail if _LISTED.match(tail) else tail.partition(",")[0]
    verb = _TO_MARGIN.search(before.rpartition(",")[2])
    state = _MARGIN_STATE.search(reach)
    if state is None and tail.startswith(","):
        state = _STATE_NEXT.match(tail)
    if state is None:
        if not verb:
            return None
        return Found("margin", "negative" if verb["no"] else "positive", low + len(before) - len(verb[0]), hit.end())
    if _CLOSE_HAN.search(reach[: state.start()]):
        return Found("margin", "close", hit.start(), hit.end() + state.end())
    name = {"possible": "uncertain", "no": "negative", "yes": "positive"}[state.lastgroup or "possible"]
    if name == "positive" and state["yes"] in ("见", "可见", "有", "查见") and not _TUMOUR.search(reach, state.end()):
        return None
    return Found("margin", name, hit.start(), hit.end() + state.end())


def _margin_en(folded: str, hit: re.Match[str]) -> Found | None:
    low = clause_start(folded, hit.start(), 70)
    if before := _EN_BEFORE.search(folded[low : hit.start()]):
        name = before.lastgroup
        if not (name == "yes" and re.search(r"\b(?:no|not|without)\b[^.;]{0,40}$", folded[low : low + before.start()])):
            value = {"no": "negative", "yes": "positive", "close": "close"}[name or "yes"]
            return Found("margin", value, low + before.start(), hit.end())
    tail = re.split(
        r"[;\n]|\. (?![^.]{0,20}(?:involved|negative|free|positive))", folded[hit.end() : hit.end() + 80], maxsplit=1
    )[0]
    state = _EN_STATE.search(tail)
    if state is None or "margin" in tail[: state.start()].replace("margin status", ""):
        return None
    if re.match(r"[^.;]{0,30}\d ?(?:cm|mm)\b", tail[: state.start()]) and state.lastgroup == "close":
        return None
    if state.lastgroup == "close" and not re.match(r"[^:]{0,12}(?:: |is |are )?close\b(?!st)", tail):
        return None
    value = {"possible": "uncertain", "no": "negative", "yes": "positive", "close": "close"}[state.lastgroup or "possible"]
    return Found("margin", value, hit.start(), hit.end() + state.end())


def vessel_values(folded: str) -> Iterator[Found]:
    """Invasion of vessels (``lvi``) and nerves (``pni``) in a folded text."""
    past = {"lvi": -1, "pni": -1}
    for hit in _VESSEL_HAN.finditer(folded):
        column = "pni" if hit[0] == "神经" else "lvi"
        if _NO_VESSEL.match(folded, hit.end()) or hit.end() <= past[column] or folded.endswith(_LARGE, 0, hit.end()):
            continue
        if span := _vessel_han(folded, hit):
            past[column] = span[2]
            yield Found(column, *span)
    if "inv" in folded or "lv" in folded or "pni" in folded or "permeation" in folded or "emboli" in folded:
        for hit in _VESSEL_EN.finditer(folded):
            if span := _vessel_en(folded, hit):
                column = "pni" if hit[0][0] == "p" else "lvi"
                yield Found(column, *span)
                if ("perineural" if column == "lvi" else "vascular") in hit[0]:
                    yield Found("lvi" if column == "pni" else "pni", *span)


def _presence(hit: re.Match[str]) -> str:
    if hit["possible"]:
        return "suspected"
    return "absent" if hit["no"] else "present"


def _vessel_han(folded: str, hit: re.Match[str]) -> tuple[str, int, int] | None:
    """What is said of a vessel or nerve, and where: after it, else before it."""
    start = hit.start()
    before = folded[clause_start(folded, start, 16) : start].rpartition(",")[2]
    after = _AFTER.match(folded, hit.end())
    if after is None:
        return _vessel_without_noun(folded, hit, before)
    end = after.end()
    if after["possible"] or after["no"]:
        return _presence(after), start, end
    if denied := _PRE_NO.search(before):
        return "absent", start - len(denied[0]), end
    if after["yes"] and after["yes"] != "受":
        return "present", start, end
    if state := _STATE.match(folded, end):
        return _presence(state), start, state.end()
    return _vessel_bare(folded, start, end, before)


def _vessel_bare(folded: str, start: int, end: int, before: str) -> tuple[str, int, int] | None:
    """An invasion that is named without a state behind it: it is there, if the words before do not doubt it."""
    if folded.startswith((":", " :"), end):
        return None
    if _SUSPECTED.search(before[-8:]):
        return "suspected", start - min(8, len(before)), end
    if _POSSIBLE_AFTER.match(folded, end):
        return "suspected", start, end
    return ("present", start, end) if _PRE_YES.search(before) or _ENDED.match(folded, end) else None


def _vessel_without_noun(folded: str, hit: re.Match[str], before: str) -> tuple[str, int, int] | None:
    """A state right behind the vessel ("脉管:阴性"), or a verb before it ("侵犯神经")."""
    start, end = hit.span()
    denied = _PRE_NO.search(before)
    state = _STATE.match(folded, end)
    # "CD34(脉管+)" is a stain.
    if state and not denied and not before.endswith("(") and _ALONE.match(folded, end):
        return _presence(state), start, state.end()
    verb = _PRE_VERB.search(before)
    if verb is None:
        return None
    return ("absent" if verb["no"] or denied else "present"), start - len(verb[0]), end


def _vessel_en(folded: str, hit: re.Match[str]) -> tuple[str, int, int] | None:
    start, end = hit.span()
    low = clause_start(folded, start, 70)
    before = folded[low:start]
    if state := _EN_AFTER.match(folded, end):
        # "No perineural invasion is identified".
        if state["yes"] and (said := _EN_PRE_NO.search(before)) and "," not in said[0]:
            return "absent", low + said.start(), state.end()
        return _presence(state), start, state.end()
    for value, pattern in (("absent", _EN_PRE_NO), ("suspected", _EN_PRE_POSSIBLE)):
        if said := pattern.search(before):
            return value, low + said.start(), end
    if _EN_ENDS.match(folded, end) and (said := _EN_PRE_YES.search(before)):
        return "present", low + said.start(), end
    return None
