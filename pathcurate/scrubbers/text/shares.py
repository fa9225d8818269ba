"""Folders of the network: of the names in them only those that may say whose files they are."""

import re
from collections.abc import Iterator

from pathcurate.model.removal import Kind, Removal
from pathcurate.text.beginnings import Searched

_SHARE = Searched(r"(?P<v>\\\\[A-Za-z0-9._\u4e00-\u9fff-]{1,64}(?:\\[^\s,，。;；()\"\\]{1,128}){1,20}\\?)")
_PART = re.compile(r"[^\\_.]+")
# What folders of any laboratory are called, and files of images.
_GENERIC = re.compile(
    r"(?:(?i:path|pathology|pathdept|lab|histo|cyto|archive|backup|bak|case|consult|data|dept|doc|document|draft|export|file|final|gross"
    r"|he|home|ihc|image|img|in|inbox|local|macro|micro|mdt|molecular|nas|new|old|out|outbox|pacs|photo|pic|picture|pub|public"
    r"|report|reports|review|scan|scanner|server|share|shared|slide|special|srv|staff|stain|stat|store|temp|tmp|upload|user|video|wsi"
    r"|svs|ndpi|tiff?|mrxs|kfb|sdpc|jpe?g|png|bmp|docx?|xlsx?|pptx?|pdf|txt|csv|zip|dcm|img|bl|[a-z](?![a-z]))-?){1,4}s?"
    r"[0-9-]{0,4}(?:bl[0-9]{0,2})?"
    r"|[0-9]{1,6}[xX]?|[A-Za-z]{1,5}[0-9]{1,3}|(?:会诊|病理科?|图像|图片|照片|切片|扫描|大体|镜下|报告|备份|数据|科室|存档|归档|标本|影像|病例|资料|冰冻|免疫组化|组化)+[0-9]{0,4}"
)


def find_shares(normal: str) -> Iterator[Removal]:
    """Parts of the paths of shared folders that no laboratory's folders are called: names, numbers, places."""
    if "\\\\" not in normal:
        return
    for share in _SHARE.finditer(normal):
        start = end = share.start()
        for part in _PART.finditer(normal, *share.span("v")):
            is_initial = part.end() - part.start() == 1 and part[0].isalpha() and normal[part.start() - 1] == "_"
            if _GENERIC.fullmatch(part[0]) and not is_initial:
                continue
            is_same = end == part.start() - 1 and normal[end] == "_" and end > start
            if end > start and not is_same:
                yield Removal(start, end, Kind.URL, "shape.share")
            start, end = part.start() if not is_same else start, part.end()
        if end > start:
            yield Removal(start, end, Kind.URL, "shape.share")
