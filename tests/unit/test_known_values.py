"""A report's own values in its texts: every spelling of them goes, and words that look like them stay."""

import pickle

import pytest

from pathcurate.model.removal import Kind
from pathcurate.scrubbers.text.known import KnownSearch
from pathcurate.scrubbers.text.values import KnownValues, SiteRules
from pathcurate.text.folding import half_width
from tests.growth import is_proportional


def found(text: str, **known: tuple[str, ...]) -> list[str]:
    """What is taken out of a text."""
    return [text[one.start : one.end] for one in KnownSearch(KnownValues(**known)).find(half_width(text))]


@pytest.mark.parametrize(
    "spelt",
    [
        "张三丰",
        "张 三 丰",
        "张　三丰",
        "张\n三丰",
        "张三丰之女",
        "Zhang Sanfeng",
        "ZHANG SAN-FENG",
        "Sanfeng Zhang",
        "Zhang, San Feng",
        "Zhang^Sanfeng",
        "zhangsanfeng",
        "Ｚｈａｎｇ Ｓａｎｆｅｎｇ",
        "Zhang SF",
        "S.F. Zhang",
        "张*",
        "张**",
        "张某",
        "张某某",
        "张XX",
        "张××",
        "张*丰",
        "*三丰",
        "張三豐",
    ],
)
def test_a_chinese_name_goes_in_every_spelling(spelt: str) -> None:
    assert found(f"标签见“{spelt}”字样，另见左乳。", names=("张三丰",)) == [spelt]


@pytest.mark.parametrize(
    "text",
    ["一张X光片", "张X线片", "该张某医院切片", "张三", "Zhangsanfengs", "zhang wei", "李三丰", "张力高", "高×宽×厚", "三丰"],
)
def test_what_is_no_spelling_of_a_chinese_name_stays(text: str) -> None:
    assert found(text, names=("张三丰",)) == []


@pytest.mark.parametrize(
    "spelt",
    [
        "John Smith",
        "Smith, John",
        "SMITH, JOHN A",
        "Smith^John",
        "J. Smith",
        "Smith J",
        "Smith JA",
        "John Q. Smith",
        "john smith",
        "Smith",
        "John",
        "SMITH",
        "John\nSmith",
    ],
)
def test_a_latin_name_goes_in_every_spelling(spelt: str) -> None:
    assert found(f"The specimen of {spelt} is received.", names=("Smith, John",)) == [spelt]


@pytest.mark.parametrize("text", ["Blacksmith", "Johnson", "K. Smithson", "smith", "Johns Hopkins"])
def test_what_is_no_spelling_of_a_latin_name_stays(text: str) -> None:
    assert found(text, names=("Smith, John",)) == []


def test_a_latin_surname_that_is_a_word_stays_alone_and_goes_with_another_word() -> None:
    text = "Brown tissue, brown-tan. Seen by A. Brown and Alan Brown; Gleason score, Paul Gleason."
    assert found(text, staff=("Dr. Alan Brown, MD", "Paul Gleason")) == ["A. Brown", "Alan Brown", "Paul Gleason"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("金黄", "见金黄色葡萄球菌"),
        ("白细", "患者白细胞升高"),
        ("高峰", "高峰值"),
        ("毛细", "毛细血管增生"),
        ("左乳", "（左乳）浸润性癌"),
        ("石棉", "石棉小体"),
    ],
)
def test_a_name_that_is_a_word_stays_in_the_word(name: str, text: str) -> None:
    assert found(text, names=(name,)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("金黄", "患者金黄，男"),
        ("高峰", "患者高峰入院"),
        ("白雪", "与白雪本人沟通"),
        ("高洁", "高洁的切片"),
        ("高峰", "高峰 男 45岁"),
    ],
)
def test_a_name_that_is_a_word_goes_where_somebody_is_called_so(name: str, text: str) -> None:
    assert found(text, names=(name,)) == [name]


def test_a_name_written_by_its_sound_goes_with_its_dot_and_without() -> None:
    text = "阿依古丽·买买提，阿依古丽买买提；阿依古丽•买买提"
    assert found(text, names=("阿依古丽·买买提",)) == ["阿依古丽·买买提", "阿依古丽买买提", "阿依古丽•买买提"]


def test_a_mother_s_name_goes_where_a_column_names_her_child() -> None:
    assert found("王芳，王芳之女，王芳之大女", names=("王芳之女",)) == ["王芳", "王芳之女", "王芳之大女"]


@pytest.mark.parametrize(
    "cell", ["未审核", "不详", "无", "系统管理员", "A", "", "*", "张*", "···", "Unknown", "MD", "病理科"]
)
def test_a_cell_that_holds_no_name_takes_nothing_out(cell: str) -> None:
    assert found("未审核 不详 无 系统管理员 A 病理科 unknown Unknown MD 张力", names=(cell,), staff=(cell,)) == []


def test_a_cell_of_several_people_is_taken_apart() -> None:
    text = "取材李建国，记录王芳，审核陈小明，诊断赵 六"
    assert found(text, staff=("李建国/王芳", "陈小明 主任医师", "赵 六")) == ["李建国", "王芳", "陈小明", "赵 六"]


def test_staff_and_patient_are_told_apart() -> None:
    removals = KnownSearch(KnownValues(names=("张三丰",), staff=("李建国",))).find("张三丰由李建国取材")
    assert [(one.kind, one.rule, one.value) for one in removals] == [
        (Kind.PATIENT, "known.name", "张三丰"),
        (Kind.STAFF, "known.staff", "李建国"),
    ]


@pytest.mark.parametrize(
    ("number", "spelt"),
    [
        ("0012345678", "12345678"),
        ("0012345678", "0012345678"),
        ("12345678", "0012345678"),
        ("0012345678", "1234 5678"),
        ("2024-001234", "2024 001234"),
        ("2024-001234", "2024001234"),
        ("2024001234", "2024-001234"),
        ("ZY0012345", "zy0012345"),
        ("ZY00123456", "123456"),
        ("12345", "12345"),
        ("0012345678", "００１２３４５６７８"),
    ],
)
def test_a_number_goes_in_every_spelling(number: str, spelt: str) -> None:
    assert found(f"住院号{spelt}，女", numbers=(number,)) == [spelt]


@pytest.mark.parametrize(
    "text", ["912345", "123456", "1.12345", "12345.6", "12345%", "1 2 3 4 5", "123 4 5", "12.345", "12/345"]
)
def test_a_number_inside_another_stays(text: str) -> None:
    assert found(text, numbers=("12345", "99", "00000", "1111111")) == []


@pytest.mark.parametrize(
    "spelt",
    [
        "11010519491231002X",
        "11010519491231002x",
        "110105 19491231 002X",
        "110105********002X",
        "110105491231002",
        "19491231",
    ],
)
def test_an_identity_card_goes_in_every_spelling(spelt: str) -> None:
    assert found(f"证件{spelt}，", ids=("11010519491231002X",)) == [spelt]


@pytest.mark.parametrize(
    "spelt",
    [
        "13800138000",
        "138-0013-8000",
        "138 0013 8000",
        "+86 138 0013 8000",
        "(86)13800138000",
        "138****8000",
        "010-62345678",
        "62345678",
        "(010)62345678",
    ],
)
def test_a_telephone_goes_in_every_spelling(spelt: str) -> None:
    assert found(f"电话{spelt}。", phones=("13800138000/010-62345678",)) == [spelt]


def test_the_end_of_a_number_goes_where_it_is_called_so() -> None:
    known = {"ids": ("11010519491231002X",), "phones": ("13800138000",)}
    assert found("尾号8000，后四位：002X，last four 8000", **known) == ["8000", "002X", "8000"]
    assert found("尾号1234，8000例，002X", **known) == []


def test_a_unit_goes_with_spaces_and_a_department_stays() -> None:
    known = {"units": ("滨海县人民医院（东院）", "外科", "人民医院", "门诊")}
    assert found("送检：滨海县 人民医院，外科，门诊，市人民医院", **known) == ["滨海县 人民医院"]


def test_an_address_goes_whole_and_in_its_longer_parts() -> None:
    known = {"addresses": ("浙江省杭州市西湖区文三路12号2幢301室", "12 Main Street, Springfield, IL")}
    text = "杭州市西湖区；文三路12号；文三路123号；浙江省；12 main street，112 Main Street"
    assert found(text, **known) == ["杭州市西湖区", "文三路12号", "12 main street"]


def test_what_is_known_shows_nothing() -> None:
    known = KnownValues(names=("张三丰",), numbers=("12345678",))
    rules = SiteRules("NB01", staff=("李建国",), remove=("密语",))
    shown = repr(known) + repr(KnownSearch(known)) + repr(rules) + repr(KnownSearch(known).find("张三丰 12345678"))
    assert not any(value in shown for value in ("张三丰", "12345678", "李建国", "密语"))
    assert pickle.loads(pickle.dumps(rules)) == rules  # noqa: S301  our own bytes
    assert pickle.loads(pickle.dumps(known)) == known  # noqa: S301


@pytest.mark.parametrize("piece", ["0", "1", "张", "张三", "*", "Smith ", "1-", "路", "张*", "某"])
def test_a_hostile_text_costs_linear_time(piece: str) -> None:
    known = KnownValues(
        names=("张三丰", "Smith, John"),
        numbers=("0000000", "000001", "1111112"),
        ids=("11010519491231002X",),
        phones=("11111112",),
        addresses=("路路路路路路",),
    )
    search = KnownSearch(known)
    assert is_proportional(search.find, lambda length: (piece * length)[:length])


@pytest.mark.parametrize(
    ("name", "spelt"),
    [("谭美莉", "谭美丽"), ("谭美莉", "谭梅莉"), ("李姗姗", "李珊珊"), ("邵志强", "邵志刚"), ("唐晓鹏", "唐小朋")],
)
def test_a_chinese_name_goes_mistyped(name: str, spelt: str) -> None:
    """One character another, or all of them of the same sound: only where a name may begin and end."""
    assert found(f"患者{spelt}原报告，患者本人{spelt}取走", names=(name,)) == [spelt, spelt]
    assert found(f"（{spelt}）", names=(name,)) == [spelt]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("谭美莉", "（谭志刚）"),
        ("谭莉", "（谭丽）"),
        ("石美花", "（石蜡花）"),
        ("平安", "手术过程平安，患儿返回"),
        ("国庆", "国庆节后发现"),
        ("向阳", "溃疡面向阳面"),
        ("叶子", "组织呈叶子状突起"),
        ("蓝天", "蓝天医疗器械公司"),
        ("黄金", "切面金黄色，黄金分割"),
        ("明亮", "胞浆明亮，核小"),
        ("简单", "手术简单，顺利"),
        ("马达", "切片机马达故障"),
        ("左乳", "（左乳）"),
    ],
)
def test_another_name_and_a_word_that_is_a_name_stay(name: str, text: str) -> None:
    assert found(text, names=(name,)) == []


@pytest.mark.parametrize("text", ["患者<平安>，女", "（<平安>）", "<平安>同志", "<平安>，5岁", "|<平安>|男"])
def test_a_word_goes_where_it_is_somebody(text: str) -> None:
    expected = text[text.index("<") + 1 : text.index(">")]
    assert found(text.replace("<", "").replace(">", ""), names=("平安",)) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "（<黄金>，住院号",
        "收片 <黄金> 2024",
        "已约的<黄金>（病历0003",
        "转交<黄金>。",
        "与<黄金>沟通",
        "<黄金>汇报；",
        "\t<黄金>\t",
    ],
)
def test_a_word_that_is_known_for_a_name_goes_wherever_it_stands_by_itself(text: str) -> None:
    assert found(text.replace("<", "").replace(">", ""), names=("黄金",)) == ["黄金"]


@pytest.mark.parametrize(
    ("name", "text", "spelt"),
    [
        ("钮琴", "签名疑为“纽琴”", "纽琴"),
        ("米粒", "标签写米莉）", "米莉"),
        ("陈丽珍", "成丽珍的标本", "成丽珍"),
        ("王晓燕", "腕带王小燕，", "王小燕"),
        ("帕提古丽·艾山", "患者帕提古力·艾山，", "帕提古力·艾山"),
        ("欧阳明月", "欧阳名月，女", "欧阳名月"),
    ],
)
def test_a_name_goes_with_another_character_of_the_same_sound(name: str, text: str, spelt: str) -> None:
    assert found(text, names=(name,)) == [spelt]


def test_who_is_listed_behind_a_known_name_goes_too() -> None:
    assert found("经翟墨、阎罗生及外院专家", staff=("翟墨",)) == ["翟墨", "阎罗生"]
