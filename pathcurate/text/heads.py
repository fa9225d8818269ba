"""Which column of an export is which: by its mapping, by the shipped table of known heads, by initials of their pinyin."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from pathcurate.errors import UsageError

_LEFT_OUT = "left_out"
# No syllable of Mandarin begins with i, u or v, so most English words cannot be initials; two letters are too few to tell.
_INITIALS = re.compile(r"(?:f(?=[a-z]{3}))?([a-hj-tw-z]{3,8})")
# Characters of heads as Taiwan and Hong Kong write them; the shipped table has them as the mainland does.
_TRADITIONAL = str.maketrans(
    "號編檢查別齡單證門診記標稱請時間報簽發臨斷見體檢鏡顯結組測備註說議內師醫審複覆聯繫電話機碼學態狀類種臟條囑項區護資術脫數蠟塊"
    "錄員記製費準凍歷歲繳處雲屬腦題與員送來術後檔總計復",
    "号编检查别龄单证门诊记标称请时间报签发临断见体检镜显结组测备注说议内师医审复复联系电话机码学态状类种脏条嘱项区护资术脱数蜡块"
    "录员记制费准冻历岁缴处云属脑题与员送来术后档总计复",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Heads:
    """Resolved heads.

    Attributes:
        columns: canonical name to heads, in order of preference; the first cell that is not empty counts.
        unknown: indices of heads that are imported nowhere.
        left_out: of these, index of a head that is known to what it holds; there is no column for it.
        by_pinyin: heads that were recognised by initials alone.
    """

    columns: Mapping[str, tuple[str, ...]]
    unknown: tuple[int, ...]
    left_out: Mapping[int, str] = field(default_factory=dict)
    by_pinyin: frozenset[str] = frozenset()

    def cell(self, cells: Mapping[str, str], name: str) -> str:
        """The row's text for a canonical name, empty if it has none."""
        return next((cells[head] for head in self.columns.get(name, ()) if cells[head]), "")


def resolve(table: str, heads: Sequence[str], mapped: Mapping[str, Sequence[str]], source: str) -> Heads:
    """Resolve the heads of a sheet.

    Args:
        table: table that is imported, for its known heads.
        heads: the sheet's heads.
        mapped: canonical name to heads, from the mapping file; a mapped head has no other meaning.
        source: name of the file, for messages.

    Raises:
        UsageError: the mapping names a head that the sheet does not have.
    """
    by_fold = {fold_head(head): head for head in reversed(heads) if head}
    columns: dict[str, tuple[str, ...]] = {}
    for name, wanted in mapped.items():
        there = tuple(by_fold[fold_head(head)] for head in wanted if fold_head(head) in by_fold)
        if not there:
            raise UsageError(
                f"{source} has no column `{wanted[0]}`, which its mapping gives for {name}",
                "Correct the head in the mapping, or remove the line.",
            )
        columns[name] = there
    taken = {head for chosen in columns.values() for head in chosen}
    for name, aliases in known_heads()[table].items():
        if name not in columns:
            free = [by_fold[alias] for alias in aliases if alias in by_fold and by_fold[alias] not in taken]
            if free:
                columns[name] = tuple(dict.fromkeys(free))
                taken.update(free)
    reasons = {alias: reason for reason, aliases in known_heads()[_LEFT_OUT].items() for alias in aliases}
    by_pinyin = set()
    for folded, head in by_fold.items():
        if head not in taken and folded not in reasons and (meaning := _by_initials(table, folded)):
            kind, name = meaning
            if kind == _LEFT_OUT:
                reasons[folded] = name
            elif name not in mapped:
                columns[name] = (*columns.get(name, ()), head)
                taken.add(head)
                by_pinyin.add(head)
    unknown = tuple(index for index, head in enumerate(heads) if head and head not in taken)
    left_out = {index: reasons[fold_head(heads[index])] for index in unknown if fold_head(heads[index]) in reasons}
    return Heads(columns, unknown, left_out, frozenset(by_pinyin))


def count_known(cells: Sequence[str], expected: frozenset[str] = frozenset()) -> int:
    """How many cells of a row are known heads of any table, or expected ones (folded)."""
    known = _all_known() | expected
    return len({folded for cell in cells if cell and (folded := fold_head(cell)) in known})


def fold_head(head: str) -> str:
    """A head as heads are compared: NFKC, lower case, simplified, without spaces, underscores and punctuation at the end."""
    folded = unicodedata.normalize("NFKC", head).lower().translate(_TRADITIONAL)
    return "".join(folded.split()).replace("_", "").rstrip(":：*")


@cache
def known_heads() -> dict[str, dict[str, list[str]]]:
    """Table to canonical name to folded heads, in order of preference.

    The table ``left_out`` holds, in place of names, what a head means that no table has a column for.
    """
    path = Path(__file__).with_name("aliases.yaml")
    tables: dict[str, dict[str, list[str]]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        table: {name: [fold_head(str(head)) for head in heads] for name, heads in columns.items()}
        for table, columns in tables.items()
    }


@cache
def _all_known() -> frozenset[str]:
    return frozenset(alias for columns in known_heads().values() for aliases in columns.values() for alias in aliases)


def _by_initials(table: str, folded: str) -> tuple[str, str] | None:
    """What a head means that is the initials of exactly one known meaning; with or without a leading ``F_``."""
    if not _INITIALS.fullmatch(folded):
        return None
    initials = _initials(table)
    meanings = initials.get(folded) or initials.get(folded.removeprefix("f")) or frozenset()
    return next(iter(meanings)) if len(meanings) == 1 else None


@cache
def _initials(table: str) -> dict[str, frozenset[tuple[str, str]]]:
    """Initials to what the Chinese heads with them mean, as (table, name)."""
    from pypinyin import Style, lazy_pinyin  # noqa: PLC0415  its dictionary takes a while to load, and is rarely needed

    found: dict[str, set[tuple[str, str]]] = {}
    for kind in (table, _LEFT_OUT):
        for name, aliases in known_heads()[kind].items():
            for alias in aliases:
                if all("一" <= character <= "鿿" for character in alias):
                    initials = "".join(lazy_pinyin(alias, style=Style.FIRST_LETTER))
                    found.setdefault(initials, set()).add((kind, name))
    return {initials: frozenset(meanings) for initials, meanings in found.items()}
