"""English texts: names and numbers in asides, and what laboratories call after people and write with an x."""

import re

import pytest

from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber

NUMBER = "MRN: 12345678. "
"""Beside a number that identifies, a text is one of a patient."""


def removed(text: str) -> list[str]:
    removals = TextScrubber(SiteRules("NB01")).removals([NUMBER + text], KnownValues(), language="en", year=2024)[0]
    return [(NUMBER + text)[one.start : one.end] for one in removals[1:]]


@pytest.mark.parametrize(
    "text",
    [
        "The urology CNS, «Hope Green», was told.",
        "Prosector: «Lim WX»\n",
        "Seen by «JB» and «TK».",
        "Surgeon - «Halloran»\n",
        "Deceased: «Bluey» (found at home)",
        "Morning «Pearl» - the thigh mass is going",
        "Aadhaar (last four) «7719» given",
        "Mob. «98x 90 55510» noted",
        "Pls call HO «8123 4xx7» today",
        "Twitter «@tumourdoc» asked",
        "sent to «Flat 9, 210 Anerley Rd, London SE20».",
        "vehicle plate «TX·LRK-8082»;",
    ],
)
def test_what_identifies_in_an_aside_is_found(text: str) -> None:
    assert set(re.findall("«(.*?)»", text)) <= set(removed(re.sub("[«»]", "", text)))


@pytest.mark.parametrize(
    "text",
    [
        "Second biopsy (Michel's) from perilesional skin; Zeus fixative not used.",
        "Perls and Masson stains at x400 and x100.",
        "neutrophils 12 and 14 per HPF (x400) in three fields",
        "CPT 88305 x2, 88342 x 3",
        "Menorrhagia, IUCD in situ. Dysmenorrhoea.",
        "Surgeon - see note. Pathologist - not stated.",
        "Attender not present; Rev not stated.",
    ],
)
def test_words_of_laboratories_stay(text: str) -> None:
    assert removed(text) == []
