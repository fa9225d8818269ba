"""Recipes to begin with: a blank one with every section explained, and the shipped ones under another name."""

import re
from pathlib import Path

from pathcurate.errors import UsageError
from pathcurate.recipefile import load_recipe
from pathcurate.resources import shipped

SCHEMA_FILE = "recipe-v1.schema.json"
BLANK = "blank"
_NAME = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
_MODELINE = "# yaml-language-server: $schema="


def template_names() -> tuple[str, ...]:
    """The blank recipe, and the shipped ones by name."""
    return (BLANK, *sorted(path.stem for path in shipped("recipes").glob("*.yaml")))


def schema() -> bytes:
    """The JSON Schema of recipes."""
    return (shipped("schemas") / SCHEMA_FILE).read_bytes()


def written(file: Path, template: str) -> dict[Path, bytes]:
    """What a new recipe consists of: the recipe, the files that its template reads, and the schema beside it.

    Raises:
        UsageError: the file's name is no name for a recipe.
    """
    name = file.stem
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"`{name}` is no name for a recipe", "Name the file with 1 to 64 of a-z, 0-9 and _, such as lung_he.yaml."
        )
    path = Path(__file__).with_name("blank_recipe.yaml") if template == BLANK else shipped("recipes") / f"{template}.yaml"
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(_MODELINE)]
    body = re.sub(r"(?m)^name:.*$", f"name: {name}", "\n".join(lines), count=1)
    body = re.sub(r"(?m)^version:.*$", "version: 0.1.0", body, count=1)
    recipe = f"{_MODELINE}./{SCHEMA_FILE}\n{body}\n"
    others = [] if template == BLANK else [one for one in load_recipe(path).files if one != path.name]
    beside = {file.parent / one: (path.parent / one).read_bytes() for one in others}
    return {file: recipe.encode(), **beside, file.parent / SCHEMA_FILE: schema()}
