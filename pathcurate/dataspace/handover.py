"""The folder that a person hands to a platform or to a connector's operator; no data is in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from pathcurate.dataspace.bindings import bindings, bindings_text
from pathcurate.dataspace.bodies import (
    SCOPES,
    asset_body,
    contract_definition_body,
    in_version_3,
    plan_request_body,
    policy_body,
)
from pathcurate.dataspace.bodyrules import body_faults
from pathcurate.dataspace.catalogue import catalogue
from pathcurate.dataspace.policies import offered_terms, words_to_bind
from pathcurate.dataspace.terms import is_absolute
from pathcurate.errors import DigestMismatchError, UsageError
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.dataspace import Offering
from pathcurate.releases import Release
from pathcurate.wholefolder import listed_files, taken, write_whole

README_NAME = "README.txt"
ACCESS_POLICY_PLACEHOLDER = "ACCESS-POLICY-ID"
_TEMPLATE = Path(__file__).parent / "handover.txt.j2"
_TAKEN: Mapping[str, str] = {
    "metadata/dcat.jsonld": "dcat.jsonld",
    "metadata/policy.odrl.jsonld": "policy.odrl.jsonld",
    "metadata/croissant.json": "croissant.json",
    "metadata/DATASHEET.zh.md": "DATASHEET.zh.md",
    "metadata/DATASHEET.en.md": "DATASHEET.en.md",
    "registration/rendered/ndi-catalog.json": "ndi-catalog.json",
}
_NEEDED = frozenset({"metadata/dcat.jsonld", "metadata/policy.odrl.jsonld", "metadata/croissant.json"})


@dataclass(frozen=True, slots=True)
class Handover:
    """A folder for a platform.

    Attributes:
        directory: where it is.
        release_digest: of the release that it is about.
        digest: of the bytes of ``sha256sums.txt``.
        files: relative paths, without ``sha256sums.txt``.
        to_bind: IRIs of the words that a connector's operator has to bind.
        is_new: whether it was written now, or was there already.
    """

    directory: Path
    release_digest: str
    digest: str
    files: tuple[str, ...]
    to_bind: tuple[str, ...]
    is_new: bool = True


def write_handover(offering: Offering, release: Release, target: Path, *, access_policy: str = "") -> Handover:
    """Write the folder; the same release gives the same bytes.

    Args:
        offering: the release as it is on offer.
        release: its directory; every file that is taken from it is checked against its list.
        target: the folder to be made. If it is there, it must be the same.
        access_policy: id of the connector's policy that says who may see the offer; empty for a placeholder.

    Raises:
        DigestMismatchError: a file of the release was changed, or the release is not the one on offer.
        InputOutputError: a file of the release or its policy cannot be read.
        OSError: the folder cannot be written.
        UsageError: the release lacks a file or says what a connector cannot be told, or something else is in the target's
            place.
    """
    if (release.name, release.version) != (offering.product, offering.version):
        raise UsageError("the release is another version than the one on offer", "Give the directory of that version.")
    if release.digest != offering.release_digest:
        raise DigestMismatchError(
            "the release has another digest than the one on offer", "Restore it from a copy: what is on offer never changes."
        )
    listed = listed_files(release)
    contents = {
        name: taken(release, listed, path) for path, name in _TAKEN.items() if path in listed or path in _NEEDED
    }  # fmt: skip
    if json.loads(contents["policy.odrl.jsonld"]) != offering.policy:
        raise DigestMismatchError("the policy on offer is not the one of the release", "Read the release anew.")
    terms = offered_terms(offering)
    contents["catalog-entry.json"] = _json(catalogue([offering], _participant(offering, terms.assigner)))
    contents |= _bodies(offering, access_policy or ACCESS_POLICY_PLACEHOLDER)
    bound = bindings(offering)
    contents["bindings/bindings.json"] = _json({key: each for key, each in bound.items() if key != "celExpressions"})
    contents["bindings/celexpressions.json"] = _json(bound["celExpressions"])
    contents[f"bindings/{README_NAME}"] = _text(bindings_text(bound))
    actions, operands = words_to_bind(terms)
    contents[README_NAME] = _readme(offering, contents, has_placeholder=not access_policy)
    digest, is_new = write_whole(target, contents, "hand-over package")
    return Handover(
        target, release.digest, digest, tuple(sorted(contents)), tuple(sorted({*actions, *operands})), is_new
    )  # fmt: skip


def _participant(offering: Offering, assigner: str) -> str:
    """IRI of who offers; one of the product's own if nobody has one."""
    if is_absolute(offering.holder):
        return offering.holder
    return assigner or f"{offering.asset_id.rpartition(':')[0]}:holder"


def _bodies(offering: Offering, access_policy: str) -> dict[str, bytes]:
    """The calls in the order in which they are to be made."""
    made: dict[str, bytes] = {}
    bodies = {
        "1-asset.json": asset_body(offering),
        "2-contract-policy.json": policy_body(offering),
        **{f"3-evaluationplan-{scope}.json": plan_request_body(scope) for scope in SCOPES},
        "4-contract-definition.json": contract_definition_body(offering, access_policy),
    }
    for name, body in bodies.items():
        if faults := body_faults(body):
            raise UsageError(
                f"a connector cannot be told of the release: {'; '.join(faults)}", "Correct the product file, build anew."
            )
        made[f"edc/v4/{name}"] = _json(body)
        made[f"edc/v3/{name}"] = _json(in_version_3(body))
    return made


def _json(value: Any) -> bytes:
    return json_text(value, sort_keys=False).encode()


def _text(text: str) -> bytes:
    # Windows shows a file without a mark in the encoding of the place.
    return text.replace("\n", "\r\n").encode("utf-8-sig", errors="replace")


@cache
def _environment() -> Environment:
    # Its output is a text for people, which nothing interprets.
    return Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701


def _readme(offering: Offering, contents: Mapping[str, bytes], *, has_placeholder: bool) -> bytes:
    text = _environment().from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title_zh=_line(offering.title_zh), title_en=_line(offering.title_en), product=offering.product,
        version=offering.version, digest=offering.release_digest, has=frozenset(contents), has_placeholder=has_placeholder,
        placeholder=ACCESS_POLICY_PLACEHOLDER,
    )  # fmt: skip
    return _text(text)


def _line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
