"""What still looks as if it identified somebody, in a text out of which everything that the rules find was taken.

It is looser than the rules and often wrong: it only says where a person should look. It never takes anything out.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from pathcurate.model.removal import Removal
from pathcurate.scrubbers.text.learned import doubtful_names, find_learned_names
from pathcurate.scrubbers.text.namewords import HAN, begins_word, is_inside_word, name_words
from pathcurate.scrubbers.text.signertokens import doubtful_signers
from pathcurate.scrubbers.text.spelling import simplified
from pathcurate.text.folding import half_width

REASONS = ("han_name", "latin_name", "signer", "digits", "misread", "code", "place", "contact")
"""Why something is suspicious: a Chinese name beside a word for people or alone; two capitalised Latin words in a Chinese
text, or what stands behind a word for people in an English one; a short word where people sign; six digits and more; a
number with letters that look like digits; letters and digits as numbers of cases have them; a place or an institution; what
stands behind a word for telephones, messengers and accounts."""

_WALL = "\ue000"
_PEOPLE = re.compile(
    "患者|病人|患儿|产妇|死者|家属|医[师生]|主任|护士长?|技师|教授|老师|大夫|院长|工程师|翻译|保安|工友|先生|女士|小姐|同志|阿姨|姓名|"
    "曾用名|中文名|其[父母夫妻子女兄弟姐妹]|[长次大小][子女]|母亲?|父亲?|妻子?|丈夫|夫|儿子|女儿|[兄姐弟妹]|爱人|本人|陪同|会诊|送检者|"
    "[报登采记检审复取阅经联主]?[告录样材检系]?[人者](?=[ :为系即])|取材|记录|登记|采样|值班|主检|助手|见证|来电|代接|自述|"
    "[转改]?告知?|通知|联系[人室]?|嘱托|签[名字]|签发|之[子女婴]|CRC|[Dd]r"
)
_CALLED = "主任|医[师生]|教授|老师|大夫|院长|护士长?|技师|工程师|先生|女士|小姐|阿姨|同志|代|总"
_LEADS = frozenset("由经请与和及向给嘱是叫")
_REACH = 6
_RUN = re.compile(f"[{HAN}]+")
_ALONE = re.compile(rf"(?<![{HAN}A-Za-z0-9])[{HAN}]{{2,4}}(?![{HAN}A-Za-z0-9])")
_NICKNAME = re.compile(rf"(?:(?<![{HAN}])|(?<=[材班录记师检者人告知系由请找给]))[老小阿](?P<surname>[{HAN}])(?![{HAN}])")
_LATIN = re.compile(r"(?<![A-Za-z0-9.-])[A-Z][a-z]{1,14}(?:[ ]|,[ ]?)[A-Z][a-z]{1,14}(?![A-Za-z0-9-])")
_LATIN_PEOPLE = re.compile(
    r"(?<![A-Za-z])(?:Drs?|Mr|Mrs|Ms|Prof|[Pp]athologist|[Rr]esident|[Nn]urse|[Ww]ife|[Hh]usband|[Ss]on|[Dd]aughter|[Mm]other|"
    r"[Ff]ather|[Ss]ister|[Bb]rother|[Cc]alled|[Ii]nformed|[Nn]otified|[Ss]igned|[Bb]y|[Ww]ith|[Aa]ttn)[.:,]{0,2}[ ]{1,3}"
    r"(?P<name>[A-Z][a-zA-Z'-]{1,14}(?:(?:[ ]|,[ ]?)[A-Z][a-zA-Z'-]{0,14})?)"
)
_DIGITS = re.compile(r"(?<![0-9A-Za-z.])[0-9](?:[ _/.-]?[0-9]){5,40}(?![0-9]|\.[0-9])")
_HAN_DIGITS = re.compile("[零〇一二三四五六七八九幺两]{7,20}")
_MISREAD = re.compile(r"(?<![0-9A-Za-z])[0-9OoIl|SBZ〇]{6,24}(?![0-9A-Za-z])")
_LIKE_DIGITS = str.maketrans("OoIl|SBZ〇", "001115820")
_CODE = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{1,4}[-_/ ]?[0-9]{4,12}(?:-[0-9A-Za-z]{1,6})?(?![0-9A-Za-z])")
_NO_CODE = re.compile(
    r"(?i:CD|CK|SP|MUC|NCT|GB|ISO|WS|YY|WHO|ICD|rs|chr|NM|NP|ENS|COSM|UICC|AJCC|HPV|EB|miR|exon|year|in|of)[-_/ ]?[0-9]"
)
_PLACE = re.compile(
    rf"[{HAN}]{{2,8}}?(?:医院|卫生院|卫生所|诊所|保健院|医学中心|体检中心|检验所|派出所|小区(?!域)|街道|居委会|公司|学校|中学|小学|"
    rf"(?<=[{HAN}]{{2}})[县镇乡村](?=[^{HAN}]|$|人|居民|农民|卫生)|路(?=[0-9]))"
)
_ANY_PLACE = re.compile(
    "(?:于|在|曾|至|去|到|经|由|赴|我|本|外|该|贵|某|当地|上级|下级|其他|其它|上述|基层|原|省|市|县|区|级|三甲|人民|中心|就诊|行|转|来|入|"
    "出|住|门诊|综合|专科|肿瘤|妇幼|中|合作|检测|患者|既往|术后|建议|请)*(?:医院|卫生院|诊所|医学中心|体检中心|公司|学校|县|镇|乡|村|街道)"
)
_LEADS_TO_PLACE = re.compile(f"[{HAN}]*[于在至去到经由赴自从](?=[{HAN}]{{3}})")
_CONTACT = re.compile(
    r"(?:电话|手机|微信|QQ|qq|邮箱|联系方式|身份证|住院号|门诊号|病案号|病理号|床号|医保|账号|卡号|编号|[Tt]el|TEL|[Ff]ax|[Ee]-?mail|ID)"
    r"(?:号码?)?[ ]{0,3}[:=为是]?[ ]{0,3}(?P<value>[0-9A-Za-z*@._+-]{3,40})"
)
_TIME = re.compile(r"(?:19|20)[0-9]{2}[-/.][0-9]{1,2}[-/.][0-9]{1,2}")
_FEWEST_DIGITS, _LEAST_OF_A_NUMBER, _LEAST_SPACED_OUT = 4, 3, 10


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A place of a text that a person should look at.

    Attributes:
        start: first character.
        end: behind the last one.
        reason: one of :data:`REASONS`.
    """

    start: int
    end: int
    reason: str


def without(text: str, removed: Iterable[tuple[int, int]]) -> str:
    """A text of the same length with a sign through which no search goes in the place of what was removed.

    Args:
        text: the text before anything was removed.
        removed: start and end of each removal.
    """
    parts: list[str] = []
    last = 0
    for start, end in sorted(removed):
        parts += text[last:start], _WALL * (end - max(start, last))
        last = max(end, last)
    return "".join([*parts, text[last:]])


def find_suspicions(text: str) -> list[Suspicion]:
    """Suspicious places of a text, from left to right and disjoint; where two overlap the longer one."""
    normal = half_width(text)
    found = sorted((one for search in _SEARCHES for one in search(normal)), key=lambda one: (one.start - one.end, one.start))
    kept: list[Suspicion] = []
    taken = bytearray(len(normal))
    for one in found:
        if not any(taken[one.start : one.end]):
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
            kept.append(one)
    return sorted(kept, key=lambda one: one.start)


def find_signer_suspicions(text: str, removals: Sequence[Removal]) -> list[Suspicion]:
    """Short words that mean nothing and stand where people sign; they are told by what was removed around them.

    Args:
        text: the text before anything was removed.
        removals: what was taken out of it.
    """
    normal = simplified(half_width(text))
    return [Suspicion(*place, "signer") for place in doubtful_signers(normal, removals)]


def _han_names(normal: str) -> Iterator[Suspicion]:
    for word in _PEOPLE.finditer(normal):
        start = max(0, word.start() - _REACH)
        yield from _names_in(normal, start, word.start())
        yield from _names_in(normal, word.end(), min(len(normal), word.end() + _REACH))
    for alone in _ALONE.finditer(normal):
        if _is_name(normal, *alone.span()):
            yield Suspicion(*alone.span(), "han_name")
    surnames = name_words().single
    for called in (*_NICKNAME.finditer(normal), *_titled().finditer(normal)):
        if called["surname"] in surnames and not begins_word(normal, called.start("surname")):
            yield Suspicion(*called.span(), "han_name")


@cache
def _titled() -> "re.Pattern[str]":
    """A surname and a title, where no other word ends in the surname."""
    return re.compile(rf"(?<![{HAN}])(?P<surname>[{HAN}])(?:{_CALLED})(?![{HAN}])")


def _names_in(normal: str, start: int, end: int) -> Iterator[Suspicion]:
    """Surname and given name at either end of a run of Han characters: inside a run nearly everything looks like one."""
    for run in _RUN.finditer(normal, start, end):
        for length in (3, 2):
            if length > run.end() - run.start():
                continue
            for first in {run.start(), run.end() - length}:
                span = first, first + length
                if _is_free(normal, *span) and _is_name(normal, *span):
                    yield Suspicion(*span, "han_name")


def _is_free(normal: str, start: int, end: int) -> bool:
    """Whether a name would stand beside a word for people or a sign, and not in the midst of other words."""
    before, behind = normal[max(0, start - 4) : start], normal[end : end + 4]
    return (not before or not _RUN.match(before[-1]) or _ends_people(before)) and (
        not behind or not _RUN.match(behind[0]) or _PEOPLE.match(behind) is not None
    )


def _ends_people(before: str) -> bool:
    return before[-1] in _LEADS or any(match.end() == len(before) for match in _PEOPLE.finditer(before))


def _is_name(normal: str, start: int, end: int) -> bool:
    words, name = name_words(), normal[start:end]
    is_compound = name[:2] in words.compound
    if not (is_compound and end - start in {3, 4}) and not (name[0] in words.single and end - start in {2, 3}):
        return False
    return name not in words.nobody and not begins_word(normal, start) and not is_inside_word(normal, start, end)


def _learned_names(normal: str) -> Iterator[Suspicion]:
    for place in (*((one.start, one.end) for one in find_learned_names(normal)), *doubtful_names(normal)):
        yield Suspicion(*place, "han_name")


def _latin_names(normal: str) -> Iterator[Suspicion]:
    words = name_words()
    harmless = words.latin | words.eponyms
    found = _LATIN.finditer(normal) if _RUN.search(normal) else _LATIN_PEOPLE.finditer(normal)
    for match in found:
        start, end = match.span(match.lastgroup or 0)
        if not any(part.lower() in harmless for part in re.split("[ ,.'-]+", normal[start:end])):
            yield Suspicion(start, end, "latin_name")


def _digits(normal: str) -> Iterator[Suspicion]:
    for run in _DIGITS.finditer(normal):
        # Days are moved with their patient; what looks like one is the date rules' to find, and 3.14159 is measured.
        if not _TIME.fullmatch(run[0]) and run[0].count(".") != 1 and not _is_size(run[0]):
            yield Suspicion(*run.span(), "digits")


def _han_digits(normal: str) -> Iterator[Suspicion]:
    for run in _HAN_DIGITS.finditer(normal):
        yield Suspicion(*run.span(), "digits")


def _is_size(run: str) -> bool:
    """Whether it is many small numbers rather than one: ``1-2-3-4``, ``2 3 1 4``."""
    parts = re.split("[ _/.-]", run)
    return max(map(len, parts)) < _LEAST_OF_A_NUMBER and sum(map(len, parts)) < _LEAST_SPACED_OUT


def _misread(normal: str) -> Iterator[Suspicion]:
    for run in _MISREAD.finditer(normal):
        plain = sum(sign in "0123456789" for sign in run[0])
        if plain < len(run[0]) and plain * 2 >= len(run[0]) and run[0].translate(_LIKE_DIGITS).isdigit():
            yield Suspicion(*run.span(), "misread")


def _codes(normal: str) -> Iterator[Suspicion]:
    for run in _CODE.finditer(normal):
        if not _NO_CODE.match(run[0]):
            yield Suspicion(*run.span(), "code")


def _places(normal: str) -> Iterator[Suspicion]:
    for place in _PLACE.finditer(normal):
        lead = _LEADS_TO_PLACE.match(place[0])
        start = place.start() + (lead.end() if lead else 0)
        if not _ANY_PLACE.fullmatch(normal, start, place.end()):
            yield Suspicion(start, place.end(), "place")


def _contacts(normal: str) -> Iterator[Suspicion]:
    for said in _CONTACT.finditer(normal):
        if sum(sign in "0123456789" for sign in said["value"]) >= _FEWEST_DIGITS or "@" in said["value"]:
            yield Suspicion(*said.span("value"), "contact")


# Of two that find the same place the first says why.
_SEARCHES: Sequence[Callable[[str], Iterator[Suspicion]]] = (
    _contacts, _han_names, _learned_names, _latin_names, _codes, _digits, _han_digits, _misread, _places,
)  # fmt: skip
