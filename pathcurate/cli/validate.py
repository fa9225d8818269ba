"""``pathcurate validate``."""

from pathlib import Path

import click

from pathcurate.cli.session import Session, common_options, counted, exit_code, fail_on_option, finding_lines


@click.command("validate")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the output."
)
@fail_on_option("error")
@common_options
def command(session: Session, path: Path, *, form: str, fail_on: str) -> int:
    """Check a release, a recipe, a workspace or a table.

    Exit code 4 if a release's bytes were changed, 10 for a broken recipe, else 1 for findings.

    \b
    Example:
      pathcurate validate releases/demo_he_2023/1.0.0
    """
    from dataclasses import replace

    from pathcurate.errors import DigestMismatchError
    from pathcurate.validate import validate

    session = replace(session, as_json=session.as_json or form == "json")
    result = validate(path.absolute())
    document = {
        "path": str(path), "kind": result.kind, "checks": list(result.checks),
        "findings": [finding.as_dict() for finding in result.findings],
    }  # fmt: skip
    verdict = f"{path}: {result.kind}, {counted(len(result.checks), 'rule')}, {counted(len(result.findings), 'finding')}"
    session.show(document, [verdict, *finding_lines(result.findings, verbose=True)])
    if fail_on != "never" and any(finding.rule.startswith("PC-DIG") for finding in result.findings):
        return DigestMismatchError.exit_code
    return exit_code(result.findings, fail_on)
