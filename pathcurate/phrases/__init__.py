"""What people read, in another language than English.

All sentences are made in English, where what they speak of is known; ``zh/*.po`` holds them as templates, with their
Chinese. The command line looks them up when it shows them, so nothing below it knows of languages, and what machines read
(JSON, tables, files) is the same in all of them. A sentence that no file knows stays in English. The form is gettext's,
which translators have tools for; a test compares the files with the sentences in the code.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal, get_args

from pathcurate.phrases.pofile import Entry, read_entries
from pathcurate.phrases.template import Template
from pathcurate.terminaltext import padded, width

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_DEEPEST = 3
_LONGEST = 20_000
_CELLS = re.compile(r"( {2,})")
_SENTENCES = re.compile(r"(?<=[.!?…])\s+(?=[A-Z`\"'(])")
_CLAUSES = ("; ", ": ")
_HEADS = {"error", "warning", "info", "Next"}
_MARKS = {"; ": "；", ": ": "："}
_HAN = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")


class Phrasebook:
    """Sentences by their English templates.

    Args:
        entries: templates and their translations.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._fixed: dict[str, str] = {}
        placed: list[tuple[Template, Template]] = []
        for english, translated in entries:
            template = Template(english.strip())
            if template.places and template.is_telling:
                placed.append((template, Template(translated.strip())))
            elif not template.places:
                self._fixed["".join(template.literals)] = "".join(Template(translated.strip()).literals)
        self._placed = sorted(placed, key=lambda pair: -pair[0].weight)
        self.said = lru_cache(maxsize=8192)(self._said)

    def _said(self, text: str) -> str:
        """A text of one or several lines, sentences or cells, with each that is known in the language.

        Cells of a table (two or more spaces apart) keep their columns on a terminal, where a Chinese character is two wide.
        """
        if not text.strip() or len(text) > _LONGEST:
            return text
        core = text.strip()
        if core != text:
            start = text.index(core)
            return text[:start] + self._said(core) + text[start + len(core) :]
        if "\n" in text:
            whole = self._phrase(text)
            return whole[0] if whole is not None else "\n".join(self._said(line) for line in text.split("\n"))
        known = self._phrase(text)
        if known is None and _CELLS.search(text):
            return self._row(text)
        return self._best(text)[0]

    def word(self, text: str) -> str:
        """What one word is called, such as a table, a state or a kind; the word itself where it is not known."""
        return self._fixed.get(text, text)

    def _row(self, text: str) -> str:
        row, column = "", 0
        for number, piece in enumerate(_CELLS.split(text)):
            is_gap = number % 2 == 1
            # A number is aligned on its right, where the gap before it is: the gap ends in the column where it ended.
            if is_gap:
                column += len(piece)
                row = padded(f"{row}  ", column)
            else:
                column += width(piece)
                row += self._best(piece)[0]
        return row

    def _best(self, text: str) -> tuple[str, int]:
        """A text with what is known of it, as a whole or in parts, and how many of its characters that accounts for."""
        whole = self._phrase(text)
        if whole is not None and whole[1] >= len(text):
            return whole
        found = [(text, 0), *([whole] if whole is not None else [])]
        sentences = _SENTENCES.split(text)
        if len(sentences) > 1:
            parts = [self._best(sentence) for sentence in sentences]
            found.append((_joined(part for part, _ in parts), sum(known for _, known in parts)))
        for mark in _CLAUSES:
            head, _, tail = text.partition(mark)
            if tail:
                first = self._best(head) if head not in _HEADS else (self.word(head), 1)
                second = self._best(tail)
                is_han = _HAN.search(first[0][-1:]) or _HAN.search(second[0][:1])
                joined = first[0] + (_MARKS[mark] if is_han else mark) + second[0]
                found.append((joined, first[1] + second[1]))
        return max(found, key=lambda candidate: candidate[1])

    def _phrase(self, text: str, depth: int = 0) -> tuple[str, int] | None:
        """A text that is one phrase; a single word is one only where a place asks for it: it may be a value or a name."""
        if " " not in text and not text.endswith((".", "…")):
            return None
        fixed = self._fixed.get(text)
        if fixed is not None:
            return fixed, len(text)
        for english, translated in self._placed:
            if english.anchor in text:
                parts = english.parts(text)
                if parts is not None:
                    known = english.weight
                    for name, part in parts.items():
                        inner = self._phrase(part.strip(), depth + 1) if depth < _DEEPEST else None
                        if inner is not None:
                            parts[name], known = inner[0], known + inner[1]
                    return translated.filled(parts, self.word), known
        return None


def _joined(sentences: Iterable[str]) -> str:
    text = ""
    for sentence in sentences:
        text += sentence if not text or _HAN.search(text[-1]) else f" {sentence}"
    return text


def files(language: Language) -> Iterator[Path]:
    """The files of a language's sentences."""
    yield from sorted((Path(__file__).parent / language).glob("*.po"))


@cache
def phrasebook(language: Language) -> Phrasebook:
    """All that is known in a language."""
    return Phrasebook(
        entry for file in files(language) for entry in read_entries(file.read_text(encoding="utf-8")) if entry.translated
    )
