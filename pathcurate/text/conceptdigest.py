"""Digest of a concept: what its mentions in texts depend on."""

import hashlib

from pathcurate.digests import canonical_json
from pathcurate.model.concept import Concept
from pathcurate.text.assertion import rules_digest

_RULES = 1
"""Version of the rules by which texts are searched; a change makes everything stale."""


def concept_sha(concept: Concept) -> str:
    """Digest of all that decides which mentions a concept has, and what is said of them; 64 hexadecimal digits."""
    content = {
        "any": list(concept.any), "unless": list(concept.unless), "sections": sorted(concept.sections),
        "lang": sorted(concept.lang), "assertion_rules": rules_digest(), "rules": _RULES,
    }  # fmt: skip
    return hashlib.sha256(canonical_json(content)).hexdigest()
