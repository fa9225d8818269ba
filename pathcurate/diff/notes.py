"""What a version says of itself: a few sentences for catalogues, and the whole difference as Markdown."""

import re
from collections.abc import Iterator, Sequence

from pathcurate.diff.sections import Section, sections
from pathcurate.model.diff import Bump, Difference, RowChanges

_UNITS = {"slides": ("张切片", "slide"), "cases": ("例病例", "case"), "patients": ("名患者", "patient")}
_STEPS_ZH = {Bump.NONE: "无变化", Bump.PATCH: "修订", Bump.MINOR: "次要", Bump.MAJOR: "主要"}
_EFFECTS_ZH = {"tightened": "收紧", "loosened": "放宽", "changed": "变更"}
_SIGNS = re.compile(r"([\\`*_{}\[\]<>|~&$^#])")
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def version_notes(difference: Difference) -> dict[str, str]:
    """What changed since the version before, in a few sentences, by language (``zh``, ``en``)."""
    if difference.is_same:
        return {"zh": f"与 {difference.before} 版相同。", "en": f"The same as {difference.before}."}
    return {"zh": "".join(_chinese(difference)), "en": " ".join(_english(difference))}


# --- English -----------------------------------------------------------------------------------------------------


def _english(difference: Difference) -> Iterator[str]:
    parts = []
    for change in ("added", "removed", "changed"):
        told = [_counted(count, _UNITS[unit][1]) for unit, count in _told(difference, change)]
        if told:
            parts.append(f"{_listed(told)} {change}")
    parts += list(_other_rows(difference))
    yield f"Since {difference.before}: {'; '.join(parts) or 'the same rows'}."
    moved = sum(table.moved for table in difference.tables.values())
    if moved:
        yield f"{_counted(moved, 'patient')} on another side of the split."
    for words, names in _names(difference):
        yield f"{words[0]}: {', '.join(names)}."
    for effect in _EFFECTS_ZH:
        names = _promises(difference, effect)
        if names:
            yield f"{effect.capitalize()}: {', '.join(names)}."
    yield f"By what changed this is at least a {difference.bump} step."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _other_rows(difference: Difference) -> Iterator[str]:
    for name, rows in _other_tables(difference):
        yield f"rows of {name}: {rows.added:,} added, {rows.removed:,} removed, {rows.changed:,} changed"


# --- Chinese -----------------------------------------------------------------------------------------------------


def _chinese(difference: Difference) -> Iterator[str]:
    parts = []
    for change, verb in (("added", "新增"), ("removed", "移除"), ("changed", "更新")):
        told = [f"{count:,} {_UNITS[unit][0]}" for unit, count in _told(difference, change)]
        if told:
            parts.append(f"{verb} {'、'.join(told)}")
    for name, rows in _other_tables(difference):
        parts.append(f"表 {name} 新增 {rows.added:,} 行、移除 {rows.removed:,} 行、更新 {rows.changed:,} 行")
    yield f"与 {difference.before} 版相比：{'；'.join(parts) or '数据行未变'}。"
    moved = sum(table.moved for table in difference.tables.values())
    if moved:
        yield f"{moved:,} 名患者换到另一划分。"
    for words, names in _names(difference):
        yield f"{words[1]}：{'、'.join(names)}。"
    for effect, verb in _EFFECTS_ZH.items():
        names = _promises(difference, effect)
        if names:
            yield f"{verb}：{'、'.join(names)}。"
    yield f"按变更内容，至少为{_STEPS_ZH[difference.bump]}版本。"


# --- Both --------------------------------------------------------------------------------------------------------


def _told(difference: Difference, change: str) -> Iterator[tuple[str, int]]:
    """Units of which any came, went or changed, and how many."""
    for unit in _UNITS:
        counts = difference.counts.get(unit)
        count = {"added": counts.added, "removed": counts.removed, "changed": counts.changed}[change] if counts else None
        if count:
            yield unit, count


def _other_tables(difference: Difference) -> Iterator[tuple[str, RowChanges]]:
    """Rows of tables that the counts do not tell of."""
    for name, table in difference.tables.items():
        if name not in _UNITS and (table.rows.added or table.rows.removed or table.rows.changed):
            yield name, table.rows


def _names(difference: Difference) -> Iterator[tuple[tuple[str, str], list[str]]]:
    columns: dict[str, list[str]] = {}
    for one in difference.schema:
        columns.setdefault(one.change, []).append(f"{one.table}.{one.column}" if one.column else one.table)
    recipe = difference.recipe
    for words, names in (
        (("New tables", "新增表"), columns.get("table added", [])),
        (("Tables that are gone", "移除表"), columns.get("table removed", [])),
        (("New columns", "新增字段"), columns.get("column added", []) + columns.get("required column added", [])),
        (("Columns that are gone", "移除字段"), columns.get("column removed", [])),
        (("Columns of another type, unit or class", "类型、单位或类别变更的字段"),
         columns.get("type, unit or class changed", [])),
        (("New criteria", "新增筛选条件"), list(recipe.added)),
        (("Criteria that are gone", "移除筛选条件"), list(recipe.removed)),
        (("Criteria that changed", "变更筛选条件"), list(recipe.changed)),
    ):  # fmt: skip
        if names:
            yield words, names


def _promises(difference: Difference, effect: str) -> list[str]:
    """Terms of use and promises about privacy that were tightened, loosened or changed."""
    figures = [figure.name for figure in difference.privacy if figure.effect == effect and figure.name != "k_min"]
    return [*(term.term for term in difference.terms if term.effect == effect), *figures]


# --- Markdown ----------------------------------------------------------------------------------------------------


def difference_markdown(difference: Difference) -> str:
    """The whole difference as CommonMark with GitHub's tables; every word that is not ours is escaped."""
    notes = version_notes(difference)
    title = f"# {escaped(difference.product)}: {escaped(difference.before)} → {escaped(difference.after)}"
    least = "" if difference.is_same else f"\nLeast step: **{difference.bump}**, to {escaped(difference.least_version)}.\n"
    parts = [title, "", escaped(notes["en"]), "", escaped(notes["zh"]), least]
    for section in sections(difference) if not difference.is_same else ():
        parts += ["", *_section(section)]
    return "\n".join(parts).rstrip("\n") + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)} {escaped(section.title_zh)}"
    yield ""
    if section.note:
        yield from (section.note, "")
    yield f"| {' | '.join(escaped(name.removeprefix('#')) for name in section.head)} |"
    yield f"|{'|'.join(' --: ' if name.startswith('#') else ' --- ' for name in section.head)}|"
    yield from (f"| {' | '.join(map(escaped, row))} |" for row in section.rows)


def escaped(text: str) -> str:
    """Text on one line that Markdown shows as it stands; what cannot be seen, or turns its line around, as ``[U+202E]``."""
    visible = _HIDDEN.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)
    return _SIGNS.sub(r"\\\1", visible).replace("://", "\\://")
