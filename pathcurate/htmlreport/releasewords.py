"""Words of a release's page in English and Chinese, for what is a code elsewhere: in the product file or in columns, say."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pathcurate.htmlreport.template import grouped
from pathcurate.metadata.duo import duo_terms
from pathcurate.model.column import Identifying, Type
from pathcurate.model.evaluation import SHARINGS, Evaluation, percent
from pathcurate.model.productfile import Declarations, Evidence, Paper, Policy, ProductFile


@dataclass(frozen=True, slots=True)
class Words:
    """A text in both languages."""

    en: str
    zh: str


def same(text: object) -> Words:
    """A text that is the same in both."""
    return Words(str(text), str(text))


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a list: what is said, and of what."""

    name: Words
    value: Words


TYPES: Mapping[str, Words] = {
    Type.STRING: Words("text", "文本"), Type.BYTES: Words("bytes", "字节"), Type.INTEGER: Words("whole number", "整数"),
    Type.FLOAT: Words("number", "小数"), Type.BOOLEAN: Words("yes or no", "是/否"), Type.DATE: Words("date", "日期"),
    Type.TIMESTAMP: Words("time", "时间"), Type.STRINGS: Words("list of texts", "文本列表"),
    Type.FLOATS: Words("list of numbers", "小数列表"),
}  # fmt: skip
CLASSES: Mapping[str, Words] = {
    Identifying.DIRECT: Words("direct identifier", "直接标识符"),
    Identifying.QUASI: Words("quasi-identifier", "准标识符"),
    Identifying.SENSITIVE: Words("sensitive", "敏感"),
    Identifying.CRITERION_ONLY: Words("for criteria only", "仅用于筛选"),
    Identifying.NONE: Words("not identifying", "无识别性"),
}
VALUES: Mapping[str, Words] = {
    value: Words(en, zh)
    for value, en, zh in (
        ("female", "female", "女"), ("male", "male", "男"), ("true", "yes", "是"), ("false", "no", "否"),
        ("train", "train", "训练集 train"), ("val", "val", "验证集 val"), ("test", "test", "测试集 test"),
    )
}  # fmt: skip
"""Values of closed sets that have a word in Chinese; the others are codes in either language."""
MEASURES: Mapping[str, Words] = {
    "characters": Words("characters", "字符"),
    "d": Words("days", "天"),
    "percent": Words("percent", "百分比"),
    "years": Words("years", "岁"),
}
"""Units that are words; signs such as µm are the same in both languages."""
TRAITS: Mapping[str, Words] = {
    "sex": Words("Sex", "性别"), "age_band": Words("Age", "年龄"), "site": Words("Site", "机构"),
    "year": Words("Year", "年份"),
}  # fmt: skip
SHARING: Mapping[str, Words] = {
    "public": Words("for everybody", "完全公开共享"), "agreement": Words("by agreement", "受控公开共享"),
    "enclave": Words("in an enclave", "领地公开共享"), "internal": Words("for nobody outside", "不对外共享"),
}  # fmt: skip
"""What ways of sharing are called for people (GB/T 37964-2019, 3.12 to 3.14)."""
LEVELS: Mapping[int, str] = {
    1: "含直接标识符。", 2: "仅含准标识符，风险不低于阈值。", 3: "仅含准标识符，风险低于阈值。",
    4: "不含标识符，为汇总数据。",
}  # fmt: skip
"""What the levels of identifiability mean, in Chinese."""
BUMPS: Mapping[str, Words] = {
    "none": Words("Nothing changed", "无变化"),
    "patch": Words("PATCH: the same data in other packaging", "修订号：数据相同，仅包装不同"),
    "minor": Words("MINOR: only additions", "次版本号：只有新增"),
    "major": Words(
        "MAJOR: something was edited, removed, divided anew, or less is promised",
        "主版本号：有修改、删除、重新划分，或承诺减少",
    ),
}

_ENVIRONMENTS = {
    "file": Words("as files", "文件交付"), "tre": Words("in a trusted research environment", "受控环境（TRE）内使用"),
    "api": Words("through an interface", "接口调用"),
    "sealed": Words("not at all: sealed for evaluation", "不交付：封存用于测评"),
}  # fmt: skip
_FORBIDDEN = {
    "reidentify": Words("to identify anybody", "重新识别个人"),
    "export_raw_image": Words("to take original images out", "导出原始图像"),
    "cross_border_transfer": Words("to send it across the border", "向境外提供"),
    "distribute": Words("to pass it on", "转让或再分发"),
    "commercial_use": Words("commercial use", "商业使用"),
    "train_models": Words("to train models", "训练模型"),
}
_FREQUENCIES = {
    "once": Words("never again", "不再更新"), "daily": Words("every day", "每日"), "weekly": Words("every week", "每周"),
    "monthly": Words("every month", "每月"), "quarterly": Words("every quarter", "每季度"),
    "yearly": Words("every year", "每年"), "irregular": Words("irregularly", "不定期"),
}  # fmt: skip
_SOURCES = {
    "original": Words("made by the holder", "原始取得"), "collected": Words("collected", "收集取得"),
    "traded": Words("bought", "交易取得"), "other": Words("otherwise", "其他"),
}  # fmt: skip
_RIGHTS = {
    "hold": Words("to hold", "数据持有权"),
    "use": Words("to use", "数据使用权"),
    "operate": Words("to operate", "数据经营权"),
}
_DECLARED = {
    "personal_information": Words("personal information", "涉及个人信息"),
    "sensitive": Words("sensitive personal information", "涉及敏感个人信息"),
    "important_data": Words("important data", "涉及重要数据"),
    "genetic_resources": Words("information of human genetic resources", "涉及人类遗传资源信息"),
    "cross_border": Words("leaves the country", "出境"),
}
_UNITS = {
    "slide": Words("slide", "张"), "case": Words("case", "例"), "patient": Words("patient", "人"),
    "series": Words("series", "序列"), "release": Words("release", "版本"), "month": Words("month", "月"),
    "query": Words("query", "次"),
}  # fmt: skip
_PAPERS = {
    "ethics": Words("Ethics approval", "伦理审查"), "impact_assessment": Words("Impact assessment", "个人信息保护影响评估"),
    "risk_assessment": Words("Risk assessment", "数据安全风险评估"), "authorisation": Words("Authorisation", "授权运营"),
    "certificate": Words("Certificate", "登记证书"), "notarisation": Words("Notarisation", "存证公证"),
}  # fmt: skip


def _joined(words: "list[Words]") -> Words:
    return Words("; ".join(word.en for word in words), "；".join(word.zh for word in words))


# --- What people say of the product ------------------------------------------------------------------------------------


def product_facts(file: ProductFile) -> Iterator[Fact]:
    """Who holds the product, and what else its file says that is short; nothing that it does not say."""
    if file.holder is not None:
        name = file.holder.name
        yield Fact(Words("Holder", "持有方"), Words(name.either("en"), name.either("zh")))
        more = [text for text in (file.holder.kind, file.holder.uscc, file.holder.url) if text]
        if more:
            yield Fact(Words("About the holder", "持有方信息"), same(" · ".join(more)))
    if file.contact is not None:
        contact = file.contact
        told = [text for text in (contact.name, contact.email, contact.phone, contact.url) if text]
        yield Fact(Words("Contact", "联系方式"), same(" · ".join(told)))
    plain = (
        (Words("Identifier", "产品标识"), file.identifier), (Words("Page", "产品页面"), file.landing_page),
        (Words("Region", "地域"), file.region), (Words("Industry", "行业"), file.industry),
        (Words("Security level (GB/T 39725)", "安全级别（GB/T 39725）"), file.security_level),
        (Words("Kept until", "保存至"), file.retention_until),
    )  # fmt: skip
    yield from (Fact(name, same(value)) for name, value in plain if value is not None)
    if file.updated is not None:
        yield Fact(Words("New versions", "更新频率"), _FREQUENCIES[file.updated])
    if file.source is not None:
        yield Fact(Words("Source", "数据来源"), _SOURCES[file.source])
    if file.rights:
        yield Fact(Words("Rights", "登记权利"), _joined([_RIGHTS[right] for right in file.rights]))
    yield from _declared(file.declarations)


def _declared(declarations: Declarations) -> Iterator[Fact]:
    said = [(words, value) for name, words in _DECLARED.items() if (value := getattr(declarations, name)) is not None]
    if said:
        yield Fact(
            Words("Declared by the holder", "持有方声明"),
            _joined([Words(f"{words.en}: {_yes(value).en}", f"{words.zh}：{_yes(value).zh}") for words, value in said]),
        )


def _yes(value: bool) -> Words:
    return VALUES[str(value).lower()]


def terms(file: ProductFile) -> Iterator[Fact]:
    """What a user may do, and what it costs."""
    policy: Policy = file.policy
    yield Fact(Words("Delivered", "交付方式"), _ENVIRONMENTS[policy.environment])
    if policy.duo:
        yield Fact(Words("Data use (DUO)", "数据使用（DUO）"), _joined([_duo(code) for code in policy.duo]))
    if policy.diseases:
        yield Fact(Words("Diseases", "限定疾病"), same(", ".join(policy.diseases)))
    if policy.forbidden:
        yield Fact(Words("Not allowed", "禁止"), _joined([_FORBIDDEN[what] for what in policy.forbidden]))
    if policy.valid_until is not None:
        yield Fact(Words("Use ends on", "使用期限至"), same(policy.valid_until))
    if policy.attribution is not None:
        yield Fact(Words("To cite as", "引用方式"), same(policy.attribution))
    if policy.report_use:
        yield Fact(Words("Reporting", "使用报告"), Words("users tell what they used it for", "使用者须报告用途"))
    if file.price is not None:
        price, unit = file.price, _UNITS[file.price.unit]
        yield Fact(
            Words("Price", "价格"),
            Words(f"{price.amount} {price.currency} per {unit.en}", f"{price.amount} {price.currency}/{unit.zh}"),
        )


def _duo(code: str) -> Words:
    term = duo_terms().get(code)
    return Words(f"{term.en} ({code})", f"{term.zh}（{code}）") if term is not None else same(code)


def evidence(rests: Evidence) -> Iterator[Fact]:
    """The documents that it rests on."""
    for name, words in _PAPERS.items():
        paper: Paper | None = getattr(rests, name)
        if paper is not None:
            yield Fact(words, _paper(paper))
    if rests.legal_basis:
        yield Fact(Words("Legal basis", "合法性基础"), Words("; ".join(rests.legal_basis), "；".join(rests.legal_basis)))


def _paper(paper: Paper) -> Words:
    en = [paper.number, paper.issued_by, _said("of", paper.date), _said("valid until", paper.valid_until), paper.says]
    zh = [paper.number, paper.issued_by, _said("日期", paper.date), _said("有效期至", paper.valid_until), paper.says]
    digest = f"sha256:{paper.sha256}" if paper.sha256 else None
    return Words(" · ".join(text for text in (*en, digest) if text), " · ".join(text for text in (*zh, digest) if text))


def _said(what: str, value: object) -> str | None:
    return f"{what} {value}" if value is not None else None


# --- What the evaluation says ------------------------------------------------------------------------------------------


def evaluation_zh(evaluation: Evaluation) -> Iterator[str]:
    """The sentences of :meth:`Evaluation.words` in Chinese, one for each."""
    figures = evaluation.figures
    yield f"表中的准标识符：{'、'.join(figures.quasi) or '无'}。"
    if evaluation.moved:
        yield (
            f"日期（{'、'.join(evaluation.moved)}）按每位患者各自保密的偏移量平移，无法据此查找个人，故不计入；"
            "同一患者两个日期之间的间隔是真实的。"
        )
    asked = f"；方案 {evaluation.profile} 要求至少 {evaluation.k_required} 人" if evaluation.k_required is not None else ""
    yield f"每种取值组合至少对应 {figures.k} 人（k = {figures.k}）{asked}。"
    yield (
        f"知道某人这些取值的人，认出其本人的概率最多为 {percent(figures.highest)}；逐一寻找所有人的人，"
        f"可认出其中的 {percent(figures.expected)}。"
    )
    if figures.alone and figures.k > 1:
        yield f"将一人的所有行放在一起看，知道其中多行的人可区分出 {figures.alone} 人。"
    if evaluation.suppressed_rows:
        yield f"为达到上述要求，隐去 {evaluation.suppressed_persons} 人的 {evaluation.suppressed_rows} 行。"
    for told in figures.diversity:
        if told.alike:
            yield f"有 {told.alike} 人所在组内所有人的 {told.column} 取值相同。"
    if evaluation.sharing not in SHARINGS:
        yield f"该方案供院内使用；可识别程度 {evaluation.risk.level} 按公开共享（最坏情形）评定。"
    if evaluation.has_texts:
        yield "文本中提及的年龄、日期或地点未计入。"
    if evaluation.incomplete_reports:
        yield f"有 {evaluation.incomplete_reports} 份报告缺少文本：其中可能仍有可识别个人的内容，或无法清洗。"
    yield "数据已去标识化：持有密钥库者可还原代码，其他任何人不得尝试。"


_STEP_TRAITS = {
    "age": "年龄", "scan date": "扫描日期", "date of receipt": "接收日期", "date of report": "报告日期", "province": "省份",
    "scanner": "扫描仪", "site": "机构", "sex": "性别",
}  # fmt: skip
_STEP = re.compile(
    r"(?P<trait>.+) is (?:(?P<gone>left out)|shown in bands of (?P<width>\d+) years|shown as (?P<only>.+) only)"
)
_ONLY = {"year": "年", "quarter": "季度"}


def step_zh(step: str) -> str:
    """What was made coarser, in Chinese; as it is where it is none of the steps that are known."""
    found = _STEP.fullmatch(step)
    if found is None:
        return step
    trait = _STEP_TRAITS.get(found["trait"], found["trait"])
    if found["gone"]:
        return f"不显示{trait}"
    if found["width"]:
        return f"{trait}以 {found['width']} 年为一段"
    return f"{trait}只显示{'、'.join(_ONLY.get(part, part) for part in found['only'].split(' and '))}"


def file_size(size: int) -> str:
    """A number of bytes with three digits, in powers of 1000 (ISO 80000-13)."""
    number, units = float(size), iter(("B", "kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while number >= 999.5 and unit != "PB":
        number, unit = number / 1000, next(units)
    return f"{grouped(round(number)) if number >= 100 else format(number, '.3g')}\u202f{unit}"
