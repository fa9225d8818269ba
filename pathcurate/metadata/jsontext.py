"""JSON as the files of a release hold it: the same value, the same bytes."""

import json


def json_text(value: object, *, sort_keys: bool = True) -> str:
    """Indented JSON that ends its line; Chinese stays readable.

    Args:
        value: what JSON can hold.
        sort_keys: False keeps the order of a form that people read.
    """
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=sort_keys, allow_nan=False) + "\n"
