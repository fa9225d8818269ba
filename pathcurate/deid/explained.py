"""What a profile does, in words and for one workspace in numbers, from the code that does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pathcurate.engines import Engine
from pathcurate.model.catalog import CATALOG_TABLES
from pathcurate.model.column import Action, Table
from pathcurate.model.deidentified import SCRUBBED
from pathcurate.model.link import LINKS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.profile import Coarse, Profile
from pathcurate.profiles import load_profile, read_profile
from pathcurate.relations import relation
from pathcurate.scrubbers import table as scrubber
from pathcurate.scrubbers.table import Language, PlannedColumn
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace

DEFAULT = "default"
"""The profile of a workspace that names none."""
_DERIVED: Mapping[str, str] = {
    "cases": "one row of each case, from the de-identified report that stands for it, with counts of reports and slides",
    "patients": "one row of each person, from the rows of cases",
}
_USED = (LINKS, PERSONS, IDENTITIES, PERMISSIONS)

_SHARING: Mapping[str, Mapping[Language, str]] = {
    "public": {"en": "for everybody", "zh": "完全公开共享"},
    "agreement": {"en": "for partners by agreement", "zh": "受控公开共享"},
    "enclave": {"en": "for users of an enclave", "zh": "领地公开共享"},
    "internal": {"en": "for nobody outside", "zh": "不对外共享"},
}
_NAMES: Mapping[str, Mapping[Language, str]] = {
    "tag": {"en": "a name becomes a tag", "zh": "姓名替换为标记"},
    "surrogate": {
        "en": "a name becomes a made-up one, the same wherever the person is meant",
        "zh": "姓名替换为虚构姓名，同一人处处一致",
    },
}
_DATES: Mapping[str, Mapping[Language, str]] = {
    "shift": {
        "en": "a date moves as in the columns; an age below 90 stays as written",
        "zh": "日期与各列同样平移；90 岁以下年龄保留原文",
    },
    "drop": {
        "en": "a date becomes a tag; an age below 90 stays as written",
        "zh": "日期替换为标记；90 岁以下年龄保留原文",
    },
}
_COLUMN_DATES: Mapping[str, Mapping[Language, str]] = {
    "moved": {
        "en": "moved, and no true year beside them: together they would narrow down by how much",
        "zh": "平移后显示，不同时给出真实年份，以免推算偏移量",
    },
    "true": {
        "en": "true years, and no moved day beside them: together they would narrow down by how much days are moved",
        "zh": "显示真实年份，不同时给出平移后的日期，以免推算偏移量",
    },
    "none": {"en": "none is shown", "zh": "均不显示"},
}


def explain(profile: Profile | None = None, language: Language = "en") -> list[str]:
    """What a profile does, one sentence each: in all, to texts, to dates, for small groups, and to each column.

    Args:
        profile: the profile; None for the shipped ``default``.
        language: of the sentences.
    """
    profile = profile or read_profile(DEFAULT, Path())
    columns = [sentence for table in SCRUBBED.values() for sentence in scrubber.explain(table, profile, language)]
    title = getattr(profile.title, language)
    if language == "zh":
        return [
            f"方案 {profile.name}：{title}，{_SHARING[profile.sharing][language]}",
            f"文本：{_texts(profile, language)}",
            f"日期：{_dates(profile, language)}",
            f"披露：{_groups_zh(profile)}",
            *columns,
        ]
    return [
        f"profile {profile.name}: {title}, {_SHARING[profile.sharing][language]}",
        f"texts: {_texts(profile, language)}",
        f"dates: {_dates(profile, language)}",
        f"disclosure: {_groups(profile)}",
        *columns,
    ]


def _texts(profile: Profile, language: Language) -> str:
    texts = profile.texts
    if not texts.released:
        return {"en": "no release holds any", "zh": "发布版不含文本"}[language]
    opening, comma = {"en": ("a release may hold them scrubbed", "; "), "zh": ("发布版可含脱敏文本", "；")}[language]
    return comma.join((opening, _NAMES[texts.names][language], _DATES[texts.dates][language]))


def _dates(profile: Profile, language: Language) -> str:
    done = list(profile.treatments().values())
    if any(treatment.action is Action.SHIFT for treatment in done):
        return _COLUMN_DATES["moved"][language]
    true = any(treatment.coarse in {Coarse.YEAR, Coarse.QUARTER} for treatment in done)
    return _COLUMN_DATES["true" if true else "none"][language]


def _groups(profile: Profile) -> str:
    if profile.k is None:
        return "no least number of persons is asked for"
    most = "" if profile.most_suppressed is None else f"; at most {profile.most_suppressed:.0%} of persons lose rows"
    return f"at least {profile.k} persons share each combination of quasi-identifiers{most}"


def _groups_zh(profile: Profile) -> str:
    if profile.k is None:
        return "不要求最小人数"
    most = "" if profile.most_suppressed is None else f"；为此最多涉及 {profile.most_suppressed:.0%} 的人员的行被删去"
    return f"每个准标识符组合至少 {profile.k} 人{most}"


def plan(workspace: Workspace, engine: Engine) -> list[PlannedColumn]:
    """What ``apply`` will do to each column of the catalog under the workspace's profile, also where no rule covers it.

    Args:
        workspace: the workspace.
        engine: counts the values.
    """
    catalog, profile = Catalog(workspace.catalog), load_profile(workspace)
    planned: list[PlannedColumn] = []
    for table in SCRUBBED.values():
        rows, values = _values(catalog, engine, table)
        planned += scrubber.plan(table, profile, values, catalog.columns(table), rows)
    return planned


@dataclass(frozen=True, slots=True)
class PlannedTables:
    """What happens to whole tables.

    Attributes:
        derived: tables of ``deid/`` that no table of the catalog has, and what each is made of.
        used: tables of the catalog that say whose the rows of others are; nothing of them is shown but codes.
        not_read: tables of the catalog that have rows and of which nothing is read.
    """

    derived: Mapping[str, str]
    used: tuple[str, ...]
    not_read: tuple[str, ...]


def planned_tables(workspace: Workspace) -> PlannedTables:
    """What ``apply`` does with the tables that :func:`plan` has no columns of."""
    catalog = Catalog(workspace.catalog)
    there = {table.name for table in CATALOG_TABLES if catalog.snapshot(table) is not None}
    used = tuple(table.name for table in _USED if table.name in there)
    return PlannedTables(_DERIVED, used, tuple(sorted(there - {*used, *SCRUBBED})))


def _values(catalog: Catalog, engine: Engine, table: Table) -> tuple[int, dict[str, int]]:
    """How many rows there are, and how many of them have a value in each column."""
    counted = ", ".join(f'count("{name}")' for name in table.names)
    ((rows, *values),) = engine.rows(f"SELECT count(*), {counted} FROM {relation(engine, catalog, table)}")
    return rows, dict(zip(table.names, values, strict=True))


def unruled(catalog: Catalog) -> list[str]:
    """Columns in the catalog's files that no declaration covers, as ``table.column``."""
    return [
        f"{name}.{column}"
        for name, table in SCRUBBED.items()
        for column in sorted(catalog.columns(table) - set(table.names))
    ]
