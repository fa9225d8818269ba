"""Says in plain words, in English or Chinese, what a recipe does: every field of the recipe is spoken of."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pathcurate.model.attrition import Shown, ShownAttrition, ShownStep
from pathcurate.model.recipe import Recipe
from pathcurate.recipewords.conditions import Sentences
from pathcurate.recipewords.criteria import concept_lines, criterion_lines, index_lines, parameter_line
from pathcurate.recipewords.outcomes import (
    disclosure_lines,
    expect_lines,
    label_lines,
    output_lines,
    sample_lines,
    sealed_lines,
    split_lines,
    text_lines,
)
from pathcurate.recipewords.tongue import Language, Tongue


@dataclass(frozen=True, slots=True)
class Passage:
    """A heading and the lines beneath it."""

    heading: str
    lines: tuple[str, ...]


def explain(recipe: Recipe, language: Language = "en", *, files: Collection[str] = ()) -> tuple[Passage, ...]:
    """A resolved recipe in words, passage by passage, in the order in which it works.

    Args:
        recipe: the recipe.
        language: of the words.
        files: names of the files that it was read from.
    """
    say = Tongue(language)
    sentences = Sentences(recipe, say)
    passages = (
        Passage(f"{recipe.name} {recipe.version} - {recipe.title}", tuple(_purpose(recipe, say, files))),
        Passage(say("What is counted", "统计单位"), tuple(_unit(recipe, say))),
        Passage(say("Parameters", "参数"), tuple(
            parameter_line(sentences, name, parameter) for name, parameter in (recipe.params or {}).items())),
        Passage(say("Code lists", "代码表"), tuple(
            say("{name}: {facts}", "{name}：{facts}", name=name, facts=say("; ", "；").join(sentences.of_codelist(codelist)))
            for name, codelist in (recipe.codelists or {}).items())),
        Passage(say("What texts may say", "文本概念"), _joined(
            concept_lines(sentences, name, concept) for name, concept in (recipe.concepts or {}).items())),
        Passage(say("Day 0", "第 0 天"),
                tuple(index_lines(sentences, recipe.index, recipe.unit)) if recipe.index is not None else ()),
        Passage(say("Criteria, in their order", "入排标准（按顺序）"), _joined(
            criterion_lines(sentences, number, one) for number, one in enumerate(recipe.criteria, start=1))),
        Passage(say("Labels", "标签"), _joined(label_lines(sentences, label) for label in recipe.labels)),
        Passage(say("Sample", "抽样"), tuple(sample_lines(sentences, recipe.sample)) if recipe.sample is not None else ()),
        Passage(say("Split", "数据划分"), tuple(split_lines(sentences, recipe.split)) if recipe.split is not None else ()),
        Passage(say("What goes out", "输出内容"), (
            *_joined(output_lines(sentences, table, output) for table, output in recipe.outputs.items()),
            *(text_lines(sentences, recipe.texts) if recipe.texts is not None else ()))),
        Passage(say("Disclosure", "披露控制"), tuple(disclosure_lines(sentences, recipe.disclosure))),
        Passage(say("What is sealed", "封存内容"),
                tuple(sealed_lines(sentences, recipe.sealed)) if recipe.sealed is not None else ()),
        Passage(say("What must be true in the end", "预期"),
                tuple(expect_lines(sentences, recipe.expect)) if recipe.expect is not None else ()),
    )  # fmt: skip
    return tuple(passage for passage in passages if passage.lines)


def counts_of_last_run(attrition: ShownAttrition, language: Language = "en") -> Passage:
    """What was left after each step the last time, as it may be shown."""
    say = Tongue(language)
    heading = say("What the last run left (same recipe, same archive)", "上次运行的结果（配方与数据均未变）")
    levels = attrition.levels
    start = say("start: {left}", "起始：{left}", left=_left(say, attrition.start, levels))
    return Passage(heading, (start, *(_step(say, step, levels) for step in attrition.steps)))


def _step(say: Tongue, step: ShownStep, levels: Sequence[str]) -> str:
    # Where numbers are hidden, several steps are told of together.
    several = say(" with the steps before it, {n} together", "（与之前的步骤合计，共{n}步）", n=step.together)
    before = several if step.together > 1 else ""
    return say("{id}: dropped {dropped}{before}; left {left}", "{id}：剔除{dropped}{before}；余{left}",
               id=step.id, dropped=_count(say, step.dropped), before=before,
               left=_left(say, step.remaining, levels))  # fmt: skip


def _left(say: Tongue, counts: Mapping[str, Shown], levels: Sequence[str]) -> str:
    if all(isinstance(counts[level], str) for level in levels):
        return _count(say, counts[levels[0]])
    parts = (
        say("{count} {level}", "{word} {count}", count=_count(say, counts[level]), level=level, word=say.counted(level))
        for level in levels
    )
    return say(", ", "、").join(parts)


def _count(say: Tongue, count: Shown) -> str:
    return f"{count:,}" if isinstance(count, int) else say("withheld", "不予显示")


def _joined(parts: Iterable[Iterator[str]]) -> tuple[str, ...]:
    return tuple(line for part in parts for line in part)


def _purpose(recipe: Recipe, say: Tongue, files: Collection[str]) -> Iterator[str]:
    yield say("For: {purpose}", "用途：{purpose}", purpose=recipe.purpose)
    if recipe.owner is not None:
        yield say("Answered for by: {owner}", "负责人：{owner}", owner=recipe.owner)
    if recipe.approval is not None:
        yield say("Ethics approval: {approval}", "伦理批件：{approval}", approval=recipe.approval)
    if recipe.extends is not None:
        yield say("Builds on: {files}", "基于：{files}", files=", ".join(recipe.extends))
    if len(files) > 1:
        yield say("Read from: {files}", "读自：{files}", files=", ".join(files))


def _unit(recipe: Recipe, say: Tongue) -> Iterator[str]:
    unit = say.word("levels", recipe.unit)
    yield say("One row is one {unit}.", "每行为一{measure}{unit}。", unit=unit, measure=say.measure("levels", recipe.unit))
    yield say("Only those count whose data is permitted for this purpose on the day of the run.",
              "仅计入运行当日其数据获准用于该用途者。")  # fmt: skip
    yield say("A slide belongs to a case if their link rests on one of: {tiers}.", "切片归属病例的依据（任一）：{tiers}。",
              tiers=say("; ", "；").join(say.word("tiers", tier) for tier in recipe.links))  # fmt: skip
