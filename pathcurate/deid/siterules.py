"""What scrubbing the texts of a site must know: its own names, its staff, and what its reviewers decided."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.model.report import REPORTS
from pathcurate.model.text import TEXT_DECISIONS
from pathcurate.scrubbers.text.values import SiteRules
from pathcurate.tables import Catalog
from pathcurate.workspace import Site, Workspace

_STAFF_COLUMNS = ("pathologist", "reviewer", "submitting_doctor")
# A column of doctors holds wards, lists and remarks too; a name has no more signs.
_LONGEST_NAME = 24
_Words = tuple[Annotated[str, StringConstraints(min_length=2, max_length=200)], ...]


class SiteWords(BaseModel):
    """A site's file of words.

    Attributes:
        words: version of this file.
        hospitals: the site's own names and short forms; they become its code.
        staff: names of its staff that no column of its reports gives.
        remove: what goes wherever it stands.
        keep: what no rule takes out, but for known values of the report itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, title="site words")

    words: Annotated[int, Field(ge=1, le=1)]
    hospitals: _Words = ()
    staff: _Words = ()
    remove: _Words = ()
    keep: _Words = ()


def read_words(file: Path) -> SiteWords:
    """Read a site's file of words.

    Raises:
        UsageError: with all problems and where they are.
    """
    # Its name only: the folder may be anybody's.
    document = yamlsource.load(file, file.name, UsageError)
    return yamlsource.validate(document, SiteWords, UsageError, context={"base": file.parent})


def site_rules(workspace: Workspace, catalog: Catalog) -> tuple[SiteRules, ...]:
    """The rules of every site, in the workspace's order.

    Raises:
        UsageError: a site's file of words is broken.
    """
    staff = _staff(catalog)
    decided = _decided(catalog)
    return tuple(_rules(site, staff.get(site.code, ()), decided) for site in workspace.sites)


def _rules(site: Site, staff: tuple[str, ...], decided: Mapping[tuple[str, str], tuple[str, ...]]) -> SiteRules:
    words = read_words(site.words) if site.words is not None else SiteWords(words=1)
    own = (site.name,) if site.name else ()

    def all_of(decision: str, *given: str) -> tuple[str, ...]:
        return tuple(sorted({*given, *decided.get((site.code, decision), ())}))

    return SiteRules(
        site=site.code,
        hospitals=all_of("hospital", *own, *words.hospitals),
        staff=all_of("staff", *staff, *words.staff),
        remove=all_of("remove", *words.remove),
        keep=all_of("keep", *words.keep),
        accession_patterns=site.accession.patterns,
    )


def _staff(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """Everybody whom a site's reports name as staff."""
    data = catalog.read(REPORTS, columns=("site", *_STAFF_COLUMNS))
    found: dict[str, set[str]] = {}
    for name in _STAFF_COLUMNS:
        # Distinct first: a site has hundreds of doctors and millions of reports.
        for row in data.group_by(["site", name]).aggregate([]).to_pylist():
            if row[name] and len(row[name]) <= _LONGEST_NAME:
                found.setdefault(row["site"], set()).add(row[name])
    return {site: tuple(sorted(names)) for site, names in found.items()}


def _decided(catalog: Catalog) -> dict[tuple[str, str], tuple[str, ...]]:
    decided: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in catalog.read(TEXT_DECISIONS).sort_by("word").to_pylist():
        key = (row["site"], row["decision"])
        decided[key] = (*decided.get(key, ()), row["word"])
    return decided
