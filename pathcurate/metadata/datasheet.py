"""The datasheet of a release for people: in Chinese by sections 0101 to 0104 of TC609-5-2025-04, and in English by the
questions of Gebru et al., Datasheets for Datasets, Communications of the ACM 64 (12), 2021.

A question that neither the release nor its product file answers says so.
"""

from typing import Any, Literal

from pathcurate.diff.notes import version_notes
from pathcurate.metadata.dictionary import chinese_table
from pathcurate.metadata.dossier import chinese_word
from pathcurate.metadata.markdown import render
from pathcurate.metadata.scorecard import indicators
from pathcurate.model.attrition import WITHHELD, Shown
from pathcurate.model.description import Description
from pathcurate.model.evaluation import percent
from pathcurate.model.productfile import Bilingual, Paper, ProductFile

Language = Literal["zh", "en"]
_LEVELS = {
    "slides": "切片", "cases": "病例", "patients": "患者", "series": "序列", "events": "事件", "blocks": "蜡块",
    "specimens": "标本",
}  # fmt: skip
_STATUS = {"measured": "已测量", "attested": "由持有人声明", "not_assessed": "未评估"}
_FORBIDDEN = {
    "reidentify": "re-identifying anybody", "export_raw_image": "exporting raw images",
    "cross_border_transfer": "transfer abroad", "distribute": "passing it on", "commercial_use": "commercial use",
    "train_models": "training models",
}  # fmt: skip
_ENVIRONMENT = {
    "file": "as files", "tre": "in a trusted research environment", "api": "through an interface",
    "sealed": "not at all: models are evaluated where it is",
}  # fmt: skip
_SOURCE = {
    "original": "it came about in the holder's own work", "collected": "the holder collected it",
    "traded": "the holder bought or was given it", "other": "in another way",
}  # fmt: skip
_PAPERS = ("ethics", "impact_assessment", "risk_assessment", "authorisation", "certificate", "notarisation")


def datasheet(description: Description, language: Language) -> str:
    """``metadata/DATASHEET.zh.md`` or ``metadata/DATASHEET.en.md``."""
    file = description.file or ProductFile(product=1, name=description.product)
    attrition = description.attrition
    return render(
        f"datasheet.{language}.md.j2",
        description=description,
        # Of series and events nobody counts slides and cases.
        counts={level: count for level, count in description.counts.items() if count},
        has_file=description.file is not None,
        file=file,
        evaluation=description.evaluation,
        percent=percent,
        said=lambda text: text.either(language),
        table_name=chinese_table,
        word=chinese_word,
        forbidden=_FORBIDDEN,
        environment=_ENVIRONMENT,
        source=_SOURCE,
        statuses=_STATUS,
        levels=_LEVELS,
        attrition=attrition,
        shown=_shown(language),
        papers=[(name, paper) for name in _PAPERS if (paper := getattr(file.evidence, name)) is not None],
        paper_line=lambda paper: _paper_line(paper, language),
        indicators=indicators(description),
        measured=_measured,
        unit_name=chinese_word("unit", description.recipe.unit),
        has_texts=any(table.table.name == "texts" for table in description.tables),
        name_of=lambda name: (name or Bilingual()).either(language),
        words=list(description.evaluation.words()),
        notes=version_notes(description.difference)[language] if description.difference is not None else "",
    )


def _shown(language: Language) -> Any:
    withheld = "不显示" if language == "zh" else "not shown"

    def show(number: Shown) -> str:
        return withheld if number == WITHHELD else f"{number:,}" if isinstance(number, int) else number

    return show


def _measured(figure: Any) -> str:
    """A figure as a person reads it."""
    if isinstance(figure.value, int | float):
        return f"{figure.value:,.3g}" if isinstance(figure.value, float) else _part(figure.value, figure.whole)
    return "; ".join(f"{name} {value:,.3g}" if isinstance(value, float) else f"{name} {value:,}"
                     for name, value in figure.value.items())  # fmt: skip


def _part(value: int, whole: int | None) -> str:
    return f"{value:,}" if whole is None else f"{value:,} / {whole:,}"


_PAPER_WORDS = {
    "zh": {"number": "编号 {}", "issued_by": "{}出具", "date": "日期 {}", "valid_until": "有效期至 {}", "says": "结论：{}",
           "sha256": "文件 sha256 {}"},
    "en": {"number": "number {}", "issued_by": "by {}", "date": "of {}", "valid_until": "valid until {}",
           "says": "which says: {}", "sha256": "file sha256 {}"},
}  # fmt: skip


def _paper_line(paper: Paper, language: Language) -> str:
    words = _PAPER_WORDS[language]
    parts = [text.format(value) for name, text in words.items() if (value := getattr(paper, name)) is not None]
    return ("，" if language == "zh" else ", ").join(parts)
