"""``pathcurate recipe new`` and ``recipe schema``."""

from pathlib import Path

import click

from pathcurate.cli.session import Session, common_options, output_options

_SCHEMA = "recipe-v1.schema.json"
_NEW = click.Path(dir_okay=False, path_type=Path)


@click.command("new")
@click.argument("file", default="recipes/new_recipe.yaml", type=_NEW)
@click.option("--template", default="blank", show_default=True, metavar="NAME", help="A shipped recipe, or `blank`.")
@common_options
def new_command(session: Session, file: Path, *, template: str) -> None:
    """Write a recipe to begin with, and its schema for editors.

    FILE names the recipe too, and nothing is overwritten. Editors with the YAML language server then complete keys, show
    what they mean and underline faults; everything lies on this machine.

    \b
    Example:
      pathcurate recipe new lung_he.yaml --template demo_he_2023
    """
    from pathcurate.errors import UsageError
    from pathcurate.recipetemplates import template_names, written
    from pathcurate.storage import write_bytes
    from pathcurate.yamlsource import did_you_mean

    if template not in template_names():
        raise UsageError(
            f"no template is called `{template}`{did_you_mean(template, template_names())}",
            f"Known templates: {', '.join(template_names())}.",
        )
    if file.suffix not in {".yaml", ".yml"}:
        raise UsageError(f"{file} does not end in .yaml", "Name the file like the recipe, such as lung_he.yaml.")
    files = written(file, template)
    if file.exists():
        raise UsageError(f"{file} is there already", "Name another file; recipes are never overwritten.")
    new = [path for path in files if not path.exists()]
    for path in new:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path.absolute(), files[path])
    names = [str(path) for path in new]
    session.show({"written": names}, [*names, f"Check it with `pathcurate recipe check {file}`."])


@click.command("schema")
@click.argument("file", required=False, type=_NEW)
@click.option("--force", is_flag=True, help="Replace a file.")
@output_options
def schema_command(session: Session, file: Path | None, *, force: bool) -> None:
    """Print the JSON Schema of recipes, or write it to FILE.

    \b
    Example:
      pathcurate recipe schema recipe-v1.schema.json
    """
    from pathcurate.errors import UsageError
    from pathcurate.recipetemplates import schema
    from pathcurate.storage import write_bytes

    content = schema()
    if file is None:
        click.echo(content.decode(), nl=False)
        return
    if file.exists() and not force and file.read_bytes() != content:
        raise UsageError(f"{file} is there already", "Name another file, or give --force to replace it.")
    write_bytes(file.absolute(), content)
    session.show({"written": str(file)}, [str(file)])
