"""Names that nobody told us: what stands beside them gives them away, and words that begin like names stay."""

import pytest

from pathcurate.model.removal import Kind
from pathcurate.scrubbers.text.names import StaffList, find_names, find_staff, repeated
from pathcurate.scrubbers.text.namewords import folded_name, name_words, pinyin_of, surname_length
from pathcurate.text.folding import half_width
from tests.growth import is_proportional


def names(text: str) -> list[str]:
    """The names in a text."""
    return [text[one.start : one.end] for one in find_names(half_width(text), None)]


CHINESE = {
    "chat.staff": ["病理科-<展颜>：收到", "切片室-<祖儿>：好"],
    "clan.person": ["姓名<陶氏梅>，越南籍", "奶奶<马李氏>签字", "患者母亲<罗何氏>。"],
    "label.patient": [
        "姓 名：<张 三>  性别：女",
        "患者<Pema Lhamo>（<白玛拉姆>），女",
        "会诊病例为<闵家骏>，男",
        "姓名<张三>性别女",
        "姓名\t<张三>\t性别",
        "姓名\n<张三>\n",
        "【姓名】<张三>",
        "姓名：<缑丽> 性别：女",
        "病人姓名是<张三>",
        "患者<张三>，女，56岁",
        "患者：<李建国>因腹痛入院",
        "患者<李某某>因腹痛",
        "患者(<阿依古丽·买买提>)，女",
        "患者<高洁>，女，45岁",
        "姓名：<次仁卓玛>，女",
        "患者 <John Smith> 因腹痛",
        "患者 <李 建 国> ，男",
        "姓名：<高峰> 性别：男",
        "患者<诸葛明远>因腹痛",
        "姓名：<张〇>，女",
    ],
    "label.staff": [
        "误贴人：<路遥>",
        "操作者：超声科<谭美玲> 判读",
        "复核：<谭>医师 签发",
        "巡回护士<小宋>。",
        "主診醫師：<譚國強>　日期",
        "检 查 者 ： <谭 晓>    日 期",
        "接听者：<阿珍>",
        "实验员<Z. Liang>，",
        "报告人 <佟>。",
        "核对：<程序>；",
        "报告医师：<欧阳娜娜> 审核医师：<李建国>",
        "取材：<李建国>/<王芳> 记录：<赵六>",
        "审核：<李建国>、<王芳>、<陈小明> 报告日期",
        "主任医师 <李建国>",
        "诊断医师：<王 芳>（签名）",
        "报告医师：<Zhang Wei>",
        "报告者：<WANG FANG>",
        "报告医生：<wangfang>",
        "技术员：<小王>",
        "主刀医师<李建国>，一助<王芳>，麻醉<李四>",
        "会诊专家：<李建国>教授",
        "经手人：<王芳>",
        "（取材：<王芳>  记录：<李四>）",
        "初诊医师 <王芳>    审核医师 <李建国>",
    ],
    "label.person": [
        "其女婿<邵志强>，",
        "陪同家属<艾尼瓦尔>，",
        "见证人<谭玉珍>",
        "老伴<董秀英>陪护",
        "联系人<张三> 电话",
        "家属：<王芳>（妻）",
        "其妻<王芳>，",
        "母亲<李秀英>健在",
        "与患者儿子<张小明>电话沟通",
        "标记为<王小明>",
        "已告知家属（<李建国>，父子）",
    ],
    "title.staff": [
        "经<李建国>主任会诊",
        "，<王>教授阅片",
        "见 <张>医生 复核",
        "病理科<李建国>主任医师",
        "<司马见微>医师",
        "电告临床<张>医生",
        "请北京<李建国>教授会诊",
        "<王芳>主任医师、<李建国>副主任医师阅片",
        "<李>主任和<王>主任",
    ],
    "title.person": ["<张>女士来院", "<李建国>先生", "<王>阿姨"],
    "act.staff": ["经<王芳>取材", "<李建国>阅片", "与<王芳>沟通", "<王芳>、<李建国>两位主任会诊"],
    "nickname.staff": [
        "她管床<小毕>，",
        "咨询：<老赖>（矿工）",
        "<老廖>来电",
        "病理-<小姜>：已切\n",
        "见到<小丁>，",
        "<老彭>(彭立)已退休",
    ],
    "alone.person": ["2-17 B22019 <董秀英> 未填", "\n<邵志强>|7001", "（<谭玉珍>）"],
    "relative.person": ["，父<邵阳>，", "（弟<董乐>）", "住院，母<谭玉珍>陪"],
    "alias.patient": ["，<夏侯婉>（系统中为夏婉）", "<唐果>（曾用名不详）", "<扎西次仁>（身份证上不同）"],
    "scripts.person": [
        "用户<shangyu>（<商羽>）修改",
        "<唐美玲>（<Tang Mei Ling>）",
        "<Pham Minh Duc>（<范文德>）",
        "<安娜·伊万诺娃>(<Anna Ivanova>)",
    ],
    "initials.person": ["姓名缩写<TML>，", "首字母：<WXM>", "拼音缩写为 <ZQ>"],
    "sex.patient": ["<张三> 女 45岁 住院号", "<李亚男>，女，34岁", "<库尔班·吐尔逊>，男，45岁", "患儿，<王小宝>，男"],
    "child.person": ["<王芳之女>", "患儿<王芳之子>，3天", "<王刚>之父", "双胎：<王芳之女B>，", "<慕容婉之胎儿>"],
    "masked.person": ["送<张某某>。", "见<李**>；", "<王××> 左乳"],
    "quoted.person": ["标签见“<邱慧>”字样", "瓶签“<张三丰>”", "标签上“<李四>”"],
    "phone.person": ["<张三>13800138000", "<李建国> 138-0013-8000", "（<王芳>，手机：13800138000）"],
    "line.staff": [
        "请结合临床。\n<李建国>/<王芳>  2024-05-03",
        "<李建国>  2024年5月3日",
        "诊断如上所述，请结合临床及影像学检查综合判断。\n<李建国>",
        "<Zhang Wei> 2024",
    ],
}

ENGLISH = {
    "label.patient": [
        "Patient Name: <Zhang, San> DOB",
        "Patient: <John Smith> MRN",
        "PATIENT NAME: <SMITH, JOHN A>   DOB",
        "Name: <john smith>",
        "patient <Mary Jones> was admitted",
        "Name of patient: <O’Connor, Siobhán M.>",
        "患者Patient Name: <Li Wei> 诊断",
    ],
    "label.staff": [
        "signed by: <Ryan Jones>, M.D.",
        "Electronically signed by <Jane A. Doe>, MD on",
        "Signed Out By: <Mary-Ann Clark>, MD, PhD",
        "Pathologist: <Smith>\nResident: <Lee, K.>",
        "Surgeon: <Hill> 03/04/2021",
        "cc: Dr. <Alan Brown>; Dr. <Mary Lee>",
        "Surgeon: <William B. de la Cruz>  Date",
        "Reported by: <John Q. Public> / <Jane Roe>",
        "Dictated by <Smith>;",
        "Sincerely,\n<John Smith>",
    ],
    "label.person": ["Emergency contact: <Maria Garcia>, 617", "Next of kin: <Ann Lee>", "Guardian: <Tom Jones>"],
    "title.staff": [
        "seen by Dr. <Cabrera> and",
        "Dr. <J. Smith>;",
        "Dr. <Gleason>",
        "Dr. <Brown>",
        "Prof. <Müller>",
        "Drs. <Pemberton> and <Vance>; later",
        "see dr <szymanski> about",
        "Dr. <St. John>",
    ],
    "title.person": ["Mr. <O'Brien>'s tissue", "Mrs. <van der Berg>", "Ms. <Alvarez-Ortiz>, a"],
    "apposition.patient": [
        "a 52-year-old male, <Robert Lewis>, who lives",
        "a diabetic patient, <Sarah White>, who was",
        "an 18-year-old, <Emily R.>, seen at",
    ],
    "relation.person": ["his wife <Mary Jones> said", "her daughter, <Ann> (555)", "the patient's mother <Jane Roe>"],
    "named.person": ["a man named <John Smith> came", "a.k.a. <Johnny Smith>", "whose name is <Mary Jones>"],
    "given.person": [
        "slides of <Gracie Benton> were",
        "report for <O'Neill, Sarah J> listed",
        "<NGATA Aroha> NHI",
        "thanks to <Lena S.> for",
        "slides for <Anneke de Wet> today",
    ],
    "bracket.staff": ["the ENT reg (<Tobias>, mob) says", "and, <Wynstan> (BMS), cut", "our pathologist (<Ines>) agrees"],
    "bracket.person": ["collected by daughter (<Ottilie>)", "and aunt (<Maribel>) also"],
    "dated.staff": ["on review (<Strand/Vance>, 5/5/24)."],
    "quoted.tube": ['labelled "<Quigley, B>" and', 'labelled "<O Halloran D>, M104477"'],
    "given.alone": ['Ulrich, ("<Uli>"), 59', 'Beth ("<Sandy>") came'],
    "stranger.person": ["<Sunil> agrees with", "<Zorvan Oyelowo>, 52F", "<Ngozia Justovic> MRN 4411"],
    "initial.person": [
        "concurs: <M. Ishikawa>, who",
        "; <D. Ormerod>: agrees",
        "seen with <W.H. Fitzgerald> later",
        "and <T. Marsh>; done",
    ],
    "before.person": ["<ZORVAN OYELOWO>, 52F", "<JUSTOVIC, NGOZIA> MRN 4411"],
    "hint.person": [
        "Hi <Rob> - I looked",
        'alias "<Alex>"; dob',
        "told <Sunil> at noon",
        "Cheers, <Oz>.",
        "Thanks, <Will>.",
        "Ta, <B.>",
        "Many thanks - <Delphine>",
        "agreed with <Xanthippa>, who cut",
    ],
    "line.initials": ["No evidence of mole.\n<KM> 28/ix/98", "Benign Adenoma, small. <SB/mh>"],
    "label.initials": ["Gross by <jm> 11/30/2022", "Dictated by <KL>; typed by <tb>."],
    "label.spaced": ["Poor copy. N A M E : <C O Y L E  B E T H>   H O S P"],
    "degree.staff": ["<J. R. Smith>, MD", "<LIN, MEI-LING>, M.D.", "<Amy Wong> FRCPath"],
}

NO_CHINESE_NAMES = [
    "左丘脑出血，阳性对照良好，水样便",
    "增生小叶，化生小管，",
    "肿瘤科-乳腺：随访；病理科-冰冻：等",
    "图1_HE染色.jpg，小结（见下），老年人（男）",
    "联系人电话，送检人签字，报告人缺如。",
    "王氏法染色，许氏细胞，法洛四联症",
    "问题：组织少，询问病史，他查体未见异常",
    "责任护士、值班医生、主管医师、检查医师均在场",
    "骨小梁，肾小管，小叶，侧脑室老师",
    "取材：左，审核：无误",
    "取材：皮肤组织，核对：无误",
    "成人：剂量，老人：同前",
    "由左向右切开，由周边取材",
    "左/右，左 2023-1-5",
    "神经周围、平滑肌、相关病变、阴性对照",
    "鳞癌(Squamous Cell Carcinoma)",
    "患者家属要求，儿子不在",
    "民族：维吾尔 婚姻",
    "父母健在，母亲体健，弟弟亡故",
    "（双侧），（周边），（石蜡）",
    "患者高龄，女",
    "患者白细胞升高",
    "患者术后恢复可",
    "患者：因腹痛",
    "审核：未审核",
    "取材：胃窦组织",
    "住院医师签字",
    "上级医师查房",
    "主治医师",
    "送检：组织",
    "会诊：同意原诊断",
    "术者同前",
    "建议上级医院会诊",
    "患者曾行手术，曾因结石住院",
    "患者于我院就诊；患者成年男性",
    "管床医生；经管医师；全科医生；应请专家会诊；麻醉医师",
    "患者左乳肿块；患者周身不适；患者全身皮疹",
    "患者黄疸行ERCP；患者石膏固定；患者梅毒阳性",
    "家属要求；家属签字；家属史阴性；家属代诉",
    "母亲高血压，父亲白血病，父亲健在，母亲曾患乳腺癌",
    "取材：全部取材；余组织留存；取材于左侧；取材时间：",
    "记录：常规处理；制片：石蜡包埋；切片：白片5张",
    "送检医师：门诊；报告医师：待审核；审核医师：",
    "金黄色葡萄球菌；毛细血管；叶状肿瘤；石棉小体；雷诺现象",
    "“左乳”字样；标签“胃窦”；标记为左侧，标注为白色",
    "3点钟方向；高×宽×厚；长*宽*高=3*2*1",
    "副主任医师；值班医生；主任医师会诊",
    "患者女，56岁；患者，女；男，56岁；女性，45岁",
    "成人，女；老年，男，70岁；汉族，女；已婚，女",
    "左肺 右肺\n胃窦 胃体\n",
    "联系人：无；联系人：同前；联系电话：",
    "姓名：；姓名：不详；姓名 性别 年龄；姓名/性别",
    "患者和家属；患者及家属；患者家属签字",
    "助手：同前；麻醉：全麻；手术：左乳切除",
    "报告：阴性；报告时间；接收时间",
    "经多学科会诊；经全科讨论；请外科会诊；经左侧取材",
    "诊断：叶状肿瘤；诊断医师：未签；报告医师：系统",
    "患者查体未见异常；患者申请；患者尚可；患者应用；患者饮酒",
    "妻子体健；儿子健康；父亲已故；配偶体健",
    "之前；之后；之间；之一；肿瘤之大小",
    "黄某医院；某医院；某某医院",
    "患者姓名不清；姓名有误；姓名一致",
    "术者手感；术者向家属交代；护士站",
    "王氏综合征；许旺细胞；尤文肉瘤；霍奇金淋巴瘤",
    "会诊意见：左乳；会诊专家意见",
    "余未见异常；余均阴性。",
    "请家属签字；由护士送检；由家属送来",
    "石家庄市；沈阳医师；温州医师",
    "ER(+，90%)，HER2(2+)；Ki-67；Gleason 3+4=7；Paget病；Barrett食管",
]

NO_ENGLISH_NAMES = [
    "Mark Superior margin with ink. May represent artifact. Frank Invasion. Grace period. Will Rogers phenomenon",
    "A. Omentum: benign. B. Salpinx: clear. E. Coli; H. Pylori. MACROSCOPIC: C. Three pieces",
    "mother Breast cancer, sister Melanoma, father Diabetic; brother healthy",
    "Homer Wright rosettes; Martin criteria; Arnold stain; Robert Koch syndrome",
    "reviewed with Radiology. Seen by Surgery. Dr. concurs. Gross by protocol; stained by IHC",
    "ER/PR positive, CT 03/04/2021",
    "a 52-year-old male, Gleason score, who; a woman, Left Breast, mass; the patient, However, was",
    "Patient presented with pain",
    "Mr imaging; MR Imaging; MS Contin",
    "Name: unknown. Name: Not provided",
    "Gleason score; Patient: Gleason score 7",
    "Paget disease; Barrett's; Crohn's; Reed-Sternberg cells",
    "The patient Was seen. Surgeon: See above. signed by the",
    "Bloom-Richardson grade; Ki-67; reviewed by Intradepartmental consultation",
    "HODGKIN LYMPHOMA. Patient: White male; pathologist: Pending",
    "REGISTRAR: DOCTOR REVIEWING: END OF REPORT",
    "ONE LYMPH NODE, NEGATIVE",
    "COVERED BY THIN CAPSULE",
    "COPY ONLY DO NOT FILE",
    "discussed with the team; called to the ward",
    "his mother had cancer; her sister with melanoma",
    "named after; called for",
    "Oxford and Lee scoring; Mayo stage III; Ann Arbor IIA; non-GCB by Hans; Alexa Fluor 488",
    "A. Cornu: scar. B. Uncus: gliosis. Thanks, Cytology",
    "doctor states; the doctor reviewed it; dr to call; by nurse; thanks, Histology. Regards, Pathology",
    "(Vance) is not dated; pathologist (Right side); stain (BMS)",
    "Attending: ; Resident:\n",
    "Provider: Location: Referring:",
]


def _cases(rules: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(rule, text) for rule, texts in rules.items() for text in texts]


@pytest.mark.parametrize(("rule", "marked"), [*_cases(CHINESE), *_cases(ENGLISH)])
def test_a_name_is_found_by_what_stands_beside_it(rule: str, marked: str) -> None:
    text = marked.replace("<", "").replace(">", "")
    expected = [piece.split(">")[0] for piece in marked.split("<")[1:]]
    found = find_names(half_width(text), None)
    assert [text[one.start : one.end] for one in found] == expected
    assert rule in {one.rule for one in found}
    assert all(one.value for one in found)


@pytest.mark.parametrize("text", [*NO_CHINESE_NAMES, *NO_ENGLISH_NAMES])
def test_words_that_begin_like_names_stay(text: str) -> None:
    assert names(text) == []


def test_the_surnames_are_all_there() -> None:
    words = name_words()
    assert len(words.compound) == 64
    assert len(words.single) >= 277
    assert words.common <= words.single
    assert all(names(f"姓名：{surname}小明 性别：女") == [f"{surname}小明"] for surname in words.single)
    assert all(names(f"报告医师：{surname}小明") == [f"{surname}小明"] for surname in words.compound)


def test_a_surname_that_is_a_word_needs_more_around_it() -> None:
    assert names("患者高明入院") == []
    assert names("患者高明，男，50岁；患者王明入院") == ["高明", "王明"]


def test_no_word_of_the_lists_is_written_twice_or_begins_with_no_surname() -> None:
    words = name_words().words
    assert all(surname_length(word) for word in words)


def test_names_are_folded_and_read() -> None:
    assert folded_name("張　偉") == "张伟"
    assert folded_name("O’Brien-Smith,  José") == "OBRIEN SMITH JOSE"
    assert ("zeng", "li") in pinyin_of("曾丽")
    assert ("ouyang", "nana") in pinyin_of("欧阳娜娜")
    assert {"lv", "lu", "lyu"} <= {surname for surname, _ in pinyin_of("吕丽")}


def test_a_name_found_by_a_label_goes_in_all_texts_of_the_report() -> None:
    texts = [
        "报告医师:李建国 取材:王芳",
        "王芳医嘱见附页；李建国同前意见。见王芳香样",
        "Pathologist: John Smith",
        "john smith agrees; Smith too; smithsonite",
    ]
    again = repeated(texts, [one for text in texts for one in find_names(text, None)])
    assert [[text[one.start : one.end] for one in found] for text, found in zip(texts, again, strict=True)] == [
        ["李建国", "王芳"],
        ["李建国"],
        ["John Smith"],
        ["john smith", "Smith"],
    ]
    assert {one.kind for one in again[1]} == {Kind.STAFF}


def test_what_says_too_little_is_not_repeated() -> None:
    texts = ["王教授，张某某，女；Dr. Lee", "王，张某某，Lee"]
    assert repeated(texts, find_names(texts[0], None)) == [[], []]


def test_a_site_s_staff_goes_bare_only_with_three_characters_or_beside_a_title() -> None:
    staff = StaffList(("李建国", "李玉", "沈阳", "石家庄", "John Smith", "陈小明/赵六", "未审核"))

    def staff_in(text: str) -> list[str]:
        return [text[one.start : one.end] for one in find_staff(half_width(text), staff)]

    assert staff_in("李建国与李 建 国，Li Jianguo、LIJIANGUO；陈小明") == [
        "李建国",
        "李 建 国",
        "Li Jianguo",
        "LIJIANGUO",
        "陈小明",
    ]
    assert staff_in("李玉医师；审核：李玉 2024；李玉/赵六") == ["李玉", "李玉", "李玉", "赵六"]
    assert staff_in("李玉兰，李玉诊断，沈阳市，石家庄市，未审核，lijianguos") == []
    assert staff_in("Smith, John; John Smith") == ["Smith, John", "John Smith"]
    assert find_staff("李建国", StaffList(())) == []
    assert "李建国" not in repr(staff)


@pytest.mark.parametrize(
    "piece",
    ["张", "张三", "患者", "姓名", "Dr. ", "John ", "李、", "王·", "(", "\n", "*", "之女", "男", "A ", "Zhang ", "[", "MD "],
)
def test_a_hostile_text_costs_linear_time(piece: str) -> None:
    assert is_proportional(lambda text: find_names(text, None), lambda length: (piece * length)[:length])
