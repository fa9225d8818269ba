"""The data contract of a release (``metadata/contract.odcs.yaml``), by the Open Data Contract Standard 3.1.0.

Every promise that rows can keep stands there as SQL in DuckDB's dialect, ``{object}`` for the table; a buyer's own tool can
ask it of the files. Names of columns are quoted in it, because some of them are words of SQL.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import yaml

from pathcurate.metadata.dictionary import chinese_table
from pathcurate.model.column import Column, Identifying, Type
from pathcurate.model.deidentified import TOP_AGE
from pathcurate.model.description import DescribedColumn, DescribedTable, Description
from pathcurate.model.productfile import Bilingual, ProductFile

ODCS_VERSION = "v3.1.0"
PHYSICAL = {
    Type.STRING: "VARCHAR", Type.BYTES: "BLOB", Type.INTEGER: "BIGINT", Type.FLOAT: "DOUBLE", Type.BOOLEAN: "BOOLEAN",
    Type.DATE: "DATE", Type.TIMESTAMP: "TIMESTAMP", Type.STRINGS: "VARCHAR[]", Type.FLOATS: "DOUBLE[]",
}  # fmt: skip
"""What DuckDB reads from the files."""
_LOGICAL = {
    Type.STRING: "string", Type.BYTES: "string", Type.INTEGER: "integer", Type.FLOAT: "number", Type.BOOLEAN: "boolean",
    Type.DATE: "date", Type.TIMESTAMP: "timestamp", Type.STRINGS: "array", Type.FLOATS: "array",
}  # fmt: skip
_ITEMS = {Type.STRINGS: ("string", "VARCHAR"), Type.FLOATS: ("number", "DOUBLE")}
_FREQUENCY = {"daily": (1, "d"), "weekly": (7, "d"), "monthly": (1, "month"), "quarterly": (3, "month"), "yearly": (1, "y")}
_BOUNDS: Mapping[str, tuple[int, int | None]] = {
    "age": (0, TOP_AGE), "percent_low": (0, 100), "percent_high": (0, 100), "tissue_fraction": (0, 1),
    "pen_fraction": (0, 1), "mpp": (0, None), "mpp_x": (0, None), "mpp_y": (0, None), "width": (1, None),
    "height": (1, None), "start": (0, None), "ordinal": (1, None), "line": (1, None), "file_count": (0, None),
    "report_count": (0, None), "slide_count": (0, None), "case_count": (0, None), "instance_count": (0, None),
    "removal_count": (0, None), "nodes_positive": (0, None), "nodes_examined": (0, None), "tumour_size_mm": (0, None),
    "quarter": (1, 4),
}  # fmt: skip
"""Least and greatest value that a number can have whatever was measured."""
_ANYTHING = "(?s).*"
_PERSONS = ("group_id", "patient_id")

Check = dict[str, Any]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _readable(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Texts of several lines as such, where YAML can hold them so."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _readable)


def contract(description: Description) -> str:
    """``metadata/contract.odcs.yaml``; what nobody said of the product is not in it."""
    content = {name: part for name, part in _content(description).items() if part not in (None, {}, [])}
    return yaml.dump(content, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)


def _content(description: Description) -> dict[str, Any]:
    file = description.file
    return {
        "apiVersion": ODCS_VERSION,
        "kind": "DataContract",
        "id": description.product_urn,
        "name": description.product,
        "version": description.version,
        "status": "draft" if "-" in description.version.partition("+")[0] else "active",
        "tags": [word for words in file.keywords.values() for word in words] if file else None,
        "description": _about(description),
        "servers": [_server(table) for table in description.tables],
        "schema": [_object(description, table) for table in description.tables],
        "slaProperties": list(_service(description)),
        "price": _price(file),
        "team": _team(file),
        "support": _support(file),
        "customProperties": list(_custom(description)),
    }


def _both(text: Bilingual) -> str | None:
    """Chinese and English, a paragraph each."""
    return "\n\n".join(dict.fromkeys(part for part in (text.zh, text.en) if part)) or None


def _about(description: Description) -> dict[str, str]:
    file = description.file
    title = " / ".join(dict.fromkeys((description.title_zh, description.title_en)))
    if file is None:
        return {"purpose": title}
    limits = [text for text in (_both(file.limits), _both(file.limitations)) if text]
    texts = {
        "purpose": "\n\n".join(text for text in (title, _both(file.description)) if text),
        "usage": _both(file.scenarios), "limitations": "\n\n".join(limits) or None,
    }  # fmt: skip
    return {name: text for name, text in texts.items() if text}


def _server(described: DescribedTable) -> dict[str, Any]:
    paths = [part.path for part in described.parts]
    path = paths[0] if len(paths) == 1 else f"data/{described.table.name}/*.parquet"
    return {"server": described.table.name, "type": "local", "path": path, "format": "parquet"}


def _object(description: Description, described: DescribedTable) -> dict[str, Any]:
    table = described.table
    return {
        "name": table.name,
        "physicalType": "table",
        "businessName": chinese_table(table.name)[0],
        "description": f"{described.row_zh}\n\n{table.row}",
        "dataGranularityDescription": table.row,
        "properties": [_property(described, column) for column in described.columns],
        "quality": list(_table_checks(description, described)),
    }


def _property(described: DescribedTable, column: DescribedColumn) -> dict[str, Any]:
    declared, key = column.column, described.table.key
    found: dict[str, Any] = {
        "name": declared.name,
        "businessName": column.label_zh,
        "description": f"{column.meaning_zh}\n\n{declared.meaning}{f' Unit: {declared.unit}.' if declared.unit else ''}",
        "logicalType": _LOGICAL[declared.type],
        "physicalType": PHYSICAL[declared.type],
        "required": declared.required,
        "unique": key == (declared.name,),
        "classification": str(declared.identifying),
    }
    if declared.name in key:
        found |= {"primaryKey": True, "primaryKeyPosition": key.index(declared.name) + 1}
    if declared.type in _ITEMS:
        logical, physical = _ITEMS[declared.type]
        found["items"] = {"logicalType": logical, "physicalType": physical}
    if declared.identifying is Identifying.QUASI:
        found["tags"] = ["quasi-identifier"]
    if checks := list(_column_checks(declared)):
        found["quality"] = checks
    return found


def _check(name: str, query: str, dimension: str, says: str, **limit: Any) -> Check:
    bound = limit or {"mustBe": 0}
    return {
        "id": name, "name": name, "description": says, "type": "sql", "query": query, **bound, "dimension": dimension,
        "severity": "error",
    }  # fmt: skip


def _column_checks(column: Column) -> Iterator[Check]:
    """What every value of a column keeps to."""
    name, count = _quoted(column.name), "SELECT COUNT(*) FROM {object}"
    if column.required:
        yield _check(f"{column.name}_present", f"{count} WHERE {name} IS NULL", "completeness", "Every row has a value.")
    condition = _outside(column)
    if condition is not None:
        is_list = column.type is Type.STRINGS
        source = f"SELECT COUNT(*) FROM (SELECT UNNEST({name}) AS {name} FROM {{object}})" if is_list else count
        says = "Every value is of the closed set."
        yield _check(f"{column.name}_closed", f"{source} WHERE {condition}", "conformity", says)
    if column.name in _BOUNDS and column.type in {Type.INTEGER, Type.FLOAT}:
        least, most = _BOUNDS[column.name]
        beyond = f"{name} < {least}" + (f" OR {name} > {most}" if most is not None else "")
        says = f"No value below {least}" + (f" or above {most}." if most is not None else ".")
        yield _check(f"{column.name}_in_range", f"{count} WHERE {beyond}", "accuracy", says)


def _outside(column: Column) -> str | None:
    """True for a value that is not of the column's closed set; None if it has none that SQL can tell."""
    name = _quoted(column.name)
    if column.type not in {Type.STRING, Type.STRINGS}:
        return None
    if column.values:
        return f"{name} NOT IN ({', '.join(_text(value) for value in column.values)})"
    if column.pattern and column.pattern != _ANYTHING:
        return f"NOT regexp_full_match({name}, {_text(column.pattern)})"
    return None


def _table_checks(description: Description, described: DescribedTable) -> Iterator[Check]:
    """What the rows of a table keep to together."""
    table, count = described.table, "SELECT COUNT(*) FROM {object}"
    yield _check("rows", count, "completeness", "This version has so many rows.", mustBe=described.rows)
    if table.key:
        key = ", ".join(_quoted(name) for name in table.key)
        alike = f"SELECT COUNT(*) FROM (SELECT {key} FROM {{object}} GROUP BY {key} HAVING COUNT(*) > 1)"
        yield _check("key", alike, "uniqueness", f"No two rows have the same {', '.join(table.key)}.")
    if "start" in table and "end" in table:
        yield _check("places", f'{count} WHERE "end" < "start"', "consistency", "No place ends before it starts.")
    if described is description.unit_table:
        yield from _unit_checks(description, described)


def _unit_checks(description: Description, described: DescribedTable) -> Iterator[Check]:
    table, evaluation = described.table, description.evaluation
    person = next((name for name in _PERSONS if name in table), None)
    if person is None:
        return
    who = _quoted(person)
    if "split" in table:
        query = (
            f'SELECT COUNT(*) FROM (SELECT {who} FROM {{object}} WHERE {who} IS NOT NULL GROUP BY {who} '
            'HAVING COUNT(DISTINCT "split") > 1)'
        )  # fmt: skip
        yield _check("no_leakage", query, "consistency", "Nobody is on two sides of the split.")
    quasi = evaluation.figures.quasi
    if evaluation.k_required is not None and quasi and all(name in table for name in quasi):
        classes = ", ".join(_quoted(name) for name in quasi)
        # All rows whose person is not known count as one person's.
        query = (
            f"SELECT COALESCE(MIN(persons), {evaluation.k_required}) FROM (SELECT COUNT(DISTINCT COALESCE({who}, '')) AS "
            f"persons FROM {{object}} GROUP BY {classes})"
        )  # fmt: skip
        says = f"Each combination of {', '.join(quasi)} is that of at least {evaluation.k_required} persons."
        yield _check("k_anonymity", query, "conformity", says, mustBeGreaterOrEqualTo=evaluation.k_required)


def _quoted(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _service(description: Description) -> Iterator[dict[str, Any]]:
    yield {"property": "generalAvailability", "value": str(description.published)}
    file = description.file
    if file is None:
        return
    if file.updated in _FREQUENCY:
        value, unit = _FREQUENCY[file.updated]
        yield {"property": "frequency", "value": value, "unit": unit}
    elif file.updated is not None:
        yield {"property": "frequency", "value": file.updated}
    if file.retention_until is not None:
        yield {"property": "endOfSupport", "value": str(file.retention_until)}


def _price(file: ProductFile | None) -> dict[str, Any] | None:
    if file is None or file.price is None:
        return None
    amount = Decimal(file.price.amount)
    number = int(amount) if amount == amount.to_integral_value() else float(amount)
    return {"priceAmount": number, "priceCurrency": file.price.currency, "priceUnit": file.price.unit}


def _team(file: ProductFile | None) -> dict[str, Any] | None:
    if file is None or (file.holder is None and file.contact is None):
        return None
    team: dict[str, Any] = {}
    if file.holder is not None and (name := file.holder.name.either("zh")):
        team["name"] = name
    if file.contact is not None:
        member = {"username": file.contact.email or file.contact.name, "name": file.contact.name, "role": "contact"}
        team["members"] = [member]
    return team


def _support(file: ProductFile | None) -> list[dict[str, str]] | None:
    if file is None or file.contact is None:
        return None
    contact = file.contact
    channels = [
        {"channel": "email", "tool": "email", "url": f"mailto:{contact.email}"} if contact.email else None,
        {"channel": "web", "url": contact.url} if contact.url else None,
        {"channel": "phone", "description": contact.phone} if contact.phone else None,
    ]
    return [channel for channel in channels if channel]


def _custom(description: Description) -> Iterator[dict[str, Any]]:
    file = description.file
    facts: dict[str, Any] = {
        "urn": description.urn, "contentDigest": description.content_digest, "recipeLock": description.lock_sha256,
        "policy": "metadata/policy.odrl.jsonld" if file else None,
        "securityLevel": file.security_level if file else None,
        "registryIdentifier": file.identifier if file else None, "policyValidUntil": _until(file),
        "deidentificationScenario": description.evaluation.sharing, "kRequired": description.evaluation.k_required,
    }  # fmt: skip
    for name, value in facts.items():
        if value is not None:
            yield {"property": name, "value": value}


def _until(file: ProductFile | None) -> str | None:
    return str(file.policy.valid_until) if file and file.policy.valid_until else None
