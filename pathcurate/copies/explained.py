"""What the rules of scrubbing files do, in words, from the rules themselves."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from pathcurate.filerules import title_of
from pathcurate.model.filerule import FileRule, FileRules
from pathcurate.model.filescrub import Deed

Language = Literal["en", "zh"]
_DEEDS: Final[Mapping[Language, Mapping[Deed, str]]] = {
    "en": {
        Deed.KEEP: "stay", Deed.REMOVE: "go", Deed.EMPTY: "are emptied", Deed.SHIFT: "are moved by the person's days",
        Deed.PSEUDONYM: "become codes", Deed.UID: "become other UIDs", Deed.CLEAN: "are cleaned, each by rules of its own",
    },
    "zh": {
        Deed.KEEP: "保留", Deed.REMOVE: "删除", Deed.EMPTY: "清空", Deed.SHIFT: "按患者的偏移量平移",
        Deed.PSEUDONYM: "替换为编码", Deed.UID: "替换为新的 UID", Deed.CLEAN: "逐项清洗，各按其规则",
    },
}  # fmt: skip
_UNKNOWN: Final[Mapping[Language, str]] = {
    "en": "whatever is not named here is unknown: the slide is put aside",
    "zh": "此处未列出的一律视为未知：该切片将被隔离",
}
_OF_SITE: Final[Mapping[Language, str]] = {"en": "the site's own rule", "zh": "本站点自定规则"}


def explain_files(rules: Mapping[str, FileRules], language: Language = "en") -> list[str]:
    """Sentences about every format: its tables of names, and what is done to each."""
    sentences = []
    for format_, one in rules.items():
        title = title_of(format_)
        sentences.append(f"{format_}: {title.get(language, title['en'])}; {_UNKNOWN[language]}")
        for table, names in one.tables.items():
            sentences += [f"- {format_} {table}: {sentence}" for sentence in _sentences(names, language)]
        sentences += [f"- {format_} option {name}: {_shown(value)}" for name, value in sorted(one.options.items())]
    return sentences


def _sentences(rules: Mapping[str, FileRule], language: Language) -> Iterator[str]:
    for deed in Deed:
        of_deed = [rule for rule in rules.values() if rule.deed is deed]
        if of_deed:
            names = ", ".join(_name(rule, language) for rule in of_deed)
            yield f"{_DEEDS[language][deed]}: {names}"


def _name(rule: FileRule, language: Language) -> str:
    about = f" ({rule.about})" if rule.about else ""
    return f"{rule.name}{about}{f' [{_OF_SITE[language]}]' if rule.is_of_site else ''}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
