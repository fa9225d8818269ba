"""Criteria, day 0, code lists and concepts in words."""

from collections.abc import Iterator

from pathcurate.model.concept import Concept
from pathcurate.model.recipe import Alternative, Criterion, Inclusion, Index, Parameter
from pathcurate.model.recipe.levels import LEVEL_VIEWS
from pathcurate.recipewords.conditions import Sentences


def criterion_lines(sentences: Sentences, number: int, criterion: Criterion) -> Iterator[str]:
    """A criterion: its number and name, what it does, and what a missing value does."""
    say = sentences.tongue
    name = say("{id}: {label}", "{id}：{label}", id=criterion.id, label=criterion.label) if criterion.label else criterion.id
    yield f"{number}. {name}"
    met = verb(sentences, criterion, criterion.level)
    if isinstance(criterion, Inclusion):
        yield say("   Keep only if {met}.", "   仅保留：{met}。", met=met)
    else:
        yield say("   Drop if {met}.", "   剔除：{met}。", met=met)
    if _can_be_open(criterion):
        if criterion.if_missing == "pass":
            yield say("   Where a missing value leaves this open: keep.", "   因缺失而无法判定时：保留。")
        else:
            yield say("   Where a missing value leaves this open: drop.", "   因缺失而无法判定时：剔除。")


OF_PATIENTS = ("event", "series")
"""Levels whose entities have no rows of their own: those of their patient count."""


def _can_be_open(rule: Criterion | Alternative) -> bool:
    """Whether a missing value can leave the answer open; a count never is."""
    return rule.has is None and (rule.any_of is None or any(map(_can_be_open, rule.any_of)))


def verb(sentences: Sentences, rule: Criterion | Alternative, level: str) -> str:
    """What a criterion or an alternative asks of an entity of a level."""
    say, entity = sentences.tongue, sentences.tongue.word("levels", level)
    if rule.where is not None:
        parts = list(sentences.where(rule.where, LEVEL_VIEWS[level]))
        if say.language == "zh":
            return f"该{entity}的{say.clauses(column + predicate for column, predicate in parts)}"
        first, *others = (f"{column} {predicate}" for column, predicate in parts)
        return say.clauses([f"the {entity}'s {first}", *(f"its {other}" for other in others)])
    if rule.has is not None:
        if level in OF_PATIENTS:
            entity = say("patient of the {entity}", "{entity}所属患者", entity=entity)
        return say("the {entity} has {rows}", "该{entity}{rows}", entity=entity, rows=sentences.has(rule.has))
    if rule.any_of is not None:
        options = (_alternative(sentences, n, one, level) for n, one in enumerate(rule.any_of))
        return say("one of these holds: {options}", "满足以下任意一项：{options}", options=say("; ", "；").join(options))
    return say(
        "this SQL holds for the {entity}: {sql} (not promised to run alike on every engine)",
        "该{entity}满足 SQL 条件：{sql}（不保证在各引擎上结果一致）",
        entity=entity, sql=" ".join((rule.sql or "").split()),
    )  # fmt: skip


def _alternative(sentences: Sentences, number: int, alternative: Alternative, level: str) -> str:
    letter = chr(ord("a") + number) if number < 26 else str(number + 1)
    names = [name for name in (alternative.id, alternative.label) if name]
    named = f"{', '.join(names)}: " if names else ""
    met = verb(sentences, alternative, alternative.level or level)
    return sentences.tongue("({letter}) {named}{met}", "（{letter}）{named}{met}", letter=letter, named=named, met=met)


def index_lines(sentences: Sentences, index: Index, unit: str) -> Iterator[str]:
    """Day 0: which row gives it, and of whom."""
    say = sentences.tongue
    clauses = [
        say("whose {column} {predicate}", "{column}{predicate}", column=column, predicate=predicate)
        for column, predicate in sentences.where(index.where, index.table)
    ]
    if index.text is not None:
        clauses.append(sentences.says(index.text, index.table))
    of_which = say(" {clauses}", "（{clauses}）", clauses=say.clauses(clauses)) if clauses else ""
    pick = {
        "first": say("the first", "取最早的一"), "last": say("the last", "取最晚的一"), "each": say("each", "的每一"),
    }[index.pick]  # fmt: skip
    yield say(
        "Of each patient, {pick} {row}{of_which} gives day 0: its {column}.",
        "每名患者{pick}{measure}{row}{of_which}，其{column}为第 0 天。",
        column=sentences.column(index.date), pick=pick, measure=say.measure("tables", index.table),
        row=say.rows(index.table, 1), of_which=of_which,
    )  # fmt: skip
    if index.per is not None:
        yield say(
            "Each {columns} of a patient has a day 0 of its own.", "同一患者的每个{columns}各有自己的第 0 天。",
            columns=say.listed(sentences.column(name) for name in index.per),
        )  # fmt: skip
    if unit == "event":
        yield say("Every such row is a unit of its own.", "每条这样的记录自成一个统计单位。")
    yield say(
        "Days are counted on true dates; a row without a date lies in no window; months are those of the calendar.",
        "天数按真实日期计算；没有日期的记录不在任何时间窗内；月按日历月计算。",
    )


def concept_lines(sentences: Sentences, name: str, concept: Concept) -> Iterator[str]:
    """What a text must say for a concept."""
    say = sentences.tongue
    yield say("{name}: any of {patterns}", "{name}：出现以下任意一种写法：{patterns}", name=name,
              patterns=say("  ", "  ").join(concept.any))  # fmt: skip
    if concept.unless:
        yield say("   unless it is part of {patterns}", "   但属于以下写法的除外：{patterns}",
                  patterns="  ".join(concept.unless))  # fmt: skip
    if concept.sections:
        where = say.listed((say.word("sections", one) for one in concept.sections), joint="or")
        yield say("   in the section {where}", "   限于段落：{where}", where=where)
    counted = say.word("assertions", concept.assertion)
    yield say("   counts where it is {counted}", "   计入：{counted}", counted=counted)
    if concept.lang:
        langs = say.listed(say.word("languages", one) for one in concept.lang)
        yield say("   only reports in {langs}", "   仅查{langs}报告", langs=langs)


def parameter_line(sentences: Sentences, name: str, parameter: Parameter) -> str:
    """A parameter and the value that it has."""
    say = sentences.tongue
    is_plain = parameter.type in {"date", "duration"}
    shown = str(parameter.default) if is_plain else say.value(parameter.default)
    value = say("no value yet", "尚未赋值") if parameter.default is None else shown
    line = f"{name} ({say.word('types', parameter.type)}): {value}"
    if parameter.choices is not None:
        line += say(", one of {choices}", "，可选：{choices}",
                    choices=say.listed(map(say.value, parameter.choices), joint="or"))  # fmt: skip
    return f"{line} - {parameter.help}" if parameter.help else line
