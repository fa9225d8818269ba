"""Addresses in Chinese texts."""

import re
from collections.abc import Iterator

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.accepting import holds
from pathcurate.text.beginnings import Searched

_HAN = "[\u3400-\u4dbf\u4e00-\u9fff]"
_PROVINCES = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|"
    "陕西|甘肃|青海|台湾|"
    "内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
_NEXT_LABEL = (
    r"(?:[ ]{2,}|[ ]?(?:联系|电话|手机|邮编|邮政|姓名|性别|年龄|住院|门诊|病理|送检|床|科室|科别|临床|收到|报告|职业|民族|"
    r"婚姻|单位|户口|现住|身份|工作|标本|日期|"
    r"与患者|关系)[\u4e00-\u9fff]{0,4}[ ]?[:(]|[ ]?(?:病案|病历|登记|住院|门诊|病理|联系)[\u4e00-\u9fff]{0,2}[号话][ ]?[0"
    r"-9A-Z]|"
    r"电话|手机|邮编|联系|随访|收件|收信|寄件)"
)

# Hospitals

PROVINCE = re.compile(_PROVINCES)
_WHOLE_PROVINCE = re.compile(rf"(?:{_PROVINCES})(?:省|自治区)")
_RUN = re.compile(r"[0-9\u3400-\u4dbf\u4e00-\u9fff]*$")
_DETAIL = r"[\u3400-\u4dbf\u4e00-\u9fff0-9A-Za-z·#□-]"
_PLACE_END = (
    r"(?:[0-9一二三四五六七八九十]{1,5}(?:号楼|号院|号|弄|组|室|栋|幢|座|单元|楼|层|社|队|户|巷)|"
    r"(?<![0-9])[0-9]{1,3}-[0-9]{1,5}(?:-[0-9]{1,5})?|(?:[栋幢座楼号室]|单元|[广大][场厦]|小区|花园|公寓)[ ]?[A-Z]?座?[0-"
    r"9]{2,4}(?![0-9年月岁.])|"
    r"自治州|自治县|"
    r"省|市|州|区|县|旗|盟|镇|苏木|嘎查|乡|村(?!民)|屯|庄|街道|街|路|大道|巷|弄|胡同|里|苑|小区|花园|公寓|新村|社区|家园|大厦|"
    r"广场|号[院楼]?|室|"
    r"组|队|栋|幢|单元)"
)
_LABEL_ADDRESS = Searched(
    r"(?:住[ ]{0,4}址|地[ ]{0,4}址|籍[ ]{0,2}贯|出生地|参保地|原籍|户籍(?:所在地?)?|户口(?:所在地?)?|现住(?:地)?|居住地|"
    r"住所|家住)"
    r"[ ]{0,3}(?:\([^()\n]{1,8}\))?(?:[ ]?[:|]|[ ](?=[\u4e00-\u9fff]{2,6}[省市县区镇乡村州]))[ ]{0,4}\n?[ ]{0,4}(?P<v>[^"
    r"\n,，。；;|\ue000]{2,80})"
)
_WORD = re.compile("[0-9A-Za-z\u3400-\u9fff].*[0-9A-Za-z\u3400-\u9fff]")
_NO_ADDRESS = re.compile(
    r"[ ]?(?:农村|城市|城镇|外地|本地|当地|附近|本院|属院|不详|未知|未填|未提供|无|没有|同上|暂无|/|-|_|同户籍"
    r"|同现住址|电话|联系)"
)
_POSTCODE = Searched(
    r"(?:邮[ ]?编|邮政编码|邮码|Zip(?: ?[Cc]ode)?|ZIP|Postcode|postcode|Postal [Cc]ode)[ ]{0,3}[:=]?[ ]{0,3}"
    r"(?P<v>[0-9]{5,6}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2})(?![0-9A-Za-z])|"
    rf"(?P<w>[1-9](?<![0-9A-Za-z.-][1-9])[0-9]{{5}}[ ]?)(?=(?:{_PROVINCES})|{_HAN}{{2,4}}市{_HAN})"
)
_ADDRESS = Searched(
    rf"(?P<v>(?:{_PROVINCES})(?:省|市|自治区|壮族自治区|回族自治区|维吾尔自治区|特别行政区|特区)?+[ ]?"
    rf"(?:{_HAN}{{1,7}}?(?:自治州|地区|市|州|盟|区|县|旗)[ ]?)(?:{_DETAIL}|[ ](?=[0-9])){{0,40}})"
)
_CITY = Searched(
    rf"(?P<v>市(?![售级场面内外民])[ ]?{_HAN}{{1,5}}?(?:区|县|镇|街道|乡|市|路|大道)(?:{_DETAIL}|[ ](?=[0-9])){{0,40}})"
)
_COUNTY = Searched(
    rf"(?P<v>(?:县|区(?<![病灶院园社辖校叶靶发地片]区)(?={_HAN}{{1,5}}(?:镇|街道|乡))|旗(?<=[前后中左右]旗)|盟(?={_HAN}{{1,6}}旗)|自治州|"
    rf"州(?={_HAN}{{1,4}}[县市])|地区(?={_HAN}{{1,4}}县))[ ]?(?!{_HAN}{{0,9}}(?:医"
    rf"院|卫生院))"
    rf"{_HAN}{{1,6}}?(?:乡|镇|苏木|街道|村|路|县|(?<=[前后中左右])旗)(?:{_DETAIL}|[ ](?=[0-9])){{0,30}})"
)
_LAST_PLACE = re.compile(rf".*{_PLACE_END}", re.DOTALL)
_STREET = Searched(
    rf"(?P<v>(?:路|街|大道|巷|弄|胡同|小区|花园|公寓|新村|家园|苑|社区|大院|大厦|广场)[ ]?[甲乙丙丁附]?(?:[0-9]{{1,5}}|"
    rf"[一二三四五六七八九十]{{1,4}})(?:号|弄|栋|幢|座|期|楼|单元|组|区|#|-)(?:{_DETAIL}){{0,30}})"
)
_VILLAGE = Searched(
    rf"(?P<v>(?:镇|乡|街道|公社|苏木|县|农场|林场)[ ]?{_HAN}{{1,6}}(?:村|屯|庄|社区|居委会|街|队|组)(?:{_DETAIL}){{0,16}}|"
    rf"村[ ]?(?:[0-9]{{1,3}}|[一二三四五六七八九十]{{1,3}})(?:组|队|社|号|屯)(?:[0-9]{{1,4}}号)?|"
    rf"(?<!农)村[ ]?(?![\u4e00-\u9fff]{{0,3}}[医卫患])[\u4e00-\u9fff]{{1,3}}(?:组|屯|社|队|寨|湾|坪)(?![织成]))"
)
_LIVES = Searched(
    rf"(?P<label>住址(?=[\u4e00-\u9fff])|宿舍(?=[一-鿿0-9]{{1,6}}[0-9])|老家在?(?=[\u4e00-\u9fff]{{2,4}}[,。;、])|家住|家在|(?:曾|寄|租|借|暂)住[于在]?|现住|住在|住于|居住[于在]|居住(?![地证史环条区])|来自|户籍(?:所在地|"
    rf"地|在)?|"
    rf"户口(?:所在地|"
    rf"在)?|祖籍|原籍|籍贯|居于|老家"
    rf"在?|出生于|"
    rf"生(?<![发增再新原衍寄]生)于|住(?<![入居在家现所]住)(?!院|宅|户|培|所)|居(?!住|民|委|中|多|家))[ ]?(?={_HAN})"
    rf"(?P<v>{_DETAIL}{{2,40}}?)(?=[,，。；;、()\s]|$|人[,，。]|的|农民|患者|[男女])"
)
_PARTS_OF_ADDRESSES = (
    (_ADDRESS, "shape.address", (), 0),
    (_CITY, "shape.city", ("市",), 8),
    (_COUNTY, "shape.county", ("县", "旗", "州", "盟", "区"), 8),
    (_STREET, "shape.street", ("路", "街", "大道", "巷", "弄", "胡同", "小区", "花园", "公寓", "新村", "家园", "苑", "社区",
    "大厦", "广场", "大院"), 8),
    (_VILLAGE, "shape.village", ("村", "屯", "庄", "社区", "居委会", "队", "组"), 5),
)  # fmt: skip
"""Pattern, rule, what a text must hold, and how many characters of the name may stand before the match."""
_ADDRESS_LEAD = re.compile(
    r".*(?:家住|籍贯|户籍|原籍|祖籍|户口|现住|住在?|来自|位于|[于在自往至到为是系、写寄填请从籍址受赴转现居由送回]|"
    r"(?<!太)原(?!平|阳)|地址|患者|病人|家属|(?"
    r"<!湖)[男女])"
)
# Tissue comes from somewhere too, and a tumour arises there: 来自胃窦小弯区 is no address.
_SURE_PLACE = re.compile(rf"{_PROVINCES}|(?:[^本我]市|县|镇|乡|村|屯|庄|街道|路|街|小区|花园|公寓|社区|苑|[0-9]号)$")
_DWELLING = re.compile(
    rf"{_SURE_PLACE.pattern}|小区|花园|公寓|新村|家园|家属院|宿舍|胡同|街道|[区县][一-鿿]{{1,6}}[路街苑]|[路街弄巷]甲?[0-9]|[0-9]号(?!床|病)|"
    rf"[0-9][栋幢]|[县镇乡村][一-鿿]"
)
_WIDE = re.compile(rf"(?:{_PROVINCES})[省市]?")
"""A province says of nobody where they live."""
_TOWN = re.compile("[镇乡].{1,5}村")
_SHORTEST, _LONGEST_CITY = 3, 3
_PLACE_INSIDE = re.compile(rf"(?:{_PROVINCES})|[^本我]市|[县区镇乡村路街]|{_PLACE_END}$")
_NATIVE = Searched(
    rf"(?P<v>(?:{_PROVINCES})省?{_HAN}{{2,6}})(?:(?<![工商病男女老妇本中军])人(?=[,。;)])|籍(?=患者|病人|[,。;)]))"
)
_NATIVE_COUNTY = Searched(rf"(?:县|旗(?<=[前后中左右]旗)|自治州)(?:{_HAN}{{2,4}})?(?=人[,。;)])")
_COUNTY_BEFORE = re.compile(f"(?![本我外当该各]){_HAN}{{2,3}}\\Z")
_HOME = Searched(
    r"[返回](?P<v>(?!(?:农村|乡下|自己|原来|其|她|他|回|了))[一-鿿]{2,3})(?=老家)|"
    r"[,。;(在于](?P<w>[一-鿿]{2,3}(?:路|街|镇|村|小区))(?=附近(?:居住|住|租住|人))"
)
_FOUR = re.compile(r"(?:乌鲁木齐|呼和浩特|鄂尔多斯|呼伦贝尔|巴彦淖尔|乌兰察布|克拉玛依|齐齐哈尔)\Z")
_OF_ORIGIN = frozenset({"籍贯", "祖籍", "原籍", "老家", "老家在"})
_OF_ORIGINATING = frozenset({"来自", "生于"})
_OF_TISSUE = _OF_ORIGINATING | {"住", "居"}
_NO_STREET = re.compile(
    r"(?:入|通|径|尿|胆|气|经|电|思|旁|短|回|水|消化|呼吸|网|线|传导|信号|代谢|淋巴|输出|流出|造)路|血管弄|城镇|"
    r"镇[痛静咳吐]|灶区|病区|靶区|[变灶区]苑"
)


def find_addresses(normal: str) -> Iterator[Removal]:
    """Addresses in a text of half width."""
    if holds(normal, ("址", "籍", "出生地", "参保地", "户口", "现住", "居住地", "住所", "家住")):
        for match in _LABEL_ADDRESS.finditer(normal):
            value = re.split(_NEXT_LABEL, match["v"])[0].rstrip()
            if _WORD.search(value) and not _NO_ADDRESS.match(value) and not _WIDE.fullmatch(value):
                yield Removal(match.start("v"), match.start("v") + len(value), Kind.ADDRESS, "label.address")
    yield from _where_somebody_lives(normal)
    for pattern, rule, needs, before in _PARTS_OF_ADDRESSES:
        if holds(normal, needs):
            for match in pattern.finditer(normal):
                yield from _as_far_as_a_place(match, rule, before)
    if holds(normal, ("邮", "ode", "Zip", "ZIP", "市", "省", "京", "沪", "津", "渝")):
        for match in _POSTCODE.finditer(normal):
            yield Removal(*match.span(match.lastgroup or "v"), Kind.ADDRESS, "label.postcode")


def _where_somebody_lives(normal: str) -> Iterator[Removal]:
    if holds(normal, ("住", "来自", "籍", "户口", "居", "老家", "生于")):
        for match in _LIVES.finditer(normal):
            place = _PLACE_INSIDE
            if match["label"] in _OF_TISSUE:
                place = _SURE_PLACE if match["label"] in _OF_ORIGINATING else _DWELLING
            is_place = match["label"] in _OF_ORIGIN or place.search(match["v"])
            if is_place and not _WIDE.fullmatch(match["v"]) and not _NO_ADDRESS.match(match["v"]):
                yield Removal(*match.span("v"), Kind.ADDRESS, "label.lives")
    for match in _HOME.finditer(normal):
        yield Removal(*match.span("v" if match["v"] else "w"), Kind.ADDRESS, "shape.home")
    for match in _NATIVE_COUNTY.finditer(normal):
        if county := _COUNTY_BEFORE.search(normal, max(0, match.start() - 3), match.start()):
            yield Removal(county.start(), match.end(), Kind.ADDRESS, "shape.native")
    for match in _NATIVE.finditer(normal):
        yield Removal(*match.span("v"), Kind.ADDRESS, "shape.native")


def _as_far_as_a_place(match: re.Match[str], rule: str, before: int) -> Iterator[Removal]:
    """A match from where its name begins up to its last word that ends the name of a place: what follows is the sentence."""
    run = run_before(match.string, match.start(), 0, before) if before else ""
    if rule == "shape.city" and "省" not in run:
        run = run[-_LONGEST_CITY - bool(_FOUR.search(run)) :]
    lead, province = _ADDRESS_LEAD.match(run), _WHOLE_PROVINCE.search(run)
    # 送检四川省: the name of a province is where an address begins.
    name = run[province.start() :] if province else run[lead.end() :] if lead else run
    last = _LAST_PLACE.match(re.split(f"{_NEXT_LABEL}|的", match["v"])[0])
    is_short = len(name) == 1 and rule == "shape.county" and _TOWN.search(match["v"]) is not None
    is_named = last and len(name) + last.end() > _SHORTEST and (not before or len(name) > 1 or is_short)
    if last and is_named and not _NO_STREET.search(name + match["v"][:2]):
        yield Removal(match.start() - len(name), match.start() + last.end(), Kind.ADDRESS, rule)


def run_before(normal: str, end: int, floor: int, longest: int) -> str:
    """Han characters and digits right before a place."""
    run = _RUN.search(normal[max(floor, end - longest) : end])
    return run[0] if run else ""
