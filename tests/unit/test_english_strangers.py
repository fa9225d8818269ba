"""Names, numbers, days and addresses of English texts by their place and shape, and what is none of them."""

import pytest

from pathcurate.model.removal import Kind
from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber
from pathcurate.scrubbers.text.englishsorts import Sort, sort_of

SCRUBBER = TextScrubber(SiteRules("NB01"))


def gone(text: str) -> list[str]:
    """What is taken out of an English text with nothing known."""
    found = SCRUBBER.removals([text], KnownValues(), language="en", year=2024)[0]
    return [text[one.start : one.end] for one in found]


@pytest.mark.parametrize(
    ("word", "sort"),
    [
        ("Szczepanski", Sort.STRANGER), ("Tjandra", Sort.STRANGER), ("Osei-Tutu", Sort.STRANGER), ("Kenji", Sort.GIVEN),
        ("Rose", Sort.BOTH), ("Gleason", Sort.BOTH), ("Ficat", Sort.WORD), ("Hürthle", Sort.BOTH),
        ("Warthin-Starry", Sort.WORD), ("Non-keratinising", Sort.WORD), ("Hyperkeratotic", Sort.WORD),
        ("Durvalumab", Sort.WORD), ("Bx", Sort.WORD),
        ("Bridges", Sort.VOCABULARY), ("Wednesday", Sort.WORD),
    ],
)  # fmt: skip
def test_what_sort_of_word_one_with_a_capital_is(word: str, sort: Sort) -> None:
    assert sort_of(word) is sort


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Result given to Tjandra in clinic.", ["Tjandra"]),
        ("Reviewed with Dr. Baumgartner and Szczepanski; both agree.", ["Baumgartner", "Szczepanski"]),
        ("Sent by Mr Cheeseman. Cheeseman is known to us.", ["Cheeseman", "Cheeseman"]),
        ("The block went to C. van Rensburg on request.", ["C. van Rensburg"]),
        ("Seen with N.-E. Sandvik, and agreed.", ["N.-E. Sandvik"]),
        ("Tunnicliffe, Rhodri\nSkin tag.", ["Tunnicliffe, Rhodri"]),
        ("Jardine THISTLETHWAYTE was seen.", ["Jardine THISTLETHWAYTE"]),
        ("1. Crabtree (RK5512098) - adenocarcinoma.", ["Crabtree", "RK5512098"]),
        ("3. D. Ormerod is dead.", ["D. Ormerod"]),
        ('The label reads "Abernethy" only.', ["Abernethy"]),
        ("Aoife favours expansion; p53 wild type.", ["Aoife"]),
        ('Reply: "Lateefah, it is with them."', ["Lateefah"]),
        ("Mr. Case is a 58-year-old.", ["Case"]),
        ("She told Sandy at noon.", ["Sandy"]),
        ("Surgeon: Hill\nSkin.", ["Hill"]),
        ("To: Whit\nWhit - found it.", ["Whit", "Whit"]),
        ("Referred from Wollaton Park by letter.", ["Wollaton Park"]),
        ("Officer Trujillo #55123 attended.", ["Trujillo", "55123"]),
        ("Patient: Siti Nurhaliza binti Osman. Lump.", ["Siti Nurhaliza binti Osman"]),
        ("Callum's mum rang.", ["Callum"]),
        ("Seen with Nguyễn Thị Hoa, again.", ["Nguyễn Thị Hoa"]),
        ("The margin is clear. Case re-released. Abramowitz", ["Abramowitz"]),
        ("Radiology (Teixeira) favours it.", ["Teixeira"]),
        ("Discussed w. Hemphill @ tumor board.", ["Hemphill"]),
        ("Path Wu/Albrecht, both.", ["Wu/Albrecht"]),
        ("Reported by: John Q. Public / Jane Roe", ["John Q. Public", "Jane Roe"]),
        ('Note: "Marnie, are these right?"', ["Marnie"]),
        ("From Vaughan-Lee, Imogen by post.", ["Vaughan-Lee, Imogen"]),
        ("Container for Sung-Min Choi leaked.", ["Sung-Min Choi"]),
        ("Given to Tan Siew Eng on the ward.", ["Tan Siew Eng"]),
        ("Fox, Amber L. (DOB unknown) was seen.", ["Fox, Amber L."]),
        ("Witness: Colin Abbott.", ["Colin Abbott"]),
        ("DR KOWALSKI NOTIFIED BY DR BRANDT.", ["KOWALSKI", "BRANDT"]),
        ("PATIENT: DOE / ATT: SUBRAMANIAM / LAB", ["DOE", "SUBRAMANIAM"]),
        ("Specimen: BABY GIRL NDLOVU, cord.", ["BABY GIRL NDLOVU"]),
        ("Known as 'Taff' to all.", ["Taff"]),
        ("Village girl W/O Karuppasamy, well.", ["Karuppasamy"]),
    ],
)
def test_names_that_no_list_holds(text: str, names: list[str]) -> None:
    assert gone(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "Femoral head: Ficat stage III, Steinberg IVb, Kellgren radiographic grade 2.",
        "Edmondson grade II; Shikata orcein; Klintrup and Makinen score 2.",
        "Copy number by Vysis 3 probes; Afirma was not sent; Napsin A positive.",
        "Fungal hyphae: Aspergillus fumigatus. Tropheryma whipplei not seen.",
        "Vallecula and Detrusor were sampled. Vallecula is clear. Hidradenoma is excluded.",
        "Sequencing after Durvalumab and Osimertinib shows no change.",
        "A. Omentum: benign. B. Vallecula: benign. C. Rete testis: clear.",
        "Grade per Trojani (FNCLCC) 3. Type by Borrmann 2. Bd2 (Lugli, ITBCC).",
        "Frost artifact in B2; Snow artefact at the edge; Mark Sharp margins as inked.",
        "Blocks A10-A14, B100-B104; CPT 88305-26; TUMOR/88309; M8140/3; C50.911; A260/280.",
        "Ratio 118/240 cells, 2000-3000 mm2, DRB1*04:01, NM_004333.6, 46,XX,del(5)(q13q33).",
        "In the AJCC system Table 4.2 applies. Follow-up in October or on Wednesday.",
        "No infection by Feldman or MSIS histologic criteria. Mirra type 2.",
        "Turnaround 5-7 days. Blasts 1.5%. Rec'd in formalin. The film (Faxitron) was used.",
        "Told surgeon. Patient has had 3 falls. Stained by hand, sent by mail.",
        "Deep Margin 10/10 clear. Room temperature 21 C. Ward round. S100/SOX10 diffuse. Lot A-1182 passed.",
    ],
)
def test_words_of_the_trade_stay(text: str) -> None:
    assert gone(text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("told ozgur. she is mcateer (mrn 88219) femur", ["ozgur", "mcateer", "88219"]),
        ("patient fiona jean buckley 3 times seen", ["fiona jean buckley"]),
        ("mrs delaney was upset, dr. szymanski agrees", ["delaney", "szymanski"]),
        ("pt latoya says site healed", ["latoya"]),
        ("told surgeon, patient will return, informed consent at once", []),
    ],
)
def test_names_without_a_capital(text: str, names: list[str]) -> None:
    assert gone(text) == names


@pytest.mark.parametrize(
    ("text", "initials"),
    [
        ("The result is final. -- jkw", ["jkw"]),
        ("Reported in full, box 12 /dk", ["dk"]),
        ("Seen and agreed SMcK. End", ["SMcK"]),
        ("Slide is re-printed by kowalczyk.m. Fine", ["kowalczyk.m"]),
        ("Typed by jmcl, cut by mjb.", ["jmcl", "mjb"]),
        ("Checked by us, stained by hand. Result neg", []),
    ],
)
def test_initials_of_who_signs(text: str, initials: list[str]) -> None:
    assert gone(text) == initials


@pytest.mark.parametrize(
    "place",
    ["Lakeview Spine & Joint", "Cedar Hollow Family Med", "Merlin Vale UH", "Noosa Private", "Kilmorey Path Lab", "QSNH",
     "City Hospital"],
)  # fmt: skip
def test_hospitals_of_many_forms(place: str) -> None:
    assert gone(f"She was seen at {place}, again.") == [place]


@pytest.mark.parametrize(
    "number",
    ["24:SU1190", "C24-PT-0044", "24.H.9917", "HP/1121/22", "B/24/00871", "H 2211/24", "DK/4471/24", "600-18-44",
     "4471-0032", "RR 4471 2203 5GB", "4432 8871 0092", "8003 6012 3456 7890", "046 454 286", "0412 555 019", "98450 12345",
     "01-555 0133"],
)  # fmt: skip
def test_numbers_of_many_countries_and_laboratories(number: str) -> None:
    assert gone(f"Refer to {number}, please.") == [number]


@pytest.mark.parametrize(
    "day",
    ["Tuesday 9 April", "Friday 27/09/2024", "Thurs 17 Oct", "Wed, 13 Mar 2024 16:41", "17th May 2023 (Wednesday)",
     "Wednesday the 3rd of March 2024", "0620 hrs, 30 July 2023", "14 Jun 2024, 17:20 hrs", "Weds 20th", "6th inst."],
)  # fmt: skip
def test_the_day_of_the_week_and_the_time_go_with_a_day(day: str) -> None:
    assert gone(f"It was seen {day}, again.") == [day]


@pytest.mark.parametrize(
    "address",
    ["12/45 Kooringal Road, Wagga Wagga NSW 2650", "27 Woodlawn Park Grove, Firhouse, Dublin 24", "Coast Road, Cullercoats",
     "RD 2, Waimarie Valley 4792", "Blk 71 Jalan Papan #04-18", "Knockaderry, Co. Limerick",
     "88 Harbour St, Toronto ON M5J 0B5"],
)  # fmt: skip
def test_addresses_of_many_countries(address: str) -> None:
    assert "".join(gone(f"She lives at {address}.")) in {address, f"{address}."}


def test_a_place_has_no_name_of_a_person() -> None:
    found = SCRUBBER.removals(["Slides went to Murwillumbah by post."], KnownValues(), language="en", year=2024)[0]
    assert [(one.kind, one.value) for one in found] == [(Kind.HOSPITAL, "")]


def test_a_text_with_chinese_has_no_strangers() -> None:
    assert gone("送检Tjandra处理的组织，见Vysis探针。") == []
