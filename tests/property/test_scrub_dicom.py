"""Whatever is nested in whatever: nothing that the table covers is left, UIDs that met still meet, pydicom reads it."""

import io
import tempfile
import warnings
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.dicomjudge import MARK, STRICT, Numbers, leaks, one, read, scrub, table, with_meta
from tests.dicoms import CT_CLASS, uid

ROWS = [(tag, kind) for tag, kind, _, _ in table() if tag >= 0x0008_0000 and kind not in {"SQ", "-"}]
SEQUENCES = [tag for tag, kind, _, _ in table() if kind == "SQ"] + [
    0x0008_2218, 0x0040_0560, 0x0048_0105, 0x5200_9229, 0x5200_9230, 0x0028_9110, 0x0008_9215, 0x0040_A043, 0x0009_1001,
]  # fmt: skip
OTHERS = [
    (0x0008_0100, "SH"), (0x0018_0050, "DS"), (0x0028_9445, "FD"), (0x0008_9007, "CS"), (0x0040_A160, "UT"),
    (0x0018_5020, "LO"), (0x0009_1010, "LO"), (0x6000_3000, "OW"), (0x7001_0010, "UN"), (0x0020_9056, "SH"),
]  # fmt: skip
SAME_UIDS = [0x0008_0014, 0x0008_1155, 0x0020_000D, 0x0020_000E, 0x0020_0052, 0x0020_9164, 0x0040_A124, 0x0008_1195]

leaves = st.lists(st.sampled_from(ROWS + OTHERS), max_size=6)
shared = st.lists(st.tuples(st.sampled_from(SAME_UIDS), st.integers(1, 3)), max_size=3)
items = st.recursive(
    st.tuples(leaves, shared, st.just([])),
    lambda inner: st.tuples(leaves, shared, st.lists(
        st.tuples(st.sampled_from(SEQUENCES), st.lists(inner, max_size=2), st.booleans()), max_size=3)),
    max_leaves=8,
)  # fmt: skip


def built(tree, numbers):
    """A data set of a drawn tree; texts are met nowhere else, UIDs of three are met again."""
    leaves, shared, sequences = tree
    made = Dataset()
    for tag, kind in leaves:
        value = "CODE1" if tag in {0x0008_0100, 0x0020_9056, 0x0008_9007} else numbers.value(kind)
        made.add_new(tag, kind, value)
    for tag, number in shared:
        made.add_new(tag, "UI", uid(55, number))
    for tag, inner, is_undefined in sequences:
        made.add_new(tag, "SQ", Sequence([built(item, numbers) for item in inner]))
        made[tag].is_undefined_length = is_undefined
        for item in made[tag].value:
            item.is_undefined_length_sequence_item = is_undefined
    return made


def pairs(source, copy):
    """UIDs of the source beside those that stand in their places, as far as the copy has the place."""
    for element in source:
        if element.tag not in copy:
            continue
        other = copy[element.tag]
        if element.VR == "UI" and other.value:
            yield str(element.value), str(other.value)
        elif element.VR == other.VR == "SQ" and len(element.value) == len(other.value):
            for item, made in zip(element.value, other.value, strict=True):
                yield from pairs(item, made)


@given(items, st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]), st.booleans())
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_is_left_and_every_uid_still_meets(tree, syntax, is_strict):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = built(tree, Numbers())
        data.SOPClassUID, data.SOPInstanceUID, data.Modality = CT_CLASS, uid(55, 1), "CT"
        source = with_meta(data, syntax)
    with tempfile.TemporaryDirectory() as folder:
        options = STRICT if is_strict else {}
        _, written, target, (copy,) = scrub(Path(folder), source, **options)
        raw = (target / written.main).read_bytes()
        _, again, _ = one(Path(folder), raw, **options)
    if is_strict:
        assert leaks(source, raw)[1] == []
        assert MARK.encode() not in raw
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        met = {pair for pair in pairs(read(io.BytesIO(source)), copy) if pair[1] != "2.25.0"}
    assert met
    assert len(met) == len({old for old, _ in met}) == len({new for _, new in met})
    assert all((new == old) == old.startswith("1.2.840.10008.") and new == written.uids.get(old, old) for old, new in met)
    assert uid(55, 1) not in str(copy)
    assert (again.PatientID, again.PatientName) == (copy.PatientID, copy.PatientName)
