"""What becomes of those who are kept, in words: labels, sample, split, tables, disclosure, expectations."""

from collections.abc import Iterator

from pathcurate.model.recipe import (
    AnyOf,
    Balance,
    Between,
    Cap,
    Condition,
    Disclosure,
    Expect,
    Label,
    Output,
    Rows,
    Sample,
    Sealed,
    Split,
    Where,
)
from pathcurate.recipewords.conditions import Sentences
from pathcurate.recipewords.criteria import OF_PATIENTS
from pathcurate.recipewords.tongue import Tongue


def label_lines(sentences: Sentences, label: Label) -> Iterator[str]:
    """What a label is true of, where it comes from, and what happens where that is unclear."""
    say, recipe = sentences.tongue, sentences.recipe
    columns = say.listed(map(say.quoted, recipe.label_column(label)))
    yield say("{name} ({columns}), true of each {level}", "{name}（{columns}），以{level}为单位判定",
              name=label.name, columns=columns, level=say.word("levels", label.level))  # fmt: skip
    yield f"   {_source(sentences, label)}"
    for name, condition in (label.classes or {}).items():
        yield say("   {name}: its value {is_so}", "   {name}：取值{is_so}", name=name, is_so=_values(sentences, condition))
    if label.has is not None:
        return  # such a label has a value always, and one only
    conflict = {
        "drop": say("the unit is left out", "剔除该统计单位"),
        "latest": say("what the latest report says is taken", "以最新报告为准"),
        "error": say("the run stops", "中止运行"),
    }[label.on_conflict]
    missing = {"pass": say("kept", "保留"), "fail": say("left out", "剔除")}[label.if_missing]
    yield say("   Where rows disagree: {conflict}. A unit without a label is {missing}.",
              "   各记录不一致时：{conflict}。没有标签的统计单位：{missing}。",
              conflict=conflict, missing=missing)  # fmt: skip


def _source(sentences: Sentences, label: Label) -> str:
    say = sentences.tongue
    table, _, column = (label.column or "annotations.label").partition(".")
    clauses = _whose(sentences, label.where or {}, table)
    rows = say(", of rows {clauses}", "，仅限{clauses}的记录", clauses=say.clauses(clauses)) if clauses else ""
    match label.source:
        case "column":
            return say("Taken from {column} of its {table}{rows}.", "取自其{table}的{column}{rows}。",
                       column=sentences.column(column), table=say.rows(table), rows=rows)  # fmt: skip
        case "annotations":
            return say("Taken from what was drawn on the slide{rows}.", "取自切片上的标注{rows}。", rows=rows)
        case "has" if label.has is not None:
            who = say("its patient", "其患者") if label.level in OF_PATIENTS else say("it", "其")
            rows = sentences.has(label.has)
            return say("True if {who} has {rows}, else false.", "若{who}{rows}，则为是，否则为否。", who=who, rows=rows)
        case "time_to_event" if label.time_to_event is not None:
            event, censor = label.time_to_event.event, label.time_to_event.censor
            return say(
                "Days from day 0 to the first of {event}; else to the last of {censor}.",
                "自第 0 天至首次出现的{event}的天数；未出现时至最后一次{censor}。",
                event=sentences.rows(event), censor=sentences.rows(censor),
            )  # fmt: skip
        case _:
            return _nearest(sentences, label)


def _nearest(sentences: Sentences, label: Label) -> str:
    say, nearest = sentences.tongue, label.nearest
    if nearest is None:
        raise ValueError("a label has one source")
    side = {
        "before": say("on day 0 or before it", "第 0 天或之前"),
        "after": say("on day 0 or after it", "第 0 天或之后"),
        "either": say("on either side of day 0", "第 0 天前后不限"),
    }[nearest.direction]
    rows = Rows(table=nearest.table, where=nearest.where, within=nearest.within, match=nearest.match)
    return say(
        "{column} of the row nearest to day 0, {side}, among {rows}.",
        "取距第 0 天最近（{side}）的一条记录的{column}，范围：{rows}。",
        column=sentences.column(nearest.column), side=side, rows=sentences.rows(rows),
    )  # fmt: skip


def _values(sentences: Sentences, condition: Condition) -> str:
    if isinstance(condition, AnyOf):
        say = sentences.tongue
        return say("is {values}", "为{values}", values=say.listed(map(str, condition.any_of), joint="or"))
    return sentences.predicate(condition, "")


def _whose(sentences: Sentences, where: Where, table: str) -> list[str]:
    return [
        sentences.tongue("whose {column} {predicate}", "{column}{predicate}", column=column, predicate=predicate)
        for column, predicate in sentences.where(where, table)
    ]


def sample_lines(sentences: Sentences, sample: Sample) -> Iterator[str]:
    """Caps in their order, then the balance, and what the draw hangs on."""
    say, unit = sentences.tongue, sentences.recipe.unit
    for cap in sample.per or ():
        yield _cap(say, cap, unit)
    if sample.balance is not None:
        yield _balance(say, sample.balance, unit)
    yield say("The draw hangs on the seed {seed}.", "抽取由种子{seed}决定。",
              seed=say.quoted(sample.seed if sample.seed is not None else sentences.recipe.name))  # fmt: skip


def _cap(say: Tongue, cap: Cap, unit: str) -> str:
    order = say(" (by {order})", "（按 {order} 取）", order=", ".join(cap.order)) if cap.order else ""
    return say("At most {n:,} of each {level}{order}.", "每{measure}{level}至多取{n:,} {of}{unit}{order}。",
               n=cap.max, level=say.word("levels", cap.level), measure=say.measure("levels", cap.level), order=order,
               of=say.measure("levels", unit), unit=say.word("levels", unit))  # fmt: skip


def _balance(say: Tongue, balance: Balance, unit: str) -> str:
    short = {"take_all": say("all are taken", "全部取用"), "error": say("the run stops", "中止运行")}[balance.if_short]
    return say(
        "At most {n:,} of each combination of {by}; where there are fewer, {short}.",
        "{by}的每种组合至多取{n:,} {of}{unit}；不足时{short}。",
        n=balance.max, of=say.measure("levels", unit), by=", ".join(balance.by), unit=say.word("levels", unit), short=short,
    )  # fmt: skip


def split_lines(sentences: Sentences, split: Split) -> Iterator[str]:
    """Shares, what the sides share alike, who is held out, and what stays from before."""
    say = sentences.tongue
    yield say("Whole patients go to one side: {shares}.", "以患者为整体划分：{shares}。",
              shares=say.listed(f"{side} {100 * share:g}%" for side, share in split.ratios.items()))  # fmt: skip
    if split.stratify:
        yield say("The sides are alike in {columns}.", "各部分在{columns}上分布一致。", columns=", ".join(split.stratify))
    for side, where in (split.hold_out or {}).items():
        clauses = say.clauses(_whose(sentences, where, sentences.recipe.unit_table))
        yield say("{side} is held out: everyone with a unit {clauses}.", "凡有统计单位满足“{clauses}”者，单独留作 {side}。",
                  side=side, clauses=clauses)  # fmt: skip
    if split.keep_from is not None:
        yield say("Who is in {release} keeps the side.", "已在{release}中者沿用原划分。", release=split.keep_from)
    yield say("The split hangs on the seed {seed}.", "划分由种子{seed}决定。", seed=say.quoted(sentences.recipe.seed))


_OF = {
    "of_units": ("the units themselves", "统计单位本身"),
    "of_patients": ("rows of their patients", "其患者的记录"),
    "of_cases": ("rows of their cases", "其病例的记录"),
    "of_slides": ("rows of their slides", "其切片的记录"),
}


def output_lines(sentences: Sentences, table: str, output: Output) -> Iterator[str]:
    """One table that goes out: which rows, which columns."""
    say = sentences.tongue
    default = _OF["of_units"] if table == sentences.recipe.unit_table else ("their rows", "其所属记录")
    clauses = _whose(sentences, output.where, table)
    if output.within is not None:
        clauses.append(sentences.within(output.within, None))
    clauses += sentences.matches(output.match or ())
    only = say(", {clauses}", "，{clauses}", clauses=say.clauses(clauses)) if clauses else ""
    rows = say(*(_OF[output.rows] if output.rows is not None else default))
    columns = ", ".join(output.columns)
    yield say("{table}: {rows}{only}: {columns}", "{table}：{rows}{only}：{columns}",
              table=table, rows=rows, only=only, columns=columns)  # fmt: skip


def text_lines(sentences: Sentences, texts: tuple[str, ...]) -> Iterator[str]:
    """Which texts go out."""
    say = sentences.tongue
    yield say("Scrubbed texts of their reports: {texts}.", "其报告文本（经脱敏）：{texts}。",
              texts=say.listed(say.word("texts", text) for text in texts))  # fmt: skip


def disclosure_lines(sentences: Sentences, disclosure: Disclosure) -> Iterator[str]:
    """What counts may be shown."""
    say = sentences.tongue
    yield say("Counts below {n} are not shown; others are rounded to multiples of {to}.",
              "小于{n}的计数不显示；其余取{to}的倍数。", n=disclosure.min_cell, to=disclosure.round_to)  # fmt: skip
    if disclosure.k is not None:
        yield say("At least {k:,} persons share each combination of quasi-identifiers.",
                  "每种准标识符组合至少由{k:,}人共有。", k=disclosure.k)  # fmt: skip
    if disclosure.quasi_identifiers is not None:
        yield say("These count as quasi-identifiers too: {columns}.", "以下列也按准标识符处理：{columns}。",
                  columns=", ".join(disclosure.quasi_identifiers))  # fmt: skip


def sealed_lines(sentences: Sentences, sealed: Sealed) -> Iterator[str]:
    """What is withheld, and what models are asked."""
    say = sentences.tongue
    yield say("Label `{label}` does not go out: models are scored against it, and the release commits to it ({task}).",
              "标签 `{label}` 不对外提供：用于对模型评分，发布时以带密钥摘要作出承诺（{task}）。",
              label=sealed.label, task=say.word("tasks", sealed.task))  # fmt: skip
    if sealed.positive is not None:
        yield say("A score speaks for class {name}.", "分数越高越倾向于类别 {name}。", name=sealed.positive)
    if sealed.order is not None:
        yield say("Grades, from the lowest: {names}.", "等级由低到高：{names}。", names=", ".join(sealed.order))
    if sealed.topic is not None:
        yield say("Scores are also told by {column}.", "另按{column}分别给出成绩。", column=sentences.column(sealed.topic))
    yield say("Nobody in it may be in another product that is not sealed.", "其中任何人都不得出现在其他未封存的产品中。")


def expect_lines(sentences: Sentences, expect: Expect) -> Iterator[str]:
    """What the run checks in the end."""
    say = sentences.tongue
    unit = say.word("levels", sentences.recipe.unit)
    whats = (
        (say("units ({unit})", "统计单位（{unit}）", unit=unit), expect.rows), (say("cases", "病例"), expect.cases),
        (say("patients", "患者"), expect.patients),
    )  # fmt: skip
    for what, range_ in whats:
        if range_ is not None:
            yield say("The number of {what} is {range}.", "{what}数{range}。", what=what, range=_between(say, range_))
    if expect.not_empty is not None:
        yield say("None of these is empty: {names}.", "以下各项均不为空：{names}。", names=", ".join(expect.not_empty))
    if expect.cases_file is not None:
        yield say("Cases of {file} are in or out as it says.", "{file}中的病例应如其所述纳入或排除。",
                  file=expect.cases_file)  # fmt: skip


def _between(say: Tongue, range_: Between) -> str:
    if range_.min is None:
        return say("at most {n:,}", "不超过{n:,}", n=range_.max)
    if range_.max is None:
        return say("at least {n:,}", "不少于{n:,}", n=range_.min)
    return say("from {low:,} to {high:,}", "在{low:,}至{high:,}之间", low=range_.min, high=range_.max)
