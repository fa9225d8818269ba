"""What the rest of the language selects from drawn tables, on every engine: day 0, sides, specimens, labels, samples.

Every case is a drawing, a recipe, and what is expected: of each unit ``kept`` or the step at which it fell (``?`` for a
missing value), after it the values of the labels in their order; then each row of another table that goes out.
"""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pathcurate.engines import Engine
from pathcurate.engines.embedded import Embedded
from pathcurate.recipefile import load_recipe

sys.path.append(str(Path(__file__).parent))

from drawn_hospital import draw, short
from judging import judge
from language_cases import CASES, SQL

HEAD = {"recipe": 1, "name": "spec", "version": "1.0.0", "title": "spec"}


def written_recipe(body: str) -> dict[str, Any]:
    """A whole recipe from the part that matters; the key of the units goes out if it does not say."""
    written = {**HEAD, "unit": "slide", **(yaml.safe_load(body) or {})}
    return written if "tables" in written else {"columns": [f"{written['unit']}_id"], **written}


def shown(value: Any) -> str:
    """A value as the expectations write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in CASES.items()])
def test_drawn_case(text: str, tmp_path: Path, each_engine: Engine) -> None:
    drawing, body, expected = text.split("---\n")
    written = written_recipe(body)
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(written, allow_unicode=True, sort_keys=False), encoding="utf-8")
    recipe = load_recipe(file).recipe
    # How it is counted on a cluster, the generated recipes show.
    judged = judge(each_engine, draw(drawing), recipe, written, SQL, is_counted=isinstance(each_engine, Embedded))
    names = [name for label in recipe.labels for name in recipe.label_column(label)]
    values = {row[f"{recipe.unit}_id"]: [shown(row[name]) for name in names] for row in judged.rows}
    lines = [" ".join([short(unit), step, *values.get(unit, ())]) for unit, step in sorted(judged.outcome.items())]
    for table, keys in sorted(judged.outputs.items()):
        lines += [" ".join([table, *(short(key) if isinstance(key, str) else str(key) for key in found)]) for found in keys]
    assert lines == expected.strip().splitlines()
