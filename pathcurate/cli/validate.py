"""``pathcurate validate``."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.language import said, word
from pathcurate.cli.session import Session, common_options, counted, fail_on_option, finding_lines

if TYPE_CHECKING:
    from pathcurate.findingformats import Report
    from pathcurate.model.validation import Validation
    from pathcurate.validate import Choice

    _Parameter = click.ParamType[tuple[str, Path]]
else:
    # Older versions of click know no parameter of a type.
    _Parameter = click.ParamType

FORMATS = ("text", "json", "junit", "sarif", "github", "gitlab")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Output(_Parameter):
    """``FORMAT=FILE``."""

    name = "format=file"

    def convert(
        self, value: str | tuple[str, Path], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        if isinstance(value, tuple):
            return value
        form, _, file = value.partition("=")
        if form not in FORMATS or not file:
            self.fail(f"`{value}` is not FORMAT=FILE, FORMAT being one of {', '.join(FORMATS)}", param, ctx)
        return form, Path(file)


def _prefixes(_ctx: click.Context, _param: click.Parameter, value: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for text in value for part in text.split(",") if part.strip())


@click.command("validate")
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="Of what is printed.")
@click.option(
    "--output", "outputs", type=_Output(), multiple=True, metavar="FORMAT=FILE", help="Write the result too; repeatable."
)
@click.option("--select", multiple=True, callback=_prefixes, metavar="PREFIX,…", help="Check only rules that begin so.")
@click.option("--ignore", multiple=True, callback=_prefixes, metavar="PREFIX,…", help="Leave rules out that begin so.")
@click.option("--waivers", type=_FILE, help="YAML: what stays as it is, who answers for it, why, and until when.")
@click.option("--recipe", type=_FILE, help="The recipe's own file; findings then name its lines, not those of the lock.")
@click.option(
    "--not-run", type=click.Choice(["info", "warning", "error"]), default="warning", show_default=True,
    help="How bad it is that a rule could not be checked.",
)  # fmt: skip
@click.option("--list-rules", is_flag=True, help="Show all rules, and check nothing.")
@fail_on_option("error")
@common_options
def command(
    session: Session,
    path: Path | None,
    *,
    form: str,
    outputs: Sequence[tuple[str, Path]],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    waivers: Path | None,
    recipe: Path | None,
    not_run: str,
    list_rules: bool,
    fail_on: str,
) -> int:
    """Check a release, recipe, workspace, table or registry.

    Exit code 10 for a broken recipe; else, of what counts at --fail-on, the first of: 4 bytes or events were changed, 6
    evidence has expired, 5 the version is too small a step, 13 a disclosure rule is broken, 1 anything else. A rule that
    could not be checked is a finding of its own, PC-META-NOTRUN.

    \b
    Example:
      pathcurate validate releases/demo_he_2023/1.0.0
    """
    from pathcurate import __version__
    from pathcurate.findingformats import Report
    from pathcurate.model.finding import Severity
    from pathcurate.model.validationrules import RULES
    from pathcurate.validate import Choice, load_waivers

    if list_rules:
        _show_rules(session)
        return 0
    if path is None:
        raise click.MissingParameter(ctx=click.get_current_context(), param_hint="'PATH'", param_type="argument")
    form = "json" if session.as_json else form
    today = session.now.date()
    choice = Choice(
        select, ignore, Severity(not_run), today, load_waivers(waivers, str(waivers)) if waivers else (),
        recipe.absolute() if recipe else None, str(recipe or path), os.cpu_count() or 1,
    )  # fmt: skip
    is_for_people = form == "text" and not outputs
    validation = _validation(path, choice, is_for_people=is_for_people)
    report = Report(validation, _base(path), fail_on, __version__)
    for name, file in outputs:
        _write(file, _rendered(report, name, verbose=True))
    click.echo(_rendered(report, form, verbose=session.verbose), nl=False)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if form == "github" and summary:
        from pathcurate.findingformats.github import summary as summary_text

        with Path(summary).open("a", encoding="utf-8") as page:
            page.write(summary_text(report))
    return validation.exit_code(fail_on, RULES)


def _validation(path: Path, choice: "Choice", *, is_for_people: bool) -> "Validation":
    """The result; a broken recipe, which people are shown line by line, is a result too where a machine reads it."""
    from pathcurate.errors import RecipeError
    from pathcurate.validate import validate
    from pathcurate.validate.reciperules import broken

    try:
        return validate(path.absolute(), choice)
    except RecipeError as error:
        if is_for_people or path.suffix not in {".yaml", ".yml"}:
            raise
        return broken(error, str(path), str(path.absolute()))


def _base(path: Path) -> str:
    """The path as readers of the repository know it: from here, if it lies below."""
    folder = path.parent if path.name in {"MANIFEST.json", "pathcurate.yaml"} and path.is_file() else path
    try:
        return folder.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return folder.as_posix()


def _write(file: Path, content: str) -> None:
    from pathcurate.errors import InputOutputError
    from pathcurate.storage import write_bytes

    try:
        write_bytes(file.absolute(), content.encode())
    except OSError as error:
        raise InputOutputError(f"{file} cannot be written: {error.strerror}", "Check its folder.") from None


def _rendered(report: "Report", form: str, *, verbose: bool) -> str:
    from pathcurate.findingformats.github import annotations
    from pathcurate.findingformats.gitlab import gitlab
    from pathcurate.findingformats.junit import junit
    from pathcurate.findingformats.sarif import sarif

    writers: Mapping[str, Callable[[], str]] = {
        "text": lambda: "".join(f"{said(line)}\n" for line in _lines(report, verbose=verbose)),
        "json": lambda: _json(_document(report)),
        "junit": lambda: junit(report),
        "sarif": lambda: f"{sarif(report)}\n",
        "github": lambda: annotations(report),
        "gitlab": lambda: f"{gitlab(report)}\n",
    }
    return writers[form]()


def _json(document: Mapping[str, Any]) -> str:
    import json

    return json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n"


def _document(report: "Report") -> dict[str, Any]:
    validation = report.validation
    waived = [
        {**one.breach.as_dict(), "owner": one.waiver.owner, "reason": one.waiver.reason, "until": str(one.waiver.until)}
        for one in validation.waived
    ]
    return {
        "path": report.base, "kind": validation.kind, **(validation.facts or {}), "checks": list(validation.checks),
        "not_run": dict(validation.not_run), "inapplicable": dict(validation.inapplicable),
        "findings": [one.as_dict() for one in validation.findings], "waived": waived,
    }  # fmt: skip


def _lines(report: "Report", *, verbose: bool) -> Iterator[str]:
    from pathcurate.findingformats import location, ordered

    validation = report.validation
    counts = [counted(len(validation.checks), "rule"), counted(len(validation.findings), "finding")]
    if validation.waived:
        counts.append(f"{len(validation.waived)} waived")
    if validation.not_run:
        counts.append(f"{counted(len(validation.not_run), 'rule')} not run")
    yield f"{report.base}: {', '.join([word(validation.kind), *map(said, counts)])}"
    for breach in ordered(validation.findings):
        yield from finding_lines([breach], verbose=True)
        where = location(report, breach)
        if where.line is not None and (verbose or report.fails(breach)):
            yield f"          at {where.path}:{where.line}:{where.column or 1}"
    for one in validation.waived:
        line = next(finding_lines([one.breach], verbose=True))
        yield f"  waived {line.strip()} ({one.waiver.owner}, until {one.waiver.until}: {one.waiver.reason})"
    if verbose:
        for rule, why in validation.inapplicable.items():
            yield f"  none    {rule:<28}{why}"


def _show_rules(session: Session) -> None:
    from pathcurate.model.validationrules import RULES

    rules = [
        {
            "id": rule.id, "pack": rule.pack, "severity": str(rule.severity), "what": rule.what, "fix": rule.fix,
            "subjects": list(rule.subjects), "standards": list(rule.standards), "exit_code": rule.exit_code,
        }
        for rule in RULES.values()
    ]  # fmt: skip
    session.show({"rules": rules}, _rule_lines())


def _rule_lines() -> Iterator[str]:
    from pathcurate.model.validationrules import RULES

    for rule in RULES.values():
        yield f"{rule.id:<15} {rule.severity:<8} {rule.what}"
        yield f"{'':<25}{rule.fix}"
        standards = f"; {', '.join(rule.standards)}" if rule.standards else ""
        yield f"{'':<25}({', '.join(rule.subjects)}; exit code {rule.exit_code}{standards})"
