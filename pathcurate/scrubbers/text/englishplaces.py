"""Hospitals and addresses in English texts."""

import re
from collections.abc import Iterator

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.accepting import holds

# In texts without words of English a few markers stand alone; what follows is not tried on them.
_PROSE = re.compile(
    r"[A-Z][a-z]{1,20}[,.]?[ ](?:of |for |the ){0,2}[A-Z](?:[a-z]|[A-Z]? ?[0-9])|[A-Z]{4,20}[ ][A-Z]{4,20}|"
    r"P\.?[ ]?O|Lab[Cc]orp"
)
_WORD = r"(?:(?:St|Mt|Ft|Dr|[A-Z])\.|[A-Z][A-Za-z'’&-]{0,24}(?![A-Za-z0-9]))"
_END_EN = (
    r"(?i:hospitals?|medical (?:center|centre|group|clinic)|clinics?|infirmary|cancer (?:center|centre|institute)|"
    r"health (?:system|center|centre|care|network)|healthcare|medical laborator(?:y|ies)|laborator(?:y|ies)|"
    r"pathology (?:associates|group|services|consultants|laboratories)|diagnostics|institute|hospice|sanatorium|"
    r"nursing home)(?![A-Za-z])"
)
_HOSPITAL_EN = re.compile(
    r"(?P<v>(?:[A-Z](?<![A-Za-z][A-Z])(?:[A-Za-z'’&-]{1,24}|(?:t\.|\.))[ ])"
    rf"(?:(?:of|the|and|for|&|at|de|la)[ ]|{_WORD}[ ]){{0,7}}?{_END_EN}(?:[ ]{_END_EN}){{0,2}}"
    rf"(?:[ ](?:of|at|for)[ ](?:the[ ])?{_WORD}(?:[ ](?:of[ ])?{_WORD}){{0,3}})?"
    r"|(?:Lab[Cc]orp|Quest|NeoGenomics|ARUP|Foundation Medicine)(?:[ ](?:Oncology|Diagnostics|Laboratories))?(?![A-Za-z])"
    rf"|Hospital[ ](?:of|for)[ ](?:the[ ])?{_WORD}(?:[ ](?:of[ ])?{_WORD}){{0,3}})"
)
_NAMED_BY_THEMSELVES = ("Hospital of ", "Hospital for ", "Lab", "Quest", "NeoG", "ARUP", "Foundation")
_HOSPITAL_EN_NEEDS = (
    "orp", "Quest", "NeoG", "ARUP", "Foundation", "ospital", "OSPITAL", "edical", "EDICAL", "linic", "LINIC", "nfirmary",
    "ancer", "ANCER", "ealth", "EALTH", "aborator", "ABORATOR", "athology", "ATHOLOGY", "iagnostics", "nstitute", "NSTITUTE",
    "ospice", "anatorium", "ursing",
)  # fmt: skip
# Words with which a phrase that ends like a hospital names none: Outside Hospital, Clinical Laboratory.
_GENERIC_EN = frozenset(
    re.findall(
        r"\S+",
        """
        the a an of and for at this that our your outside local referring general community clinical university
        pathology reference surgical department regional state national county city private public central academic
        tertiary teaching main home diagnostic diagnostics medical cancer health laboratory laboratories hospital
        hospitals center centre clinic clinics institute system care group services molecular cytology histology
        anatomic anatomical research special same other another from by to in received sent performed referred consult
        consultation division section children children's women women's memorial breast eye skin heart service
        associates consultants pre post veterans patient patients new old all see note per name date collected
        submitting ordering referral dr if each any no when where specimen specimens slides blocks immunohistochemistry
        genetics cytogenetics flow ihc fish testing test tests methodology food drug improvement clia american college
        amendments healthcare network emergency outpatient inpatient dental veterinary pain wound infusion oncology
        hematology dermatology gastroenterology surgery radiology prior interventional mammography imaging
        """,
    )
)
_BEFORE_NAMES = _GENERIC_EN - {"university", "children's", "women's", "memorial", "veterans"}
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|"
    "SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|"
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|"
    "Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|"
    "Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|"
    "New Mexico|New York|North Carolina|North Dakota|"
    "Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|"
    "Washington|West Virginia|Wisconsin|Wyoming"
)
_CITY_STATE = re.compile(
    rf"(?P<v>(?:[A-Z](?<![A-Za-z][A-Z])[A-Za-z'.-]{{1,20}})(?:[ ][A-Z][A-Za-z'.-]{{1,20}}){{0,3}},?[ ]{{1,2}}(?:{_STATES})"
    rf",?[ ]{{1,3}}[0-9]{{5}}(?:-[0-9]{{4}})?)(?![0-9])"
)
_STREET_EN = re.compile(
    rf"(?P<v>[0-9](?<![0-9A-Za-z./-][0-9])[0-9]{{0,5}}[A-Za-z]?,?[ ](?:[NSEW]\.?[ ]|(?:North|South|East|"
    rf"West)[ ])?(?:(?:[A-Z][A-Za-z'.-]{{0,20}}|[0-9]{{1,3}}(?:st|nd|rd|th))[ ]){{1,4}}?"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Way|Terrace|Circle|Cir|Parkway|"
    r"Pkwy|Highway|Hwy|Square|Sq|Close|Crescent|Gardens|Trail|Row|"
    r"STREET|ST|AVENUE|AVE|ROAD|RD|BOULEVARD|BLVD|DRIVE|LANE|COURT)(?![A-Za-z])\.?"
    r"(?:,?[ ](?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room|Rm|Bldg|APT|SUITE|#)\.?[ ]?#?[0-9A-Za-z-]{1,6})?"
    rf"(?:,[ ]?{_WORD}(?:[ ]{_WORD}){{0,2}})?(?:,[ ]?(?:{_STATES})"
    rf")?(?:,?[ ][0-9]{{5}}(?:-[0-9]{{4}})?)?(?:,?[ ][A-Z]{{1,2}}[0-9][A-Z0-9]?[ ][0-9][A-Z]{{2}})?)(?![0-9])"
)
_ADDRESS_EN = re.compile(
    r"(?:[Aa]ddress|ADDRESS|[Rr]esides at|[Ll]ives at|[Rr]esiding at|[Ll]iving at|[Hh]ome [Aa]ddress|"
    r"[Mm]ailing [Aa]ddress)[ ]{0,2}[:=]?[ ]{0,4}(?P<v>[0-9A-Z](?=[^\n]{0,60}[0-9])[^\n;|\ue000]{5,90}?)(?=$|[\n;|]|"
    r"\.(?:[ ]|$)|[ ]{2,}|,? (?:Phone|Tel|DOB|MRN|Fax|Email|phone)|[\u4e00-\u9fff])"
)
# Abbreviations that are words of reports too: Patient ID 88231, Smith MD 12345. With a comma before them they are states.
_NO_STATE = re.compile(r"[^,][ ]{1,2}(?:ID|IN|OR|ME|OK|HI|PA|MD|CT|MS|DE|CO),?[ ]{1,3}[0-9-]+$")
_BOX = re.compile(r"(?P<v>P\.?[ ]?O\.?[ ]?(?:Box|BOX)[ ][0-9]{1,8})")
_POSTCODE_UK = re.compile(r"(?<=[a-z,]) ?[ ](?P<v>[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-BD-HJLNP-UW-Z]{2})(?![0-9A-Za-z])")


def find_english_places(normal: str) -> Iterator[Removal]:
    """Hospitals and addresses in a text of half width."""
    if _PROSE.search(normal):
        if holds(normal, _HOSPITAL_EN_NEEDS):
            yield from _english_hospitals(normal)
        yield from _english_addresses(normal)


def _english_hospitals(normal: str) -> Iterator[Removal]:
    for match in _HOSPITAL_EN.finditer(normal):
        words = match["v"].split(" ")
        start = 0
        while words and words[0].lower().strip(".,:") in _GENERIC_EN - {
            "university",
            "children's",
            "women's",
            "memorial",
            "veterans",
        }:
            start += len(words.pop(0)) + 1
        if match["v"].startswith(_NAMED_BY_THEMSELVES):
            yield Removal(*match.span("v"), Kind.HOSPITAL, "shape.hospital_en")
        elif any(word.lower().strip(".,") not in _GENERIC_EN for word in words):
            yield Removal(match.start("v") + start, match.end("v"), Kind.HOSPITAL, "shape.hospital_en")


def _english_addresses(normal: str) -> Iterator[Removal]:
    for pattern, rule in (
        (_ADDRESS_EN, "label.address_en"), (_STREET_EN, "shape.street_en"), (_CITY_STATE, "shape.city_en"), (_BOX,
        "shape.box"),
        (_POSTCODE_UK, "shape.postcode_uk"),
    ):  # fmt: skip
        for match in pattern.finditer(normal):
            if pattern is not _CITY_STATE or not _NO_STATE.search(match["v"]):
                yield Removal(*match.span("v"), Kind.ADDRESS, rule)
