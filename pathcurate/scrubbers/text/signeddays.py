"""Short days beside those who signed on them: 储晓晨,7-19 and 4/22 侯晓晨, where a ratio or a range would be no day."""

import re
from collections.abc import Iterable, Iterator

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.signatures import NO_SIGNERS
from pathcurate.text.dateforms import FoundDate, short_day

_SIGNERS = frozenset({Kind.STAFF, Kind.PERSON})
_BEHIND = re.compile(
    r"(?:[ ]{0,2}[,/(|][ ]{0,2}|[ ]{1,8})(?=[0-9]{1,2}[-./][0-9])|(?=[01]?[0-9][-/](?:0[1-9]|[12][0-9]|3[01]))"
)
_ENDED = re.compile(r"[ ]*(?:$|[\n。;)|])|[ ]{2}")
_DONE = re.compile("补|改|更正|加做|重切|深切|取材|签|审核|复核|阅|录入|会诊")
_BEFORE = re.compile(r"(?:^|(?<=[\n。;(]))[ ]{0,4}(?P<day>[0-9]{1,2}[-./][0-9]{1,2})[ ,]{1,3}\Z")
_REACH = 14


def find_signed_days(normal: str, names: Iterable[Removal], year: int | None) -> Iterator[Removal]:
    """Days that stand behind or before a name and end or begin its line or sentence, in no order.

    Args:
        normal: the text in half width.
        names: whoever was found in it.
        year: of the report, None if it is not known.
    """
    for name in names:
        # 左 4/22 are nodes of the left.
        if name.kind in _SIGNERS and name.value not in NO_SIGNERS:
            behind = _BEHIND.match(normal, name.end)
            day = short_day(normal, behind.end(), year) if behind else None
            if day and _ENDED.match(normal, day.end):
                yield _removal(day)
            is_ended = _ENDED.match(normal, name.end) or _DONE.match(normal, name.end)
            if normal[name.start - 1 : name.start] in {" ", ","} and is_ended:
                before = _BEFORE.search(normal, max(0, name.start - _REACH), name.start)
                day = short_day(normal, before.start("day"), year) if before else None
                if day and day.end <= name.start:
                    yield _removal(day)


def _removal(day: FoundDate) -> Removal:
    return Removal(day.start, day.end, Kind.DATE, day.rule, day.day.isoformat(), day.form)
