"""The registration dossier of a release for Chinese authorities (``registration/cn-dossier.json``).

It is the neutral core that the forms of several authorities are rendered from (:mod:`pathcurate.metadata.rendered`). What
neither the release nor its product file says is null: nothing is made up, least of all an identifier or a declaration.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pathcurate.metadata.dictionary import chinese_table
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.description import NAMESPACE, DescribedColumn, DescribedTable, Description
from pathcurate.model.productfile import Bilingual, Contact, Organisation, Paper, Price, ProductFile
from pathcurate.model.text import TEXT_TABLES

DOSSIER_SCHEMA = f"{NAMESPACE}schema/cn-dossier/1"
SAMPLE_FOLDER = "registration/sample/"
_WORDS = Path(__file__).parent / "dossier.zh.yaml"


@cache
def _words() -> Mapping[str, Any]:
    words: Mapping[str, Any] = yaml.safe_load(_WORDS.read_bytes())
    return words


def chinese_word(kind: str, value: str) -> str:
    """The Chinese word for a value of a product file, such as ``source`` and ``original``.

    Raises:
        KeyError: the list of words has none.
    """
    return str(_words()["words"][kind][value])


def dossier(description: Description) -> str:
    """``registration/cn-dossier.json``."""
    return json_text(dossier_core(description), sort_keys=False)


def dossier_core(description: Description) -> dict[str, Any]:
    """The dossier as plain JSON values, in the order of the forms; what is not known is None."""
    file = description.file
    said = file or ProductFile(product=1, name=description.product)
    evidence, declared = said.evidence, said.declarations
    certificate = evidence.certificate or Paper()
    return {
        "schema": DOSSIER_SCHEMA,
        "数据名称": description.title_zh,
        "英文名称": said.title.en,
        "数据标识": description.urn,
        "版本": description.version,
        "前一版本": description.difference.before if description.difference else None,
        "发布日期": str(description.published),
        "数据产品标识码": said.identifier,
        "产品网址": said.landing_page,
        "登记对象": "数据产品",
        "产品类型": "数据集",
        "登记主体": _holder(said.holder),
        "联系方式": _contact(said.contact),
        "权利类型": [chinese_word("right", right) for right in said.rights] or None,
        "所属行业": _industry(said.industry),
        "数据简介": _zh(said.description),
        "关键词": list(said.keywords.get("zh", ())) or None,
        "应用场景": _zh(said.scenarios),
        "适用条件与使用限制": _limits(file),
        "局限性": _zh(said.limitations),
        "数据来源": {
            "方式": chinese_word("source", said.source) if said.source else None,
            "合法性依据": list(evidence.legal_basis) or None,
            "授权": _paper(evidence.authorisation),
            "授权期限": _day(evidence.authorisation),
        },
        "结构规模": _size(description),
        "数据格式": ["Parquet"],
        "数据类型": _kinds(description),
        "覆盖时间范围": list(description.covers) if description.covers else None,
        "覆盖地域": said.region,
        "更新频次": chinese_word("updated", said.updated) if said.updated else None,
        "数据质量等级": None,
        "安全级别": f"{said.security_level}级" if said.security_level else None,
        "算法规则简要说明": _rules(description),
        "存证公证情况": _notarised(description, evidence.notarisation),
        "样例数据": _sample(description),
        "是否涉及个人信息": declared.personal_information,
        "是否涉及敏感个人信息": declared.sensitive,
        "是否涉及重要数据": declared.important_data,
        "是否涉及人类遗传资源信息": declared.genetic_resources,
        "是否出境": declared.cross_border,
        "个人信息保护影响评估": _paper(evidence.impact_assessment),
        "伦理审查": _paper(evidence.ethics),
        "数据安全风险评估": _paper(evidence.risk_assessment),
        "去标识化": _deid(description),
        "交付方式": chinese_word("environment", file.policy.environment) if file else None,
        "定价": _price(said.price),
        "保存期限": str(said.retention_until) if said.retention_until else None,
        "登记结果": {
            "机构": certificate.issued_by,
            "登记号": certificate.number,
            "证书sha256": certificate.sha256,
            "发证日期": str(certificate.date) if certificate.date else None,
            "有效期至": str(certificate.valid_until) if certificate.valid_until else None,
        },
        "参照文件": {"清单": list(_words()["references"]), "来源": _words()["source"], "已核对": _words()["verified"]},
    }


def _zh(text: Bilingual) -> str | None:
    return text.either("zh") or None


def _holder(holder: Organisation | None) -> dict[str, Any] | None:
    if holder is None:
        return None
    return {
        "名称": _zh(holder.name), "统一社会信用代码": holder.uscc, "主体类型": holder.kind, "网址": holder.url,
    }  # fmt: skip


def _contact(contact: Contact | None) -> dict[str, Any] | None:
    if contact is None:
        return None
    return {"联系人": contact.name, "电子邮箱": contact.email, "电话": contact.phone, "网址": contact.url}


def _industry(text: str | None) -> dict[str, str | None] | None:
    if text is None:
        return None
    code, _, name = text.partition(" ")
    is_coded = code.isascii() and code.isalnum() and bool(name)
    return {"代码": code if is_coded else None, "名称": name.strip() if is_coded else text}


def _limits(file: ProductFile | None) -> dict[str, Any] | None:
    if file is None:
        return None
    policy = file.policy
    return {
        "说明": _zh(file.limits),
        "禁止事项": [chinese_word("forbidden", what) for what in policy.forbidden],
        "数据使用条款": list(policy.duo) or None,
        "限定疾病": list(policy.diseases) or None,
        "使用期限": str(policy.valid_until) if policy.valid_until else None,
        "引用要求": policy.attribution,
        "须报告用途": policy.report_use,
    }


def _paper(paper: Paper | None) -> dict[str, str | None] | None:
    if paper is None:
        return None
    return {
        "编号": paper.number,
        "出具单位": paper.issued_by,
        "日期": str(paper.date) if paper.date else None,
        "有效期至": _day(paper),
        "文件sha256": paper.sha256,
        "结论": paper.says,
    }


def _day(paper: Paper | None) -> str | None:
    return str(paper.valid_until) if paper and paper.valid_until else None


def _size(description: Description) -> dict[str, Any]:
    tables = description.tables
    return {
        "计数单位": chinese_word("unit", description.recipe.unit),
        "记录数": description.unit_table.rows,
        "切片数": description.counts.get("slides"),
        "病例数": description.counts.get("cases"),
        "患者数": description.counts.get("patients"),
        "数据文件数": sum(len(table.parts) for table in tables),
        "数据文件字节数": sum(part.size for table in tables for part in table.parts),
        "切片文件字节数": description.size,
        "数据表": [_table(table) for table in tables],
    }


def _table(described: DescribedTable) -> dict[str, Any]:
    return {
        "名称": described.table.name,
        "中文名": chinese_table(described.table.name)[0],
        "说明": described.row_zh,
        "记录数": described.rows,
        "字段": [_field(column, described.table.key) for column in described.columns],
    }


def _field(described: DescribedColumn, key: tuple[str, ...]) -> dict[str, Any]:
    column = described.column
    return {
        "名称": column.name, "中文名": described.label_zh, "类型": chinese_word("type", str(column.type)),
        "计量单位": column.unit or None, "主键": column.name in key, "可空": not column.required,
        "描述": described.meaning_zh,
    }  # fmt: skip


def _kinds(description: Description) -> list[str]:
    names = {table.table.name for table in description.tables}
    return ["结构化数据", *(["文本"] if "texts" in names else [])]


def _rules(description: Description) -> str:
    """What was done, in the order in which it was done."""
    names = {described.table.name for described in description.tables}
    recipe = description.recipe
    steps = [
        "扫描切片与导入来源数据",
        "关联切片与报告",
        f"去标识化（配置 {description.evaluation.profile}）",
        *(["文本去标识化"] if names & set(TEXT_TABLES) else []),
        f"按配方入组筛选（纳入 {len(recipe.include)} 条，排除 {len(recipe.exclude)} 条）",
        *([f"生成标签（{len(recipe.labels)} 项）"] if recipe.labels else []),
        *(["抽样"] if recipe.sample else []),
        *(["按患者组划分数据集"] if recipe.split else []),
    ]
    return f"{' → '.join(steps)}。规则全文见 provenance/recipe.lock.yaml（{description.lock_sha256}）。"


def _notarised(description: Description, paper: Paper | None) -> dict[str, Any] | None:
    if paper is None:
        return None
    # The release digest is not known while the release is written; that of the rows is, and the deposit may be of either.
    return {**(_paper(paper) or {}), "数据内容摘要": description.content_digest}


def _sample(description: Description) -> dict[str, Any] | None:
    allowed = description.file.sample if description.file else None
    counts = {table.table.name: len(table.sample) for table in description.tables if table.sample}
    if allowed is None or not counts:
        return None
    return {"路径": SAMPLE_FOLDER, "条数": counts, "批准人": allowed.approved_by}


def _deid(description: Description) -> dict[str, Any]:
    evaluation, standard = description.evaluation, description.standard
    figures, risk = evaluation.figures, evaluation.risk
    titles: dict[str, str] = {name: mode.title for name, mode in standard.sharing.items()}
    return {
        "效果评估标准": standard.standard,
        "标准文本已核对": standard.verified,
        "效果级别": risk.level,
        "共享方式": titles.get(evaluation.sharing, "不对外共享"),
        "准标识符": list(figures.quasi),
        "最小等价类": figures.k,
        "要求的最小等价类": evaluation.k_required,
        "最大重标识风险": figures.highest,
        "平均重标识风险": figures.mean,
        "阈值": risk.tau,
        "总体风险": risk.overall,
        "隐去记录数": evaluation.suppressed_rows,
        "日期处理": "按患者偏移量移动" if evaluation.moved else None,
        "配置": evaluation.profile,
        "配置摘要": evaluation.profile_digest,
        "匿名化程度A": None,
    }


def _price(price: Price | None) -> dict[str, str] | None:
    if price is None:
        return None
    return {"方式": chinese_word("price_unit", price.unit), "金额": price.amount, "币种": price.currency}
