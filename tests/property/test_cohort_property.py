"""Any recipe over any small tables: every engine's SQL and a slow oracle in plain Python decide alike about everybody."""

import os
import sys
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from pathcurate.engines import Engine
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.levels import recipe_views
from pathcurate.recipefile import check_columns
from pathcurate.text.vocabulary import all_codes
from tests.spec.conftest import connect, engine  # noqa: F401 - fixtures

sys.path.append(str(Path(__file__).parents[1] / "spec"))

from drawn_hospital import Drawn
from drawn_recipes import ANSWERS, hospitals, recipes
from judging import judge

EXAMPLES = int(os.environ.get("PATHCURATE_EXAMPLES", "25"))
_CALM = settings(max_examples=EXAMPLES, derandomize=EXAMPLES == 25, deadline=None, print_blob=False,
                 suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])  # fmt: skip


def checked(written: dict[str, Any]) -> Recipe:
    recipe = Recipe.model_validate(written)
    faults = check_columns(recipe, recipe_views(has_index=recipe.index is not None), all_codes())
    assert not faults, faults
    return recipe


@_CALM
@given(hospitals(), recipes())
def test_the_embedded_engine_and_the_oracle_agree(engine: Engine, drawn: Drawn, written: dict[str, Any]) -> None:  # noqa: F811
    judge(engine, drawn, checked(written), written, ANSWERS)
