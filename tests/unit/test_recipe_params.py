"""Parameters: whole values that keep their type, their place in the file, and what a run may set."""

from pathlib import Path

import pytest

from pathcurate.errors import RecipeError, UsageError
from pathcurate.model.recipe import AnyOf, Range, Window
from pathcurate.recipefile import RecipeSource, load_recipe

TEXT = """\
recipe: 1
name: r
version: 1.0.0
title: "${what}"
params:
  what: {type: text, default: 切片 2}
  since: {type: date, default: 2012-01-01, help: first day}
  least: {type: number, default: 0.2}
  wide: {type: int, default: 1000, choices: [1000, 2000]}
  control: {type: bool, default: false}
  before: {type: duration, default: -90d}
  stain: {type: text, default: HE, choices: [HE, PAS]}
unit: slide
x-shared: &where {stain: {any_of: ["${stain}", "IHC:Ki-67"]}}
index: {table: reports, date: reported_date}
concepts: {end: {any: ['cell${1}x', "${what}"]}}
include:
- {id: a, level: slide, where: {scan_datetime: {min: "${since}"}, mpp: {min: "${least}"}, is_control: "${control}"}}
- {id: b, level: slide, where: {width: {max: "${wide}"}}}
- {id: c, level: slide, where: *where}
- {id: d, level: case, has: {table: reports, within: {from: "${before}", to: 0d}}}
exclude:
- {id: e, level: slide, where: *where}
columns: [slide_id]
"""


def load(text: str = TEXT, **parameters: str) -> RecipeSource:
    return load_recipe(Path("r.yaml"), text=text, parameters=parameters)


def refused(text: str, **parameters: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(text, **parameters)
    return [line.removeprefix("r.yaml:") for line in caught.value.message.splitlines() if " error: " in line]


def test_a_parameter_keeps_its_type() -> None:
    recipe = load().recipe
    a, b, c, d = recipe.include
    assert recipe.title == "切片 2"
    assert a.where is not None
    assert b.where is not None
    assert d.has is not None
    assert str(a.where["scan_datetime"].min) == "2012-01-01"  # type: ignore[union-attr]
    assert a.where["mpp"] == Range(min=0.2)
    assert a.where["is_control"] is False
    assert b.where == {"width": Range(max=1000)}
    assert c.where == recipe.exclude[0].where == {"stain": AnyOf(any_of=("HE", "IHC:Ki-67"))}
    assert d.has.within == Window.model_validate({"from": "-90d", "to": "0d"})
    assert recipe.concepts is not None
    assert recipe.concepts["end"].any == ("cell${1}x", "切片 2")


def test_a_run_sets_parameters_and_the_recipe_says_which() -> None:
    source = load(since="2020-02-29", least=".25", wide="2000", control="true", before="-2y", what="x")
    assert source.recipe.params is not None
    values = {name: parameter.default for name, parameter in source.recipe.params.items()}
    assert values == {
        "what": "x", "since": "2020-02-29", "least": 0.25, "wide": 2000, "control": True, "before": "-2y", "stain": "HE",
    }  # fmt: skip
    assert source.sha256 != load().sha256
    assert source.sha256 == load(source.canonical.decode()).sha256
    assert load(since="2012-01-01").sha256 == load().sha256


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sinse": "2020-01-01"}, "the recipe has no parameter of this name; did you mean `since`?"),
        ({"since": "2021-02-29"}, "a parameter of type date is a day of the calendar such as 2020-01-31"),
        ({"since": "20200101"}, "a parameter of type date is a day of the calendar such as 2020-01-31"),
        ({"wide": "1e3"}, "a parameter of type int is a whole number such as 2000"),
        ({"wide": "9223372036854775808"}, "a parameter of type int is a whole number such as 2000"),
        ({"wide": "1500"}, "not one of the choices; did you mean `1000`?"),
        ({"least": "inf"}, "a parameter of type number is a number such as 0.25"),
        ({"least": "９"}, "a parameter of type number is a number such as 0.25"),
        ({"control": "yes"}, "a parameter of type bool is true or false"),
        ({"before": "90"}, "a parameter of type duration is a duration such as 90d, -2w, 24mo or 5y"),
        ({"stain": "he"}, "not one of the choices; did you mean `HE`?"),
        ({"what": ""}, "a parameter of type text is text, in quotes where it looks like a number"),
        ({"what": "a\x1b[2Jb"}, "a parameter of type text is text, in quotes where it looks like a number"),
    ],
)
def test_what_a_run_may_not_set(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(**parameters)
    ((name, value),) = parameters.items()
    assert caught.value.message == f"--param {name}={value.replace(chr(27), chr(0xFFFD))}: error: {message}"


def test_what_is_wrong_with_declarations_and_uses_is_said_at_once() -> None:
    head = "recipe: 1\nname: ${a}\nversion: 1.0.0\ntitle: t ${a}\nunit: slide\ncolumns: [slide_id]\n"
    params = (
        "params:\n  a: {type: text, default: 5}\n  b: {type: date, default: 2012-02-30}\n  c: {type: int}\n"
        "  d: {type: colour, default: 1}\n  e: {type: int, default: 3, choices: [1, two]}\n"
        '  f: {type: text, default: "${a}"}\n'
    )
    uses = (
        'owner: "${aa}"\ninclude:\n- {id: x, level: slide, where: {width: "${c}", mpp: {min: "${d}"}}}\n'
        '- {id: y, level: slide, where: {width: "$(c)", stain: "${ a }"}}\n'
    )
    assert refused(head + params + uses, f="x", g="y") == [
        "--param g=y: error: the recipe has no parameter of this name",
        "2:7: error: a parameter cannot stand in `name`",
        "4:8: error: `${a}` is replaced only where it is the whole value, not inside longer text",
        "8:28: error: a parameter of type text is text, in quotes where it looks like a number",
        "9:28: error: a parameter of type date is a day of the calendar such as 2020-01-31",
        "10:3: error: parameter `c` has no default, so each run must set it: --param c=…",
        "11:13: error: Input should be 'text', 'int', 'number', 'bool', 'date' or 'duration' (got \"colour\")",
        "12:27: error: not one of the choices; they are 1, two",
        "12:43: error: a parameter of type int is a whole number such as 2000",
        "13:28: error: a parameter's default cannot be another parameter",
        "14:8: error: unknown parameter `aa`; did you mean `a`?",
        "17:55: error: unknown parameter ` a `; did you mean `a`?",
    ]


def test_a_value_that_does_not_fit_is_shown_where_it_is_used_and_what_it_is() -> None:
    text = TEXT.replace("width: {max", "scan_datetime: {max").replace("HE, choices: [HE, PAS]", "PASS")
    assert refused(text) == [
        '14:36: error: `PASS` is not a value of column `stain`; did you mean `PAS`? (parameter `stain` is "PASS")',
        "19:54: error: column `scan_datetime` is a date: write one such as 2020-01-31 (parameter `wide` is 1000)",
    ]


def test_a_recipe_without_parameters_says_so() -> None:
    text = 'recipe: 1\nname: r\nversion: 1.0.0\ntitle: "${t}"\nunit: slide\ncolumns: [slide_id]\n'
    assert refused(text) == ["4:8: error: unknown parameter `t`; the recipe has no `params`"]
    with pytest.raises(UsageError, match="the recipe has no parameter of this name; it has none"):
        load(text.replace('"${t}"', "t"), t="x")


def test_a_broken_recipe_is_the_greater_fault() -> None:
    text = TEXT.replace("width", "widht").replace('scan_datetime: {min: "${since}"}', 'scan_datetime: "${since}"')
    found = refused(text, since="x")
    assert found == [
        "--param since=x: error: a parameter of type date is a day of the calendar such as 2020-01-31",
        "19:33: error: unknown column `widht` in table slides; did you mean `width`?",
    ]
