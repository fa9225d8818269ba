"""Numbers, telephones, beds and great ages as English, American, Irish and Australian texts write them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.accepting import digits_in, is_day
from pathcurate.scrubbers.text.namewords import is_han
from pathcurate.text.beginnings import Searched

# A Chinese report with a term in English is none of these texts: three Latin words in a row make one.
_PROSE = Searched(r"[A-Za-z][A-Za-z]{1,19}[ ,.:;]{1,2}[A-Za-z]{2,20}[ ,.:;]{1,2}[A-Za-z0-9]{2}")
_FREE = r"(?<![0-9A-Za-z.])"
_OVER = r"(?![0-9A-Za-z])"
_IS = (
    r"(?:[ ]?(?:number|num|nos?|nr|ref|id|#)(?![a-z])\.?)?(?:[ ](?:is|was|of|to|returned"
    r"|on file)(?![a-z]))?(?:[ ]?\((?:last (?:four|4|digits)|ending|partial|masked)[a-z ]{0,10}\))?"
    r"[ ]?[:#=.]{0,2}[ ]{0,3}[#(\[\"“]?"
)
_CODE = (
    r"(?P<v>(?:[a-z]{1,5}[0-9]?[-_/]|[a-z]{1,3}[0-9]?"
    r"|[a-z]{1,5}[-/][a-z]{1,5}[-/]|(?-i:(?!(?:WHO|ICC|CAP|MRN|HAR|UR|GMC|IMC|NHS|SSN|DOB|CHI|NHI"
    r"|PHN)[ ])[A-Z]{2,4})[ ])?[0-9][0-9a-z]{0,19}(?:[-_/:.][0-9a-z]{1,12}"
    r"|[ ](?=[0-9]{3,5}(?![0-9]))[0-9]{3,5}(?:[ ][0-9]{1,2}(?![0-9/.:-]))?){0,5})(?![0-9a-z%])"
)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern with the value in group ``v``; ``least`` digits or, with a letter in it, ``least_mixed``."""

    name: str
    kind: Kind
    pattern: "re.Pattern[str]"
    least: int = 0
    least_mixed: int = 0


def _labelled(name: str, kind: Kind, labels: str, least: int, least_mixed: int, value: str = _CODE) -> _Rule:
    # The bracket before an area code is a part of the number.
    between = _IS.replace("#(", "#") if kind is Kind.PHONE else _IS
    return _Rule(
        name,
        kind,
        re.compile(rf"(?<![a-z0-9])(?=[a-z])(?:{labels})(?![a-z]){between}{value}", re.IGNORECASE),
        least,
        least_mixed,
    )


def _shaped(name: str, kind: Kind, value: str) -> _Rule:
    return _Rule(name, kind, re.compile(rf"{_FREE}(?P<v>{value}){_OVER}"))


_RULES = (
    _labelled("label.chart_en", Kind.NUMBER,
              r"charts?|folder|spell|attendance|booking|admission|invoice|client|request|docket|episode|visit|order"
              r"|(?<!on )file|recorded delivery|tracked|med(?:ical)? rec|fin|csn|har|mrn|mr|ur|urn|hrn|umrn|crn|fedex"
              r"|ups|dhl|usps|tnt|purolator|royal mail|courier|awb"
              r"|waybill|consignment|parcel|"
              r"airbill|way ?bill|specimen bag|bag|transport box|shipment|seal|"
              r"hosp(?:ital)?|billing|encounter|requisition|barcode|bar code|tracking|"
              r"(?:quality |incident |safety |adverse )event|films?|x-?rays?|medical record|"
              r"(?<!kit )(?<!cat )(?<!lot )(?:(?:our|your|their|local|genetics|clinic|referral|radiology"
              r"|molecular) )?ref(?:erence)?|"
              r"(?:our|your|their|local|unit|mortuary|police|badge|collar|locker|ward) (?=no|num|id|#)|id|pid"
              r"|temp(?= [A-Z]-?[0-9]{4})|inmate"
              r"|prisoner|custody|offender|(?-i:W?PC"
              r"|PCSO|DC|Sgt|Badge|badge)", 4, 3),
    _labelled("label.no_en", Kind.NUMBER, r"(?-i:No|NO|Nr)\.?", 5, 3,
              r"[ ]?(?P<v>[a-z]{1,3}[-/]?[0-9]{3,9}(?:[-/][0-9]{1,6}){0,2}|[0-9]{3,6}/[0-9]{2,4})(?![0-9a-z])"),
    _Rule("label.number_spaced_en", Kind.NUMBER,
          re.compile(r"(?<![A-Za-z])(?:N ?[Oo]|I ?D|M ?R ?N|#)(?![A-Za-z]) ?[.:]{0,2} ?"
                     r"(?P<v>(?:[A-Z] ){0,4}[0-9](?: [0-9A-Z]){3,14})(?=[ ]{2}|[ ]*(?:\n|$))")),
    _labelled("label.lab_en", Kind.CASE,
              r"case|hpe|hp|lab(?:oratory)?(?: ref)?|report|accession|acc|histology|histo|cytology|cyto|frozen"
              r"(?: section)?|fs|"
              r"path(?:ology)?|neuropathology|biopsy|bx|surgical|autopsy|post-?mortem|pm|specimen|sample", 5, 3,
              r"(?P<v>[a-z]{0,4}[-/]?[0-9]{1,4}[-/:.](?:[a-z]{1,3}[-/:.])?[0-9]{2,8}(?:[-/][0-9]{2,7})?(?:[-/"
              r" ]?[a-z][0-9]{0,2})?"
              r"|[a-z]{1,4}-[0-9]{3,8}|[0-9]{2}[a-z]{1,3}-?[0-9]{3,8}|(?-i:[A-Z]{1,3}) [0-9]{2} [0-9]{3,7})(?![0-9a-z%])"),
    _shaped("shape.case_letters_en", Kind.CASE,
            r"[0-9]{2}[-/:][A-Z]{1,3}[-/:][0-9]{3,7}(?:-[A-Z][0-9]{0,2})?"
            r"|(?!(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)-)[A-Z]{1,4}-[0-9]{2}-[0-9]{2,7}(?:-[A-Z][0-9]{0,2})?"
            r"|[A-Z]{1,3}[0-9]{2}[/:][0-9]{3,6}(?:[-/][A-Z][0-9]{0,2})?"
            r"|[A-Z]{2,4}-[A-Z]{1,3}[0-9]{2}-[0-9]{2,7}(?:-[0-9]?[A-Z][0-9]{0,2})?"
            r"|[A-Z]{1,3}-[0-9]{2}/[0-9]{3,6}"
            r"|[0-9]{2}[A-Z]{1,2}-?[0-9]{4,7}|(?:19|20)[0-9]{2}-(?![0-9]000(?![0-9]))(?!(?:0[1-9]"
            r"|1[0-2])[0-3][0-9](?![0-9])|(?:19"
            r"|20)[0-9]{2}(?![0-9]))[0-9]{4,6}"),
    _shaped("shape.patient_en", Kind.NUMBER,
            r"(?!(?:LOC|ZNF|ORF|LOT|REF|CAT|AJCC|KIAA|UICC|FIGO|ICDO?|CPT|NCT|PMID|ISO|ISBN|WHO|CAP|NOS|HPV|IARC|CLIA|ASTM"
            r"|COSM|RRID|GSE|GRCH|ENS[TG]|PRO|VAR|ITEM|STEP|YEAR|IN|OF|TO|AT|BY|ON|IS|AND|FOR|THE|FROM)[ -]?[0-9])"
            r"(?!(?:MRN|MR(?= )|UR|HAR|GMC|IMC|NMC|NHS|DEA|NPI|UID|PIN|REG|NO|ID|I[PC]|TEL|FAX|EXT|PHN|HCN|CHI|NHI|SSN|CSN"
            r"|FIN|REQ|ACC"
            r"|CASE|FILE|UMRN|MCR|EMPI|UHID|NRIC|HRN|CRN|GSL|BED)[ ]?[0-9])"
            r"(?:[A-HJ-NP-Z]{3}[0-9]{4}|[A-HJ-NP-Z]{3}[0-9]{2}[A-HJ-NP-Z]{2}|[A-Z]{2,4}[ ][0-9]{5,9}|[A-Z]{1,4}[0-9]{6,10}"
            r"|[A-Z]{1,2}[0-9]{5}(?<![TMPDFJ][0-9]{5}))"),
    _Rule("shape.aside_en", Kind.NUMBER,
          re.compile(r"(?<=[a-z.] \()(?!A-?2[68]0|IS)(?P<v>[A-Z]{1,3}-?[0-9]{4,8}(?<![TMPDFJ][0-9]{5}))(?=[),;])")),
    _Rule("shape.last_four_en", Kind.ID,
          re.compile(r"(?<![A-Za-z])[A-Z]{2,},[A-Z]{2,}(?: [A-Z])? (?P<v>[A-Z][0-9]{4})(?![0-9A-Za-z])")),
    _shaped("shape.code_en", Kind.NUMBER,
            r"(?<![Ll]ot )(?<!LOT )(?<!batch )(?!(?:CPT|ISO|GB|NM|NP|NC|ICD|NCT|PMID|ISBN|RFC|COSM|CLSI|WS|EN"
            r"|SNOMED|[TMPDEFJ]|JGCA)-)[A-Z]{1,4}[0-9]?-[0-9]{4,8}(?:-[0-9]{1,3})?|[A-Z]{1,3}-[0-9]{4,8}-[A-Z]"),
    _labelled("label.phone_en", Kind.PHONE,
              r"tel(?:ephone)?|phones?|ph|mob(?:ile)?|cell|fax|pager|bleep|beeper|ext(?:ension|n)?|desk|office|home"
              r"|work|direct(?: line)?|"
              r"whatsapp|voicemail|switchboard|landline|hotline|call(?:ed)?(?: me| us| back)?(?: on| at)?|callback"
              r"|reach(?:ed)?(?: (?:at|on))?|(?:ring|dial|text|contact)(?:ed| on| at)?|"
              r"page(?:d)?|number", 7, 7,
              r"(?:(?:on|at)[ ])?(?P<v>[+(]?[0-9][0-9x*]{0,4}\)?(?:[ ]?[-./(][ ]?|[)][ ]?"
              r"|[ ])?(?:[0-9]{1,7}\)?(?:[-./][ ]?|[ ](?=[0-9(]))){0,5}[0-9]{2,9}"
              r"(?:,?[ ]?(?:x|ext\.?|extn\.?|extension|poste|opt(?:ion)?)[ ]?[0-9]{1,6})?)(?![0-9a-z])"),
    _labelled("label.pager_en", Kind.PHONE,
              r"(?:ring|call|dial|text|get) (?:me|us|him|her|them) (?:on|at)|pager|bleep(?:er)?|beeper|ext(?:ension|n)?\.?"
              r"|fax|tel|phone|ph|x(?=[0-9])(?!(?:[1-9]00|1000|[1246]0)(?![0-9]))|short code|dect|vocera|call|intercom"
              r"|dial|ring"
              r"|internal", 3, 3,
              r"\(?(?P<v>[x#]?(?:[0-9]-[0-9]{3,4}|[0-9]{3}-[0-9]{3,4}|[0-9]{3,6}))(?![0-9a-z]|[ ]?(?:cm|mm|ml|cells?|x))"),
    _Rule("shape.extension_behind_en", Kind.PHONE,
          re.compile(r"(?:(?<=[0-9][-. )][0-9]{3})|(?<=[0-9][-. )][0-9]{4}))(?P<v>,? (?:x|ext\.?|extn\.?"
                     r"|extension) ?[0-9]{1,6})"
                     r"(?![0-9A-Za-z])")),
    _Rule("shape.extension_alone_en", Kind.PHONE,
          re.compile(r"(?<=[@] )(?P<v>ext?n?\.? [0-9]{3,6})(?![0-9A-Za-z])"
                     r"|(?:lab|office|desk|sec(?:retary)?|reception|team|clinic|pager|(?<=[a-z] )on|(?<=[a-z] )at)[ ]"
                     r"(?P<w>x[0-9]{3,5}(?<!00))(?![0-9A-Za-z])"
                     r"|(?<=[a-z] )(?:at|on)[ ](?P<u>[2-9]-[0-9]{4})(?=[ ]?[.,;)\n]|[ ]?$)")),
    _shaped("shape.phone_masked_en", Kind.PHONE,
            r"(?:[0-9]{3,5}[ -]){1,2}(?=[0-9xX*]{4})(?:[0-9]{1,3}[xX*]{1,4}[0-9]{1,3}|[xX*]{3,4}[0-9]{0,2})"),
    _shaped("shape.phone_en", Kind.PHONE,
            r"1[-. ](?:\([2-9][0-9]{2}\)|[2-9][0-9]{2})[-. ][0-9]{3}[-. ][0-9]{4}"
            r"|[2-9][0-9]{2}(?:\.|-|/|\)[ ]?|[ ])[2-9][0-9]{2}[-.][0-9]{4}(?:,?[ ]?(?:x|ext\.?|extn\.?|extension"
            r"|poste)[ ]?[0-9]{1,6})?"
            r"|00[1-9][0-9]{0,2}(?:[ -]\(?[0-9]{1,4}\)?){3,6}"
            r"|0[1-9][0-9]{1,3}[ -][0-9]{3}[ -][0-9]{3,4}|0[2378][ ][0-9]{4}[ ][0-9]{4}|01[0-9]{3}[ -][0-9]{5,6}"
            r"|07[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}|(?<!/ )[35-9][0-9]{3}[ ][0-9]{4}(?=[ ]*(?:[.,;)\n]|$))"
            r"|[6-9][0-9]{4}[ -][0-9]{5}|0[1-9]-[0-9]{3}[ -][0-9]{4}"
            r"|[A-Z]{2}[a-z]{3,8}[ ][0-9]-[0-9]{4}"),
    _Rule("shape.phone_area_en", Kind.PHONE,
          re.compile(r"(?<![0-9A-Za-z])(?P<v>(?:\+[0-9]{1,3}[ ]?\(0\)|\(0[1-9][0-9]{0,3}\)"
                     r"|\([2-9][0-9]{2}\))[ ]?[0-9]{2,4}[ -]?[0-9]{3,4}(?:[ -]?[0-9]{3,4})?)(?![0-9A-Za-z]|\.[0-9])")),
    _Rule("shape.hash_en", Kind.NUMBER, re.compile(r"(?<![A-Za-z] block )(?<=[ (])#(?P<v>[0-9]{4,12})(?![0-9A-Za-z]"
        r"|[.,][0-9])")),
    _shaped("shape.parcel_en", Kind.NUMBER, r"[A-Z]{2}[ ]?[0-9]{4}[ ]?[0-9]{4}[ ]?[0-9][ ]?[A-Z]{2}"),
    _Rule("shape.day_en", Kind.OTHER,
          re.compile(r"(?<![A-Za-z])(?P<v>(?:(?:Mon|Tues?|Wed(?:nes|s)?|Thu(?:rs?)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? (?:the )?"
                     r"[0-3]?[0-9](?:st|nd|rd|th)|[0-3]?[0-9](?:st|nd|rd|th) (?:inst|ult|prox)\.?))(?![A-Za-z]| "
                     r"(?:of )?[A-Z][a-z]{2})")),
    # The hour beside a day that other rules find, and days that no year and no month's name tells from a ratio.
    _Rule("shape.hour_en", Kind.OTHER,
          re.compile(r"(?<![0-9A-Za-z/.:-])(?P<v>(?:[01]?[0-9]|2[0-3]):?[0-5][0-9](?: ?h(?:rs?)?"
                     r"| ?[AaPp]\.?[Mm]\.?)?,? (?:on )?(?:[01]?[0-9]/[0-3]?[0-9]"
                     r"|[0-3]?[0-9]/[01]?[0-9])(?:/(?:20)?[0-9]{2})?)(?![0-9A-Za-z/%]|\.[0-9]| ?(?:HPF|hpf|cores?|nodes?"
                     r"|LN|ln|pos"
                     r"|neg|slides?|blocks?|cm|mm|of|were|show))"
                     r"|(?<=[0-9]/[0-9]{2}/[0-9]{2})(?P<w>[ -][0-2][0-9][0-5][0-9](?: ?h(?:rs?)?)?)(?=[ ]*(?:[.,;)|\n]|$"
                     r"|  )| (?:by|to|BY|TO|and)[ ])"
                     r"|(?<![0-9A-Za-z/])(?P<x>[01]?[0-9]/[0-3]?[0-9]/(?:20)?[0-9]{2}-[0-2][0-9][0-5][0-9])(?![0-9A-Za-z/])")),
    _Rule("label.day_en", Kind.OTHER,
          re.compile(r"(?<![A-Za-z])(?:(?i:lmp|mdt|mdm|tumou?r board|conference|clinic|meeting|appt|appointment|visit|due"
                     r"|until|till|typed"
                     r"|dictated|faxed|phoned|emailed|posted|shipped|discharged|admitted|seen|(?:path|bx|labs|notes?|scan"
                     r"|slides|report) from)(?: (?:on|for|by))?:? "
                     r"|(?:fedex|ups|FedEx|UPS|DHL)(?: [0-9]{4,12}){1,4} |[0-9]{4}\) )"
                     r"(?P<v>(?:1[0-2]|0?[1-9])/(?:3[01]|[12][0-9]|0?[1-9]))(?![0-9/%]|\.[0-9]| ?(?:cores?|nodes?|HPF|hpf"
                     r"|pos|neg|slides?|blocks?"
                     r"|mm|cm|x|LN|ln|of))"
                     r"|(?<![A-Za-z])(?:[Tt]ill|[Uu]ntil|on|by|before|after|since) (?:the )?(?P<w>[0-3]?[0-9](?:st|nd|rd"
                     r"|th))"
                     r"(?=[ ]*(?:[.,;)\n]|$))")),
    _Rule("label.initials_en", Kind.PERSON, re.compile(r"[Ii]nitials[: ]{1,3}(?P<v>(?:[A-Z]\.){2,4}"
        r"|[A-Z]{2,4}(?![A-Za-z]))")),
    _Rule("shape.extension_en", Kind.PHONE, re.compile(r"(?<=[,(;:] )(?P<v>x[0-9]{4,5}(?<!00))(?![0-9A-Za-z])"
        r"|(?<=\()(?P<w>x[0-9]{4,5}(?<!00))(?=\))")),
    _Rule("label.bed_en", Kind.BED,
          re.compile(r"(?:(?<![A-Za-z])(?<!mor )(?<!mour )(?<!al )(?<!ar )(?<!ic )(?<!on )(?<!ate )(?<!ver )(?<!ary"
                     r" )(?<!tic )(?<!ail )(?i:bed(?:space)?|cot|bay|incubator|crib|cubicle|cabin|bunk)"
                     r"|(?<![A-Za-z])(?i:room|rm)(?= ?#?[0-9]{3}))[ ]?(?i:no\.?|#"
                     r"|number)?[ :]{0,2}(?P<v>(?:[A-Z]{2,6}[ -])?[A-Z]?[0-9]{1,4}[A-Z]?(?:-[0-9A-Z]{1,4}){0,2})"
                     r"(?![0-9A-Za-z]|\.[0-9]|[ ]?(?:mm|cm|x[ ]))|(?<![A-Za-z])(?:WEST|EAST|NORTH|SOUTH|West|East|North"
                     r"|South)-(?P<w>[0-9]{2,4}-?[A-Z]?)(?![0-9A-Za-z])")),
    _Rule("label.ward_en", Kind.BED,
          re.compile(r"(?<![A-Za-z])(?:[Ww]ard|WARD|[Ll]oc(?:ation)?|LOC|[Rr]oom|ROOM|[Rr]m|RM|[Bb]ed|BED"
                     r"|[Cc]ot)(?:/(?:[Bb]ed|BED"
                     r"|[Ww]ard))?(?: [Nn]o\.?)?[ ]?[:-]?[ ]{1,2}"
                     r"(?P<v>(?:[0-9]{1,2}[A-Z]{1,3}|[A-Z]{1,3}-?[0-9]{1,3}[A-Z]?"
                     r"|(?:[A-Z]{2,4}|[A-Z][a-z]{2,8})(?: [A-Z])?(?= ?/ ?[0-9]))"
                     r"(?:-[0-9A-Z]{1,5}| ?/ ?[0-9A-Z]{1,4}(?![0-9A-Za-z-])){0,3}"
                     r"|[Bb]ed [0-9]{1,2}[A-Z]?(?:, [Bb]ay [0-9A-Z]{1,2})?)(?![0-9A-Za-z]|\.[0-9]|[ ]?(?:mm|cm)"
                     r"| [Bb]ed [0-9])")),
    _labelled("label.member_en", Kind.ACCOUNT,
              r"account|acct|policy|member|subscriber|vhi|laya|bupa|axa|aviva|cigna|aetna|bcbs|humana|medibank|hcf|discovery"
              r"|southern cross|ramq|ohip|medicare|medicaid|plate|tag|policyholder|insurance|claim|group"
              r"|iban|card|"
              r"(?:parking|vehicle)(?: validation| permit| reg(?:istration)?)?:?(?: [A-Z]{2})?", 4, 4,
              r"(?:[A-Z]{2}[ ](?=[A-Z]{2,4}-))?(?P<v>(?:[a-z]{1,6}[-_]|[a-z]{1,3}"
              r"|(?-i:[A-Z]{3,4})[ ])?[0-9][0-9a-z]{0,19}(?:[-_ ](?=[0-9a-z]{0,4}[0-9])[0-9a-z]{1,10}){0,4})(?![0-9a-z%])"),
    _Rule("label.user_en", Kind.ACCOUNT,
          re.compile(r"(?<![a-z])(?i:users?(?:name)?|user ?id|login|logon|handle"
                     r"|account name)[ :]{1,3}(?P<v>@?[A-Za-z](?=[A-Za-z.-]{0,20}[0-9_])[A-Za-z0-9._-]{3,30}[A-Za-z0-9])")),
    _labelled("label.last_four_en", Kind.ID, r"last[ -](?:4|four)(?: digits)?(?: of)?(?: the)?(?: ssn)?|ending(?: in)?"
        r"|ends in|xxx-xx-", 4, 4,
              r"(?P<v>[0-9]{4})(?![0-9a-z])"),
    _labelled("label.licence_en", Kind.ID,
              r"(?:driver'?s? |driving |medical |gun |state )?(?:licen[cs]e|lic\.)|d\.?l\.?|a-number"
              r"|alien(?: reg(?:istration)?)?"
              r"|green ?card|visa|nhi|nhs|chi|pps|ppsn|"
              r"national insurance|ni|gmc|nmc|npi|dea|state id|military id|dod id|veteran id|service|nie|curp|aadhaar"
              r"|abha|pan|ihi|sin|hsc|h&c|phn|hcn"
              r"|mcr|smc|mmc|kmc|hpcsa|ahpra|imc|mcnz|cpso|hcpc|njr|nric|ic|omang", 4, 3,
              r"(?P<v>[a-z]{0,4}[ -]?[0-9][0-9a-z]{1,19}(?:[ -](?=[0-9a-z]{0,3}[0-9])[0-9a-z]{2,8}){0,4})(?![0-9a-z%])"),
    _Rule("label.car_en", Kind.ACCOUNT,
          re.compile(r"(?<![A-Za-z])(?:[Cc]ar|[Vv]an|[Vv]ehicle|[Tt]axi|[Mm]otorbike|[Tt]ruck|[Ll]orry"
                     r"|[Rr]eg(?:istration)?|[Dd]rives)"
                     r"(?:['’]s)?(?: (?:is|was|reg|no\.?|plate|a|in)){0,2}:? \(?(?P<v>(?!C[DK])[A-Z]{2}[0-9]{2} ?[A-Z]{3}"
                     r"|[A-Z]{3}[ -][0-9]{3,4}"
                     r"|[0-9]{2,3}-[A-Z]{1,2}-[0-9]{2,6})(?![0-9A-Za-z])")),
    _shaped("shape.id_en", Kind.ID,
            r"[A-Z]{5}[0-9]{4}[A-Z]|8003(?:[ ]?[0-9]{4}){3}|[0-9]{2}-[0-9]{4}-[0-9]{4}-[0-9]{4}"
            r"|[A-CEGHJ-PR-TW-Z]{2}[ ]?[0-9]{2}[ ][0-9]{2}[ ][0-9]{2}[ ]?[A-D]|[0-9]{7}[A-W][A-IW]?"
            r"|[0-9]{3}[ ][0-9]{3}[ ][0-9]{4}|[0-9]{3}[ ][0-9]{2}[ ][0-9]{4}"
            r"|[2-6][0-9]{3}[ ][0-9]{5}[ ][0-9](?:[ /-]{1,2}[0-9])?|[0-9]{4}[ -][0-9]{3}[ -][0-9]{3}(?:[ -]?[A-Z]{2})?"
            r"|[1-9][A-Z][A-Z0-9][0-9]-?[A-Z][A-Z0-9][0-9]-?[A-Z]{2}[0-9]{2}"),
    _Rule("label.age_en", Kind.AGE,
          re.compile(r"(?:(?<![A-Za-z])[Aa](?:ge|GE)(?:d|D)?[ ]?(?:of[ ]|at death[ ]?|[:=])?[ ]{0,3}"
                     r"|(?<=[a-z]), (?=[0-9]{2,3}, (?:died|the |a |an |who|was|of |from |retired|resident|widow|in "
                     r"|living|lives|found|presented|[a-z]+ed |[a-z]{4,} (?:of|by|from|in|at|to|with) ))|"
                     r"(?:is|turned|was|turning)[ ](?=[0-9]{2,3} years))(?P<v>9[0-9]|1[01][0-9])(?![0-9%A-Za-z]|\.[0-9]"
                     r"|[-/][0-9])")),
    _Rule("shape.age_aside_en", Kind.AGE,
          re.compile(r"(?<=[a-z], )(?P<v>9[0-9]|1[01][0-9])(?=\))|(?<=\()(?P<w>9[0-9]|1[01][0-9])(?= ?(?:years?|yrs?)[,) ])"
                     r"|(?<![A-Za-z])(?:[Ss]he|[Hh]e|[Pp]t|[Pp]atient)(?:['’]s| is| was) (?P<x>9[0-9]|1[01][0-9])"
                     r"(?=[.,;](?![0-9])| and | but | now |$)")),
    _Rule("label.handle_en", Kind.ACCOUNT,
          re.compile(r"(?P<v>@(?:(?<=witter @)|(?<=witter: @)|(?<=nstagram @)|(?<=nstagram: @)|(?<=IG @)|(?<=IG: @)"
                     r"|(?<=ikTok @)"
                     r"|(?<=acebook @)|(?<=acebook: @)|(?<=andle @)|(?<=andle: @)|(?<=weeted at @)|(?<=luesky @)|(?<=DM @))"
                     r"[A-Za-z0-9_.]{2,29}[A-Za-z0-9_])")),
    _Rule("label.by_user_en", Kind.ACCOUNT, re.compile(r"(?<![A-Za-z])by (?P<v>[a-z]{4,12}[0-9]{1,4})(?![0-9A-Za-z])")),
    _Rule("shape.age_short_en", Kind.AGE,
          re.compile(r"(?<![0-9A-Za-z./-])(?P<v>9[0-9]|1[01][0-9])(?=[yY](?:[ ]?[,;.)/\n]| ?(?:[MFmf]|male|female|man"
                     r"|woman|old)(?![a-z])|$))")),
    _Rule("shape.option_en", Kind.PHONE, re.compile(r"(?<=[0-9]{4} )(?P<v>(?:opt|option|select"
        r"|press)\.? [0-9])(?![0-9A-Za-z])", re.IGNORECASE)),
    _Rule("label.phone_town_en", Kind.PHONE,
          re.compile(r"(?<![A-Za-z])(?:[Tt]el|[Pp]hone|[Tt]elephone|Ph"
                     r"|Fax)\.?:? (?P<v>[A-Z][a-z]{3,14} [0-9]{3,6})(?![0-9A-Za-z])")),
    _Rule("shape.age_words_en", Kind.AGE,
          re.compile(r"(?<![A-Za-z-])(?P<v>(?i:ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|(?:one"
                     r"|a)[ -]hundred(?:[- ](?:and[- ])?(?:one|two|three|four|five|six|seven|eight|nine|ten))?))"
                     r"(?=[- ]?(?:years?|yrs?|yo|y/o)(?![a-z]))", re.IGNORECASE)),
)  # fmt: skip
_DIGIT = "(?:zero|oh|nought|one|two|three|four|five|six|seven|eight|nine|niner)"
_SPOKEN = re.compile(
    rf"(?<![A-Za-z-])(?P<phone>(?:extension|ext|pager|bleep|phone|telephone|fax|mobile)(?: number)?(?: is)? )?"
    rf"(?P<v>{_DIGIT}(?:(?: |-| dash | slash ){_DIGIT}){{3,15}})(?![A-Za-z-])",
    re.IGNORECASE,
)
_SPOKEN_CASE = re.compile(
    r"(?<![A-Za-z])(?:case|accession|specimen|surgical)(?: number)?(?: is)? (?P<v>[A-Za-z]{1,3}(?: (?:as in"
    r"|for) [A-Za-z]{2,12})?"
    r"(?: ?(?:dash|slash|hyphen|stroke|-|/)? ?[0-9]{2,7}){1,3})(?![0-9A-Za-z])"
)
_RANGE_OF_BLOCKS = re.compile(
    r"(?<![0-9A-Za-z.-])(?P<v>[A-Z]{1,3}(?P<year>[0-9]{2})-(?P<number>[0-9]{2}))(?![0-9A-Za-z-]|\.[0-9])"
)
# Letters and digits between signs, whatever their order: what is none of the codes of the trade is somebody's number.
_STRUCTURED = re.compile(
    r"(?<![0-9A-Za-z.,/:#-])(?=[A-Z0-9])(?P<v>"
    r"(?:[A-Z]{1,4}[ ]?(?=[0-9]{3,6}/[0-9]{2}(?![0-9])))?[A-Z]{0,4}#?[0-9]{0,10}[A-Z]?"
    r"(?:[-:/.](?:[A-Z]{1,4}[0-9]{0,10}|[0-9]{1,10}[A-Z]{0,2})){1,4})(?![0-9A-Za-z%*]|[-:/.+][0-9A-Za-z])"
)
# MRN:4411-920 is labelled, S:23:00417 is not.
_SHORT_LABEL = re.compile("[A-Z]{2,4}[:#](?![0-9]{2}:)")
_NO_STRUCTURE = re.compile(
    r"(?:CPT|ISO|GB|N[MPCRG]|ICD|NCT|PMID|ISBN|RFC|COSM|CLSI|WS|EN|SNOMED|JGCA|HLA|D[RQP][AB]?[0-9]?|IGH?[VDJKL]"
    r"|TR[ABGD]|HPV|CD|CK|"
    r"p?[TNM][0-9]|AE|A(?=2[68]0)|MIB|WHO|AJCC|UICC|FIGO|CAP|TNM|COVID|SARS|PD|IL|HER|EGFR|BRAF|KRAS|CHR|LOINC|RS"
    r"|ENS)[-:/. ]?[0-9]"
    r"|SP[0-9]|[MTPDFJ]-?[0-9]{4,5}(?:/[0-9])?$|.*[-/]8[0-9]{4}$|[A-TV-Z][0-9][0-9A-Z]\.[0-9A-Z]{1,4}$|A2[68]0/"
    r"|[A-Z]{1,2}[0-9]{1,3}-[A-Z]{0,2}[0-9]{1,3}$|[0-9]+[:/][0-9]+$"
    r"|[A-Z]{1,6}[0-9]{1,3}[A-Z]?(?:/[A-Z]{2,6}[0-9]{1,3}[A-Z]?)+$"
    r"|[0-9]+\.[0-9]+(?:[-/][0-9.]+)?$|.*(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
)
_YEARS_OF_CASES = re.compile(r"(?!M[- ]?[89])[A-Z]{1,4} ?[0-9]{3,6}/[0-9]{2}")
_LEAST_STRUCTURED, _LEAST_OF_DIGITS = 5, 7
_YEARS, _FAR = range(5, 31), 30
_LEAST_SPOKEN = 3


def find_english_numbers(normal: str) -> Iterator[Removal]:
    """Identifiers of this kind in a text of half width; places may overlap."""
    if not normal.isascii() and not _PROSE.search(normal):
        return
    for rule in _RULES:
        for match in rule.pattern.finditer(normal):
            group = match.lastgroup or "v"
            value = match[group]
            least = rule.least_mixed if any(sign.isalpha() for sign in value) else rule.least
            if value.startswith("(") and ")" not in value:
                yield from _opened(match, group, rule)
            elif digits_in(value) >= least and not (least and _says_nothing(value)):
                yield Removal(*match.span(group), rule.kind, rule.name, _years(value) if rule.kind is Kind.AGE else "")
    # In a Chinese report a full-width colon is no part of a number.
    for match in _STRUCTURED.finditer(normal) if not is_han(normal) else ():
        label = _SHORT_LABEL.match(match["v"])
        start = match.start("v") + (label.end() if label else 0)
        if _is_structured(normal[start : match.end("v")]):
            yield Removal(start, match.end("v"), Kind.CASE, "shape.structured_en")
    yield from _spoken(normal)


def _spoken(normal: str) -> Iterator[Removal]:
    """``four four one nine``, ``case S24 dash 7781``, and cases that are told by their year alone."""
    for match in _SPOKEN.finditer(normal):
        yield Removal(*match.span("v"), Kind.PHONE if match["phone"] else Kind.NUMBER, "shape.spoken_en")
    for match in _SPOKEN_CASE.finditer(normal):
        if digits_in(match["v"]) > _LEAST_SPOKEN:
            yield Removal(*match.span("v"), Kind.CASE, "shape.spoken_en")
    for match in _RANGE_OF_BLOCKS.finditer(normal):
        # S19-70 is the seventieth case of a year, A12-14 are blocks and T11-12 vertebrae.
        year, number = int(match["year"]), int(match["number"])
        if year in _YEARS and (number < year or number > year + _FAR):
            yield Removal(*match.span("v"), Kind.CASE, "shape.case_short_en")


def _is_structured(value: str) -> bool:
    """Whether letters, digits and signs are somebody's number: no day, range, ratio, gene or code of a classification."""
    digits = digits_in(value)
    if digits < _LEAST_STRUCTURED or is_day(value) or _YEARS_OF_CASES.fullmatch(value):
        return digits >= len("2211") and _YEARS_OF_CASES.fullmatch(value) is not None
    has_letter = any(sign.isalpha() for sign in value)
    if not has_letter:
        first, *rest = re.split("[-:/.#]", value)
        if value.count("-") == len(rest) > 1:
            return digits >= _LEAST_OF_DIGITS and min(map(len, (first, *rest))) > 1
        is_far = len(rest) == 1 and "-" in value and (rest[0].startswith("0") or len(rest[0]) > len(first) + 1)
        return is_far and digits >= _LEAST_OF_DIGITS and len(first) > 2
    return _NO_STRUCTURE.match(value) is None


def _opened(match: re.Match[str], group: str, rule: _Rule) -> Iterator[Removal]:
    """A telephone behind a bracket that is none of it: (617-555-0136)."""
    yield Removal(match.start(group) + 1, match.end(group), rule.kind, rule.name)


def _says_nothing(value: str) -> bool:
    """Whether what stands behind a label is a day or a year."""
    # 44-20-19 is written as a day and is none.
    is_month = is_day(value) and min(map(int, re.findall("[0-9]+", value))) <= _MOST_MONTHS
    return is_month or re.fullmatch("(?:[A-Z]{2,4} )?(?:19|20)[0-9]{2}", value) is not None


_MOST_MONTHS = 12
_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _years(age: str) -> str:
    """An age in digits: ninety-two is 92."""
    if age.isdigit():
        return age
    *rest, last = re.split("[- ]", age.lower())
    return str((90 if "ninety" in (last, *rest) else 100) + (_ONES.index(last) + 1 if last in _ONES else 0))
