"""Hospitals in Chinese texts: what has no shape but its last word."""

import re
from collections.abc import Iterator

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.accepting import holds
from pathcurate.scrubbers.text.addresses import PROVINCE, run_before
from pathcurate.text.beginnings import Searched

_CLINIC_ENDS = (
    r"(?:医院|醫院|醫學中心|診所|衛生所|衛生院|医学中心|医疗中心|卫生院|卫生室|卫生所|卫生服务(?:中心|站)|诊所(?!见)|门诊部|保"
    r"健院|保健所|保健站|妇幼保健(?:中心|"
    r"计划生育服务中心)|妇保院?(?!健)|妇儿中心|"
    r"疾控中心|疾病预防控制中心|医学检验(?:所|实验室|中心|\([一-鿿]{2,3}\))|检验所|检验中心|诊断中心|病理(?:诊断|会诊"
    r"|学)?(?:中心|研究所)|"
    r"肿瘤防治(?:中心|院|研究所)|防治[院所站]|皮防[院所]|结防所|儿研所|职防院|中心血站|急救中心(?!附属)|疗养院|干休所|荣军院"
    r"|体检中心|"
    r"体检站|护理院|爱尔眼科|"
    r"医学院(?!附属|第)|医科大学(?!附属|第)|肿瘤研究所|(?<=[一-鿿]{2})肿瘤中心|医检(?:所|中心|(?= ))|癌症中心"
    r"|司法鉴定(?:中心|所))"
)
_HOSPITAL = Searched(
    rf"{_CLINIC_ENDS}(?:\(?[\u4e00-\u9fff]{{1,6}}(?:院区|分院)\)?|[东西南北新老](?:院|"
    rf"区)(?![\u4e00-\u9fff](?<![就手住做会检复病治的转行])))?"
)
_HOSPITAL_NEEDS = ("院", "爱尔", "診", "衛生", "站", "中心", "诊所", "门诊部", "卫生", "保健", "妇保", "所", "大学", "医检",
                   "检验")  # fmt: skip
_NUMBERED = Searched(
    r"[一二三四五六七八九十总附妇分](?:(?<![妇分])(?:附?院|附属医院)|(?<=附)[一二三四五](?![一-鿿]"
    r"(?<![病会蜡切就转手检的]))|"
    r"(?<=妇)(?:幼(?=\)|会诊|病理|切片)|计中心)|"
    r"(?<=[\u4e00-\u9fff]{2}分)院)(?![区"
    r"内长士校前后])"
)
_LONGEST_NAME, _LONGEST_SHORT_NAME, _LONGEST_PLACE, _LONGEST_LEAD = 24, 8, 3, 3
_FAMOUS = Searched(
    r"(?P<v>金域|艾迪康|华大基因|爱康国宾|美年大?健康|慈铭|(?:华西|湘雅|协和|齐鲁|瑞金|仁济|西京|盛京|宣武|天坛|浙一|浙二|"
    r"省肿|中肿|北肿|复旦肿瘤|中山肿瘤|"
    r"北大人民|北大一院|南方医|迪安|积水潭|阜外|邵逸夫|长庚|同济|同仁|仁和|仁爱|博爱|安贞|佑安|地坛|海慈|三博|唐都)"
    r"(?=[一-鿿]{1,3}(?:教授|主任医?师?|专家|老师|医[生师]|大夫|院士)|\)|[一-鿿]{2,3}(?:看过|阅片|复阅|会诊)|会诊|意见|病理|那边|专家|教授|大夫|医生|复查|手术|就诊|检查|的?切片|蜡块|"
    r"检验|诊断(?![为:])|转诊|眼科|阅片|[ ,、]?20[0-9]{2}[-./年])|(?:协和)?血研所|华大(?=回报|结果|检测|报告|测序|外送)"
    r"|东方肝胆(?!研究)|(?:(?<=上海)|(?<=天津)|(?<=浙江)|(?<=江苏)|(?<=广东)|(?<=北京)|(?<=四川)|(?<=重庆))"
    r"(?:肿瘤|儿童|胸科|肺科)(?=[、,。;)]|会诊|看|住院|手术|病理(?!学)|的?切片|专家|教授)|[省市县区]人医(?![护生])|(?:华山|新华|西南|南方|珠江|鼓楼|友谊|省立)(?=[一-鿿]{2,3}教授))"
)
_CITY_BEFORE = re.compile(
    rf"(?:{PROVINCE.pattern}|石家庄|太原|沈阳|大连|长春|哈尔滨|南京|苏州|杭州|宁波|温州|合肥|福州|厦门|南昌|济南|青岛|郑州|武汉|长沙|广州|深圳|"
    r"南宁|海口|成都|贵阳|昆明|西安|兰州|西宁|银川|台北|高雄|台中|台南|林口)市?\Z"
)
_OF_A_PLACE = Searched(
    r"[省市县区](?<![本我城]市)(?<![本我]县)(?<![病院地园社辖]区)(?:妇幼|疾控|(?:肿瘤|结核|胸科|口腔|眼科|精神|传染病?|儿童|中医|人民)"
    r"(?=\)|[,，。;]|那边|会诊|病理|检查|看|就诊|住院|手术|大夫|医生|[主专教送转]))(?!医|院|保健|卫生|中心)"
)
"""A place and what is treated there: 县妇幼, 省肿瘤."""
_OF_THE_PLACE = Searched(
    r"(?:[转到赴送往](?:去|到|至|诊)?|(?<=[,。;(\n]))(?P<v>[省市县区](?:儿|妇幼|肿瘤|胸科|口腔|传染病?|结核|中医|人民|立|"
    r"附|职防|血液|眼科|骨科|医(?![保药学疗师生院务护])|"
    r"[一二三四五六]))(?=[,。:;)\n]|转[来入诊]|会诊|病理|那边|已|的|[一-鿿]{1,4}科|[一-鿿]{2}室|$)"
)
"""The same where somebody is sent to or comes from: 转省儿."""
_BRANCH = Searched("院区")
_BRANCH_NAME = re.compile(
    r"(?:[河江湖城山海岭塘][东西南北]|[东西南北新老][区院]?|[一-鿿][湖山江河城桥门岸港浦洲海塘岭坪溪泉陵坝园州]|总)\Z"
)
_VILLAGE_CLINIC = Searched(r"[,。;(\n](?P<v>[镇乡](?:卫生院|医院))(?=曾|予|行|给|转|就诊|治疗|输液|[,。;)])")
"""Somebody's place is known beside it."""
# Words that stand before a hospital's name and are no part of it; a character that names begin with is none: 和 in 和平医院.
_LEAD = re.compile(
    r".*(?:客户|带来|拿着|送检方|收悉|委托医院|送检单位|委托单位|送检医院|送检|单位|医院[至到转及和、]|就诊于|住院于"
    r"|手术于|收治于|转入|转至|转到|转往|转诊至?|"
    r"来自|送来|委托|要求对?|送至|送往|外送至?|前往|借自|同意|"
    r"(?<!国家)癌症中心质控|按(?=国家)|转出|站点|我院|本院|外院|当地|他院|患者|病人|家属|结合|参考|参阅|根据|依据|会诊|病理科?|切片|蜡块|白片|报告|诊断|外地|当时|"
    r"手术|活检|治疗|检查|就诊|复查|住院|穿刺|门诊|"
    r"化疗|放疗|随访|建议|推荐|提供|标本|来源|出具|签发|名称|邀请|专家|教授|主任|医师|医生|大夫|"
    r"那[个家]|这[个家]|嘱|孕检|于(?![都洪田潜])|在(?!平)|经(?![济开])|向(?!阳)|(?<!协|仁|永|中|泰|安|同|康|人)和(?!平|睦|田|县|静|"
    r"顺|硕)|自(?!贡|"
    r"治)|前(?!进|海|锋|卫|旗)|回(?!民|龙)|"
    r"(?<!协)同(?![济仁德安心江和康善慈])|[送附奉寄]上(?!级)|补写|(?<![高平太中草清固三开济陇])原(?!平|阳|路)|"
    r"(?<![万百青延])年(?!丰)|(?<!中)日(?!照|喀)|月(?!湖|亮|坛)|"
    r"(?<![李新])时(?!代)|先(?!锋|进)|均(?!安|州)|示(?!范)|[接收往从](?!化)|(?<!太)行(?!唐)|"
    r"[赴由至到与及或被为系是的请曾后次见持携借送转去查做因拟已再并且其此该另仍入寄她您]|他(?!里)|兹有|兹|地点|既往|"
    r"转?交(?!城|口|大|通)|轉|"
    r"住(?!院)|代(?!县|家))"
)
_GENERIC = re.compile(
    r"(?:(?:当地|附近|我市|本市|我县)?(?:人民|中心)(?=医院)|[省市县区](?=医院)|我|本|外|他|该|贵|原|各|某|多|两|几|一|此|"
    r"部队|军队|地方|上级|下级|当地|外地|附近|同级|其他|其它|其|另一?|相关|有关|基层|专科|综合|三甲|二甲|三级|二级|三级甲"
    r"等|二级甲等|大型|"
    r"正规|"
    r"省级|市级|县级|区级|乡镇|社区|私立|民营|公立|肿瘤|癌症|儿童|妇产科?|中医|口腔|眼科|传染病|精神病?|教学|附属|定点|"
    r"医保|往|接|家|委托|送检|会诊|外院|就近到?|到|在|"
    r"镇|乡|村|大|国内|国外|院外|医疗|综合性|联系|接诊|首诊|手术|住院|转诊|所在|区域|独立|第三方|病理|临床|远程|疑难|国家|"
    r"数字|云|网络|集团|发起|接收|定点|协作|申请|转入|转出|"
    r"乳腺|肿瘤中心|结核病?|胸科|骨科|骨|头颈|胸部|消化|神经|妇科|血液|肺|肝|心血管|病|癌|瘤|研究|检验|疾病|学|所属|异地|本地|新|老|旧|全|不同|数|若干)*"
    rf"{_CLINIC_ENDS}?"
)
_LABEL_HOSPITAL = Searched(
    r"(?:送检|委托|申请|会诊|转诊|就诊|外送|来源|原诊断?|外院|报告|采样|采集|取样)(?:医院|单位|机构|"
    r"院所)(?:名称)?[ ]{0,3}[:|][ ]{0,4}"
    r"(?P<v>[^\s,，。；;:：|()\[\]\n\ue000]{2,40})"
)
_DEPARTMENT = re.compile(
    "(?<=[院心所])(?:病理|检验|肿瘤|普外|胃肠|妇|产|骨|消化内?|呼吸内?|血液|神经[内外]|泌尿外?)科.{0,6}$"
)
"""What stands behind a hospital's name and identifies none."""
_LABEL_SPACED = Searched(r"送 检 (?:医 院|单 位) ?: {0,4}(?P<v>[一-鿿](?: [一-鿿]){2,20})(?=\n| {2}|$)")
_GENES = Searched(
    r"送[至往到]?(?P<v>(?![一-鿿]{0,3}[检测癌瘤肿腺敏融突变易驱相药全单多靶某该家本外])"
    r"[一-鿿]{2,3}基因)(?=[,。;、)(\n ]|公司|$)"
)
"""Companies that sequence, where something is sent: 送启源基因."""
_TOLD = (
    (_OF_THE_PLACE, "shape.hospital_short"),
    (_VILLAGE_CLINIC, "shape.hospital_short"),
    (_LABEL_SPACED, "label.hospital"),
    (_GENES, "label.hospital"),
)
NO_UNIT = re.compile(
    r"(?:[0-9.µμ]*[ ]?(?:mm|cm|ml|nm|um|l|L|M|kg|mg|ug|ng|g|U|IU|bp|kb|Kb|Mb|nt|kDa|copies|分|个|例|张|块|枚|次|倍|年|月|天|"
    r"岁)(?![a-zA-Z\u4e00-\u9fff])|"
    r"[厘毫微]米|毫升|平方|百分|%|μm|µm|[×x/*]|"
    r"m?IU/|[μun]?g/|mol|待[补查定]|不详|未知|未填|未提供|没有|同上|无(?:$|业|工作|固定)|暂无|自由职业|务农|农民|退休"
    r"|离休|个体|职员|学生|本院|我院|外院|"
    r"病理|乳腺|[内外妇儿骨眼]科|产[一二三]?科)"
)


def find_hospitals(normal: str) -> Iterator[Removal]:
    """Hospitals in a text of half width."""
    if holds(normal, _HOSPITAL_NEEDS):
        yield from _named(normal, _HOSPITAL, "shape.hospital", _LONGEST_NAME)
    yield from _named(normal, _NUMBERED, "shape.hospital_short", _LONGEST_SHORT_NAME)
    for match in _FAMOUS.finditer(normal):
        city = _CITY_BEFORE.search(normal, max(0, match.start() - 4), match.start())
        start = city.start() if city else match.start()
        yield Removal(start, match.end("v"), Kind.HOSPITAL, "shape.hospital_short")
    for match in _OF_A_PLACE.finditer(normal):
        run = run_before(normal, match.start(), 0, _LONGEST_PLACE + _LONGEST_LEAD)
        lead = _LEAD.match(run)
        name = run[max(lead.end() if lead else 0, len(run) - _LONGEST_PLACE) :]
        if match[0][0] == "省" and not PROVINCE.fullmatch(name):
            name = ""  # 不过省肿瘤: no province
        yield Removal(match.start() - len(name), match.end(), Kind.HOSPITAL, "shape.hospital_short")
    for match in _BRANCH.finditer(normal):
        if branch := _BRANCH_NAME.search(normal, max(0, match.start() - 2), match.start()):
            yield Removal(branch.start(), match.end(), Kind.HOSPITAL, "shape.hospital_short")
    for pattern, rule in _TOLD:
        for match in pattern.finditer(normal):
            yield Removal(*match.span("v"), Kind.HOSPITAL, rule)
    if "单位" in normal or "医院" in normal or "机构" in normal or "院所" in normal:
        for match in _LABEL_HOSPITAL.finditer(normal):
            value = _DEPARTMENT.sub("", match["v"])
            if value and not _GENERIC.fullmatch(value) and not NO_UNIT.match(value):
                yield Removal(match.start("v"), match.start("v") + len(value), Kind.HOSPITAL, "label.hospital")


def _named(normal: str, ends: Searched, rule: str, longest: int) -> Iterator[Removal]:
    """Names that end so; where they begin is told by the words that stand before names."""
    floor = 0
    for match in ends.finditer(normal):
        whole = run_before(normal, match.start(), floor, longest + _LONGEST_LEAD)
        floor = match.end()
        lead = _LEAD.match(whole)
        # A word before the name may begin before what is the longest name: 送检 of 送检四川省泸州市叙永县人民医院.
        cut = max(0, len(whole) - longest)
        run = whole[cut:]
        start = max(0, lead.end() - cut) if lead else 0
        province = PROVINCE.search(run)
        if province and province.start() < start and not re.search("[至到、]", run[province.end() : start]):
            # 北京大学附属医院: what follows a place belongs to the name, whatever it is.
            start = province.start()
        while start < len(run) and run[start] in "0123456789" and not re.match("[0-9]{3}", run[start:]):
            start += 1
        name = run[start:] + match[0]
        if len(run) > start and not _GENERIC.fullmatch(name) and (rule != "shape.hospital_short" or _is_short_name(name)):
            yield Removal(match.start() - len(run) + start, match.end(), Kind.HOSPITAL, rule)


def _is_short_name(name: str) -> bool:
    """Whether a short form begins with what hospitals are called after: 市二院, 湘雅二院; 同一院区 and 第一院 do not."""
    return not re.match("(?!同[济仁德])[同某每任另统单第各本我该两总其]|[一二三四五六七八九十]", name)
