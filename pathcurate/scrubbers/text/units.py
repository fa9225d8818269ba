"""Where people work, learn or live together in Chinese texts: offices, courts, companies, schools, villages."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml
from ahocorasick_rs import AhoCorasick, MatchKind

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.accepting import holds
from pathcurate.scrubbers.text.addresses import run_before
from pathcurate.scrubbers.text.hospitals import NO_UNIT
from pathcurate.text.beginnings import Searched

_NUMERALS = "一二三四五六七八九十"
_SCHOOLS = [
    f"{tens}{numeral}{last}" for tens in ("", "十") for numeral in _NUMERALS for last in ("中", "小", "厂", "中学", "小学")
]
_NO_END = re.compile(r"高中[分低度等倍]|初中生|局[部限灶面势]|厂[家商]|矿[化物石工]|社区获得|[中小]学?[、%倍]|农场动|公司化")
_BRANCH = re.compile(
    rf"[{_NUMERALS}]{{1,2}}(?:分?厂|矿|分公司|大队|车间|分院|分校|分局|分店|中队|工区|工程处)|"
    r"[高初][一二三][0-9(]{1,2}\)?班?|[一二三四五六]年级[0-9一二三四五六(]{1,2}\)?班|[0-9]{2,4}级[0-9]{1,2}班|"
    r"(?:刑侦|交警|治安|特警|刑警|巡警|网安|经侦|禁毒|消防)[支大中]队|(?:后勤|保卫|财务|人事|宣传|总务|教务)[处科部]|"
    r"[一-鿿]{2,3}系(?=[,，。;) 学研教]|$)|(?:掘进|采煤|综采|机电|运输)[一二三四五六]?队|[一二三四五六]井|"
    rf"[东西南北新老分]校区?|[一-鿿]{{2,4}}学院(?=[,，。;) ])"
)
# Words that stand before such a name and are no part of it.
_LEAD = re.compile(
    r".*(?:[现家居]?住[在于]?|就职[于在]?|任职[于在]?|供职于|工作单位|单位[为是]?|工作[于在]|就读[于在]?|现任|曾任|委托(?"
    r":单位|机关|方|人)?|监护人|"
    r"收到|办理|村名|费用|务工|打工|来自|联系|通知|告知|送达|提交|转[至到交]|移交|上报|报告|骨灰[存放寄]*|随信|附上|若学校|如学校|"
    r"[到在与被请找"
    r"去]|[由经向为是系于至和及受转送](?!阳|平|安|江|州|山|城)|职业史|职业|原(?!州|阳|平)|现(?!代)|存|寄|(?<!公)交(?!通|口|"
    r"城|警)|[男女](?!子|童)|[的了]|患者|病"
    r"人|家属|死者|退休前|"
    r"办案|鉴定|某某|[0-9]{1,3}岁)"
)
_CONTEXT_BEFORE = re.compile(
    r"(?:[岁男女族籍生][,，;；、 ]{0,2}|[男女][,，、 ]?[0-9]{1,3}岁?[,，、 ]?|系|为|是|在|于|原|单位[:：是为 ]{0,2}|务工"
    r"\(|打工\(|职业史?[:：]|"
    r"[一-鿿]{2,4}\(|学校\(|任职|就职|来自|监护人[:：]|寄件[:：]|tudent (?:of|at) |[0-9]{17}[0-9Xx][,，、 ]{0,2}|"
    r"[A-Z]?[0-9]{6,10}[,，、 ]{"
    r"1,2})$"
)
_CONTEXT_BEHIND = re.compile(
    r"[ ]?(?:[一-鿿]{0,4}(?:职工|员工|工作|教师|老师|工人|退休|退养|下岗|离休|任教|上班|学生|职员|任职|就读|干部|教授|财"
    r"务|会计|"
    r"工程师|驾驶员|司机|分拣员|保安|厨师|[清焊电木瓦铸采漆钳车喷][砂工][工人,，]?|体检|宿舍|家属院|家属区|[一二三四五六]"
    r"年级|初[一二三]|"
    r"高[一二三]|大[一二三四](?!小)|研究生|本科生|留学生|退管会|退休办|工会|工龄|司机|保洁|店员|快递员|服务员|矿工|民工|"
    r"船员|牧民|清洁工|柜员|营业员|教练|技术员|护工|会员|[一-鿿]{1,3}工(?=[,。;)]|$)))"
)
# Makers of reagents and devices, standards bodies, and what is nobody's.
_NOBODYS = re.compile(
    r"试剂|抗体|仪器|设备|器械|生物|制药|药业|药厂|药品|诊断|基因|医学|软件|显微|扫描|美国|国家|我国|全国|中国|世界|国际|"
    r"欧洲|英国|日本|德国|"
    r"瑞士|卫生部|罗氏|徕卡|保险|某|一家|两家|多家|各|厂家|生产厂|快递公司|物流公司|本公司|该公司|贵公司|外送公司|病理学|"
    r"细胞|组织学|"
    r"腺|肿|癌|瘤|肌|骨|肝|肺|胃|肠|胆|脾|肾|镜|染色|免疫|分子|检测|检验|科室|标本|切片|大体"
)
_NOBODYS_BEHIND = re.compile(
    r"[一-鿿]{0,4}(?:试剂|提供|生产|产品|抗体|仪器|设备|软件|制造|出品|技术支持|工程师|检测|外送|代理|厂家)|人群|指南|标"
    r"准|[路街巷]|胡同|附属|第[一二三四五六]|"
    r"[一-鿿]{0,8}医院|医学院|病理"
)
_NOBODYS_BEFORE = re.compile(r"(?:试剂|抗体|厂家|购自|购于|仪器|采用|使用|系统|生产|产品|供应商|设备|提供)[一-鿿:： ]{0,6}$")
_GENERIC = re.compile(
    r"(?:[我本该贵某各外当原他她其市县省区镇乡村校全每另一二三两多几在到去上]|当地|附近|所在|人民|辖区|地方|基层|公安|有关|"
    r"相关|主管|上级|下级|附属|研究|综合|大型|私人|民营|国有|个体|建筑|[\u4e00-\u9fff]?居住)*"
)
_ARMY = Searched(
    r"(?P<v>武警[\u4e00-\u9fff]{2,8}[总支大中]队|"
    r"(?:某部队?[ ]?)?[0-9](?<![0-9]{2})[0-9xX*]{3,5}[ ]?(?:部队|"
    r"分队)(?:[0-9一-鿿]{0,3}[支营连分]队?(?:[0-9一-鿿]{1,2}连)?)?)"
)
_LABEL_UNIT = Searched(
    r"(?:单 位|单位(?<![检量剂度托请诊院送]单位)|公司(?<!保险公司)|学校)(?:名称)?(?:及住址|及地址)?[ ]{0,3}[:|][ ]{0,4}"
    r"(?P<v>[^\s,，。；;:：|\[\]\n\ue000]{2,40})"
)
_HOSPITAL_END = re.compile("医院|卫生院|诊所|医学中心|卫生室|保健院|检验所|疾控中心")
_LONGEST_NAME = 18
_LEAST_NAME = 2
_ALONE = frozenset("省市县")
_TOLD = frozenset({"收到", "通知", "告知", "联系", "来自", "转交", "提交", "移交", "报告", "上报", "委托", "办理"})


def find_units(normal: str) -> Iterator[Removal]:
    """Employers, schools, offices and villages as work units in a text of half width."""
    if holds(normal, ("单位", "公司", "学校")):
        for match in _LABEL_UNIT.finditer(normal):
            if not NO_UNIT.match(match["v"]) and not _GENERIC.fullmatch(match["v"]):
                kind = Kind.HOSPITAL if _HOSPITAL_END.search(match["v"]) else Kind.UNIT
                yield Removal(*match.span("v"), kind, f"label.{kind}")
    if holds(normal, ("部队", "分队", "武警")):
        for match in _ARMY.finditer(normal):
            yield Removal(*match.span("v"), Kind.UNIT, "shape.army")
    yield from _named(normal)


def _named(normal: str) -> Iterator[Removal]:
    words, automaton = _last_words()
    floor = 0
    for index, first, last in automaton.find_matches_as_indexes(normal):
        word, rule = words[index]
        if _NO_END.match(normal, first):
            continue
        # 滕州一中学生 are pupils of 滕州一中.
        end = last - 1 if word in _SCHOOLS and word.endswith("学") and normal[last : last + 1] == "生" else last
        branch = _BRANCH.match(normal, end)
        end = branch.end() if branch else end
        start = _begin(normal, first, floor)
        if start is None and floor and first == floor:
            start = first  # 第三机车厂子弟中学: one name out of two
        if start is None or _NOBODYS_BEHIND.match(normal, end):
            continue
        start += normal[start] == "受" and normal.startswith("委托", end)
        before = normal[max(0, start - 20) : start]
        goes_on = bool(floor) and first == floor
        is_somebodys = goes_on or _CONTEXT_BEHIND.match(normal, end) or _CONTEXT_BEFORE.search(before)
        if (rule == "shape.office" or is_somebodys) and not _NOBODYS_BEFORE.search(before):
            floor = end
            yield Removal(start, end, Kind.UNIT, rule)


@cache
def _last_words() -> tuple[tuple[tuple[str, str], ...], AhoCorasick]:
    """Each last word with its rule, and what finds them."""
    lists = yaml.safe_load(Path(__file__).with_name("units.yaml").read_text(encoding="utf-8"))
    rules = dict.fromkeys((*lists["companies"], *_SCHOOLS), "shape.unit") | dict.fromkeys(lists["offices"], "shape.office")
    return tuple(rules.items()), AhoCorasick(tuple(rules), matchkind=MatchKind.LeftmostLongest)


def _begin(normal: str, end: int, floor: int) -> int | None:
    """Where the name before a last word begins; None if there is none, or only words that say nobody's in particular."""
    bracket = normal[end - 1 : end] == ")" and (opened := normal.rfind("(", max(floor, end - 6), end))
    stop = opened if bracket and opened > 0 else end
    run = run_before(normal, stop, floor, _LONGEST_NAME)
    lead = _LEAD.match(run)
    name = run[lead.end() :] if lead else run
    if len(name) < _LEAST_NAME == len(run) and not (_GENERIC.fullmatch(run) or run in _TOLD):
        name = run  # 正和 of 正和律师事务所: what stood before the name is its own beginning
    is_named = name in _ALONE or (len(name) >= _LEAST_NAME and not _GENERIC.fullmatch(name) and not _NOBODYS.search(name))
    return stop - len(name) if is_named else None
