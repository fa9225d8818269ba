"""The tables of the catalog, all of them: what is asked of each one alike asks this list."""

from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.case import CASES
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import CONCEPT_READS, DIAGNOSES, IHC_RESULTS, REPORT_CONCEPTS
from pathcurate.model.event import EVENTS
from pathcurate.model.finding import FINDINGS
from pathcurate.model.labelreview import LABEL_REVIEWS
from pathcurate.model.link import LINK_DECISIONS, LINKS
from pathcurate.model.linkquality import LINK_RUNS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, MERGES, PERSONS
from pathcurate.model.question import LINK_QUESTIONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import ARRIVALS, FILES, SLIDE_KEYS, SLIDES
from pathcurate.model.source import SOURCE_ROWS, SOURCES
from pathcurate.model.text import SCRUBBED_TEXTS, TEXT_DECISIONS
from pathcurate.model.textreview import TEXT_REVIEWS
from pathcurate.model.waiver import WAIVERS

CATALOG_TABLES: tuple[Table, ...] = (
    SLIDES,
    SLIDE_KEYS,
    ARRIVALS,
    SERIES,
    FILES,
    REPORTS,
    DIAGNOSES,
    IHC_RESULTS,
    REPORT_CONCEPTS,
    CONCEPT_READS,
    EVENTS,
    MATERIALS,
    SCANNER_INDEX,
    ANNOTATIONS,
    MERGES,
    SOURCES,
    SOURCE_ROWS,
    PERSONS,
    IDENTITIES,
    CASES,
    PERMISSIONS,
    LINKS,
    LINK_DECISIONS,
    LINK_QUESTIONS,
    LINK_RUNS,
    SCRUBBED_TEXTS,
    TEXT_DECISIONS,
    TEXT_REVIEWS,
    LABEL_REVIEWS,
    FINDINGS,
    WAIVERS,
)
