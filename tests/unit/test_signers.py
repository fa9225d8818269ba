"""Those who sign by initials, logins, codes and surnames, behind a label or where people sign; and what is medicine."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.model.removal import Kind
from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber
from pathcurate.scrubbers.text.signatures import find_signatures
from pathcurate.scrubbers.text.signers import FEW, are_initials, find_signers
from pathcurate.text.folding import half_width
from tests.growth import is_proportional

SCRUBBER = TextScrubber(SiteRules("NB01"))


def marked(text: str) -> tuple[str, list[str]]:
    return re.sub("[«»]", "", text), re.findall("«(.*?)»", text)


def taken(text: str) -> list[str]:
    [removals] = SCRUBBER.removals([text], KnownValues(), language="zh", year=2024)
    return [text[one.start : one.end] for one in removals if one.kind is not Kind.DATE]


BEHIND_LABELS = (
    "初诊：«ych»　复诊：«和志勇»", "肿物。\n录入：«txq»", "执行：«jszp»；切片12张", "取材:«lxm»/«zq»", "描述：«ytt»",
    "一审 «lxy» 二审 «zjh»", "已电子签名：«zhaoxm» 2024-05-02 11:20", "冰冻 «lhy» 11:20", "审核：«lhy»（2024-01-02）",
    "打印人：«admin_li»", "操作员：«wangl02»", "检测者 «LZ» 审核者 «HD» 2024-07-12", "取材：«LXM» 记录：«ZQ»",
    "取材 «LXM»/«ZQ»  包埋 «WJ»", "双人核对：«JY»、«ZL»", "技术员 «XL»", "判读人1：«LJ» 判读人2：«WS»", "审核：«LJ»代«WS»",
    "取材：«LJ»→«WS»", "审核者：«HL»", "(取材«LJ»)", "【记录：«wxy»】", "病理科：«LZ»、«HD»", "报告：«WXY»　2024-05-06",
    "诊断医师：«L.H.Y»　审核：«Z.W.»", "主检医师：«Z. Li»", "审核：«ZhangW»", "签名：«Dr L.»", "病理医师：«wang jl»",
    "检验：«0317»　审核：«0042»", "报告医师：«D0023»  审核医师：«D0107»", "取材人:«037»", "操作人：«YJ0021»",
    "审核医师(«0042»)", "审核(«0042»)", "初筛：«CT-021»", "技师编号：«12»", "申请医师代码：«3021»", "开单：«3021»",
    "主诊 «0318»  复核 «0225»", "初检 «0631»/复检 «0109»", "报告医师：«王»（«0217»）", "外院报告 Reported by: «LZ»",
    "附：Printed by «lj» 2024-01-02 09:11", "录入人员:«zl»;审核人员:«hd»", "筛片:«LZ»", "一级审核:«LZ» 二级审核:«HD»",
    "检验师：«lz»", "登记台：«lz»", "[记录员 «hq» 08:21]", "签名(电子)：«LZ»", "慢性炎。\n医师 «W»", "慢性炎。\n审核：«W.»",
    "慢性炎。\n报告：«lz0317»", "慢性炎。\n报告：«LZ-0317»", "报告医师：«王芳»（«wangf»）", "报告医师：«王芳»«wangf»",
    "报告医师：«王芳»[«0317»]", "报告医师：«王芳»-«0317»", "报告医师：«0317» «王芳»", "慢性炎。\n取：«LZ» 记：«HD»",
    "慢性炎。\n切：«lz» 染：«hd»", "慢性炎。\n签:«LZ»",
)  # fmt: skip
MEDICINE_BEHIND_LABELS = (
    "诊断：CIN2", "诊断:CA", "诊断：AML", "诊断：MM。", "诊断：MDS/MPN", "诊断：GIST/SMT", "诊断：ca/hp", "诊断：dlbcl",
    "诊断：0级", "检测：ER(+)", "检测：PCR", "检测 HPV16", "检测:EGFR、ALK、ROS1", "检测：1023拷贝", "检测：0012",
    "检测：cea、afp", "检测：ki67", "染色：HE", "染色：PAS、AB", "染色 HE/PAS", "审核：无", "审核 0/12", "审核：Y",
    "审核：OK", "复核 IHC", "复核：IHC", "复核：ER(+)", "复核 0.25mm", "取材：5块", "取材：A1-A4", "取材:ABCD",
    "取材:A、B、C", "取材 1023", "取材：012", "取材 3 4 5", "切片：3张", "切片：HE", "切片 HE 12", "包埋：2盒", "会诊：CA",
    "会诊:MALT", "会诊：2020", "送检：LN", "送检:SLN", "送检：12/15", "制片：TCT", "报告：NILM", "报告：lsil",
    "描述：见 SLN", "描述：1203", "记录：CK(+)", "检验：WBC 5.2", "检验 AFP 300", "检验：1200", "主检：CT",
    "执行：WHO 2021", "执行：GB/T", "执行 CAP标准", "核对：3张", "核对:ID", "打印：A4", "打印：2 份", "扫描：20x",
    "扫描 kfb", "操作：LEEP", "手术：TURP", "登记：T3", "登记：2024年", "接收：FFPE", "接收：1023", "初诊：GTN", "复诊：PR",
    "判读：CPS≥10", "判读：HER2 2+", "质控：CK 合格", "一线：TP", "二线：PD1", "病理科：IHC", "送检医师：ENT", "护士：ICU",
    "签发：CNAS", "审核医师：   报告日期：2024", "医师签名：", "冰冻：ca?", "慢性炎。\n审核：A", "慢性炎。\n取材：A/B",
    "慢性炎。\n取：A1 记：3", "慢性炎。\n切：HE 染：PAS", "慢性炎。\n诊：CA", "慢性炎。\n取 LN 3枚", "登记：M",
    "诊断：M8140", "报告：腺癌（CEA）", "取材：组织3块(0317)",
)  # fmt: skip
WITHOUT_LABELS = (
    "肠来源。«DLX» 21.9.30 结合病史", "（高）。\n«H.D.» / «C.Y.A.»   2024.08.11", "未见癌栓。«LJ» 2024.5.6",
    "另报。(«LJ»，5/6)", "慢性炎。\n«LHY» / «ZQM»", "慢性炎。\n«lhy»/«zqm»", "慢性炎。\n«lhy»", "已补切。«lj» 3/12",
    "胆囊。(«LJ»取)", "胆囊。«LJ»代«WS»签", "由«LX»复阅", "经«LX»、«ZQ»两位医师阅片", "«LX»老师阅后", "«Lin»医生来电",
    "已由«linxiao»于10:22修改", "慢性炎。——«LZ»", "慢性炎。\n«LZ»：已补切", "慢性炎。2024.5.6 «LZ»",
    "慢性炎。\n2024-05-06 «lz»", "慢性炎。\n2024-05-06 09:11 «lz» 修改诊断", "慢性炎。  «Wang/Li»", "慢性炎。  «Wang L.»",
    "慢性炎。\n«Wang»  2024-3-5",
)  # fmt: skip
SURNAMES = (
    "慢性炎。 «卢» 6.28\n临床：腹痛", "取材/记录：«何青»/实习«邹»", "联系送检医师«余»（«0831-7723456»）",
    "报告:«高» 审核:«于»", "值班医师«余»。", "报告:«余»", "登记：«许»", "慢性炎。«邹» 签", "慢性炎。\n«卢»签字",
    "慢性炎。(«卢»)", "慢性炎。（«卢»/«邹»）\n附", "自述姓«周»，代领", "«赵»姓患者来询", "慢性炎。\n5/6 «卢»",
    "慢性炎。（«卢»，2024-05-06）", "慢性炎。（«卢»/«余» 5-6）", "慢性炎。\n«卢»/«余»", "慢性炎。\n«卢»、«余»",
    "慢性炎。 «卢»", "慢性炎。\n取材：«王L»", "慢性炎。\n取:«卢» 记:«余»", "慢性炎。\n诊：«卢»  审：«余»",
)  # fmt: skip
MEDICINE_WITHOUT_LABELS = (
    "。CT 2024.3.5 示", "。MR 2024-3-5：肿块", "。TCT 2023.5.6 HSIL", "。LEC 2024.3.5术", "，RT 2024.3.5",
    "胃癌。\nCA / HP", "胃癌。\nAB/PAS", "胃癌。\nHE / IHC 2024.3.5", "胃癌。(HE)", "胃癌。（TCT 2024-3-8）", "H.P.（+）",
    "A / B 2024.3.5", "由CT引导穿刺", "请ENT会诊", "与HE核对", "ICU医生在场", "PCR阅片", "HE阅片复核",
    "仪器 dako 2024-01-02", "文件 scan 2024-01-01", "批次 lot 10:20", "长径。 石 6.28", "左叶。 房 2.3", "石 6.2cm",
    "胰管。单签", "病灶。(石)", "病灶。(牛)", "取材:全 切片:白", "取材：左，审核：无误", "取材:高", "慢性炎。2024.5.6 CT",
    "慢性炎。\n2024.5.6 HPV", "慢性炎。\n5/6 LN", "慢性炎。\n2024-05-06 CA199 30", "慢性炎。\nCK：阳性",
    "慢性炎。\nsp：已染", "慢性炎。【HE】", "慢性炎。——CA", "慢性炎。 石", "慢性炎。 左/右", "慢性炎。\n白/黄",
    "慢性炎。\n高/中", "慢性炎。（石 5-6）", "慢性炎。（管 2-3）", "慢性炎。\nHe/She was seen",
)  # fmt: skip


LOGINS_AND_CODES = (
    "检测:«wangjq» 审核:«lin.h»", "分析：«tangm»", "检测：«liyx»", "接收人 «ZXM01»\n结果", "登录«LX2»。", "登录：«LX2»",
    "2024-08-22 16:48:11 «登记员01»  取材", "录入«录入员3»，归档", "扫描：«技术员12»", "«护士02»", "«检验师03»，到岗",
    "包埋 «技3»", "包埋：«技03»", "制片:«检2» 染色:«技3»", "初诊 «王芳» 审核«1187»", "审核«1187»", "制片«wl»", "染色«zjh»",
    "病理科 «LZ»", "检验科 «ZXM»", "质检：«QC-wl»", "慢性炎。\n«kf03»", "慢性炎。 «bxd»", "慢性炎。«bxd»",
    "慢性炎。\n«tongl»", "慢性炎。\n«lin.h»", "慢性炎。\n«ZXM01»", "慢性炎。\n«kf03» 2024-05-06", "慢性炎。\n«wangjq» 7-19",
)  # fmt: skip
NO_LOGINS_OR_CODES = (
    "审核：CK7", "审核：CD20", "登记：T3", "判读：TPS50", "核对：A1-A12", "质控：QC-he", "复核：ER-neg", "需要护士2、医师1",
    "病理医师3名", "技术员2人", "检验员需2名", "包埋 技术组", "切片 工艺", "审核1200", "审核2023", "核对1187张", "登记1187",
    "制片he", "切片ck", "染色pas", "检测:panel", "检测:kras", "分析:kappa", "描述:nodular", "诊断:lymphoma",
    "慢性炎。\nhsil", "慢性炎。\ncin2", "慢性炎。\nck20", "慢性炎。\nsox10", "慢性炎。\np53", "慢性炎。\nMLH1",
    "慢性炎。\nGS02 3", "慢性炎。\nlung", "慢性炎。hpv", "检验科 PCR",
)  # fmt: skip
BY_LITTLE = (
    "快速反馈操作者«关»医生。", "已请技术组«小崔»重新脱钙", "让«小崔»重切", "«牛占奎»的大体：左肺", "已收。«牛占奎»的切片",
)  # fmt: skip
NOBODY = (
    "患者向医生咨询", "患者应医生要求", "组小叶结构", "该科小梁增宽", "外科小关节", "全部的标本", "左肺的大体",
    "右肺叶的大体", "黄褐色的标本", "相应的切片", "高级别的病理", "易碎的标本", "完整的标本", "石蜡的切片", "车祸的病理",
    "时间的报告",
)  # fmt: skip
SIGNED_DAYS = (
    "穿刺者储晓晨，«7-19»。", "慢性炎。\n侯  «4/22»", "慢性炎。\n鲍/«18-3-7»", "申请：连晓 执行：姬文 «04-27»\n结果",
    "审核：王芳 «4.27»", "审核：王芳（«4-27»）", "审核：王芳«4-27»", "慢性炎。\n«2/26» 凤鸣",
    "田秋生(0098776)«12-07» 门诊B超", "肿块3cm。«6-21»在县妇幼抽液", "肿块3cm。«6-21»县医院抽液", "积水潭«2020-05»阅片",
)  # fmt: skip
NO_DAYS = (
    "左 4/22", "淋巴结转移4/22", "左侧 4/22，右侧 3/15", "淋巴结见癌转移 4/22", "12-07为参考范围", "肿物6-7cm", "组织2-3枚",
    "王芳 4/22淋巴结", "李明：3/12枚", "取材：王芳 2-3块", "。3-5门诊复查", "每3-6个月门诊复查", "细胞数3-5在高倍镜下",
    "3-5在省标范围",
)  # fmt: skip
NUMBERS_AND_PLACES = (
    "共同阅片(X片«77123»、CT«20903»)", "胸片号：«77123»", "X线片 «0417»", "借条«0417»", "收条：«0417»", "借片单 «2304»",
    "切片8张(«170911-7»)", "切片8张（«170911-7»、«170912-3»）", "会诊意见(«会2023-1109»)", "微信咨询：«bljzx_0551»",
    "女，«93岁»，因", "年龄:«91岁»|病区", "女/«95周岁»", "FROM:«南湖院区»手术室", "送«河西院区»",
    "复发。«镇卫生院»曾予冷冻", "与«血研所»对照", "根据«华大»回报",
)  # fmt: skip
NO_NUMBERS_OR_PLACES = (
    "CT值 40HU", "CT 12345HU", "X片示占位", "胸片2023示", "片号：无", "回执2份", "送检单3张", "切片12张(HE)",
    "蜡块3块(A1-A3)", "白片10张(4μm)", "玻片(20x)", "会 2-3", "微信平台", "年龄：89岁", "190岁", "本院区", "两院区",
    "不同院区", "卫生院",
)  # fmt: skip


def days(text: str) -> list[str]:
    [removals] = SCRUBBER.removals([text], KnownValues(), language="zh", year=2024)
    return [text[one.start : one.end] for one in removals if one.kind is Kind.DATE]


@pytest.mark.parametrize("text", SIGNED_DAYS)
def test_a_short_day_beside_who_signed_or_where_somebody_was_is_taken(text: str) -> None:
    plain, wanted = marked(text)
    assert days(plain) == wanted


@pytest.mark.parametrize("text", NO_DAYS)
def test_nodes_ranges_and_counts_are_no_days(text: str) -> None:
    assert days(text) == []


@pytest.mark.parametrize(
    "text", [*BEHIND_LABELS, *WITHOUT_LABELS, *SURNAMES, *LOGINS_AND_CODES, *BY_LITTLE, *NUMBERS_AND_PLACES]
)
def test_who_signs_is_taken(text: str) -> None:
    plain, wanted = marked(text)
    assert taken(plain) == wanted


@pytest.mark.parametrize(
    "text", [*MEDICINE_BEHIND_LABELS, *MEDICINE_WITHOUT_LABELS, *NO_LOGINS_OR_CODES, *NOBODY, *NO_NUMBERS_OR_PLACES]
)
def test_medicine_beside_the_same_labels_stays(text: str) -> None:
    assert taken(text) == []


def test_a_code_is_a_number_and_initials_are_staff() -> None:
    found = {one.kind: one.rule for one in find_signers("录入:txq 审核:0042")}
    assert found == {Kind.STAFF: "signed.staff", Kind.NUMBER: "label.staff_code"}


def test_initials_are_kept_as_they_are_written_and_folded() -> None:
    assert [one.value for one in find_signers("审核者:Z.W.")] == ["Z W"]


@pytest.mark.parametrize("label", ["初诊", "审核", "录入", "核对", "检测者", "报告医师", "技师", "签名"])
@given(st.text("bcdfghjklmnpqrstwxyz", min_size=2, max_size=4))
def test_consonants_behind_a_role_are_initials_unless_medicine_uses_them(label: str, initials: str) -> None:
    text = f"{label}:{initials}\n"
    found = [text[one.start : one.end] for one in find_signers(text)]
    # Behind 技师: nothing but a person stands at the end of a line, whatever else the letters mean.
    is_persons = label in {"检测者", "报告医师", "技师"} and len(initials) < 4 and initials not in FEW
    assert found == ([initials] if are_initials(initials) or is_persons else [])


@given(st.text("取材审核医师:/ 、。\n()LZlz卢余0317.代签-6", max_size=60))
def test_places_lie_inside_the_text(text: str) -> None:
    normal = half_width(text)
    for one in (*find_signers(normal), *find_signatures(normal)):
        assert 0 <= one.start < one.end <= len(text)
        assert normal[one.start : one.end].strip() == normal[one.start : one.end]


@pytest.mark.parametrize(
    "unit",
    ["审核:", "取材:LZ/", "LZ、", "L.Z.", "lz ", "卢 6.28", "卢 6-28,", "(卢/", "0317 ", "审核 0317 ", "LZ代", "linxiao"],
)
def test_a_hostile_text_costs_what_its_length_costs(unit: str) -> None:
    def find(text: str) -> list[object]:
        return [*find_signers(text), *find_signatures(text)]

    assert is_proportional(find, lambda length: "病" + unit * (length // len(unit)))
