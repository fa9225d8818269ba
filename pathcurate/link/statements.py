"""SQL of the stage: from numbers of slides, cases and persons to links.

``slide_keys`` and ``cases`` have the same order, so most slides are linked piece by piece along both. Slides that bear
several numbers, or none but a patient's, or that somebody decided about, are few; they are looked at all together.
"""

from typing import Final

import pyarrow as pa

from pathcurate.model.slide import KEY_SOURCES
from pathcurate.sqlplan.expressions import literal

# Sources that one person typed, or one machine printed, are one witness; two witnesses that agree make a link exact.
_WITNESS = {
    "barcode": "barcode", "label": "barcode", "metadata": "metadata", "index": "index", "file_name": "file_name",
    "folder": "file_name",
}  # fmt: skip

_FULL_WIDTH = "".join(chr(0xFF01 + offset) for offset in range(94))
_ASCII = "".join(chr(0x21 + offset) for offset in range(94))


def witnesses() -> pa.Table:
    """For every set of sources, as ``slide_keys`` has it: a bit for each, how many, and the tier if they agree."""
    rows = []
    for mask in range(1, 1 << len(KEY_SOURCES)):
        sources = [source for place, source in enumerate(KEY_SOURCES) if mask >> place & 1]
        independent = {_WITNESS[source] for source in sources}
        tier = "exact" if len(independent) > 1 else independent.pop()
        rows.append({"sources": ",".join(sources), "mask": mask, "heard": len(sources), "tier": tier})
    kinds: dict[str, pa.DataType] = {
        "sources": pa.string(), "mask": pa.int32(), "heard": pa.int32(), "tier": pa.string()
    }  # fmt: skip
    return pa.Table.from_pylist(rows, schema=pa.schema(kinds))


_REVIEW, _PATIENT_DATE = 1 << len(KEY_SOURCES), (1 << len(KEY_SOURCES)) + 1
EVIDENCE_OF_CODE: Final = (
    *([source for place, source in enumerate(KEY_SOURCES) if mask >> place & 1] for mask in range(1 << len(KEY_SOURCES))),
    ["review"],
    ["patient_date"],
)
"""What :func:`links` gives in place of evidence: of millions of rows, a number is joined and sorted faster than a list."""


# --- Cases -------------------------------------------------------------------------------------------------------

# The report that stands for a case, as pathcurate.model.report.precedence has it.
_RANK = (
    "row(status <> 'withdrawn', coalesce(is_current, false), report_type IN ('primary', 'amended'), "
    "coalesce(reported_date, TIMESTAMP '0001-01-01'), report_id)"
)


def cases(reports: str, owners: str, identities: str, materials: str) -> str:
    """One row for each case of one site; the parameters are that site, five times."""
    return f"""
        WITH told AS (
            SELECT site, accession, max_by(report_id, {_RANK}) AS report_id,
                   max_by(report_id, {_RANK}) FILTER (WHERE report_type = 'frozen') AS frozen_id,
                   max_by(report_id, {_RANK}) FILTER (WHERE report_type = 'cytology') AS cytology_id,
                   min(received_date) AS received_date,
                   list_sort(list(DISTINCT organ) FILTER (WHERE organ IS NOT NULL)) AS organs,
                   flatten(list(ihc_results ORDER BY report_id) FILTER (WHERE ihc_results IS NOT NULL)) AS stained,
                   flatten(list(blocks ORDER BY report_id) FILTER (WHERE blocks IS NOT NULL)) AS named
            FROM {reports} WHERE site = ? GROUP BY site, accession),
        glass AS (
            SELECT accession, list_sort(list(DISTINCT stain) FILTER (WHERE stain IS NOT NULL)) AS stains,
                   list_sort(list(DISTINCT coalesce(specimen, '') || block) FILTER (WHERE block IS NOT NULL)) AS blocks
            FROM {materials} WHERE site = ? GROUP BY accession),
        numbers AS (
            SELECT person_id, list_sort(list(id_value)) AS patients
            FROM {identities} WHERE site = ? AND id_type = 'patient_id' GROUP BY person_id)
        SELECT t.site, t.accession, o.person_id, p.group_id, o.fault, t.report_id, t.frozen_id, t.cytology_id,
               t.received_date, t.organs, list_sort(list_distinct(
                   list_transform(t.stained, lambda result: 'IHC:' || split_part(result, '=', 1)))) AS stains,
               list_sort(list_distinct(t.named)) AS blocks, g.stains AS glass_stains, g.blocks AS glass_blocks, n.patients
        FROM told t LEFT JOIN (SELECT * FROM {owners} WHERE site = ?) o ON t.accession = o.accession
             LEFT JOIN glass g ON t.accession = g.accession LEFT JOIN numbers n ON o.person_id = n.person_id
             LEFT JOIN (SELECT id_value, group_id FROM {identities} WHERE site = ? AND id_type = 'accession') p
             ON t.accession = p.id_value
        ORDER BY t.accession"""


# --- The few slides that need more than their one number --------------------------------------------------------


def unusual(*, has_decisions: bool, has_senders: bool) -> str:
    """Condition on ``slide_keys k`` for slides that are looked at all together. Relations: ``decisions``, ``senders``.

    What is not there is not asked for: of millions of slides each question costs seconds.
    """
    tests = ["NOT k.is_only", "(k.key IS NULL AND k.patients IS NOT NULL)"]
    tests += ["k.slide_id IN (SELECT slide_id FROM decisions)"] if has_decisions else []
    tests += ["coalesce((k.site, k.key) IN (SELECT (site, number) FROM senders), false)"] if has_senders else []
    return f"({' OR '.join(tests)})"


def candidates(cases: str) -> str:
    """Every case that a number of an unusual slide may mean, and why it does not, if it does not.

    Relations: ``unusual_keys`` (their rows of ``slide_keys``), ``senders``, ``decisions``.
    """
    return f"""
        WITH named AS (
            SELECT k.slide_id, k.site, k.key AS number, k.sources, k.key AS accession, false AS is_outside
            FROM unusual_keys k
            UNION ALL
            SELECT k.slide_id, k.site, k.key, k.sources, x.accession, true
            FROM unusual_keys k JOIN senders x ON k.site = x.site AND k.key = x.number)
        SELECT n.slide_id, n.site, n.number, n.sources, n.accession, n.is_outside, w.mask,
               CASE WHEN c.accession IS NULL THEN 'not in the reports'
                    WHEN EXISTS (SELECT 1 FROM decisions d WHERE d.slide_id = n.slide_id AND d.site = n.site
                                 AND d.decision = 'reject' AND (d.accession = n.accession OR d.accession IS NULL))
                    THEN 'rejected by a reviewer'
               END AS fault
        FROM named n JOIN witnesses w ON n.sources = w.sources
             LEFT JOIN {cases} c ON n.site = c.site AND n.accession = c.accession
        WHERE n.number IS NOT NULL"""


def dated(cases: str, identities: str, days: int) -> str:
    """Unusual slides without any number of a case: the cases of their one patient shortly before the scan."""
    return f"""
        WITH bearers AS (
            SELECT k.slide_id, k.site, min(i.person_id) AS person_id, min(k.scan_datetime) AS scanned, min(k.organ) AS organ
            FROM (SELECT slide_id, site, scan_datetime, organ, unnest(patients) AS patient
                  FROM unusual_keys WHERE key IS NULL) k
                 JOIN {identities} i ON i.site = k.site AND i.id_type = 'patient_id' AND i.id_value = k.patient
            GROUP BY k.slide_id, k.site HAVING count(DISTINCT i.person_id) = 1),
        theirs AS (
            SELECT b.slide_id, c.accession FROM bearers b JOIN {cases} c ON c.site = b.site AND c.person_id = b.person_id
            WHERE {days} > 0 AND date_diff('day', c.received_date, b.scanned) BETWEEN 0 AND {days} AND c.fault IS NULL
                  AND (b.organ IS NULL OR c.organs IS NULL OR list_contains(c.organs, b.organ))
                  AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.slide_id = b.slide_id AND d.decision = 'reject'
                                  AND (d.accession = c.accession OR d.accession IS NULL)))
        SELECT b.slide_id, b.person_id, t.accession FROM bearers b LEFT JOIN theirs t ON b.slide_id = t.slide_id"""


CHOSEN = """
    WITH heard AS (
        SELECT k.slide_id, k.site, bit_or(w.mask) AS heard, count(k.key) AS numbers
        FROM unusual_keys k LEFT JOIN witnesses w ON k.sources = w.sources GROUP BY k.slide_id, k.site),
    own AS (
        SELECT slide_id, count(*) AS cases, min(accession) AS accession, min(mask) AS mask
        FROM candidates WHERE fault IS NULL AND NOT is_outside GROUP BY slide_id),
    outside AS (
        SELECT slide_id, count(DISTINCT accession) AS cases, min(accession) AS accession, bit_or(mask) AS mask
        FROM candidates WHERE fault IS NULL AND is_outside GROUP BY slide_id),
    disputed AS (
        SELECT DISTINCT slide_id FROM (
            SELECT x.slide_id, x.number FROM candidates x JOIN own o ON x.slide_id = o.slide_id
            WHERE x.is_outside AND x.fault IS NULL AND NOT EXISTS (
                SELECT 1 FROM candidates s
                WHERE s.slide_id = x.slide_id AND s.number = x.number AND NOT s.is_outside AND s.fault IS NULL)
            GROUP BY x.slide_id, x.number HAVING NOT bool_or(x.accession = o.accession))),
    of_patient AS (
        SELECT slide_id, count(accession) AS cases, min(accession) AS accession, min(person_id) AS person_id
        FROM dated GROUP BY slide_id),
    confirmed AS (
        SELECT slide_id, site, min(accession) AS accession FROM decisions WHERE decision = 'confirm'
        GROUP BY slide_id, site),
    rejected AS (SELECT DISTINCT slide_id, site FROM decisions WHERE decision = 'reject'),
    told AS (
        SELECT h.*, p.person_id AS bearer, o.mask AS own_mask, x.mask AS outside_mask, o.accession AS own,
               x.accession AS outside, p.accession AS of_patient, d.accession AS confirmed,
               CASE WHEN d.slide_id IS NOT NULL THEN 'reviewed'
                    WHEN o.cases > 1 OR q.slide_id IS NOT NULL THEN 'numbers_disagree'
                    WHEN o.cases = 1 THEN 'named' WHEN x.cases > 1 THEN 'numbers_disagree'
                    WHEN x.cases = 1 THEN 'external_number' WHEN p.cases = 1 THEN 'patient_date'
                    WHEN p.cases > 1 THEN 'several_cases_of_patient' WHEN r.slide_id IS NOT NULL THEN 'rejected_by_review'
                    WHEN h.numbers > 0 THEN 'named' ELSE 'no_number' END AS way
        FROM heard h LEFT JOIN own o ON h.slide_id = o.slide_id LEFT JOIN outside x ON h.slide_id = x.slide_id
             LEFT JOIN disputed q ON h.slide_id = q.slide_id LEFT JOIN of_patient p ON h.slide_id = p.slide_id
             LEFT JOIN confirmed d ON h.slide_id = d.slide_id AND h.site = d.site
             LEFT JOIN rejected r ON h.slide_id = r.slide_id AND h.site = r.site)
    SELECT slide_id, heard, bearer, way,
           CASE way WHEN 'reviewed' THEN confirmed WHEN 'named' THEN own WHEN 'external_number' THEN outside
                    WHEN 'patient_date' THEN of_patient END AS accession,
           CASE way WHEN 'named' THEN own_mask WHEN 'external_number' THEN outside_mask END AS mask
    FROM told"""
"""The case of each unusual slide, by the first way that leads to one: a reviewer's word, its own numbers, a sender's number,
its patient and the time. A sender's number that only leads to other cases than the slide's own number disagrees with it.
Relations: ``unusual_keys``, ``witnesses``, ``candidates``, ``dated``, ``decisions``."""

LOSING = """
    WITH texts AS (
        SELECT n.slide_id, n.number || ' ' || n.sources || ': ' || CASE WHEN n.is_outside THEN
               coalesce(n.fault, 'a sender''s number of another case') ELSE coalesce(n.fault, 'another case') END AS said
        FROM candidates n JOIN chosen c ON n.slide_id = c.slide_id
        WHERE n.accession IS DISTINCT FROM c.accession
          AND (NOT n.is_outside OR n.fault IS DISTINCT FROM 'not in the reports')
          -- A sender's number is no number of the site, which needs not be said of it.
          AND NOT (c.way = 'external_number' AND NOT n.is_outside AND EXISTS (
              SELECT 1 FROM candidates o WHERE o.slide_id = n.slide_id AND o.number = n.number AND o.is_outside))
        UNION ALL
        SELECT d.slide_id, d.accession || ' patient_date: another case of the patient'
        FROM dated d JOIN chosen c ON d.slide_id = c.slide_id
        WHERE d.accession IS NOT NULL AND d.accession IS DISTINCT FROM c.accession)
    SELECT slide_id, list_sort(list(DISTINCT said)) AS losing FROM texts GROUP BY slide_id"""
"""What else was named for each unusual slide, and what speaks against it."""

UNUSUAL_ROWS = """
    WITH best AS (
        SELECT slide_id, min(site) AS site, min(archive) AS archive, min(patients) AS patients, min(glass) AS glass,
               min(stain) AS stain, min(organ) AS organ, min(preparation) AS preparation, min(scan_datetime) AS scan_datetime
        FROM unusual_keys GROUP BY slide_id),
    parts AS (
        SELECT k.slide_id, k.key, k.specimen, k.block,
               row_number() OVER (PARTITION BY k.slide_id ORDER BY k.key IS NOT DISTINCT FROM c.accession DESC,
                                  k.specimen IS NOT NULL DESC, w.mask & -w.mask, k.key) AS place,
               k.key IS NOT DISTINCT FROM c.accession AS is_of_case
        FROM unusual_keys k JOIN chosen c ON k.slide_id = c.slide_id LEFT JOIN witnesses w ON k.sources = w.sources)
    SELECT b.slide_id, b.site, b.archive, c.accession AS key, c.way, h.sources, h.mask, h.tier,
           h.heard / a.heard AS confidence,
           CASE WHEN p.is_of_case OR c.way <> 'named' OR c.accession IS NULL THEN p.specimen END AS specimen,
           CASE WHEN p.is_of_case OR c.way <> 'named' OR c.accession IS NULL THEN p.block END AS block,
           b.patients, b.glass, b.stain, b.organ, b.preparation, b.scan_datetime, c.bearer, l.losing
    FROM best b JOIN chosen c ON b.slide_id = c.slide_id LEFT JOIN parts p ON b.slide_id = p.slide_id AND p.place = 1
         LEFT JOIN witnesses h ON c.mask = h.mask LEFT JOIN witnesses a ON c.heard = a.mask
         LEFT JOIN losing l ON b.slide_id = l.slide_id"""
"""The unusual slides as :func:`links` takes them."""


# --- Links -------------------------------------------------------------------------------------------------------


def plain_rows(keys: str, unusual: str) -> str:
    """The other slides of a range, as :func:`links` takes them."""
    return f"""
        SELECT k.slide_id, k.site, k.archive, k.key, CASE WHEN k.key IS NULL THEN 'no_number' ELSE 'named' END AS way,
               w.sources, w.mask, w.tier, 1.0 AS confidence, k.specimen, k.block, k.patients, k.glass, k.stain, k.organ,
               k.preparation, k.scan_datetime, CAST(NULL AS VARCHAR) AS bearer, CAST(NULL AS VARCHAR[]) AS losing
        FROM {keys} k LEFT JOIN witnesses w ON k.sources = w.sources
        WHERE NOT {unusual}"""


_OF_A_LINK = {
    "accession": "accession", "report_id": "report_id", "person_id": "person_id", "material_id": "g.material_id",
    "confidence": "CASE WHEN way NOT IN ('reviewed', 'patient_date') THEN confidence END",
    "evidence": f"CASE way WHEN 'reviewed' THEN {_REVIEW} WHEN 'patient_date' THEN {_PATIENT_DATE} ELSE mask END",
    "patient_agrees": "CASE WHEN patient_agrees THEN true WHEN is_stranger THEN false END",
    "lag_days": "lag_days", "scanned_after_receipt": "lag_days >= 0", "organ_agrees": "organ_agrees",
    # What is known to be this glass has its stain and block from there.
    "stain_plausible": "CASE WHEN g.stain IS NOT NULL THEN true ELSE stain_plausible END",
    "block_named": "CASE WHEN g.block IS NOT NULL THEN true ELSE block_named END",
}  # fmt: skip
_OF_NONE = {"person_id": "bearer"}


def _linked(*columns: str) -> str:
    return ", ".join(
        f"CASE WHEN refusal IS NULL THEN {_OF_A_LINK[column]} ELSE {_OF_NONE.get(column, 'NULL')} END AS {column}"
        for column in columns
    )


_PART = "coalesce(k.specimen, '') || k.block"
# Computed where slide and case meet, so that the lists of the case need not be carried any further.
_COMPARED = f"""
    list_has_any(c.patients, k.patients) AS patient_agrees, date_diff('day', c.received_date, k.scan_datetime) AS lag_days,
    list_contains(c.organs, k.organ) AS organ_agrees,
    CASE WHEN c.glass_stains IS NOT NULL THEN list_contains(c.glass_stains, k.stain) WHEN k.stain = 'HE' THEN true
         WHEN starts_with(k.stain, 'IHC:') THEN list_contains(c.stains, k.stain) END AS stain_plausible,
    CASE WHEN k.block IS NULL THEN NULL WHEN list_contains(c.blocks, {_PART}) THEN true
         WHEN c.glass_blocks IS NOT NULL THEN list_contains(c.glass_blocks, {_PART})
         WHEN c.blocks IS NOT NULL THEN false END AS block_named"""
_NO_GLASS = """
    SELECT CAST(NULL AS VARCHAR) AS slide_id, CAST(NULL AS VARCHAR) AS material_id, CAST(NULL AS VARCHAR) AS specimen,
           CAST(NULL AS VARCHAR) AS block, CAST(NULL AS VARCHAR) AS stain WHERE false"""


def _glass(materials: str) -> str:
    """Which glass a slide shows: by its number; else, for a slide that bears one number of a case, the only glass of that
    case, block and stain, if no other such slide could be it. Scans of one glass (``twins``) are one slide here."""
    return f"""
        SELECT slide_id, material_id, specimen, block, stain FROM (
            SELECT j.slide_id, m.material_id, m.specimen, m.block, m.stain,
                   count(*) OVER (PARTITION BY j.slide_id) AS of_slide,
                   count(DISTINCT coalesce(t.scan_group, j.slide_id)) OVER (PARTITION BY m.material_id) AS of_glass,
                   j.glass IS NOT NULL AS by_number
            FROM j LEFT JOIN twins t ON j.slide_id = t.slide_id
                 JOIN {materials} m ON m.site = j.site AND m.accession = j.accession AND m.kind = 'slide'
                 AND CASE WHEN j.glass IS NOT NULL THEN {folded("m.glass_id")} = j.glass
                          ELSE j.way = 'named' AND j.losing IS NULL AND m.block = j.block AND m.stain = j.stain
                               AND m.specimen IS NOT DISTINCT FROM j.specimen END)
        WHERE of_slide = 1 AND (by_number OR of_glass = 1)"""


def folded(column: str) -> str:
    """SQL for a number of glass in the form in which it compares: as :func:`pathcurate.pseudonyms.canonical`, for ASCII."""
    return f"upper(trim(translate({column}, {literal(_FULL_WIDTH)}, {literal(_ASCII)})))"


def links(rows: str, cases: str, identities: str, materials: str | None) -> str:
    """Rows of ``links`` for slides with the case that is chosen for each; without ``rule_set_sha``, and with a place in
    :data:`EVIDENCE_OF_CODE` instead of ``evidence``.

    The case itself has the last word: a fault of its own, or a patient's number of the slide that is another person's,
    makes a conflict. A reviewer's word stands against the number, but not against a case that is nobody's.

    Args:
        rows: of :func:`plain_rows` or :data:`UNUSUAL_ROWS`.
        cases: relation of the cases.
        identities: relation of the identities, with groups.
        materials: relation of the glass; None if none is known.
    """
    return f"""
        WITH j AS MATERIALIZED (
            SELECT k.slide_id, k.site, k.key, k.way, k.sources, k.mask, k.tier, k.confidence, k.specimen, k.block, k.stain,
                   k.glass, k.bearer, k.losing, c.accession, c.person_id, c.group_id, c.fault,
                   CASE k.preparation WHEN 'frozen' THEN coalesce(c.frozen_id, c.report_id)
                                      WHEN 'cytology' THEN coalesce(c.cytology_id, c.report_id) ELSE c.report_id
                   END AS report_id, {_COMPARED},
                   CASE WHEN c.person_id IS NOT NULL THEN k.patients END AS patients
            FROM ({rows}) k LEFT JOIN {cases} c ON k.site = c.site AND k.key = c.accession),
        strangers AS (
            SELECT m.slide_id
            FROM (SELECT slide_id, site, group_id, unnest(patients) AS patient FROM j
                  WHERE patients IS NOT NULL AND (NOT coalesce(patient_agrees, false) OR len(patients) > 1)) m
                 JOIN {identities} i ON i.site = m.site AND i.id_type = 'patient_id' AND i.id_value = m.patient
            GROUP BY m.slide_id HAVING bool_or(i.group_id <> m.group_id)),
        glass AS ({_NO_GLASS if materials is None else _glass(materials)}),
        judged AS (
            SELECT j.*, x.slide_id IS NOT NULL AS is_stranger,
                   CASE WHEN j.accession IS NULL THEN CASE j.way WHEN 'named' THEN 'no_known_number' ELSE j.way END
                        WHEN j.fault IS NOT NULL THEN j.fault
                        WHEN j.way <> 'reviewed' AND x.slide_id IS NOT NULL THEN 'patient_disagrees' END AS refusal
            FROM j LEFT JOIN strangers x ON j.slide_id = x.slide_id)
        SELECT j.slide_id, CAST(NULL AS VARCHAR) AS series_id, j.site,
               {_linked("accession", "report_id", "person_id", "material_id")},
               coalesce(g.specimen, j.specimen) AS specimen, coalesce(g.block, j.block) AS block,
               coalesce(g.stain, j.stain) AS stain,
               CASE WHEN refusal IS NULL THEN CASE WHEN way IN ('reviewed', 'patient_date') THEN way ELSE tier END
                    WHEN accession IS NOT NULL OR refusal = 'numbers_disagree' THEN 'conflict' ELSE 'none' END AS tier,
               {_linked(*tuple(_OF_A_LINK)[4:])},
               coalesce(refusal, CASE WHEN way <> 'named' THEN way WHEN tier = 'exact' THEN 'witnesses_agree'
                                      ELSE 'one_witness' END) AS rule,
               CASE WHEN refusal IS NULL OR accession IS NULL THEN losing
                    ELSE list_prepend(key || ' ' || coalesce(sources, way) || ': ' || refusal, losing)
               END AS losing_candidates
        FROM judged j LEFT JOIN glass g ON j.slide_id = g.slide_id
        ORDER BY j.site, accession, slide_id"""


def series_links(series: str, cases: str, identities: str) -> str:
    """Rows of ``links`` as :func:`links` gives them for series: by their number, if it is that of a case; else what is
    known is only whose they are. Relation ``series_numbers``: normal form of each site's numbers."""
    return f"""
        WITH j AS (
            SELECT s.series_id, s.site, s.accession IS NOT NULL AS has_number, s.study_date, n.key, c.accession, c.person_id,
                   c.group_id, c.fault, c.report_id, c.received_date, i.person_id AS bearer,
                   CASE WHEN c.person_id IS NULL OR i.person_id IS NULL THEN NULL WHEN c.person_id = i.person_id THEN true
                        WHEN c.group_id <> i.group_id THEN false END AS patient_agrees
            FROM {series} s LEFT JOIN series_numbers n ON s.site = n.site AND s.accession = n.accession
                 LEFT JOIN {cases} c ON s.site = c.site AND n.key = c.accession
                 LEFT JOIN {identities} i
                 ON i.id_type = 'patient_id' AND s.site = i.site AND {folded("s.patient_id")} = i.id_value),
        judged AS (
            SELECT *, CASE WHEN accession IS NULL AND bearer IS NOT NULL THEN 'patient_only'
                           WHEN accession IS NULL AND has_number THEN 'no_known_number'
                           WHEN accession IS NULL THEN 'no_number'
                           WHEN fault IS NOT NULL THEN fault WHEN NOT patient_agrees THEN 'patient_disagrees' END AS refusal
            FROM j)
        SELECT series_id, j.site, CASE WHEN refusal IS NULL THEN accession END AS accession,
               CASE WHEN refusal IS NULL THEN report_id END AS report_id,
               CASE WHEN refusal IS NULL THEN coalesce(person_id, bearer)
                    WHEN accession IS NULL THEN bearer END AS person_id,
               CASE WHEN refusal IS NULL THEN 'metadata' WHEN accession IS NULL THEN 'none' ELSE 'conflict' END AS tier,
               CASE WHEN refusal IS NULL THEN 1.0 END AS confidence,
               CASE WHEN refusal IS NULL THEN {1 << KEY_SOURCES.index("metadata")} END AS evidence,
               CASE WHEN refusal IS NULL THEN patient_agrees END AS patient_agrees,
               CASE WHEN refusal IS NULL THEN date_diff('day', received_date, study_date) END AS lag_days,
               coalesce(refusal, 'one_witness') AS rule,
               CASE WHEN refusal IS NOT NULL AND accession IS NOT NULL THEN [key || ' metadata: ' || refusal] END
               AS losing_candidates
        FROM judged j ORDER BY j.site, accession, series_id"""


# --- What stands out ---------------------------------------------------------------------------------------------

MOST_NAMED = 1000
"""Findings about single slides of one rule and site; what is more is counted in one."""


def slide_findings(links: str) -> str:
    """Rule, site and slide of what stands out, the first of each rule and site, with how many there are."""
    return f"""
        WITH found AS (
            SELECT site, slide_id,
                   CASE WHEN tier = 'conflict' THEN rule WHEN rule = 'no_known_number' THEN 'unknown_number'
                        WHEN tier = 'none' THEN rule WHEN confidence < 1 THEN 'another_number'
                        ELSE 'scanned_before_receipt' END AS rule
            FROM {links}
            WHERE slide_id IS NOT NULL
                  AND (tier IN ('conflict', 'none') OR confidence < 1 OR NOT scanned_after_receipt))
        SELECT rule, site, slide_id, total FROM (
            SELECT *, row_number() OVER (PARTITION BY rule, site ORDER BY slide_id) AS place,
                   count(*) OVER (PARTITION BY rule, site) AS total FROM found)
        WHERE place <= {MOST_NAMED} ORDER BY rule, site, slide_id"""


def shared_glass(slides: str, links: str) -> str:
    """Persons to whom slides are linked that show one glass, and those slides."""
    return f"""
        SELECT list_sort(list(DISTINCT l.person_id)) AS persons, list_sort(list(l.slide_id)) AS slides, min(l.site) AS site
        FROM {slides} s JOIN {links} l ON s.slide_id = l.slide_id
        WHERE s.scan_group IS NOT NULL AND l.person_id IS NOT NULL AND l.accession IS NOT NULL
        GROUP BY s.scan_group HAVING count(DISTINCT l.person_id) > 1 ORDER BY slides"""
