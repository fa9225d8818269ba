"""Molecular results in a report: mutations, fusions, copy numbers and signatures as ``gene=finding``.

Gene names are looked up in one pass of an automaton over `genes.yaml`; only the clause around one is read. A bare sign
after a gene (``ALK(-)``) is an immunostain and no molecular result. Whatever is denied, even a named mutation, is
"not detected". Protein changes are written as HGVS has them, with one letter for each amino acid and no ``p.``.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from pathcurate.text.found import Found
from pathcurate.text.vocabulary import vocabulary

_LATIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_RESIDUES = {
    "ala": "A", "arg": "R", "asn": "N", "asp": "D", "cys": "C", "gln": "Q", "glu": "E", "gly": "G", "his": "H", "ile": "I",
    "leu": "L", "lys": "K", "met": "M", "phe": "F", "pro": "P", "ser": "S", "thr": "T", "trp": "W", "tyr": "Y", "val": "V",
    "ter": "*",
}  # fmt: skip
_LONG = "|".join(_RESIDUES)
_CLAUSE = 60
"""Characters after a gene that may still be about it."""
_STOP = re.compile(r"[。;；\n]|\.\s(?!not |negative|positive|detected|interpretation)")
_JOIN = re.compile(r"\s*(?:[,、/&+-]|::|和|及|与|或)?\s*(?:and|or)?\s*")
_FINDING = re.compile(
    rf"(?P<change>(?<![a-z0-9])(?:p\.)?\(?(?:[acdefghiklmnpqrstvwy]\d{{2,4}}(?:fs\*?\d*|del|dup|ins[a-z]*"
    rf"|[acdefghiklmnpqrstvwy*])"
    rf"|(?:{_LONG})\d{{1,4}}(?:{_LONG}|\*|fs)))(?![a-z0-9])"
    r"|(?P<exon>(?:(?<![a-z])exon\s*(?P<n1>\d{1,2})|第?\s*(?P<n2>\d{1,2})\s*号?\s*外显子|外显子\s*(?P<n3>\d{1,2}))"
    r"(?:in-?\s?frame |[^,。;\na-z]){0,12}?(?P<what>跳跃|缺失|插入|突变|skipping|del(?:etions?)?|ins(?:ertions?)?"
    r"|mutat(?:ions?|ed)))"
    r"|(?P<short>(?<![0-9])(?P<n4>19|20)\s*-?(?P<kind>del|ins)(?![a-z0-9]))"
    r"|(?P<coding>c\.\d{1,5}(?:[+-]\d{1,3})?[acgt]>[acgt])"
    r"|(?P<wild>野生型?|wild[- ]?type|(?<![a-z])wt(?![a-z0-9]))"
    r"|(?P<plain>(?:未|非|无)甲基化|unmethylated|not methylated)|(?P<methylated>甲基化|methylat(?:ed|ion))"
    r"|(?P<codeleted>(?:共同?|联合)缺失|co-?delet(?:ed|ion))"
    r"|(?P<amplified>扩增|amplifi(?:ed|cation))|(?P<fusion>融合|fusion|fused)|(?P<rearranged>重排|断裂|易位"
    r"|rearrang(?:ed|ement)|translocation)"
    r"|(?P<deleted>(?:纯合|杂合)性?缺失|基因缺失|(?:homozygous |heterozygous )?(?:gene )?delet(?:ed|ion))"
    r"|(?P<mutated>突变|变异|mutat(?:ed|ions?))|(?P<fish>(?<![a-z])fish(?![a-z])|荧光原位杂交)"
)
_CHANGED = re.compile(r"[a-z]\d{2,4}[a-z*]|p\.\(?[a-z]{3}\d|\ddel|\dins|c\.\d")
_WORDS = (
    "突变", "变异", "外显子", "野生", "甲基化", "缺失", "扩增", "融合", "重排", "断裂", "易位", "荧光",
    "fish", "exon", "wild", "wt", "mutat", "methyl", "delet", "amplif", "fus", "rearr", "transloc",
)  # fmt: skip
"""One of these, or a changed residue, stands in every finding: looked for before the longer patterns."""
_GENERAL = (
    "associated with", "occur in", "occurs in", "can be found", "found in", "found. in", "indicates", "indicative",
    "indicator", "typical", "requested", "available", "may ", "classified", "reported in", "% of papillary", "studies for",
    "performed for", "patients", "individuals", "regardless", "whether", "specific for", "a tumor is", "trastuzumab",
    "considered", "defined as", "are being", "evaluat", "expected", "common", "to detect", "if a ", "carcinomas (",
    "indeterminate", "probe signal",
)  # fmt: skip
"""Words of sentences that explain a test or a disease instead of giving a result."""
_DENIED = re.compile(
    r"未(?:检出|检测到|检测出|见|发现|查见)|无(?=\s*(?:明确|扩增|突变|融合|重排|甲基化|共|致病))|不(?=扩增)|阴性"
    r"|\(\s*-\s*\)|[:：]\s*-(?![a-z0-9])"
    r"|(?<![a-z])(?:no|not(?!$|\.? (?:required|performed|ordered|done))|negative|without|absent|absence|non|intact)(?![a-z])"
)
_AFFIRMED = re.compile(
    r"阳性|检出|检测到|发现|存在|(?<![a-z])(?:positive|detected|identified|present|found|harbou?rs?)(?![a-z])|(?<!\d)\+"
)
_OPEN = re.compile(
    r"检测(?!到|出|结果)|状态|待|建议|加做|送检|pending|will be|recommend|status|test(?:s|ed|ing)?(?![a-z])|analysis"
    r"|detects|assay|for (?:the )?$|如有"
)
_DENIED_BEFORE = re.compile(
    r"(?:未(?:检出|检测到|检测出|见|发现|查见)(?:明确|致病性?)?|无|(?<![a-z])(?:no|without)(?: (?:evidence of"
    r"|mutations?|\w+ mutations?))?(?: (?:detected|identified|found))?"
    r"(?: (?:in|of))?|negative for)(?: the)?\s*$"
)
_NAMED_BEFORE = re.compile(
    r"(?:(?P<mutated>mutations?)|(?P<fusion>fusions?)|(?P<rearranged>rearrangements?)|(?P<amplified>amplifications?))"
    r"(?: detected| identified| found)? (?:in|of|involving)(?: the)?\s*$"
)
_SIGN = re.compile(f"{_DENIED.pattern}|{_AFFIRMED.pattern}")
# A bare sign right after BRAF V600E is the stain with the antibody VE1.
_STAINED = re.compile(r"\s*v600e\s*\(?\s*[+-]{1,3}\s*\)?.*|.*(?<![a-z])ve1(?![a-z]).*")
_CALLED = {
    "wild": "wild type", "plain": "unmethylated", "methylated": "methylated", "codeleted": "codeleted",
    "amplified": "amplified", "fusion": "fusion", "rearranged": "rearranged", "deleted": "deleted", "mutated": "mutated",
}  # fmt: skip
_ABSENT = frozenset({"not detected", "not amplified"})
_COUNTED = frozenset({"HER2", "MDM2", "CDK4", "MYCN", "CCND1", "EGFR"})
"""Genes whose in-situ hybridisation counts copies; that of others looks for a break."""
_STAINS = frozenset({"p504s", "p501s", "s100a", "s100p"})
"""Markers that are written as a protein change would be."""
_SIGNATURE_CODES = frozenset({"MSI", "MMR", "TMB"})
_SIGNATURE = re.compile(
    r"(?P<high>(?<![a-z])msi-?h(?:igh)?(?![a-z])|微卫星高度?不稳定(?!性)|高度微卫星不稳定"
    r"|microsatellite(?: instability)?[- ](?:high|unstable))"
    r"|(?P<low>(?<![a-z])msi-?l(?:ow)?(?![a-z])|微卫星低度不稳定|低度微卫星不稳定|microsatellite instability[- ]low)"
    r"|(?P<stable>(?<![a-z])mss(?![a-z])|微卫星稳定|microsatellite[- ]stable)"
    r"|(?P<deficient>(?<![a-z])dmmr(?![a-z])|错配修复(?:功能|蛋白)*缺陷|mismatch repair[- ]deficien(?:t|cy)"
    r"|deficient mismatch repair)"
    r"|(?P<proficient>(?<![a-z])pmmr(?![a-z])|错配修复(?:功能|蛋白)*(?:完整|正常)|mismatch repair[- ]proficien(?:t"
    r"|cy)|proficient mismatch repair)"
    r"|(?P<burden>(?<![a-z])tmb[- ]?(?P<grade>h(?:igh)?|l(?:ow)?)(?![a-z])"
    r"|(?:(?<![a-z])tmb|肿瘤突变负荷|mutation(?:al)? burden)\s*(?:\(tmb\))?(?:[:=约为]|\bis\b"
    r"|\s)*(?P<count>\d{1,3}(?:\.\d{1,2})?)(?=\s*(?:个?突变|muts?|/mb)))"
)
_SIGNATURE_WORDS = ("msi", "mss", "微卫星", "microsat", "mmr", "错配修复", "mismatch", "tmb", "突变负荷", "burden")
_SIGNATURES = {
    "high": "MSI=MSI-H", "low": "MSI=MSI-L", "stable": "MSI=MSS", "deficient": "MMR=dMMR", "proficient": "MMR=pMMR",
}  # fmt: skip
_KINDS = {
    "跳跃": "skipping", "缺失": "deletion", "插入": "insertion", "突变": "mutation", "skip": "skipping", "del": "deletion",
    "ins": "insertion", "mut": "mutation",
}  # fmt: skip


class _Gene(NamedTuple):
    name: str
    start: int
    end: int


def molecular_results(folded: str) -> list[Found]:
    """All molecular results of a text as ``gene=finding``, in the order of the text, each said once.

    Args:
        folded: a text as :func:`pathcurate.text.folding.fold` gives it.
    """
    found = [*_of_genes(folded), *_of_signatures(folded)]
    if not found:
        return found
    first: dict[str | int | float, Found] = {}
    for one in sorted(found, key=lambda one: one.start):
        first.setdefault(one.value, one)
    return list(first.values())


def _of_genes(folded: str) -> Iterator[Found]:
    group: list[_Gene] = []
    genes = _genes(folded)
    for place, gene in enumerate(genes):
        if group and not _JOIN.fullmatch(folded, group[-1].end, gene.start):
            group = []
        group.append(gene)
        limit = genes[place + 1].start if place + 1 < len(genes) else len(folded)
        results, end = _results(folded, gene, min(limit, gene.end + _CLAUSE), group[0].start)
        for member in group if results else ():
            yield from (Found("molecular_results", f"{member.name}={result}", member.start, end) for result in results)
        group = [] if results else group


def _results(folded: str, gene: _Gene, limit: int, start: int) -> tuple[list[str], int]:
    """What the clause says of a gene, and where that ends; nothing if it only names it."""
    stop = _STOP.search(folded, gene.end, limit)
    limit = stop.start() if stop else limit
    before = folded[max(0, start - 40) : start]
    rest = folded[gene.end : limit]
    if not (_CHANGED.search(rest) or any(word in rest or word in before for word in _WORDS)) or _STAINED.fullmatch(rest):
        return [], 0
    findings = [one for one in _FINDING.finditer(folded, gene.end, limit) if one[0] not in _STAINS]
    turned = _NAMED_BEFORE.search(before)
    opened = _OPEN.search(before[-24:] + rest) and not (_AFFIRMED.search(rest) or _DENIED.search(rest))
    if opened or not (findings or turned):
        return [], 0
    sentence = _STOP.split(folded[max(0, start - 90) : start])[-1] + folded[gene.end : limit + 30]
    if any(word in sentence for word in _GENERAL):
        return [], 0
    if _DENIED_BEFORE.search(before):
        return [_denied(gene, findings)], findings[-1].end() if findings else gene.end
    if not findings:
        # "mutations in KRAS, NRAS and BRAF not identified": the verb may stand after more genes.
        whole = _STOP.split(folded[gene.end : gene.end + 2 * _CLAUSE])[0]
        said = turned and not _DENIED.search(whole) and _AFFIRMED.search(before + whole)
        return ([_CALLED[str(turned.lastgroup)]] if turned and said else []), gene.end
    results, end = [], gene.end
    for part in _parts(rest, gene.end, findings):
        results += (
            _affirmed(gene, part.findings, part.text) if not _DENIED.search(part.text) else [_denied(gene, part.findings)]
        )
        end = part.end
    found = [result for result in results if result not in _ABSENT]
    return found or results[:1], end


class _Part(NamedTuple):
    findings: list[re.Match[str]]
    text: str
    end: int


def _parts(rest: str, offset: int, findings: list[re.Match[str]]) -> Iterator[_Part]:
    """A clause cut at its commas; a piece without a finding of its own goes on about the one before."""
    cuts = [match.start() for match in re.finditer(",", rest)]
    edges = [0]
    for cut, following in pairwise([*cuts, len(rest)]):
        earlier = any(edges[-1] <= one.start() - offset < cut for one in findings)
        if earlier and any(cut <= one.start() - offset < following for one in findings):
            edges.append(cut)
    for first, last in pairwise([*edges, len(rest)]):
        within = [one for one in findings if first <= one.start() - offset < last]
        text = rest[first:last]
        sign = max((one.end() for one in _SIGN.finditer(text)), default=0)
        yield _Part(within, text, max(within[-1].end(), offset + first + sign))


def _denied(gene: _Gene, findings: list[re.Match[str]]) -> str:
    kinds = {one.lastgroup for one in findings}
    if "wild" in kinds:
        return "wild type"
    if "codeleted" in kinds:
        return "not codeleted"
    if "plain" in kinds or "methylated" in kinds:
        return "unmethylated"
    if "amplified" in kinds or (kinds == {"fish"} and gene.name in _COUNTED):
        return "not amplified"
    return "not detected"


def _affirmed(gene: _Gene, findings: list[re.Match[str]], text: str) -> list[str]:
    kinds = {str(one.lastgroup): one for one in reversed(findings)}
    if changes := [_change(one[0]) for one in findings if one.lastgroup == "change"]:
        return changes
    if exons := [one for one in findings if one.lastgroup in {"exon", "short"}]:
        return [_exon(one) for one in exons]
    if "coding" in kinds:
        return [re.sub("[acgt]>[acgt]", lambda bases: bases[0].upper(), kinds["coding"][0])]
    for kind in ("wild", "plain", "methylated", "codeleted", "amplified", "fusion", "rearranged", "deleted"):
        if kind in kinds:
            return [_CALLED[kind]]
    shown = [] if "fish" not in kinds else ["amplified" if gene.name in _COUNTED else "rearranged"]
    if "mutated" in kinds:
        # In English the noun alone may name the test.
        shown = ["mutated"]
        if kinds["mutated"][0] not in {"mutation", "mutations"}:
            return shown
    return shown if _AFFIRMED.search(text) else []


def _change(word: str) -> str:
    """A protein change in HGVS' short form: ``p.(leu858arg)`` as L858R."""
    word = word.removeprefix("p.").strip("()")
    short = re.sub(_LONG, lambda residue: _RESIDUES[residue[0]], word) if re.match(f"(?:{_LONG})\\d", word) else word
    head, number, tail = re.fullmatch(r"([A-Za-z])(\d+)(.*)", short).groups()  # type: ignore[union-attr]
    return head.upper() + number + (tail if tail[:2] in {"fs", "de", "du", "in"} else tail.upper())


def _exon(found: re.Match[str]) -> str:
    number = int(next(found[name] for name in ("n1", "n2", "n3", "n4") if found[name]))
    what = found["what"] or found["kind"]
    return f"exon {number} {next(kind for start, kind in _KINDS.items() if what.startswith(start))}"


def _of_signatures(folded: str) -> Iterator[Found]:
    if not any(word in folded for word in _SIGNATURE_WORDS):
        return
    for sign in _SIGNATURE.finditer(folded):
        grade = {"h": "high", "l": "low"}.get((sign["grade"] or "")[:1])
        value = _SIGNATURES.get(str(sign.lastgroup)) or f"TMB={grade or sign['count']}"
        denied = _DENIED_BEFORE.search(folded, max(0, sign.start() - 24), sign.start())
        sentence = _STOP.split(folded[max(0, sign.start() - 60) : sign.start()])[-1]
        if not denied and not any(word in sentence for word in _GENERAL):
            yield Found("molecular_results", value, sign.start(), sign.end())


def _genes(folded: str) -> list[_Gene]:
    """Genes that stand as words of their own, in the order of the text."""
    automaton, words, genes = _dictionary()
    found = []
    for place, start, end in automaton.find_matches_as_indexes(folded):
        word = words[place]
        if start and word[0] in _LATIN and folded[start - 1] in _LATIN:
            continue
        if word[-1] in _LATIN and folded[end : end + 1] in _LATIN:
            continue
        found.append(_Gene(genes[word], start, end))
    return found


@cache
def _dictionary() -> tuple[AhoCorasick, list[str], dict[str, str]]:
    """An automaton over all words, the words in its order, and the gene of each."""
    # The signatures have their own patterns.
    genes = {word: gene for word, gene in vocabulary("genes").words.items() if gene not in _SIGNATURE_CODES}
    words = list(genes)
    return AhoCorasick(words, matchkind=MatchKind.LeftmostLongest, implementation=Implementation.DFA), words, genes
