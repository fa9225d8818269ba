"""Where people work, learn or live together in Chinese texts: offices, courts, police, companies, schools, villages, army."""

import re
from collections.abc import Iterator

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.accepting import holds
from pathcurate.scrubbers.text.addresses import run_before
from pathcurate.scrubbers.text.hospitals import NO_UNIT

_HAN = "[\u4e00-\u9fff]"
_OFFICES = (
    "公安(?:分?局|厅)|派出所|(?:交警|刑警|刑侦|治安|巡警|特警|消防|武警)(?:大队|中队|支队|总队)|(?:中级|高级)?人民法院|法院|"
    "人民检察院|检察院|看守所|监狱|戒毒所|律师事务所|会计师事务所|公证处|仲裁委(?:员会)?|殡仪馆|火葬场|敬老院|养老院|福利院|养老中心|"
    "居委会|村委会|居民委员会|村民委员会|村民小组|街道办(?:事处)?|民政办|司法所|供销社|合作社|信用社|教育局|卫健[局委]|卫生局|"
    "卫生健康(?:局|委|委员会)|民政局|交通(?:运输)?局|水利[局厅]|财政[局厅]|税务局|农业(?:农村)?[局厅]|林业局|矿务局|铁路局|邮政局|"
    "供电局|供电公司|电力局|环保局|气象局|国土局|城管局|住建局|规划局|人社局|社保局|医保局|统计局|审计局|水务局|广电局|文化局|"
    "市场监管局|工商局|质监局|烟草局|公路局|粮食局|档案局|信访局|人民政府|县政府|镇政府|乡政府|市政府|组织部|宣传部|"
    "规划设计院|设计研究?院|勘察院|歌舞团|京剧团|剧团|博物馆|图书馆|文化馆|少年宫|体校|武装部|军分区|干休所|"
    "矿业集团|造船厂|机械厂|铸造厂|发电厂|电厂|水泥厂|纺织厂|化工厂|化肥厂|钢铁厂|钢厂|服装厂|制衣厂|鞋厂|电子厂|印刷厂|印染厂|造纸厂|"
    "食品厂|玻璃厂|陶瓷厂|石棉[制品]{0,2}厂|煤矿|金矿|铁矿|采石场|农场|林场|幼儿园|实验小学|小学|中学|高中|初中(?!生)|职高|技校|特校|"
    "(?<=[一-鿿]{2})[一二三四五六七八九十]{1,2}[中小](?=学生|[高初老教退校]|[,，。;)])|职业技术学院|职业学院|师范学院|"
    "(?:[一-鿿]{2}){1,2}市场(?=做|摆|卖|经商|打工|工作|上班|务工|[,，。)])|部队"
)
"""Offices that a name before them makes one in particular."""
_COMPANIES = (
    "有限责任公司|股份有限公司|有限公司|股份公司|分公司|公司|集团|厂|工厂|大学(?:[一-鿿]{2,4}学院)?|学院|[一二三四五六七八九十]{1,2}(?:中|小|厂)|"
    "学校|局|银行|研究院|研究所|事务所|酒店|宾馆|饭店|超市|商场|物流仓|仓库|工地|车间|矿|车站|机场|工业园|项目部|营业部|支行|"
    "物业|快递|林业站|兽医站|村小|社区|联队|连队|兵团"
)
_OFFICE = re.compile(rf"(?:{_OFFICES})(?:[一二三四五六七八九十]{{1,2}}(?:厂|矿|分公司|大队|车间|分院))?")
_COMPANY = re.compile(rf"(?:{_COMPANIES})")
_OFFICE_SIGNS = tuple("局厅所队院狱处委馆场会组办社部园校学厂矿团宫府区中小")
# Words that stand before such a name and are no part of it.
_LEAD = re.compile(
    r".*(?:[现家居]?住[在于]?|就职[于在]?|任职[于在]?|供职于|工作单位|单位[为是]?|工作[于在]|就读[于在]?|现任|曾任|委托(?:单位|机关|方|人)?|监护人|"
    r"费用|务工|打工|来自|联系|通知|告知|送达|提交|转[至到交]|移交|上报|报告|骨灰[存放寄]*|随信|附上|若学校|如学校|[由经向为是系在于到至被与和及请受]"
    r"(?!阳|平|安|江|州|山|城)|职业史|职业|原(?!州|阳|平)|现(?!代)|存|寄|交(?!通|口|城|警)|[男女](?!子|童)|[的了]|患者|病人|家属|死者|退休前|"
    r"办案|鉴定|某某|[0-9]{1,3}岁)"
)
_CONTEXT_BEFORE = re.compile(
    r"(?:[岁男女族籍生][,，;；、 ]{0,2}|[男女][,，、 ]?[0-9]{1,3}岁?[,，、 ]?|系|为|是|在|于|原|单位[:：是为 ]{0,2}|务工\(|打工\(|职业史?[:：]|"
    r"[一-鿿]{2,4}\(|学校\(|任职|就职|来自|监护人[:：]|寄件[:：]|[0-9]{17}[0-9Xx][,，、 ]{0,2}|[A-Z]?[0-9]{6,10}[,，、 ]{1,2})$"
)
_CONTEXT_BEHIND = re.compile(
    r"[ ]?(?:[一-鿿]{0,4}(?:职工|员工|工作|教师|老师|工人|退休|退养|下岗|离休|任教|上班|学生|职员|任职|就读|干部|教授|财务|会计|"
    r"工程师|驾驶员|司机|分拣员|保安|厨师|[清焊电木瓦铸采漆钳车喷][砂工][工人,，]?|体检|宿舍|家属院|家属区|[一二三四五六]年级|初[一二三]|"
    r"高[一二三]|大[一二三四](?!小)|研究生|本科生|留学生|退管会|退休办|工会|工龄|司机|保洁|店员|服务员|矿工|民工))"
)
# Makers of reagents and devices, standards bodies, and what is nobody's.
_NOBODYS = re.compile(
    r"试剂|抗体|仪器|设备|器械|生物|制药|药业|药厂|药品|诊断|基因|医学|软件|显微|扫描|美国|国家|中国|世界|国际|欧洲|英国|日本|德国|"
    r"瑞士|卫生部|罗氏|徕卡|保险|某某|一家|两家|多家|各|厂家|生产厂|快递公司|物流公司|本公司|该公司|贵公司|外送公司|病理学|细胞|组织学|"
    r"腺|肿|癌|瘤|肌|骨|肝|肺|胃|肠|胆|脾|肾|镜|染色|免疫|分子|检测|检验|科室|标本|切片|大体"
)
_NOBODYS_BEHIND = re.compile(
    r"[一-鿿]{0,4}(?:试剂|提供|生产|产品|抗体|仪器|设备|软件|制造|出品|技术支持|工程师|检测|外送|代理|厂家)|人群|指南|标准|附属|第[一二三四五六]|"
    r"[一-鿿]{0,8}医院|医学院|病理"
)
_NOBODYS_BEFORE = re.compile(r"(?:试剂|抗体|厂家|购自|购于|仪器|采用|使用|系统|生产|产品|供应商|设备|提供)[一-鿿:： ]{0,6}$")
_GENERIC = re.compile(
    rf"(?:[我本该贵某各外当原他她其市县省区镇乡村校全每另一二三两多几在到去上]|当地|附近|所在|人民|辖区|地方|基层|公安|有关|"
    rf"相关|主管|上级|下级|附属|研究|综合|大型|私人|民营|国有|个体|建筑|{_HAN}{{0,1}}居住)*"
)
_ARMY = re.compile(r"(?P<v>(?<![0-9])[0-9]{4,6}部队(?:[0-9一-鿿]{0,6}[分支营连]队)?)")
_LABEL_UNIT = re.compile(
    r"(?P<label>工作单位|职业单位|就职单位|所在单位|单位名称|(?<!保险)公司|学校|(?:患者|病人|本人|家属)单位|(?<![检量剂度托请诊院送])单位)"
    r"(?:及住址|及地址)?[ ]{0,3}[:|][ ]{0,4}(?P<v>[^\s,，。；;:：|\[\]\n\ue000]{2,40})"
)
_HOSPITAL_END = re.compile("医院|卫生院|诊所|医学中心|卫生室|保健院|检验所|疾控中心")
_LONGEST_NAME, _LONGEST_COMPANY = 14, 18
_LEAST_NAME, _LONGEST_OF_ONE_WORD = 2, 4


def find_units(normal: str) -> Iterator[Removal]:
    """Employers, schools, offices and villages as work units in a text of half width."""
    if holds(normal, ("单位", "公司", "学校")):
        for match in _LABEL_UNIT.finditer(normal):
            if not NO_UNIT.match(match["v"]) and not _GENERIC.fullmatch(match["v"]):
                kind = Kind.HOSPITAL if _HOSPITAL_END.search(match["v"]) else Kind.UNIT
                yield Removal(*match.span("v"), kind, f"label.{kind}")
    if "部队" in normal:
        for match in _ARMY.finditer(normal):
            yield Removal(*match.span("v"), Kind.UNIT, "shape.army")
    yield from _named(normal, _OFFICE, "shape.office", _LONGEST_NAME)
    yield from _named(normal, _COMPANY, "shape.unit", _LONGEST_COMPANY)


def _named(normal: str, ends: re.Pattern[str], rule: str, longest: int) -> Iterator[Removal]:
    floor = 0
    for match in ends.finditer(normal):
        start = _begin(normal, match.start(), floor, longest)
        floor = match.end()
        if start is None or _NOBODYS_BEHIND.match(normal, match.end()):
            continue
        before = normal[max(0, start - 20) : start]
        if _NOBODYS_BEFORE.search(before):
            continue
        has_context = _CONTEXT_BEHIND.match(normal, match.end()) or _CONTEXT_BEFORE.search(before)
        if rule == "shape.office" or has_context:
            yield Removal(start, match.end(), Kind.UNIT, rule)


def _begin(normal: str, end: int, floor: int, longest: int) -> int | None:
    """Where the name before a last word begins; None if there is none, or only words that say nobody's in particular."""
    bracket = normal[end - 1 : end] == ")" and (opened := normal.rfind("(", max(floor, end - 6), end))
    stop = opened if bracket and opened > 0 else end
    run = run_before(normal, stop, floor, longest)
    lead = _LEAD.match(run)
    name = run[lead.end() :] if lead else run
    if len(name) < _LEAST_NAME <= len(run) <= _LONGEST_OF_ONE_WORD and not _GENERIC.fullmatch(run):
        name = run  # 正和 of 正和律师事务所: what stood before the name is its own beginning
    if (len(name) < _LEAST_NAME and name not in {"省", "市", "县"}) or _GENERIC.fullmatch(name) and name not in {"省", "市", "县"}:
        return None
    return None if _NOBODYS.search(name) else stop - len(name)
