"""Clinical documents (CDA R2, 检查报告) with planted answers."""

from datetime import date, datetime
from xml.sax.saxutils import escape, quoteattr

CARD = "110105196703140027"
NUMBER = "S23-00123"
ANSWER = {
    "source_codes": ["icd10"],
    "accession": "S23-123", "accession_raw": NUMBER, "patient_id": "00012345", "id_number": CARD, "patient_name": "王小红",
    "sex": "female", "birth_date": date(1967, 3, 14), "age": 56,
    "phone": "13800000000", "report_type": "primary",
    "status": "final", "organ": "breast", "specimen_sites": "右乳",
    "site": "NB01", "source_row": 1,
    "received_date": datetime(2023, 3, 10), "reported_date": datetime(2023, 3, 14, 16, 30, 1),  # noqa: DTZ001
    "clinical_diagnosis": "右乳肿物", "gross": "灰白结节一枚，大小2.5×2×1.8cm", "microscopy": "异型细胞呈巢状排列",
    "diagnosis": "（右乳）浸润性癌，Ⅱ级", "ihc": "ER (+)\nKi-67 30%", "pathologist": "李初诊", "reviewer": "陈审核",
    "submitting_unit": "乳腺外科", "submitting_doctor": "赵送检", "icd10": "C50.900",
    "language": "zh", "attachment_count": 1,
}  # fmt: skip
"""The row of the document that :func:`document` makes."""
CODED = (
    "<entry><observation classCode='OBS' moodCode='EVN'><code code='DE05.01.024.00' displayName='诊断代码'/>"
    "<value xsi:type='CD' code='C50.900' codeSystemName='ICD-10' displayName='恶性肿瘤'/></observation></entry>"
)
PICTURE = "<entry><observationMedia><value mediaType='image/jpeg'>d2FuZw==</value></observationMedia></entry>"
STAINS = "<table><tbody><tr><td>ER</td>\n<td>(+)</td></tr>\n<tr><td>Ki-67</td><td>30%</td></tr></tbody></table>"
SECTIONS = (
    ("肉眼所见", "<paragraph>灰白结节一枚，大小2.5×2×1.8cm</paragraph>", ""),
    ("镜下所见", "异型细胞呈巢状排列", ""),
    ("免疫组化", STAINS, ""),
    ("病理诊断", "<content revised='delete'>（左乳）</content>（右乳）浸润性癌<content>，Ⅱ级</content>", CODED),
    ("其他", "", PICTURE),
)


def observation(name: str, value: str, kind: str = "ST") -> str:
    """An entry with an observation."""
    told = f">{escape(value)}</value>" if kind == "ST" else f" value={quoteattr(value)}/>"
    return f"<entry><observation><code displayName={quoteattr(name)}/><value xsi:type='{kind}'{told}</observation></entry>"


def section(title: str, text: str = "", entries: str = "") -> str:
    """A section of the body; texts and entries are markup."""
    return f"<component><section><title>{title}</title><text>{text}</text>{entries}</section></component>"


def identifier(extension: str, root: str = "1.2.156.112636.1") -> str:
    """An ``id``, by default below a root that is the hospital's own."""
    return f"<id root={quoteattr(root)} extension={quoteattr(extension)}/>"


def document(
    *,
    title: str = "病理检查报告",
    identifiers: str = identifier("00012345", "2.16.156.10011.1.12") + identifier(NUMBER),
    number: str = NUMBER,
    body: str | None = None,
    gender: str = "<administrativeGenderCode code='2' codeSystem='2.16.156.10011.2.3.3.4' displayName='女性'/>",
    name: str = "<name>王小红</name>",
    extra: str = "",
    opening: str = "<?xml version='1.0' encoding='UTF-8'?>\n",
) -> str:
    """A document.

    Args:
        title: its title.
        identifiers: markup of the patient's numbers.
        number: of the order.
        body: markup of its body; sections with the answers if None.
        gender: markup.
        name: markup of the patient's name.
        extra: markup behind the header.
        opening: what stands before the root.
    """
    entries = observation("标本名称", "右乳") + observation("临床诊断", "右乳肿物")
    entries += observation("接收日期", "20230310", "TS")
    sections = body if body is not None else "".join(section(*one) for one in SECTIONS) + section("检查报告", "", entries)
    inner = sections if sections.startswith("<nonXMLBody") else f"<structuredBody>{sections}</structuredBody>"
    return f"""{opening}<ClinicalDocument xmlns='urn:hl7-org:v3' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>
<typeId root='2.16.840.1.113883.1.3' extension='POCD_HD000040'/><templateId root='2.16.156.10011.2.1.1.26'/>
<id root='2.16.156.10011.1.1' extension='D20230314000001X'/>
<code code='C0006' codeSystem='2.16.156.10011.2.4' displayName='检查报告'/>
<title>{title}</title><effectiveTime value='20230315090000+0800'/>
<recordTarget><patientRole>{identifiers}<telecom value='tel:13800000000'/>
<patient><id root='2.16.156.10011.1.3' extension='{CARD}'/>{name}{gender}<birthTime value='19670314'/>
<age unit='岁' value='56'/></patient></patientRole></recordTarget>
<author><time value='20230314'/><assignedAuthor><id extension='771'/><code displayName='报告医师'/>
<assignedPerson><name>李初诊</name></assignedPerson></assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization><name>示范医院</name></representedCustodianOrganization>
</assignedCustodian></custodian>
<legalAuthenticator><time value='20230314163001.000+0800'/><signatureCode/><assignedEntity><code displayName='审核医师'/>
<assignedPerson><name>陈审核</name></assignedPerson></assignedEntity></legalAuthenticator>
<authenticator><time/><assignedEntity><code displayName='检查技师'/><assignedPerson><name>周制片</name></assignedPerson>
</assignedEntity></authenticator>
<participant typeCode='PRF'><associatedEntity classCode='ASSIGNED'><associatedPerson><name>赵送检</name></associatedPerson>
<scopingOrganization><name>乳腺外科</name></scopingOrganization></associatedEntity></participant>
<inFulfillmentOf><order>{identifier(number)}</order></inFulfillmentOf>
{extra}<component>{inner}</component></ClinicalDocument>"""
