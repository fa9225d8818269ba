"""The machine-learning card of a release (``metadata/croissant.json``): Croissant 1.1 with RAI, DUO, ODRL and PROV.

Names of parts of the data set are short, as the standard has them, and stand below wherever the document is found; so do the
paths of files. Where mlcroissant reads another form than the text of the standard writes, both allow what stands here.
"""

import posixpath
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.metadata.duo import duo_terms
from pathcurate.metadata.jsontext import json_text
from pathcurate.metadata.linkeddata import DUO, PREFIXES, Node, digits, file_of, reference, said, spoken, titles, version_of
from pathcurate.metadata.odrl import offer_iri
from pathcurate.metadata.provenance import RECIPE_LOCK, activity_iri, input_iri
from pathcurate.model.column import Column, Identifying, Type
from pathcurate.model.description import DescribedColumn, DescribedTable, Description
from pathcurate.model.productfile import Bilingual, Contact, Organisation, ProductFile

CROISSANT_PATH = "metadata/croissant.json"
CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
_CONTEXT = Path(__file__).parent / "croissant.yaml"
_PARQUET = "application/x-parquet"
"""Not the registered name, but the only one by which mlcroissant knows the format."""
_DATA_TYPES: Mapping[Type, str] = {
    Type.STRING: "sc:Text", Type.INTEGER: "sc:Integer", Type.FLOAT: "sc:Float", Type.BOOLEAN: "sc:Boolean",
    Type.DATE: "sc:Date", Type.TIMESTAMP: "sc:DateTime", Type.STRINGS: "sc:Text", Type.FLOATS: "sc:Float",
}  # fmt: skip
_LISTS = {Type.STRINGS, Type.FLOATS}
_SCHEMA_ORG, _DCT = "https://schema.org/", PREFIXES["dct"]
_EQUIVALENT: Mapping[str, str] = {
    "format": f"{_SCHEMA_ORG}encodingFormat", "vendor": f"{_SCHEMA_ORG}manufacturer", "width": f"{_SCHEMA_ORG}width",
    "height": f"{_SCHEMA_ORG}height", "size_bytes": f"{_SCHEMA_ORG}contentSize", "sex": f"{_SCHEMA_ORG}gender",
    "scan_datetime": f"{_DCT}created", "reported_date": f"{_DCT}issued", "received_date": f"{_DCT}dateSubmitted",
    "language": f"{_SCHEMA_ORG}inLanguage", "text": f"{_SCHEMA_ORG}text", "code": f"{_SCHEMA_ORG}codeValue",
    "code_system": f"{_SCHEMA_ORG}codingSystem", "icd10": f"{_SCHEMA_ORG}code",
}  # fmt: skip
"""Columns that mean the same as a property of schema.org or Dublin Core; a table's key is an identifier."""
_SIDES = {"train": "cr:TrainingSplit", "val": "cr:ValidationSplit", "test": "cr:TestSplit"}
SIDES_SET = "split_sides"
"""The record set of the sides of the split; no table is called so."""


@cache
def croissant_context() -> Mapping[str, Any]:
    """The standard's own JSON-LD context, as its tools compare it."""
    context: Mapping[str, Any] = yamlsource.load(_CONTEXT, _CONTEXT.name, UsageError).data["context"]
    return context


def croissant_document(description: Description, *, policy: str) -> str:
    """The data set as Croissant.

    Args:
        description: the release.
        policy: path of the policy below the release.
    """
    context = {**croissant_context(), **{prefix: PREFIXES[prefix] for prefix in ("odrl", "prov")}}
    document = said({
        "@context": context,
        "@type": "sc:Dataset",
        "@id": description.urn,
        "name": _title(description),
        "description": _both(description.file.description if description.file else {}) or _title(description),
        "conformsTo": list(CONFORMS_TO),
        "identifier": description.urn,
        "version": description.version,
        "datePublished": str(description.published),
        "isLiveDataset": False,
        **(_said_by(description.file, description, policy) if description.file else {}),
        **_rai(description),
        "prov:wasDerivedFrom": [reference(input_iri(description, name)) for name in sorted(description.inputs)],
        "prov:wasGeneratedBy": {
            "@id": activity_iri(description, "release"),
            "@type": "prov:Activity",
            "prov:used": reference(file_of(description, RECIPE_LOCK)),
        },
        "prov:wasRevisionOf": (
            reference(version_of(description, description.difference.before)) if description.difference else None
        ),
        "distribution": [part for table in description.tables for part in _files(table)],
        "recordSet": [*_sides(description), *(_record_set(description, table) for table in description.tables)],
    })  # fmt: skip
    return json_text(document, sort_keys=False)


def _title(description: Description) -> str | dict[str, str]:
    told = titles(description)
    return told if len(told) > 1 else description.title_en


def _both(text: Bilingual | Mapping[str, str]) -> dict[str, str]:
    """A text by language, as a JSON-LD language map."""
    told = text.model_dump(exclude_none=True) if isinstance(text, Bilingual) else text
    return {language: told[language] for language in ("zh", "en") if told.get(language)}


def _beside(path: str) -> str:
    """Where a file of the release is, seen from this document."""
    return posixpath.relpath(path, posixpath.dirname(CROISSANT_PATH))


# --- What people say ---------------------------------------------------------------------------------------------------


def _said_by(file: ProductFile, description: Description, policy: str) -> Node:
    holder = _organisation(file.holder, file.contact) if file.holder else None
    terms = {"@type": "sc:CreativeWork", "name": "Terms of use (ODRL)", "url": _beside(policy)}
    kind = "odrl:Offer" if file.holder else "odrl:Set"
    return {
        "url": file.landing_page,
        "keywords": [
            word for language, words in file.keywords.items() for told in words for word in spoken({language: told})
        ],
        "creator": holder,
        "publisher": holder,
        "citeAs": file.policy.attribution,
        "license": terms,
        "usageInfo": [
            *_use_terms(file), {**terms, "@id": offer_iri(description), "@type": ["sc:CreativeWork", kind]},
        ],
    }  # fmt: skip


def _organisation(holder: Organisation, contact: Contact | None) -> Node:
    return said({
        "@type": "sc:Organization",
        "name": _both(holder.name),
        "identifier": holder.uscc,
        "email": contact.email if contact else None,
        "url": holder.url,
    })  # fmt: skip


def _use_terms(file: ProductFile) -> Iterator[Node]:
    known = duo_terms()
    for code in dict.fromkeys(file.policy.duo):
        if code in known:
            yield {
                "@type": "sc:DefinedTerm",
                "name": {"zh": known[code].zh, "en": known[code].en},
                "termCode": code,
                "url": f"{DUO}{code.removeprefix('DUO_')}",
                "inDefinedTermSet": "http://purl.obolibrary.org/obo/duo.owl",
            }


def _rai(description: Description) -> Node:
    """The Croissant RAI vocabulary 1.0: what was counted, and what people say."""
    file = description.file or ProductFile(product=1, name=description.product)
    made = _labels(description)
    years = description.covers
    return {
        "rai:dataCollection": (
            "What a hospital's archive holds was linked to its reports, de-identified and selected by the recipe in "
            f"{RECIPE_LOCK}."
        ),
        "rai:dataCollectionType": ["Secondary Data analysis"],
        "rai:dataCollectionTimeframe": [f"{years[0]:04d}/{years[1]:04d}"] if years else None,
        "rai:dataCollectionMissingData": _missing(description),
        "rai:dataPreprocessingProtocol": list(description.evaluation.words()),
        "rai:dataAnnotationProtocol": (
            f"Made by the rules of the recipe from what reports and events say: {', '.join(made)}." if made else None
        ),
        "rai:dataAnnotationAnalysis": list(_label_errors(description)),
        "rai:personalSensitiveInformation": list(_personal(description)),
        "rai:dataUseCases": spoken(file.scenarios),
        "rai:dataLimitations": [*spoken(file.limitations), *spoken(file.limits)],
        "rai:dataReleaseMaintenancePlan": " ".join(_maintenance(file)),
    }


def _maintenance(file: ProductFile) -> Iterator[str]:
    if file.updated:
        yield f"New versions: {file.updated}."
    if file.retention_until:
        yield f"Kept and answered for until {file.retention_until}."


def _missing(description: Description) -> str:
    """How many rows have no value, by column; a catalogue is read by more people than the rows are, so no small number."""
    least = description.recipe.disclosure.min_cell
    lacking = [
        f"{table.table.name}.{column.column.name}: {_told(column.missing, table.rows, least)} of {table.rows}"
        for table in description.tables for column in table.columns if column.missing
    ]  # fmt: skip
    return f"Rows without a value. {'; '.join(lacking)}." if lacking else "Every column has a value in every row."


def _told(missing: int, rows: int, least: int) -> str:
    if missing < least:
        return f"fewer than {least}"
    return f"all but fewer than {least}" if 0 < rows - missing < least else str(missing)


def _label_errors(description: Description) -> Iterator[str]:
    for told in (description.labels_quality or {}).get("classes", ()):
        share = "" if told["error"] is None else f", share {told['error']} ({told['low']} to {told['high']})"
        yield f"{told['label']} = {told['value']}: {told['reviewed']} reviewed, {told['wrong']} wrong{share}."


def _personal(description: Description) -> Iterator[str]:
    words = {Identifying.QUASI: "May identify in combination", Identifying.SENSITIVE: "Sensitive"}
    for kind, beginning in words.items():
        names = [
            f"{table.table.name}.{column.column.name}"
            for table in description.tables for column in table.columns if column.column.identifying is kind
        ]  # fmt: skip
        if names:
            yield f"{beginning}: {', '.join(names)}."


# --- The data ----------------------------------------------------------------------------------------------------------


def _files(table: DescribedTable) -> Iterator[Node]:
    for part in table.parts:
        yield {
            "@type": "cr:FileObject",
            "@id": part.path,
            "name": posixpath.basename(part.path),
            "contentUrl": _beside(part.path),
            "contentSize": f"{part.size} B",
            "encodingFormat": _PARQUET,
            "sha256": digits(part.sha256),
        }
    if len(table.parts) > 1:
        yield {
            "@type": "cr:FileSet",
            "@id": _file_set(table),
            "containedIn": [reference(part.path) for part in table.parts],
            "encodingFormat": _PARQUET,
            "includes": "*.parquet",
        }


def _file_set(table: DescribedTable) -> str:
    return f"data/{table.table.name}"


def _record_set(description: Description, table: DescribedTable) -> Node:
    name = table.table.name
    return said({
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": {"zh": table.row_zh, "en": table.table.row},
        "key": [reference(f"{name}/{column}") for column in table.table.key],
        "field": [_field(description, table, column) for column in table.columns],
        "examples": [{f"{name}/{column}": value for column, value in row.items()} for row in table.sample],
    })  # fmt: skip


def _field(description: Description, table: DescribedTable, described: DescribedColumn) -> Node:
    column = described.column
    is_label = table is description.unit_table and column.name in _labels(description)
    where = {"fileSet": reference(_file_set(table))} if len(table.parts) > 1 else {
        "fileObject": reference(table.parts[0].path)
    }  # fmt: skip
    return said({
        "@type": "cr:Field",
        "@id": f"{table.table.name}/{column.name}",
        "name": column.name,
        "description": {"zh": described.meaning_zh, "en": column.meaning},
        "dataType": [_DATA_TYPES[column.type], "cr:Label"] if is_label else _DATA_TYPES[column.type],
        "isArray": True if column.type in _LISTS else None,
        "arrayShape": "-1" if column.type in _LISTS else None,
        "equivalentProperty": f"{_DCT}identifier" if table.table.key == (column.name,) else _EQUIVALENT.get(column.name),
        "unitText": column.unit,
        "source": {**where, "extract": {"column": column.name}},
        # The standard writes the name of the field without `field`, which mlcroissant 1.1.1 cannot read.
        "references": {"field": reference(f"{SIDES_SET}/name")} if _has_sides(column) else None,
    })  # fmt: skip


def _labels(description: Description) -> list[str]:
    """The columns of the unit's table that the recipe's labels make."""
    recipe = description.recipe
    return [name for label in recipe.labels for name in recipe.label_column(label)]


def _has_sides(column: Column) -> bool:
    return column.name == "split" and bool(column.values)


def _sides(description: Description) -> Iterator[Node]:
    """The sides of the split, if a table tells them."""
    columns = [column.column for table in description.tables for column in table.columns if _has_sides(column.column)]
    sides = dict.fromkeys(side for column in columns for side in column.values)
    if sides:
        yield {
            "@type": "cr:RecordSet",
            "@id": SIDES_SET,
            "dataType": "cr:Split",
            "key": reference(f"{SIDES_SET}/name"),
            "field": [
                {"@type": "cr:Field", "@id": f"{SIDES_SET}/name", "dataType": "sc:Text"},
                {"@type": "cr:Field", "@id": f"{SIDES_SET}/url", "dataType": ["sc:URL", "cr:Split"]},
            ],
            "data": [{f"{SIDES_SET}/name": side, f"{SIDES_SET}/url": _SIDES.get(side, "cr:Split")} for side in sides],
        }
