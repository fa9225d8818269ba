"""How things are said in English and in Chinese: numbers, lists, spans of time, and the words of the recipe language."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Literal

import yaml

from pathcurate.model.recipe import Duration

Language = Literal["en", "zh"]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_SEAM = re.compile(r"[\u4e00-\u9fff][A-Za-z0-9`\"]|[A-Za-z0-9%`\"][\u4e00-\u9fff]")


def _spaced(pieces: Iterable[str]) -> str:
    """Pieces of a Chinese sentence, with a space where Chinese meets Latin letters or digits; none inside of a piece."""
    text = ""
    for piece in pieces:
        gap = " " if _SEAM.fullmatch(text[-1:] + piece[:1]) else ""
        text += gap + piece
    return text


@cache
def _words() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    content = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
    return {kind: {str(name): tuple(words) for name, words in known.items()} for kind, known in content.items()}


@dataclass(frozen=True, slots=True)
class Tongue:
    """One of the two languages. Called with a sentence in each, it gives the one that is spoken, with its parts put in."""

    language: Language

    def __call__(self, english: str, chinese: str, **parts: object) -> str:
        """The sentence in the language that is spoken."""
        if self.language == "en":
            return english.format(**parts)
        pieces = []
        for literal, name, form, _ in Formatter().parse(chinese):
            pieces += [literal, format(parts[name], form or "") if name is not None else ""]
        return _spaced(pieces)

    def word(self, kind: str, name: str) -> str:
        """What a name of the recipe language is called; the name itself where there is no word for it."""
        found = _words()[kind].get(name, (name, name))
        return found[0] if self.language == "en" else found[1]

    def rows(self, table: str, number: int = 2) -> str:
        """What one row of a table is called, or several."""
        one, many, chinese, _ = _words()["tables"][table]
        return chinese if self.language == "zh" else one if number == 1 else many

    def measure(self, kind: Literal["tables", "levels"], name: str) -> str:
        """The Chinese measure word of a table's rows or of a level's entities."""
        return _words()[kind][name][-1]

    def counted(self, level: str) -> str:
        """What a level of the attrition counts; in English that is its name."""
        chinese = {**{name: words[-2] for name, words in _words()["tables"].items()}, "specimens": "标本", "blocks": "蜡块"}
        return level if self.language == "en" else chinese[level]

    def quoted(self, name: str) -> str:
        """A name of the recipe's own."""
        return self("`{name}`", "“{name}”", name=name)

    def value(self, value: object) -> str:
        """A value as a recipe writes it; text that could be taken for a number or a truth value stands in quotes."""
        if isinstance(value, bool):
            return self("true", "是") if value else self("false", "否")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, int):
            return f"{value:,}" if abs(value) >= 10_000 else str(value)
        text = str(value)
        if not isinstance(value, str) or _DATE.fullmatch(text):
            return text
        is_doubtful = text in {"true", "false"} or text[:1].isdigit() or text != text.strip()
        return f'"{text}"' if is_doubtful else text

    def listed(self, items: Iterable[str], *, joint: Literal["and", "or"] = "and") -> str:
        """``a, b and c``."""
        parts = list(items)
        if len(parts) < 2:
            return "".join(parts)
        if self.language == "en":
            return f"{', '.join(parts[:-1])} {joint} {parts[-1]}"
        return _spaced(["、".join(parts[:-1]), "和" if joint == "and" else "或", parts[-1]])

    def clauses(self, items: Iterable[str]) -> str:
        """Conditions that must all hold."""
        parts = list(items)
        if self.language == "zh":
            return "，且".join(parts)
        return ", and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])}, and {parts[-1]}"

    def spoken(self, written: str) -> str:
        """A duration such as ``90d`` without its sign."""
        number = int(written.rstrip("dwmoy").lstrip("+-"))
        unit = written.lstrip("+-0123456789")
        english = {"d": "day", "w": "week", "mo": "month", "y": "year"}[unit] + ("" if number == 1 else "s")
        return self("{number} {unit}", "{number} {unit_zh}", number=number, unit=english,
                    unit_zh={"d": "天", "w": "周", "mo": "个月", "y": "年"}[unit])  # fmt: skip

    def offset(self, written: str, duration: Duration) -> str:
        """A day relative to day 0."""
        span = duration.days or duration.months
        if not span:
            return self("day 0", "第 0 天")
        if span < 0:
            return self("{span} before day 0", "第 0 天之前 {span}", span=self.spoken(written))
        return self("{span} after day 0", "第 0 天之后 {span}", span=self.spoken(written))
