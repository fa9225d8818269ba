"""Nobody of a sealed evaluation is in a product that models may be trained on: who is in which release is kept and compared.

The vault keeps for each release whose rows it holds, by the catalog's own numbers of persons: codes would change with the
vault's key. A person counts as shared if it is the same one, or may be (its group), then or today. A release stays in this
record when its directory is gone: what was given away can be trained on for ever.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from pathcurate.errors import DisclosureRefusedError
from pathcurate.members import COLUMNS, Members, kept_members
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.benchmark import SEALED_KIND, SEPARATION_SCHEMA
from pathcurate.model.link import LINKS
from pathcurate.model.person import PERSONS
from pathcurate.model.recipe import Recipe
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import Pseudonyms, internal, product
from pathcurate.recoding.behind import Behind
from pathcurate.releases import Release, list_releases, read_release, table_parts
from pathcurate.tables import Catalog, read_parquet
from pathcurate.vault import Vault
from pathcurate.vault.rotation import retired_keys
from pathcurate.workspace import Workspace

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute
_TOLD_BY = (("patient_id", "P", "patients"), ("slide_id", "S", "slides"), ("case_id", "C", "cases"))
"""Columns of a release that tell whose its rows are: the kind of their codes, and the table of ``deid/`` that knows it."""


def members_of(workspace: Workspace, recipe: Recipe, released: pa.Table, key: bytes) -> Members:
    """Whose rows a release of a recipe holds.

    Args:
        workspace: the workspace.
        recipe: the recipe.
        released: the rows of the cohort that go out, by internal pseudonym.
        key: the vault's.
    """
    codes = internal(key).codes
    found = _persons(workspace, codes, released)
    if "slide_id" in released.column_names:
        found = _with_slides(workspace, codes, found, released.filter(released["patient_id"].is_null())["slide_id"])
    return Members(recipe.name, recipe.version, recipe.sealed is not None, found)


def demand_separate(workspace: Workspace, vault: Vault, own: Members) -> str:
    """Refuse a release that shares somebody with one of the other kind: of sealed and unsealed ones.

    Args:
        workspace: the workspace.
        vault: its vault.
        own: whose rows the release holds.

    Returns:
        What a sealed release says of it (``evaluation/separation.json``).

    Raises:
        DisclosureRefusedError: somebody is in both.
        InputOutputError: what the vault keeps of a release is damaged.
    """
    compared = list(known_members(workspace, vault, sealed=not own.is_sealed))
    groups = Catalog(workspace.catalog).read(PERSONS, columns=("person_id", "group_id"))
    for other in compared:
        if shared := _shared(own.rows, other.rows, groups):
            one, kind = ("group", "is") if shared == 1 else ("groups", "are")
            what = "a sealed evaluation" if other.is_sealed else "a product that is not sealed"
            theirs = f"{other.product} {other.version}, {what}"
            raise DisclosureRefusedError(
                f"{shared} {one} of persons of {own.product} {own.version} {kind} in {theirs}",
                "A model that was trained on somebody cannot be judged on them. Leave them out by a criterion that holds "
                "for one of the two only, such as a site or the year of receipt that the other recipe excludes.",
            )
    products = {other.product for other in compared}
    return json_text({
        "schema": SEPARATION_SCHEMA,
        "how": "Persons, and groups of persons who may be one, of every release of this holder that is not sealed.",
        "releases": len(compared), "products": len(products), "shared_groups": 0,
    })  # fmt: skip


def known_members(workspace: Workspace, vault: Vault, *, sealed: bool) -> Iterator[Members]:
    """Whose rows each release holds that was ever built here and is a sealed evaluation, or none.

    Raises:
        InputOutputError: what the vault keeps of a release is damaged, or a release of which it keeps nothing.
    """
    known = set()
    for members in kept_members(vault.directory):
        known.add((members.product, members.version))
        if members.is_sealed == sealed:
            yield members
    for directory in list_releases(workspace.releases):
        # Most builds compare with sealed releases only, and to reckon whose rows an old release holds takes its time.
        if (directory.parent.name, directory.name) not in known:
            release = read_release(directory)
            if (release.manifest.get("kind") == SEALED_KIND) == sealed:
                yield _by_codes(workspace, vault, release)


def _shared(own: pa.Table, other: pa.Table, groups: pa.Table) -> int:
    """Groups of persons that are in both, then or as of today, and slides of nobody."""
    today: Any = groups["group_id"].take(pc.index_in(other["person_id"], value_set=groups["person_id"].combine_chunks()))
    theirs: Any = pc.unique(pa.chunked_array([*other["group_id"].chunks, *today.chunks], pa.string())).drop_null()
    persons: Any = pc.is_in(own["person_id"], value_set=other["person_id"].drop_null().combine_chunks())
    is_shared = pc.or_(persons, pc.is_in(own["group_id"], value_set=theirs))
    slides: Any = pc.is_in(own["slide_id"], value_set=other["slide_id"].drop_null().combine_chunks())
    return len(pc.unique(own.filter(is_shared)["group_id"])) + int(pc.sum(slides).as_py() or 0)


def _persons(workspace: Workspace, codes: Pseudonyms, released: pa.Table) -> pa.Table:
    persons = Catalog(workspace.catalog, workspace.pinned).read(PERSONS, columns=("person_id", "group_id"))
    made = codes.code_array("P", persons["person_id"])
    rows = persons.filter(pc.is_in(made, value_set=pc.unique(released["patient_id"]).drop_null()))
    # Whom the catalog does not know any more is known by the code.
    lost = released.filter(pc.invert(pc.fill_null(pc.is_in(released["patient_id"], value_set=made), True)))
    lost = lost.select(["patient_id", "group_id"]).group_by(["patient_id", "group_id"]).aggregate([])
    rows = pa.concat_tables([rows, lost.rename_columns(["person_id", "group_id"])], promote_options="permissive")
    return rows.append_column("slide_id", pa.nulls(rows.num_rows, pa.string())).select(list(COLUMNS))


def _with_slides(workspace: Workspace, codes: Pseudonyms, found: pa.Table, slides: Any) -> pa.Table:
    if not len(slides):
        return found
    known = Catalog(workspace.catalog, workspace.pinned).read(SLIDES, columns=("slide_id",))["slide_id"]
    nobodys = known.filter(pc.is_in(codes.code_array("S", known), value_set=pc.unique(slides).drop_null()))
    nothing = pa.nulls(len(nobodys), pa.string())
    return pa.concat_tables([found, pa.table([nothing, nothing, nobodys], names=list(COLUMNS))])


def _by_codes(workspace: Workspace, vault: Vault, release: Release) -> Members:
    """Whose rows a release holds that was built before they were kept: by its codes of patients, slides and cases."""
    inner, behind = internal(vault.key).codes, Behind(workspace, product(vault.key, release.name).codes)
    given = {key: _column(release, key) for key, _, _ in _TOLD_BY}
    found = [_by_retired_keys(workspace, vault, release, given["patient_id"], given["slide_id"])]
    for key, kind, table in _TOLD_BY:
        if len(given[key]):
            codes = behind.internal(kind, pa.chunked_array([given[key]])).drop_null()
            owners = behind.rows(table, codes)
            found.append(_persons(workspace, inner, owners.filter(owners["patient_id"].is_valid())))
            if key == "slide_id":
                nobodys = owners.filter(owners["patient_id"].is_null())["slide_id"]
                found.append(_with_slides(workspace, inner, found[0].slice(0, 0), nobodys))
    rows = pa.concat_tables(found, promote_options="permissive")
    return Members(release.name, release.version, release.manifest.get("kind") == SEALED_KIND, rows)


def _by_retired_keys(workspace: Workspace, vault: Vault, release: Release, patients: Any, slides: Any) -> pa.Table:
    """Likewise, where the vault has another key since: ``deid/`` knows the codes of then no more."""
    persons = Catalog(workspace.catalog).read(PERSONS, columns=("person_id", "group_id"))
    found = persons.slice(0, 0)
    for one in retired_keys(vault):
        inner, outer = internal(one.key).codes, product(one.key, release.name).codes
        codes = outer.code_array("P", inner.code_array("P", persons["person_id"]))
        found = pa.concat_tables([found, persons.filter(pc.is_in(codes, value_set=patients))])
        if len(slides) and not len(patients):
            owners = Catalog(workspace.catalog).read(LINKS, columns=("slide_id", "person_id"))
            codes = outer.code_array("S", inner.code_array("S", owners["slide_id"]))
            ids = pc.unique(owners.filter(pc.is_in(codes, value_set=slides))["person_id"])
            found = pa.concat_tables([found, persons.filter(pc.is_in(persons["person_id"], value_set=ids))])
    return found.append_column("slide_id", pa.nulls(found.num_rows, pa.string())).select(list(COLUMNS))


def _column(release: Release, name: str) -> Any:
    found = [
        pc.unique(read_parquet(release.directory / part.path, (name,))[name])
        for entry in release.manifest["tables"].values()
        for part in table_parts(entry)
        if name in pq.read_schema(release.directory / part.path).names
    ]
    return pc.unique(pa.chunked_array(found, pa.string())).drop_null()
