"""A DICOM series that is no slide: radiology and what comes with it (the ``series`` table).

Names follow DICOM's attributes (PS3.3 C.7.3.1, C.7.5.1).
"""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import SITE

SERIES_STATUSES = ("ok", "truncated", "corrupt", "unreadable", "reader_crashed", "timeout", "gone")
MODALITIES = (
    "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CR", "CT", "CTPROTOCOL", "DMS", "DG", "DOC", "DX", "ECG", "EEG", "EMG",
    "EOG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "M3D", "MG",
    "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR",
    "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD", "RTRECORD", "RTSEGANN",
    "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "STAIN", "TEXTUREMAP", "TG", "US", "VA", "XA", "XAPROTOCOL",
    "XC",
)  # fmt: skip
"""Defined terms of Modality (0008,0060), PS3.3 C.7.3.1.1.1."""
BODY_PARTS = (
    "ABDOMEN", "ABDOMENPELVIS", "ANKLE", "ARM", "BRAIN", "BREAST", "BUTTOCK", "CALCANEUS", "CALF", "CERVIX", "CHEST",
    "CHESTABDOMEN", "CHESTABDPELVIS", "CLAVICLE", "COCCYX", "CSPINE", "CTSPINE", "EAR", "ELBOW", "ESOPHAGUS",
    "EXTREMITY", "EYE", "FACE", "FEMUR", "FINGER", "FOOT", "FOREARM", "GALLBLADDER", "HAND", "HEAD", "HEADNECK", "HEART",
    "HIP", "HUMERUS", "JAW", "KIDNEY", "KNEE", "LEG", "LIVER", "LSPINE", "LSSPINE", "LUNG", "MAXILLA", "MEDIASTINUM",
    "NECK", "NOSE", "ORBIT", "PANCREAS", "PATELLA", "PELVIS", "PROSTATE", "RIB", "SCAPULA", "SHOULDER", "SIJOINT",
    "SKULL", "SPINE", "SPLEEN", "SSPINE", "STERNUM", "STOMACH", "TESTIS", "THIGH", "THORAX", "THUMB", "THYROID",
    "TIBIAFIBULA", "TLSPINE", "TOE", "TSPINE", "UTERUS", "WHOLEBODY", "WRIST", "ZYGOMA",
)  # fmt: skip
"""The usual terms of Body Part Examined (0018,0015), PS3.16 annex L."""
VIEWS = ("AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "AXIAL")
"""Terms of View Position (0018,5101), PS3.3 C.8.1.3 and C.8.11.5."""

REGION_CODES = {
    "818981001": "ABDOMEN", "818982008": "ABDOMENPELVIS", "70258002": "ANKLE", "40983000": "ARM", "76752008": "BREAST",
    "80144004": "CALCANEUS", "30021000": "LEG", "122494005": "CSPINE", "816094009": "CHEST", "416550000": "CHESTABDOMEN",
    "416775004": "CHESTABDPELVIS", "1217257000": "CTSPINE", "51299004": "CLAVICLE", "64688005": "COCCYX",
    "16953009": "ELBOW", "38266002": "WHOLEBODY", "32849002": "ESOPHAGUS", "66019005": "EXTREMITY", "81745001": "EYE",
    "71341001": "FEMUR", "7569003": "FINGER", "56459004": "FOOT", "14975008": "FOREARM", "28231008": "GALLBLADDER",
    "85562004": "HAND", "69536005": "HEAD", "774007": "HEADNECK", "80891009": "HEART", "29836001": "HIP",
    "24136001": "HIP", "85050009": "HUMERUS", "661005": "JAW", "72696002": "KNEE", "122496007": "LSPINE",
    "1217253001": "LSSPINE", "70925003": "MAXILLA", "72410000": "MEDIASTINUM", "45048000": "NECK",
    "363654007": "ORBIT", "15776009": "PANCREAS", "64234005": "PATELLA", "816092008": "PELVIS", "41216001": "PROSTATE",
    "113197003": "RIB", "39723000": "SIJOINT", "54735007": "SSPINE", "79601000": "SCAPULA", "16982005": "SHOULDER",
    "89546000": "SKULL", "421060004": "SPINE", "56873002": "STERNUM", "69695003": "STOMACH", "68367000": "THIGH",
    "122495006": "TSPINE", "1217256009": "TLSPINE", "76505004": "THUMB", "29707007": "TOE", "74670003": "WRIST",
    "13881006": "ZYGOMA",
}  # fmt: skip
"""Body parts by the SNOMED CT code of the anatomic region (PS3.16 CID 4031 and annex L)."""
VIEW_CODES = {
    "399348003": "AP", "272479007": "PA", "399173006": "LL", "399198007": "RL", "399061009": "AXIAL", "399162004": "CC",
    "399368009": "MLO", "399260004": "ML", "399352003": "LM", "399099002": "LMO", "399192008": "XCCL",
    "399101009": "XCCM",
}  # fmt: skip
"""Views by their SNOMED CT code (PS3.16 CID 4010 and CID 4014)."""


def _direct(name: str, type_: Type, meaning: str, *, required: bool = False) -> Column:
    return Column(name, type_, meaning, Identifying.DIRECT, Action.DROP, required=required)


SERIES = Table(
    name="series",
    row="one DICOM series below an archive root that is no slide",
    key=("series_id",),
    columns=(
        Column("series_id", Type.STRING, "Identifier of the series.", Identifying.DIRECT, Action.PSEUDONYM,
               pseudonym="I", required=True),
        SITE,
        _direct("archive", Type.STRING, "Name of the archive root.", required=True),
        _direct("relpath", Type.BYTES, "Smallest path of its instances below the archive root.", required=True),
        _direct("study_uid", Type.STRING, "StudyInstanceUID (0020,000D)."),
        _direct("series_uid", Type.STRING, "SeriesInstanceUID (0020,000E)."),
        _direct("patient_id", Type.STRING, "PatientID (0010,0020)."),
        _direct("patient_name", Type.STRING, "PatientName (0010,0010)."),
        _direct("accession", Type.STRING, "AccessionNumber (0008,0050)."),
        Column("modality", Type.STRING, "Kind of equipment or of object.", values=MODALITIES),
        Column("is_image", Type.BOOLEAN, "Whether it holds images, and not only reports, plans or measurements."),
        Column("body_part", Type.STRING, "Body part examined.", values=BODY_PARTS),
        Column("body_part_raw", Type.STRING, "Body part as the equipment's operator wrote it.", Identifying.DIRECT,
               Action.WITHHOLD),
        Column("laterality", Type.STRING, "Side of the body: left, right, unpaired, both.", values=("L", "R", "U", "B")),
        Column("view", Type.STRING, "View position.", values=VIEWS),
        Column("description_raw", Type.STRING, "SeriesDescription (0008,103E).", Identifying.DIRECT, Action.WITHHOLD),
        Column("instance_count", Type.INTEGER, "Instances, copies counted once."),
        Column("file_count", Type.INTEGER, "Files that hold them."),
        Column("size_bytes", Type.INTEGER, "Bytes of all its files; matches original files, so for criteria only.",
               Identifying.CRITERION_ONLY, Action.CRITERION),
        Column("mtime", Type.TIMESTAMP, "Newest modification time of its files.", Identifying.QUASI, Action.DROP),
        Column("study_date", Type.DATE, "When the study began.", Identifying.QUASI, Action.SHIFT),
        Column("series_date", Type.DATE, "When the series began.", Identifying.QUASI, Action.SHIFT),
        Column("acquisition_date", Type.DATE, "When the first of its images was acquired.", Identifying.QUASI, Action.SHIFT),
        Column("slice_thickness", Type.FLOAT, "Nominal thickness of its slices.", unit="mm"),
        Column("slice_spacing", Type.FLOAT, "Distance between the middles of its slices.", unit="mm"),
        _direct("institution", Type.STRING, "InstitutionName (0008,0080)."),
        Column("manufacturer", Type.STRING, "Manufacturer of the equipment.", Identifying.QUASI, Action.DROP),
        Column("model", Type.STRING, "Model of the equipment.", Identifying.QUASI, Action.DROP),
        _direct("serial", Type.STRING, "Serial number of the equipment."),
        _direct("station", Type.STRING, "StationName (0008,1010)."),
        Column("burned_in", Type.BOOLEAN, "Whether texts are burned into the pixels, as far as the header says."),
        Column("status", Type.STRING, "State of the series: the worst of its instances.", values=SERIES_STATUSES,
               required=True),
        _direct("status_detail", Type.STRING, "Why the series has this state."),
        Column("scanned_at", Type.TIMESTAMP, "When pathcurate read it.", Identifying.QUASI, Action.DROP),
    ),
)  # fmt: skip
