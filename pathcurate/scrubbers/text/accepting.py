"""What a pattern alone cannot say: whether a number that looks like an identifier is one, and where it begins and ends."""

import re
from collections.abc import Callable
from datetime import date
from functools import cache, lru_cache
from itertools import pairwise

_Match = re.Match[str]
Span = tuple[int, int]

_DATE = re.compile(
    r"(?:(?:19|20)[0-9]{2}(?:[-./][0-9]{1,2}){1,2}|[0-9]{1,2}[-./][0-9]{1,2}[-./](?:19|20)?[0-9]{2})(?![0-9A-Za-z-])"
)
_NO_DAY = re.compile("(?:(?:3[2-9]|[4-9][0-9])-(?:1[3-9]|[2-9][0-9])-[0-9]{2}|00-(?:1[3-9]|[2-9][0-9])-[0-9]{2})(?![0-9])")
"""Three pairs of digits of which none can be a month."""
_LABEL_LENGTH = 14
_LABEL_BREAK = re.compile(r"[,，。；;:|\n()\[\]/、0-9]")
# What the words before a number say of it; the last one counts.
_MEANINGS = re.compile(
    r"(?P<none>克隆|批|货|型|信号|符号|句号|商标|"
    r"目录|公告|文件|标准|注册|国械|国药|版本|探针|邮政|试剂|抗体|公安|条款|卷|期|章|亚型|基因|"
    r"染色体|"
    r"外显子|密码子|位点|孔|通道|探头|针|刀|丝线|缝线|淋巴结)"
    r"|(?P<id>身份|身分|证件|公民|护照|通行证|回乡证|台胞证|居住证|居留|军官|士兵|警官|残疾|户口|出生|驾驶|驾照|学生证|"
    r"工作证|执业)"
    r"|(?P<account>医保|社保|社会保[障险]|保险|农合|合作医疗|银行|账|帐|QQ|微信|车牌|车架|发动机|保单|信用|税|支付)"
    r"|(?P<phone>电话|手机|传真|联系)"
    r"|(?P<strict>住院|门诊|急诊|病案|病历|就诊|诊疗|登记|体检|患者|病人|档案|影像|检查|申请|条码|条形码|二维码|流水|检验|"
    r"医嘱|"
    r"发票|处方|超声|内镜|[胃肠]镜|样本|样品|受试|筛[选查]|随机|入组|序列|设备|机器|工号|收费|挂号|健康|就诊)"
    r"|(?P<case>病理|标本|蜡块|切片|玻片|白片|会诊|冰冻|细胞|活检|尸检|组化|分子|外检|检材|借片|快速|石蜡|病检|送检|"
    r"[原旧片])"
    r"|(?P<bed>床)"
)
_KINDLESS = ("none", "bed")
_LEAST_DIGITS = {"id": 5, "account": 5, "phone": 4, "strict": 3, "case": 3, "": 4}
_LEAST_WITHOUT_NUMBER_SIGN = 5
_CODED = re.compile("[A-Z]{1,4}-[A-Z]{1,4}-")
_SHORT_LINES = frozenset({"分机", "内线", "短号"})
_NUMBER_SIGN = re.compile(r"(?:[号码证卡照№]|I[Dd]|id)$")
_VERSION = re.compile(r"(?:CAP|[Pp]rotocol|[Vv]ersion|[Vv]er|[Vv]|版|版本|[Ee]dition|[Rr]elease|软件|系统)[.:]?[ ]?$")
_UNITS = re.compile(
    r"[ ]?(?:个(?!人)|条(?![码形])|拷贝|倍|×|x[ ]?10|bp|kb|Mb|IU|U/|copies|cells|reads|[/][A-Za-zμ]|[μumnk]?[gGlL](?![A-Z"
    r"a-z])|%|元|"
    r"[μumc]?m(?![A-Za-z])|万|亿)"
)
_GENOMIC = re.compile(
    r"(?:chr[0-9XYMxym]{1,2}[:_][0-9,-]{0,12}|[gcnm]\.|rs|ENS[A-Z]{1,4}|[NX][MCRPGTW]_|COS[MVT]|LRG_|NCT|GSE|GSM|"
    r"PMID:?[ ]?|"
    r"CHR[0-9XY]{1,2}:|ISBN[ :]?|ISSN[ :]?|DOI[ :]?[0-9./]*|OMIM[ :]?|HGNC:?)$"
)
_SHARE = re.compile("[<>≤≥][0-9]{1,3}/[0-9]{1,4}(?![0-9-])|.[0-9]{1,3}/1000?(?![0-9A-Za-z-])", re.DOTALL)
"""淋巴细胞<20/100 is a share of cells, and so is 30/100 without a sign."""
_GENOMIC_REACH = 24
_LETTERS, _DIGITS = re.compile("[A-Za-z]+"), re.compile("[0-9]+")
_IN_DECIMAL, _DECIMAL = re.compile(r"[0-9]\.\Z"), re.compile(r"\.[0-9]")
_LETTERS_BEFORE = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z]{1,8}[-_]?\Z")
_TAIL = re.compile(r"[0-9A-Za-z*]{0,20}(?:-[0-9A-Za-z]{1,6}(?![0-9A-Za-z]))?")
_REAGENT = re.compile(
    r"(?:[Ll][Oo][Tt]|ICD-?O?(?:-?3)?编?|形态学?编?|SNOMED编?|批次?|货|型|产品|注册证?|注[准进许]|备案|文|版本)(?:编?号)?"
    r"[: ]{0,3}$"
)
_STANDARDS = frozenset(
    {"GB", "GBT", "GBZ", "WS", "WST", "YY", "YYT", "ISO", "EN", "IEC", "DB", "CLSI", "NCCN", "WHO", "ICD", "AJCC"}
)
_DIALLED = re.compile(
    r"(?:\(?(?:\+|00)?(?:86|852|853|886)\)?[ .-]{0,2}|\(?(?:\+|00)(?:44|1)\)?[ .-]{0,2}|1[ .-]|(?<![0-9])0[ -]?)?\(?$"
)
_CASE_WORD = re.compile(
    r"(?:[(\[]?(?:(?:19|20)[0-9]{2}|[0-9]{2})[)\]]?年?[ ]?)?(?:病理|外检|病检|细胞|冰冻|会诊|尸检|活检|"
    r"[病会尸检冰])检?字?[ ]?(?:(?:19|20)[0-9]{2})?$"
)
_ACCOUNTED = 9
_LEAST_ABROAD = 9
_GENE = re.compile("[A-Z]{1,5}-?[0-9]{1,3}[A-Z]?")
_MOBILE, _LEAST_READ = 11, 7
_ISSUED = re.compile(r"(?![批次版量度值])[一-鿿][ ]?\Z")
"""A word right before a number that begins with a 0: 押金条0317, 序0318, 第0173号."""
_PREFIX_BEFORE = re.compile(r"号[:为是]?[ ]?(?P<v>(?![是为系])[一-鿿]{1,5})\Z")
"""Characters between a label and the year of a number: 登记号渝遗捐2011-0093."""
_TISSUE = re.compile("[管瘤胞织髓膜腔叶左右上下体以之除另]|年龄|范围")
_LEAST_OF_A_YEAR = 4
_DOTS_OF_A_UID = 3
DEPARTMENT = (
    "(?:[内外妇儿骨眼产神心肾泌呼消血肿胸普急抢监隔加烧耳口皮肛肝胆胰脑康老东西南北](?<![一-鿿](?<![科院住到至区在于转由号]"
    ")[一-鿿])[一二三四五六七八九]?)"
)
"""A department in one character before the number of a bed, which is no end of a longer word."""
_BED_BEFORE = re.compile(
    rf"(?P<v>{DEPARTMENT}-?[0-9]{{1,4}}[A-Z]?|(?<![0-9A-Za-z])[A-D]区[0-9]{{1,3}}|(?<![0-9])[0-9]{{1,2}}楼[加+]?[0-9]{{1,3}}|"
    rf"(?<![0-9A-Za-z.+-])[0-9]{{1,2}}[A-Z]-[0-9]{{1,3}}|(?<=ICU)[A-Z]?[0-9]{{1,3}}|"
    rf"(?<![0-9A-Za-z.+-])(?<![0-9] )(?:[A-Z]{{1,4}}[- ]?)?[加+]?[0-9]{{1,4}}(?:[-加+][0-9]{{1,3}}"
    rf"|[A-Z])?|"
    r"(?<![一-鿿])[一二三四五六七八九十]|(?<![一二三四五六七八九十])(?:[二三四五六七八九]?十[一二三四五六七八九]?|[一二三"
    r"四五六七八九]〇?[一二三四五六七八九]))"
    r"[ ]?号?[ ]?(?:病)?\Z"
)
_YEAR = 4
_FIRST_YEAR, _LAST_YEAR = 5, 35
"""In two digits: since when laboratories have numbered with the year before a dash, and beyond which no report is."""
_DOCUMENT_BEFORE = re.compile(r"(?:(?![号见据依案])[一-鿿]){2,8}(?:\([一-鿿]{1,4}\))?(?:(?<=[字鉴检案函决令])|字第?)\Z")
_OF_MINISTRY = re.compile("国|卫[办健医生]|药监|发改")
_HAN_DIGITS = str.maketrans("〇零○洞一二三四五六七八九幺两拐勾壹贰叁肆伍陆柒捌玖", "00001234567891279123456789")
_ORGANISATION_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


# So many words are looked for one by one, more of them by one pattern.
_FEW = 3


def holds(text: str, needs: tuple[str, ...]) -> bool:
    """Whether a text holds one of these, or nothing is needed."""
    if len(needs) > _FEW:
        return _any_of(needs).search(text) is not None
    for need in needs:  # half the time of `any` with a generator, and called for every rule and text
        if need in text:
            return True
    return not needs


@cache
def _any_of(needs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, needs)))


def digits_in(text: str) -> int:
    """How many ASCII digits and masked places a text has."""
    return sum(map("0123456789*".__contains__, text))


def is_day(value: str) -> bool:
    """Whether a number is written as a day: of three pairs of digits one may be a month and another a day of one."""
    return bool(_DATE.match(value)) and not _NO_DAY.match(value)


def dialled(match: _Match) -> Span | None:
    """A telephone number with the country's code and the bracket before it."""
    start, end = match.span("v")
    text = match.string
    prefix = _DIALLED.search(text, max(0, start - 8), start)
    start = prefix.start() if prefix else start
    if text[start : start + 1] == "(" and ")" not in text[start:end]:
        start += 1  # the bracket is the sentence's
    before = text[start - 1 : start]
    return None if before and before in "0123456789.*" else (start, end)


def labelled_phone(match: _Match) -> Span | None:
    """What stands behind a label for telephones, unless it is a day or too short."""
    value, least = match["v"], _LEAST_DIGITS["phone"] - (match[0][:2] in _SHORT_LINES)
    start, end = match.span("v")
    # A bracket that is not closed or not opened inside it is the sentence's: 来电(5120), (电话021-5120).
    start += value.startswith("(") and ")" not in value
    end -= value.endswith(")") and "(" not in value
    return (start, end) if digits_in(value) >= least and not is_day(value) else None


def mobile_grouped(match: _Match) -> Span | None:
    """A mobile number in groups of any length: eleven digits in all, not all of them round."""
    groups = re.split("[ -]", match["v"])
    is_counted = all(group.endswith("00") for group in groups) or len(groups[0]) < len("139")
    return None if is_counted or digits_in(match["v"]) != _MOBILE else match.span("v")


def misread(match: _Match) -> Span | None:
    """Eleven signs of a mobile number of which some were read as letters (l8O 0537 2214), most of them digits still."""
    value = match["v"].translate(_HAN_DIGITS)
    return match.span("v") if digits_in(value) >= _LEAST_READ and not match["v"].isdecimal() else None


def phone_spaced(match: _Match) -> Span | None:
    """Eleven digits one by one, or in groups as they were dictated, one of them long: no row of shares (10 20 30)."""
    lengths = {len(group) for group in re.split("[ -]+", match["v"])}
    return match.span("v") if lengths == {1} or (len(lengths) > 1 and max(lengths) >= _YEAR) else None


def document(match: _Match) -> Span | None:
    """The number of a document with what stands before its year: 公鉴(病)字[2024]033号; none of a ministry."""
    before = _DOCUMENT_BEFORE.search(match.string, max(0, match.start() - 16), match.start())
    if before and _OF_MINISTRY.search(before[0]):
        return None
    return before.start() if before else match.start(), match.end()


def unstopped(match: _Match) -> Span:
    """An address of the network or a folder without the full stop of its sentence."""
    start, end = match.span("v")
    return start, start + len(match.string[start:end].rstrip(".,:!?"))


def bed_of_department(match: _Match) -> Span | None:
    """A number behind a department that ends its clause: no count of what the department does (骨髓内12)."""
    start = match.start()
    clause = re.search(r"[^,。;:\n(]{0,6}\Z", match.string[max(0, start - 6) : start])
    return None if clause and _TISSUE.search(clause[0]) else match.span("v")


def phone_abroad(match: _Match) -> Span | None:
    """A number with a plus and enough digits."""
    start, end = match.span("v")
    end -= match["v"].endswith(")") and "(" not in match["v"]
    return (start, end) if digits_in(match["v"]) >= _LEAST_ABROAD else None


def ip(match: _Match) -> Span | None:
    """Four numbers below 256, of no program."""
    if _VERSION.search(match.string, max(0, match.start("v") - 12), match.start("v")):
        return None
    numbers = match["v"].partition(":")[0].split(".")
    return match.span("v") if all(int(number) < 256 for number in numbers) else None


def hongkong(match: _Match) -> Span | None:
    """An identity card of Hong Kong, by its check digit: laboratories write the same shape."""
    letters, digits = match["v"][:-9], match["v"][-9:-3]
    values = [36] * (2 - len(letters)) + [int(sign, 36) for sign in letters + digits]
    check = -sum(weight * value for weight, value in zip(range(9, 1, -1), values, strict=True)) % 11
    return match.span("v") if "0123456789A"[check] == match["v"][-2] else None


def organisation(match: _Match) -> Span | None:
    """A unified social credit identifier, by its check character (GB 32100-2015, weights 3^i modulo 31)."""
    places = [_ORGANISATION_SIGNS.index(sign) for sign in match["v"]]
    total = sum(place * pow(3, index, 31) for index, place in enumerate(places[:-1]))
    return match.span("v") if -total % 31 == places[-1] else None


def plate(match: _Match) -> Span | None:
    """A number plate: at least two of its signs are digits."""
    return match.span("v") if digits_in(match["v"]) >= 2 else None


def age(match: _Match) -> Span | None:
    """An age in years, of a person, with a Chinese word for years: none that is said of a stain's share or of a year."""
    start, end = match.span("v")
    before = match.string[max(0, start - 2) : start]
    if before[-1:] in {"×", "x", "/"} and before not in {"男/", "女/"}:
        return None
    return start, match.end() if match[0].endswith("岁") else end


def meaning(match: _Match) -> str:
    """What the label in front of a value says: the last telling word before it, empty if there is none."""
    start = match.start("v")
    return _meaning_of(match.string[max(0, start - _LABEL_LENGTH - 6) : start])


@lru_cache(maxsize=4096)
def _meaning_of(before: str) -> str:
    label = before.rstrip(" :=#([\"'<|\n").replace(" ", "")
    found = ""
    for word in _MEANINGS.finditer(_LABEL_BREAK.split(label)[-1][-_LABEL_LENGTH:]):
        found = word.lastgroup or ""
    return found


def labelled(match: _Match) -> Span | None:
    """The number behind a Chinese label, unless the label is that of a reagent or the number is a day."""
    value, said = match["v"], meaning(match)
    label = match.string[match.start() : match.start("v")].rstrip(" :=#([\"'<|\n为是系")
    if value.count(".") >= _DOTS_OF_A_UID or _SHARE.match(match.string, match.start("v") - 1):
        return None
    least = _LEAST_DIGITS.get(said, 0) if _NUMBER_SIGN.search(label) else _LEAST_WITHOUT_NUMBER_SIGN
    least -= least == _LEAST_DIGITS[""] and _CODED.match(value) is not None
    if said in _KINDLESS or digits_in(value) < least or is_day(value) or _UNITS.match(match.string, match.end("v")):
        return None
    return match.span("v")


def english(least: int) -> Callable[[_Match], Span | None]:
    """Accepts what stands behind an English label if it has enough digits and is no day."""

    def accept(match: _Match) -> Span | None:
        value = match["v"]
        return match.span("v") if digits_in(value) >= least and not _DATE.fullmatch(value) else None

    return accept


def serial(match: _Match) -> Span | None:
    """The number behind a label, unless it is of a classification: 形态学编码 M9180/3."""
    start = match.start()
    is_coded = _REAGENT.search(match.string[max(0, start - 8) : match.start("v")].rstrip("号码 :"))
    return None if is_coded else labelled(match)


def written_digits(match: _Match) -> Span | None:
    """Digits one by one, with spaces or in Chinese numerals: none that only count upwards (1 2 3 4 5 6 7)."""
    places = [int(sign) for sign in match["v"].translate(_HAN_DIGITS) if sign in "0123456789"]
    counts = all(after - before == 1 for before, after in pairwise(places))
    return None if counts else match.span("v")


def tag(match: _Match) -> Span | None:
    """What stands in quotes on a label or container, unless it is a day or a gene's or an antibody's name."""
    value = match["v"]
    return None if is_day(value) or _GENE.fullmatch(value) else match.span("v")


def alone(match: _Match) -> Span | None:
    """Four or five digits between commas, no year, none of a list and no round one; or with a 0 behind a word."""
    text, (start, end) = match.string, match.span("v")
    before = text[max(0, start - 3) : start].rstrip(" ")
    is_behind_word = match["v"][0] == "0" and _ISSUED.search(text, max(0, start - 6), start) is not None
    if start and before[-1:] not in {",", "。", ";", "、", "\n"} and not is_behind_word:
        return None
    if match["v"][-2:] == "00" or (end - start == _YEAR and match["v"][:2] in {"19", "20"}):
        return None
    is_followed = re.match(r"[ ]?[,、][ ]?[0-9]{3}", text[end : end + 5])
    is_listed = is_followed or re.search(r"[0-9][,、 ]{1,2}$", text[max(0, start - 3) : start])
    return None if is_listed else match.span("v")


def bed(match: _Match) -> Span | None:
    """What stands before 床, if it is the number of one, with that word."""
    found = _BED_BEFORE.search(match.string, max(0, match.start() - 12), match.start())
    return (found.start("v"), match.end()) if found else None


def film(match: _Match) -> Span | None:
    """A number of an image: no year behind the name of the examination."""
    behind = match.string[match.end() : match.end() + 1]
    is_year = len(digits := match["n"].lstrip("-")) == _YEAR and digits[:2] in {"19", "20"}
    return None if is_year or behind in {"年", "."} else match.span("v")


def receipt(match: _Match) -> Span | None:
    """The number of a slip: no year, no day."""
    value = match["v"]
    is_year = len(value) == _YEAR and value[:2] in {"19", "20"}
    return None if is_year or is_day(value) else match.span("v")


def case(match: _Match) -> Span | None:
    """A case number by its shape: no standard (GB18030-2005), gene or position in one."""
    start = match.start("v")
    letters = _LETTERS.match(match["v"])
    prefix = letters[0] if letters else ""
    if prefix.upper() in _STANDARDS or (prefix.islower() and digits_in(match["v"]) < _ACCOUNTED - 2):
        return None
    reach = match.string[max(0, start - _GENOMIC_REACH) : start + len(prefix)]
    return None if _is_genomic(reach) else match.span("v")


def case_year(match: _Match) -> Span | None:
    """A number behind a year and a dash: no span of years, no day, no range of counts."""
    value = match["v"].lstrip("病冰细会尸活外检")
    year, _, number = value.partition("-")
    digits = _DIGITS.match(number)
    number = digits[0] if digits else ""
    if _UNITS.match(match.string, match.end("v")) or match.string[match.end("v") : match.end("v") + 1] in {"年", "-"}:
        return None
    if value == match["v"] and len(number) < _LEAST_OF_A_YEAR:
        return None
    if len(year) == len("24"):
        is_told = len(number) > _YEAR or number[:1] == "0" or value != match["v"]
        return match.span("v") if is_told or _is_of_a_year(year, number) else None
    is_year = len(number) == 4 and number[:2] in {"19", "20"}
    prefix = _PREFIX_BEFORE.search(match.string, max(0, match.start("v") - 8), match.start("v"))
    is_day = len(number) == 4 and is_month_and_day(number) and prefix is None and value == match["v"]
    if year[:2] not in {"19", "20"} or is_year or is_day:
        return None
    return (prefix.start("v") if prefix else match.start("v")), match.end("v")


def _is_of_a_year(year: str, number: str) -> bool:
    """Whether 24-6017 may be the case 6017 of a year of this age: no range (20-1250), whose ends are round."""
    return _FIRST_YEAR <= int(year) <= _LAST_YEAR and len(number) == _YEAR and number[-2:] not in {"00", "50"}


def case_han(match: _Match) -> Span | None:
    """病理字第1234号, with the year before it."""
    before = _CASE_WORD.search(match.string, max(0, match.start() - 16), match.start())
    return (before.start(), match.end()) if before else None


def is_month_and_day(number: str) -> bool:
    """Whether four digits are month and day, as 0503."""
    try:
        return bool(date(2000, int(number[:2]), int(number[2:])))
    except ValueError:
        return False


def long_number(match: _Match) -> Span | None:
    """Six digits and more that stand for themselves, with the letters that go with them."""
    text, (start, end) = match.string, match.span("v")
    before = text[max(0, start - _GENOMIC_REACH) : start]
    if _is_genomic(before) or _IN_DECIMAL.search(before[-2:]) or _DECIMAL.match(text, end) or _UNITS.match(text, end):
        return None
    if _REAGENT.search(text[max(0, start - 8) : start]):
        return None
    digits = end - start
    if digits < 7 and (
        text[end - 3 : end] == "000"
        or text[start - 1 : start] in {"-", ",", "/", "+"}
        or text[end : end + 1] in set("-,/+~")
    ):
        return None
    letters = _LETTERS_BEFORE.search(before) if before[-1:].isascii() else None
    tail = _TAIL.match(text[end : end + 30])
    return start - (len(letters[0]) if letters else 0), end + (len(tail[0]) if tail else 0)


def _is_genomic(before: str) -> bool:
    """Whether what stands before a number makes it a place in a genome or a number of a publication."""
    return _LETTERS.search(before) is not None and _GENOMIC.search(before) is not None


def mixed(match: _Match) -> Span | None:
    """Digits and letters mixed, as misread numbers are: more digits than letters."""
    digits, start = digits_in(match["v"]), match.start()
    if _REAGENT.search(match.string[max(0, start - 10) : start]):
        return None
    return match.span("v") if digits >= 7 and digits < len(match["v"]) and not _GENOMIC.search(match["v"][:8]) else None
