"""The rules by which files are scrubbed: the shipped ones, a YAML file for each format, and what a site says otherwise."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.model.filerule import FileRule, FileRules, FormatRules, RulePack, SiteRulesFile, folded
from pathcurate.yamlsource import Document, Problem, did_you_mean

_DIRECTORY = Path(__file__).parent


def format_names() -> list[str]:
    """Formats that there are rules for."""
    return sorted(path.stem for path in _DIRECTORY.glob("*.yaml"))


def title_of(format_: str) -> dict[str, str]:
    """The title of a format's rules, by language."""
    return {str(language): text for language, text in _shipped(format_).title.items()}


def load_rules(site_file: Path | None = None) -> dict[str, FileRules]:
    """The rules of every format.

    Args:
        site_file: a file of the workspace that says otherwise; its rules win.

    Raises:
        UsageError: the file is missing or at fault; every fault is named with its place.
    """
    own: Mapping[str, FormatRules] = {}
    if site_file is not None:
        document = yamlsource.load(site_file, str(site_file), UsageError)
        own = yamlsource.validate(document, SiteRulesFile, UsageError).formats
        yamlsource.fail(document, list(_problems(document, own)), UsageError)
    return {name: _joined(_shipped(name), own.get(name)) for name in format_names()}


@cache
def _shipped(format_: str) -> RulePack:
    file = _DIRECTORY / f"{format_}.yaml"
    document = yamlsource.load(file, file.name, UsageError)
    pack = yamlsource.validate(document, RulePack, UsageError)
    yamlsource.fail(document, list(_repeated(document, pack, ())), UsageError)
    return pack


def _problems(document: Document, own: Mapping[str, FormatRules]) -> Iterator[Problem]:
    known = format_names()
    for name, rules in own.items():
        path = ("formats", name)
        if name not in known:
            guess = did_you_mean(name, known) or f"; known: {', '.join(known)}"
            yield document.problem(path, f"there are no rules for a format `{name}`{guess}", key=True)
            continue
        shipped = _shipped(name)
        for table in rules.tables:
            if table not in shipped.tables:
                guess = did_you_mean(table, shipped.tables) or f"; known: {', '.join(shipped.tables)}"
                yield document.problem((*path, "tables", table), f"`{name}` has no table `{table}`{guess}", key=True)
        for option in rules.options:
            if option not in shipped.options:
                guess = did_you_mean(option, shipped.options) or f"; known: {', '.join(shipped.options) or 'none'}"
                yield document.problem((*path, "options", option), f"`{name}` has no option `{option}`{guess}", key=True)
        yield from _repeated(document, rules, path)


def _repeated(document: Document, rules: FormatRules, path: tuple[str, ...]) -> Iterator[Problem]:
    for table, given in rules.tables.items():
        seen: dict[str, str] = {}
        for name, deed, _ in given.rules():
            if (before := seen.setdefault(folded(name), deed)) != deed:
                yield document.problem(
                    (*path, "tables", table, deed), f"`{name}` stands under `{before}` and `{deed}`", key=True
                )


def _joined(shipped: RulePack, own: FormatRules | None) -> FileRules:
    tables: dict[str, dict[str, FileRule]] = {}
    for rules, is_of_site in ((shipped, False), (own, True)):
        for table, given in (rules.tables if rules else {}).items():
            into = tables.setdefault(table, {})
            into.update({folded(name): FileRule(name, deed, about, is_of_site) for name, deed, about in given.rules()})
    options: dict[str, Any] = {**shipped.options, **(own.options if own else {})}
    spoken = {
        "tables": {name: {key: [rule.deed, rule.about] for key, rule in rules.items()} for name, rules in tables.items()},
        "options": options,
    }
    text = json.dumps(spoken, sort_keys=True, ensure_ascii=False, default=list)
    return FileRules(shipped.format, hashlib.sha256(text.encode()).hexdigest()[:16], tables, options)
