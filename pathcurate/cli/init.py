"""``pathcurate init``."""

import json
import shlex
import shutil
from pathlib import Path

import click

from pathcurate.cli.session import Session, count_lines, output_options

_TEMPLATE = """\
# A pathcurate workspace. Unknown keys are errors, with file, line and column.
workspace: 1
name: {name}
sites:
  - code: NB01                            # short code of the institution; scopes every number
    name: 示例市病理诊断中心
    archives:
      - {{name: main, root: slides}}        # directory of slides; relative to this file, or absolute
    reports:
      - {{path: "lis/*.csv"}}               # laboratory export; a mapping file can name its columns
# permissions:
#   - {{path: consent.csv}}                 # consent list; without one, releases need --no-permissions
"""


@click.command("init")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--demo", is_flag=True, help="Add a made-up hospital: slides, reports, consents, recipes.")
@output_options
def command(session: Session, directory: Path, *, demo: bool) -> None:
    """Make a workspace in DIRECTORY.

    \b
    Example:
      pathcurate init --demo hospital
    """
    from pathcurate.errors import UsageError
    from pathcurate.resources import shipped
    from pathcurate.workspace import WORKSPACE_FILE

    directory = directory.resolve()
    if (directory / WORKSPACE_FILE).exists():
        raise UsageError(f"{directory} is a workspace already", "Choose another directory; nothing was changed.")
    directory.mkdir(parents=True, exist_ok=True)
    if demo:
        from pathcurate.demo.hospital import make_hospital

        if any(directory.iterdir()):
            raise UsageError(f"{directory} is not empty", "Choose a new directory for the made-up hospital.")
        session.say("Painting slides and writing reports …")
        hospital = make_hospital(directory)
        counts = {
            "slides": hospital.slides,
            "reports": hospital.reports,
            "cases": hospital.cases,
            "patients": hospital.patients,
            "events": hospital.events,
        }
    else:
        (directory / WORKSPACE_FILE).write_text(
            _TEMPLATE.format(name=json.dumps(directory.name or "root")), encoding="utf-8"
        )
        counts = {}
    recipes = shipped("recipes")
    wanted = {source: source.relative_to(recipes) for form in ("*.yaml", "codelists/*.csv") for source in recipes.glob(form)}
    wanted[shipped("schemas") / "recipe-v1.schema.json"] = Path("recipe-v1.schema.json")
    for source, name in sorted(wanted.items()):
        target = directory / "recipes" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(source, target)
    session.show(
        {"workspace": str(directory), "counts": counts},
        [
            f"{directory} is a workspace" + (" with a made-up hospital:" if demo else "."),
            *count_lines(counts),
            f"Next: {_next(directory, demo=demo)}",
        ],
    )


def _next(directory: Path, *, demo: bool) -> str:
    if not demo:
        file = directory / "pathcurate.yaml"
        return f"name archives and exports in {file}; `pathcurate doctor` says what is missing, then `pathcurate scan`."
    quoted = shlex.quote(str(directory))
    return f"pathcurate run {quoted}/recipes/demo_he_2023.yaml -w {quoted}"
