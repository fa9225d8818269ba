"""One peer of the text scrubber on texts given as JSON; runs in an interpreter of its own, without pathcurate.

Reads ``{"peer", "language", "texts", "patterns", "least_score", "repeat"}`` from standard input. Writes to standard
output the places that the peer finds in each text, the processor's seconds of each repetition, and the peer's version.
"""

import importlib.metadata
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any

Find = Callable[[str], list[tuple[int, int]]]
_SCORE = 0.5


def presidio(language: str, patterns: list[dict[str, Any]], least_score: float) -> Find:
    """Presidio without a language model: its own recognisers for the language, and one for each pattern given.

    Of what they find, places with at least this score count.
    """
    from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer
    from presidio_analyzer.recognizer_registry import RecognizerRegistry

    logging.disable(logging.WARNING)
    models = [{"lang_code": language, "model_name": "no_op"}]
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "no_op", "models": models}).create_engine()
    registry = RecognizerRegistry(supported_languages=[language])
    registry.load_predefined_recognizers(languages=[language])
    registry.remove_recognizer("SpacyRecognizer")  # it needs a model
    if language == "zh":
        registry.add_recognizer(PhoneRecognizer(supported_language="zh", supported_regions=("CN", "HK", "TW")))
    for pattern in patterns:
        # \K: the label before a value stays, as it does with our scrubber; a pattern of Presidio has no group for that.
        own = Pattern(pattern["name"], pattern["pattern"].replace("(?P<v>", r"\K(?P<v>", 1), _SCORE)
        recognizer = PatternRecognizer(
            supported_entity=pattern["kind"], supported_language=language, patterns=[own],
            global_regex_flags=re.IGNORECASE if pattern["is_lower"] else 0,
        )  # fmt: skip
        registry.add_recognizer(recognizer)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[language])

    def find(text: str) -> list[tuple[int, int]]:
        return [(result.start, result.end) for result in analyzer.analyze(text, language, score_threshold=least_score)]

    return find


def jieba_tags() -> Find:
    """Words that jieba tags as a person's name, a place or an organisation."""
    import jieba
    import jieba.posseg

    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()

    def find(text: str) -> list[tuple[int, int]]:
        found, at = [], 0
        for word in jieba.posseg.cut(text):
            if word.flag in ("nr", "ns", "nt"):
                found.append((at, at + len(word.word)))
            at += len(word.word)
        return found

    return find


def scrubadub_filth(language: str) -> Find:
    """scrubadub with what it does by itself."""
    import scrubadub

    scrubber = scrubadub.Scrubber(locale="zh_CN" if language == "zh" else "en_US")

    def find(text: str) -> list[tuple[int, int]]:
        return [(filth.beg, filth.end) for filth in scrubber.iter_filth(text)]

    return find


_PACKAGES = {"presidio": "presidio-analyzer", "jieba": "jieba", "scrubadub": "scrubadub"}


def main() -> None:
    """Read, find, write."""
    order: dict[str, Any] = json.load(sys.stdin)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    match order["peer"]:
        case "presidio":
            find = presidio(order["language"], order["patterns"], order["least_score"])
        case "jieba":
            find = jieba_tags()
        case _:
            find = scrubadub_filth(order["language"])
    found = [find(text) for text in order["texts"]]
    seconds = []
    for _ in range(order["repeat"]):
        begun = time.process_time()
        for text in order["texts"]:
            find(text)
        seconds.append(time.process_time() - begun)
    version = importlib.metadata.version(_PACKAGES[order["peer"]])
    json.dump({"version": version, "found": found, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()
