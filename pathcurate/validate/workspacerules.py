"""A workspace: what its file names is there, its products and recipes are of their form, and its rights have not ended."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from pathcurate.errors import InputOutputError, RecipeError, UsageError
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.productfile import load_product_file
from pathcurate.recipefile import load_recipe
from pathcurate.rights import standings
from pathcurate.validate.breaches import breach
from pathcurate.validate.expiry import judged
from pathcurate.workspace import WORKSPACE_FILE, Workspace, load_workspace


def check(file: Path, today: date | None) -> Iterator[Breach | Unchecked]:
    """What is wrong with a workspace.

    Raises:
        UsageError: its file is broken.
    """
    workspace = load_workspace(file)
    yield from _archives(workspace)
    yield from _sources(workspace)
    yield from _mappings(workspace)
    for source in workspace.permissions:
        if not source.path.is_file():
            yield breach("PC-WSP-003", f"permission list {source.path.name} is missing")
    if not workspace.permissions:
        yield breach("PC-WSP-004", "no permission list is configured")
    yield from _products(workspace)
    yield from _recipes(workspace)
    yield from _authorisations(workspace)
    yield from _rights(workspace, today)


def _archives(workspace: Workspace) -> Iterator[Breach]:
    for site in workspace.sites:
        for archive in site.archives:
            if isinstance(archive.root, Path) and not archive.root.is_dir():
                yield breach("PC-WSP-001", f"the root of archive {archive.name} of site {site.code} is no directory")


def _sources(workspace: Workspace) -> Iterator[Breach]:
    for site in workspace.sites:
        for kind, sources in (("a report", site.reports), ("an event", site.events)):
            for source in sources:
                if not source.path.files():
                    yield breach("PC-WSP-002", f"{kind} source of site {site.code} matches no file")


def _mappings(workspace: Workspace) -> Iterator[Breach]:
    mappings = [
        (f"{kind} source of site {site.code}", source.mapping)
        for site in workspace.sites
        for kind, sources in (("report", site.reports), ("event", site.events))
        for source in sources
    ]
    mappings += [("permission list", source.mapping) for source in workspace.permissions]
    for whose, mapping in mappings:
        if mapping is not None and not mapping.is_file():
            yield breach("PC-WSP-005", f"mapping {mapping.name} of a {whose} is missing")


def _products(workspace: Workspace) -> Iterator[Breach | Unchecked]:
    files = sorted((workspace.root / "products").glob("*.yaml"))
    if not files:
        yield Unchecked(("PC-WSP-006",), "there is no file below products/", applies=False)
    for file in files:
        try:
            product = load_product_file(file)
        except UsageError:
            yield breach("PC-WSP-006", f"products/{file.name} is not of its form", file=f"products/{file.name}")
            continue
        if product.name != file.stem:
            yield breach("PC-WSP-006", f"products/{file.name} is of product {product.name}", file=f"products/{file.name}")


def _recipes(workspace: Workspace) -> Iterator[Breach | Unchecked]:
    """Recipes that a run could be given; what others extend needs not be one alone."""
    files = sorted((workspace.root / "recipes").glob("*.yaml"))
    if not files:
        yield Unchecked(("PC-RCP-001",), "there is no file below recipes/", applies=False)
    for file in files:
        try:
            load_recipe(file)
        except RecipeError:
            message = f"recipes/{file.name} cannot be read as a recipe; `pathcurate recipe check` shows where"
            yield breach("PC-RCP-001", message, file=f"recipes/{file.name}")


def _authorisations(workspace: Workspace) -> Iterator[Breach | Unchecked]:
    """Whether each site has its document: the day does not matter here, `_rights` looks at that."""
    if not any(site.rights is not None for site in workspace.sites):
        yield Unchecked(("PC-WSP-007",), f"{WORKSPACE_FILE} names no rights of any site", applies=False)
        return
    try:
        known = standings(workspace, date.min)
    except InputOutputError as error:
        yield breach("PC-WSP-007", error.message)
        return
    for code, standing in known.items():
        if standing.authorisation is None and not standing.is_withdrawn:
            yield breach("PC-WSP-007", f"rows of site {code} cannot be built in: {standing.fault}")


def _rights(workspace: Workspace, today: date | None) -> Iterator[Breach | Unchecked]:
    if today is None:
        yield Unchecked(("PC-EXP",), "nobody said which day it is")
        return
    ends = {site.code: site.rights.valid_until for site in workspace.sites if site.rights is not None}
    if not any(ends.values()):
        yield Unchecked(("PC-EXP",), f"{WORKSPACE_FILE} names no last day of rights", applies=False)
    for code, until in ends.items():
        if until is not None:
            yield from judged("PC-EXP-003", f"the authorisation of site {code}", until, today)
