"""PC-HGR: what may be human genetic resource information: genes and variants; slides, reports and immunostains are not.

The detailed rules of 2023, article 2, leave clinical, image, protein and metabolic data out. Nothing here decides that data
is such information: a committee does. A finding says that somebody must ask it.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.finding import Severity
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import label_columns
from pathcurate.model.validation import Breach, KeyPath, Unchecked
from pathcurate.text.vocabulary import codes
from pathcurate.validate.arrays import equal_count, true_count
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.opened import Opened, OpenedTable

_VARIANT = re.compile(
    r"突变|变异|基因|测序|融合|扩增|甲基化|染色体|易位|外显子"
    r"|(?<![a-z])(?:mutat|mutant|variant|genotyp|genom|exome|exon|fusion|fused|rearrang|amplifi|methyl|translocat|karyotyp"
    r"|haplotyp|allel|germline|somatic)|(?<![a-z])(?:ngs|wes|wgs|snps?|snv|indel|cnv|fish|vcf|hgvs|dna|rna|dbsnp|tmb)(?![a-z])"
)
_SYSTEMS = frozenset(
    {"hgvs", "hgnc", "clinvar", "dbsnp", "cosmic", "vcf", "ensembl", "refseq", "entrez", "omim", "ga4gh-vrs"}
)
_PROTEIN = ("ihc_results", "materials", "slides")
"""Tables that tell of proteins in tissue, where a marker has the name of a gene."""


def check(opened: Opened) -> Iterator[Breach | Unchecked]:
    """What of a release tells of genes; milder where product.yaml declares it."""
    declared = opened.product is not None and opened.product.declarations.genetic_resources is True
    severity = Severity.WARNING if declared else None
    for table in opened.tables.values():
        yield from of_table(table, severity)
    if opened.recipe is None:
        yield Unchecked(("PC-HGR",), "the recipe cannot be read, so nothing tells what it selected by")
    else:
        yield from of_recipe(opened.recipe, severity, is_built=True)


def of_table(table: OpenedTable, severity: Severity | None = None) -> Iterator[Breach]:
    """What a table alone tells: names of its columns, code systems, sections of its texts."""
    for name in table.schema.names:
        is_known = table.declared is not None and name in table.declared
        if tells_variant(name) or (not is_known and tells_gene(name)):
            message = "has a column whose name tells of genes or variants"
            yield breach(
                "PC-HGR-001", message, table=table.name, column=name if is_known else None, severity=severity,
                cause=("columns",) if is_known else None,
            )  # fmt: skip
        if name.endswith(("system", "vocabulary")) and (found := _systems(table, name)):
            message = f"has {counted(found, 'row')} of a code system of genes or variants"
            yield breach("PC-HGR-001", message, table=table.name, count=found, of=table.rows, severity=severity)
    if table.has("text_column"):
        molecular = equal_count(table.columns("text_column")["text_column"], "molecular")
        if molecular:
            message = f"holds {counted(molecular, 'row')} of molecular sections"
            yield breach(
                "PC-HGR-002", message, table=table.name, column="text_column", count=molecular, of=table.rows,
                severity=severity, cause=("texts",),
            )  # fmt: skip


def _systems(table: OpenedTable, name: str) -> int:
    kind = table.schema.field(name).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)) or table.facts.columns[name].unsound:
        return 0
    values: Any = table.columns(name)[name]
    return true_count(pc.is_in(pc.utf8_lower(values), pa.array(sorted(_SYSTEMS), values.type)))


def of_recipe(recipe: Recipe, severity: Severity | None = None, *, is_built: bool = False) -> Iterator[Breach]:
    """What a recipe selects by, makes or lets out; whoever has its release knows that of everybody in it.

    Args:
        recipe: the recipe.
        severity: if milder than the rules'.
        is_built: whether the texts that it lets out were looked at already.
    """
    found: dict[KeyPath, str] = {}
    for name, concept in (recipe.concepts or {}).items():
        if tells_gene(name) or tells_variant(name) or any(tells_variant(pattern) for pattern in concept.any):
            found["concepts", name] = f"concept {name} tells of genes or variants"
    for place, label in enumerate(recipe.labels):
        source = label.has or label.nearest
        table = source.table if source is not None else (label.column or "").partition(".")[0]
        is_protein = table in _PROTEIN
        names = [column.name for column in label_columns(recipe, label)]
        if any(tells_variant(name) or (tells_gene(name) and not is_protein) for name in names):
            found["labels", place] = f"label {label.name} tells of genes or variants"
    for part, criteria in (("include", recipe.include), ("exclude", recipe.exclude)):
        for place, criterion in enumerate(criteria):
            words = f"{criterion.id} {criterion.label or ''} {criterion.sql or ''}"
            if tells_variant(words):
                found[part, place] = f"criterion {criterion.id} tells of genes or variants"
    for path, message in found.items():
        yield breach("PC-HGR-001", message, severity=severity, cause=path)
    if "molecular" in recipe.released_texts and not is_built:
        yield breach("PC-HGR-002", "lets texts of molecular sections out", severity=severity, cause=("texts",))


def tells_variant(text: str) -> bool:
    """Whether words speak of variants, or of methods that find them."""
    return _VARIANT.search(text.replace("_", " ").lower()) is not None


def tells_gene(name: str) -> bool:
    """Whether a part of a name is the symbol of a gene that pathologists test for."""
    return any(word.upper() in _genes() for word in re.split(r"[_\W]+", name))


@cache
def _genes() -> frozenset[str]:
    return frozenset(code.upper() for code in codes("genes"))
