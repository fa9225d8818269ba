"""Where people work, learn or live together in Chinese texts: offices, courts, companies, schools, villages."""

import re
from collections.abc import Iterator
from functools import cache

from ahocorasick_rs import AhoCorasick, MatchKind

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.accepting import holds
from pathcurate.scrubbers.text.addresses import run_before
from pathcurate.scrubbers.text.hospitals import NO_UNIT

_OFFICES = (
    "公安局 公安分局 公安厅 派出所 交警大队 交警支队 交警中队 刑警大队 刑侦大队 治安大队 巡警大队 特警支队 消防大队 消防"
    "支队 消防中队 武警支队 武警总队 "
    "公安局交警大队 公安局刑警大队 公安局刑侦大队 公安局交警支队 人民法院 中级人民法院 高级人民法院 法院 人民检察院 检察"
    "院 看守所 拘留所 监狱 戒毒所 "
    "律师事务所 会计师事务所 公证处 仲裁委 仲裁委员会 殡仪馆 火葬场 敬老院 养老院 福利院 养老中心 居委会 村委会 居民委员"
    "会 村民委员会 村民小组 "
    "街道办 街道办事处 民政办 司法所 司法局 供销社 合作社 信用社 教育局 卫健局 卫健委 卫生局 卫生健康局 卫生健康委员会 民"
    "政局 交通局 交通运输局 "
    "水利局 水利厅 财政局 财政厅 税务局 农业局 农业农村局 农业厅 林业局 矿务局 铁路局 邮政局 供电局 供电公司 电力局 环保"
    "局 气象局 国土局 城管局 "
    "住建局 规划局 人社局 社保局 医保局 统计局 审计局 水务局 广电局 文化局 市场监管局 工商局 质监局 烟草局 公路局 粮食局 "
    "档案局 信访局 应急管理局 "
    "人民政府 县政府 镇政府 乡政府 市政府 规划设计院 设计院 设计研究院 勘察院 歌舞团 京剧团 剧团 博物馆 图书馆 文化馆 少"
    "年宫 体校 武装部 军分区 "
    "干休所 矿业集团 造船厂 机械厂 铸造厂 发电厂 电厂 水泥厂 纺织厂 化工厂 化肥厂 钢铁厂 钢厂 服装厂 制衣厂 鞋厂 电子厂 "
    "印刷厂 印染厂 造纸厂 "
    "食品厂 玻璃厂 陶瓷厂 石棉厂 石棉制品厂 家具厂 砖厂 煤矿 金矿 铁矿 采石场 农场 林场 幼儿园 实验小学 小学 中学 实验中"
    "学 高级中学 高中 初中 职高 "
    "技校 特校 中专 卫校 职业技术学院 职业学院 师范学院 牛羊市场 农贸市场 批发市场 菜市场 建材市场"
).split()
"""Last words of offices, schools and works, which a name before them makes one in particular."""
_COMPANIES = (
    "有限责任公司 股份有限公司 有限公司 股份公司 分公司 公司 集团 厂 工厂 大学 学院 学校 局 银行 人民银行 研究院 研究所 "
    "事务所 酒店 宾馆 饭店 餐馆 超市 "
    "商场 商行 物流仓 仓库 工地 车间 矿 车站 机场 工业园 项目部 营业部 支行 物业 林业站 兽医站 村小 社区 连队 兵团 加油站"
    " 速运 物流 药店 饭馆 理发店 环卫所 收费站 养殖场 屠宰场 渔场 牧场 铜矿 铝厂 药房"
).split()
"""Last words of companies and whatever else there are many of: only beside somebody's age, sex or trade."""
_NUMERALS = "一二三四五六七八九十"
_SCHOOLS = [f"{tens}{numeral}{last}" for tens in ("", "十") for numeral in _NUMERALS for last in ("中", "小", "厂", "中学")]
_ENDS = {word: "shape.office" for word in _OFFICES} | {word: "shape.unit" for word in (*_COMPANIES, *_SCHOOLS)}
_WORDS = tuple(_ENDS)
_NO_END = re.compile(r"高中[分低度等倍]|初中生|局[部限灶面势]|厂[家商]|矿[化物石]|社区获得|[中小]学?[、%倍]|农场动|公司化")
_BRANCH = re.compile(rf"[{_NUMERALS}]{{1,2}}(?:厂|矿|分公司|大队|车间|分院)|[东西南北新老分]校区?|[一-鿿]{{2,4}}学院(?=[,，。;) ])")
# Words that stand before such a name and are no part of it.
_LEAD = re.compile(
    r".*(?:[现家居]?住[在于]?|就职[于在]?|任职[于在]?|供职于|工作单位|单位[为是]?|工作[于在]|就读[于在]?|现任|曾任|委托(?"
    r":单位|机关|方|人)?|监护人|"
    r"费用|务工|打工|来自|联系|通知|告知|送达|提交|转[至到交]|移交|上报|报告|骨灰[存放寄]*|随信|附上|若学校|如学校|[由经"
    r"向为是系在于到至被与和及请受转送找去]"
    r"(?!阳|平|安|江|州|山|城)|职业史|职业|原(?!州|阳|平)|现(?!代)|存|寄|交(?!通|口|城|警)|[男女](?!子|童)|[的了]|患者|病"
    r"人|家属|死者|退休前|"
    r"办案|鉴定|某某|[0-9]{1,3}岁)"
)
_CONTEXT_BEFORE = re.compile(
    r"(?:[岁男女族籍生][,，;；、 ]{0,2}|[男女][,，、 ]?[0-9]{1,3}岁?[,，、 ]?|系|为|是|在|于|原|单位[:：是为 ]{0,2}|务工"
    r"\(|打工\(|职业史?[:：]|"
    r"[一-鿿]{2,4}\(|学校\(|任职|就职|来自|监护人[:：]|寄件[:：]|[0-9]{17}[0-9Xx][,，、 ]{0,2}|[A-Z]?[0-9]{6,10}[,，、 ]{"
    r"1,2})$"
)
_CONTEXT_BEHIND = re.compile(
    r"[ ]?(?:[一-鿿]{0,4}(?:职工|员工|工作|教师|老师|工人|退休|退养|下岗|离休|任教|上班|学生|职员|任职|就读|干部|教授|财"
    r"务|会计|"
    r"工程师|驾驶员|司机|分拣员|保安|厨师|[清焊电木瓦铸采漆钳车喷][砂工][工人,，]?|体检|宿舍|家属院|家属区|[一二三四五六]"
    r"年级|初[一二三]|"
    r"高[一二三]|大[一二三四](?!小)|研究生|本科生|留学生|退管会|退休办|工会|工龄|司机|保洁|店员|快递员|服务员|矿工|民工))"
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
_ARMY = re.compile(r"(?P<v>[0-9](?<![0-9]{2})[0-9]{3,5}部队(?:[0-9一-鿿]{0,3}[支营连分]队?(?:[0-9一-鿿]{1,2}连)?)?)")
_LABEL_UNIT = re.compile(
    r"(?:单位(?<![检量剂度托请诊院送]单位)|公司(?<!保险公司)|学校)(?:名称)?(?:及住址|及地址)?[ ]{0,3}[:|][ ]{0,4}"
    r"(?P<v>[^\s,，。；;:：|\[\]\n\ue000]{2,40})"
)
_HOSPITAL_END = re.compile("医院|卫生院|诊所|医学中心|卫生室|保健院|检验所|疾控中心")
_LONGEST_NAME = 18
_LEAST_NAME = 2
_ALONE = frozenset("省市县")


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
    yield from _named(normal)


def _named(normal: str) -> Iterator[Removal]:
    floor = 0
    for index, first, end in _automaton().find_matches_as_indexes(normal):
        word = _WORDS[index]
        if _NO_END.match(normal, first):
            continue
        if word.endswith("中学") and word in _SCHOOLS and normal[end : end + 1] == "生":
            end -= 1  # 滕州一中学生
        branch = _BRANCH.match(normal, end)
        end = branch.end() if branch else end
        start = _begin(normal, first, floor)
        floor = end
        if start is None or _NOBODYS_BEHIND.match(normal, end):
            continue
        before = normal[max(0, start - 20) : start]
        if _NOBODYS_BEFORE.search(before):
            continue
        rule = _ENDS[word]
        if rule == "shape.office" or _CONTEXT_BEHIND.match(normal, end) or _CONTEXT_BEFORE.search(before):
            yield Removal(start, end, Kind.UNIT, rule)


@cache
def _automaton() -> AhoCorasick:
    return AhoCorasick(_WORDS, matchkind=MatchKind.LeftmostLongest)


def _begin(normal: str, end: int, floor: int) -> int | None:
    """Where the name before a last word begins; None if there is none, or only words that say nobody's in particular."""
    bracket = normal[end - 1 : end] == ")" and (opened := normal.rfind("(", max(floor, end - 6), end))
    stop = opened if bracket and opened > 0 else end
    run = run_before(normal, stop, floor, _LONGEST_NAME)
    lead = _LEAD.match(run)
    name = run[lead.end() :] if lead else run
    if len(name) < _LEAST_NAME == len(run) and not _GENERIC.fullmatch(run):
        name = run  # 正和 of 正和律师事务所: what stood before the name is its own beginning
    is_named = name in _ALONE or (len(name) >= _LEAST_NAME and not _GENERIC.fullmatch(name) and not _NOBODYS.search(name))
    return stop - len(name) if is_named else None
