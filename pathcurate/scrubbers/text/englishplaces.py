"""Hospitals, employers and addresses in English texts."""

import re
from collections.abc import Iterator
from dataclasses import replace

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.accepting import holds
from pathcurate.scrubbers.text.englishwords import is_called_after, is_eponym, is_given, is_word
from pathcurate.text.beginnings import Searched

# In texts without words of English a few markers stand alone; what follows is not tried on them.
_PROSE = Searched(
    r"[A-Z][a-z]{1,20}[,.]?[ ](?:of |for |the ){0,2}[A-Z](?:[a-z]|[A-Z]? ?[0-9])|[A-Z]{4,20}[ ][A-Z]{4,20}|"
    r"P\.?[ ]?O|Lab[Cc]orp|[A-Z][a-z]{1,20}['’]s(?![a-z])|H[oô]pital|[A-Z][a-z]{2,20}-[A-Z][a-z]{2,20}"
    r"|[0-9] [A-Z][a-z]+ [A-Z]|(?:the|at|to|from) [A-Z][a-z]{3,20} [a-zA-Z]{3}|(?:at|to|from|via) [A-Z]{2,4}H"
)
_WORD = r"(?:(?:St|Mt|Ft|Dr|[A-Z])\.|[A-Z][A-Za-z'’&-]{0,24}(?![A-Za-z0-9]))"
_END_EN = (
    r"(?i:hospitals?|medical (?:center|centre|group|clinic)|clinics?|infirmary|cancer (?:center|centre|institute)|"
    r"health (?:system|center|centre|care|network)|healthcare|medical laborator(?:y|ies)|laborator(?:y|ies)|"
    r"pathology (?:associates|group|services|consultants|laboratories)|diagnostics|institute|hospice|sanatorium|"
    r"nursing (?:home|and rehab(?:ilitation)? (?:center|centre))|rehab(?:ilitation)? (?:center|centre|hospital|unit)"
    r"|care (?:home|center|centre)|"
    r"(?:nhs )?(?:foundation )?trust|health board|district general|mortuary|morgue|(?:medical|family|group"
    r"|health) (?:practice|associates)|polyclinic|"
    r"(?:med(?:ical)?|path|health|cancer) ctr|hosp|labs|women['’]s health(?: center| centre| clinic)?)(?![A-Za-z])"
)
# Ends of names of hospitals, practices and employers that other phrases have too: one word before them must be nothing else.
_WEAK_END = (
    r"(?P<unit>(?:Correctional (?:Facility|Institution|Cent(?:er|re))|Detention Cent(?:er|re)|Penitentiary|Co-op"
    r"|Co-operative|Pty(?:\.? Ltd)?|Freight|Optical|Haulage|Logistics|Fisheries|Quarry|Timber|Textiles"
    r"|Foods|Packaging|Fusiliers|Rifles|Squadron|Battalion|Brigade|Infantry|Cadets)|(?:High |Grammar |Primary "
    r"|Secondary |Elementary |Middle |Convent |Infant |Junior |Public |Medical |Law "
    r"|Nursing )?School|College|Academy|"
    r"Kindergarten|Nursery|University|"
    r"Co\.|Company|Inc\.?|LLC|LLP|Ltd\.?|PLC|plc|GmbH|Corp\.?|Corporation|Limited|Depot|Factory|Foundry|Works|Forge"
    r"|Mills?|Mine|Colliery|Shipyard|Shipping|"
    r"Dockyard|Steel|Motors|Logging|Airlines|Airways|Railways?|Brewery|Bakery|Dairy|Farms|Garage|Bank|Hotel|Restaurant"
    r"|Supermarket|Stores?|"
    r"Construction|Trucking|Transport|Council|Prison|Jail|Barracks|Regiment|Police(?: Department| Station| Service)?"
    r"|Constabulary|"
    r"Sheriff['’]s (?:Office|Department)|Fire (?:Department|Station|Service)|Church|Parish|& Sons?|& Co\.?|& Die"
    r"|Brothers|Bros\.?|Group|"
    r"RFC|AFC|RUFC|FC|GAA|(?:Rugby|Cricket|Golf|Football|Hockey|Rowing|Sailing) Club|"
    r"Industries|Electric|Engineering|Plumbing|Roofing|Insurance|Solicitors|Estate|Nurseries)"
    r"|General(?! (?:Surg|Med|Prac|Path|Comm|Anaes|Anes|Hosp|Elec|Pedi|Paed|Inf|Desc|Inte|App))|Surgery|Practice|GI"
    r"|Urology|Dermatology|"
    r"Gyn(?:a?ecology)?|OB[/-]?GYN|Gastroenterology|"
    r"Orthopa?edics|Oncology|Radiology|Imaging|Endoscopy|Pathology|Eye|ENT|Oral Surgery|Dental|Cytology|Histology"
    r"|Memorial|Regional|"
    r"Medical|Infirmary|Presbyterian|Methodist|Baptist|(?:Family|Primary|Urgent|Internal|Community) (?:Medicine|Care"
    r"|Physicians|Practice)|Health Partners"
    r"|Surg(?:ical|ery) (?:Center|Centre|Associates)|(?:Eye|Endoscopy|Birth|Heart|Spine|Imaging) (?:Center|Centre"
    r"|Institute|Associates)"
    r"|(?:Sarcoma|Cancer|Breast|Stroke|Burns|Trauma|Tumou?r|Renal|Transplant|Cardiac|Spinal|Dialysis|Skin"
    r"|Bone Tumou?r) (?:Unit|Service|Network)|(?:Spine|Joint|Bone|Foot|Hand|Hip|Knee|Ankle)(?: (?:&|and) (?:Joint|Spine|Bone"
    r"|Ankle|Knee|Wrist)(?: (?:Associates|Specialists)(?: of [A-Z][a-z]+)?)?| (?:Associates|Specialists))"
    r"|Reference Lab(?:oratory)?|Family Med(?:icine)?|(?:Specialist|Medical|Day|Wellness|Surgical|Health) (?:Centre|Center)"
    r"|Path(?:ology)? Labs?|Ortho|Private|UH|DGH|VAMC|Health(?! (?:Care|Serv|Visit|Org|Auth|Prof|Insur|Rec|Sci|Info|Ed|Net"
    r"|Sys))"
    r"|Physicians|Specialists|Associates|Surgicenter|Children['’]s|VA"
)
_WEAK = re.compile(
    rf"(?<![A-Za-z0-9.'’/-])(?P<v>(?:the )?(?P<words>(?:(?:St|Mt|Ft)\.?[ ])?(?:[A-Z][A-Za-z'’-]{{1,24}}[ ])(?:(?:of|and"
    rf"|&|the)[ ]|[A-Z][A-Za-z'’&-]{{0,24}}[ ]){{0,4}})"
    rf"(?:{_WEAK_END})(?![A-Za-z]))"
)
_OWNED = re.compile(
    r"(?<![A-Za-z])(?P<v>(?:St|ST|Saint)\.?[ ][A-Z][A-Za-z]{2,20}(?:[ -][A-Z][a-z]{2,20})?(?:['’]s?|['’]S)(?![A-Za-z])"
    r"|(?:Queen|King|Princess|Prince|Our Lady)[ ](?:[A-Z][a-z]{2,20}[ ]?){1,2}['’]s?(?![A-Za-z])"
    r"|Royal[ ](?!Marine|Navy|Mail|College|Society|Blue)[A-Z][a-z]{3,20}(?:[ ][A-Z][a-z]{3,20})?(?![a-z])"
    r"|(?:Ysbyty|Ospidal|Hospitalet)[ ](?:[A-Z][A-Za-z'’]{2,20}[ ]?){1,3}(?<! )|(?:RAF|RAAF|Army|Naval|Military"
    r"|Field)[ ]Hospital[ ][A-Z][a-z]{3,20}"
    r"|(?:St|Saint)\.?[ ][A-Z][A-Za-z]{2,20}[ ](?:[A-Z][a-z]{3,20}[ ]){0,2}(?:Unit|Centre|Center|Ward|Wing|House|Site"
    r"|Campus)(?![a-z])"
    r"|(?:Mount|Mt\.?)[ ][A-Z][a-z]{3,20}(?![a-z])"
    r"|Hospital[ ](?:San|Santa|Santo|São|de|del|da|do)[ ](?:[A-Z\u00c0-\u00de][a-z\u00df-\u00ff]{2,20}[ ]?){1,2}(?<! )"
    r"|(?:H[oô]pital|Clinique|Cl[ií]nica|Klinik(?:um)?|Ospedale|Centre Hospitalier|CHU|Policlinico)(?:[ ](?:de|du|des"
    r"|di|la|le|l['’]|von|der))*[ ]"
    r"[A-Z\u00c0-\u00de][A-Za-z\u00c0-\u024f'’-]{2,24}(?:[ ][A-Z\u00c0-\u00de][A-Za-z\u00c0-\u024f'’-]{2,24})?"
    r"|Univ(?:ersity|\.)?[ ]of[ ](?:the[ ])?[A-Z][a-z]{2,20}(?:[ ][A-Z][a-z]{2,20})?)"
    r"|(?<![A-Za-z])(?:at|from|to|in)[ ](?P<own>[A-Z][a-z]{3,20}['’]s)(?=[ ]*(?:[.,;:)\n]|$))"
)
_TWIN = re.compile(
    r"(?:at|to|from|the)[ ](?P<v>[A-Z][a-z]{2,20}-[A-Z][a-z]{2,20})(?=[ ](?:[a-z]{3,10}[ ])?(?:MDT|MDM|tumou?r (?:board"
    r"|registry)|registry|pathology|histo|lab|labs|oncology))"
)
_MEETING = re.compile(
    r"(?:at|to|from|the|The|in|via|for)[ ](?P<v>[A-Z][a-z]{3,20})(?=[ ](?:(?:sarcoma|skin|lung|breast|urology|colorectal|HPB"
    r"|UGI|GI|gynae|gynaecology|h&n|head and neck|haem|haematology|thyroid|neuro|brain|melanoma|lymphoma|renal|upper GI"
    r"|lower GI"
    r"|fracture|dermatology|regional|network|eye|ENT|pain|chest|outpatient|oncology|transplant|liver|paediatric"
    r"|pediatric)[ ])?"
    r"(?:MDT|MDM|tumou?r board|meeting|huddle|conference|clinic|lab|labs|path lab|pathology|histo|mortuary|site|campus"
    r"|A&E|theatres)(?![A-Za-z]))"
)
# RNOH, QSNH: a hospital by its letters, behind a way there.
_LETTERED = re.compile(
    r"(?:at|to|from|via)[ ](?P<v>(?!FISH|CISH|SISH|DISH|RISH|BPH|ADH|ALH|UDH|DVH|LDH|TSH|PTH|HPH|CAH|FNH|HLH|DAH|NASH|MASH"
    r"|EMH|NIH"
    r"|FSH|ACTH|GNRH|AMH|ADPH|RAH|WITH|BOTH|HIGH)[A-Z]{2,4}H)(?![A-Za-z0-9+])(?!-[0-9A-Z])"
)
_UNIT_OF_ARMY = re.compile(
    r"(?<![0-9A-Za-z])(?P<v>[0-9]{1,3}(?:st|nd|rd|th)[ ](?:Battalion|Regiment|Brigade|Squadron|Infantry|Armou?red|Airborne"
    r"|Signal|Engineer|Division|Field|Light)(?:[ ](?:the|The|of|[A-Z][A-Za-z'’]{2,20})){0,5}(?<! the)(?<! of))"
)
_FLAT_BEFORE = re.compile(
    r"(?:(?:Flat|Apt\.?|Apartment|Unit|Suite|Ste\.?|Room|Lot|Level|Floor|Villa|Shop"
    r"|Block|H\.?[ ]?No\.?|Plot|House No\.?)[ ]#?[0-9A-Z]{1,4}(?:[/-][0-9A-Z]{1,4})*,?[ ]"
    r"|(?:(?:[0-9]{1,2}(?:st|nd|rd|th)|Ground|First|Second|Third|Top)[ ]Floor,?[ ])?(?:[A-Z][a-z]{2,20}[ ](?:House"
    r"|Building|Hall|Tower"
    r"|Centre|Center|Chambers|Mansions),[ ])?)(?<=[ /])\Z"
)
_OF_COUNTY = re.compile(
    r"(?<![A-Za-z'’])(?P<v>(?:[A-Z][a-z'’]{2,20}(?:[ -][A-Za-z][a-z]{1,20}){0,2},[ ]?){1,2}Co\.?[ ](?!Ltd"
    r"|Inc)[A-Z][a-z]{3,12})(?![a-z])"
)
_COUNTY = re.compile(r"(?:,[ ][A-Z][a-z]{3,20}(?:[ -][A-Z][a-z]{2,20})?)?,[ ](?:Co\.?|County)[ ][A-Z][a-z]{3,12}(?![a-z])")
_ROAD_OUTWARD = re.compile(
    r"(?<![A-Za-z'’])(?P<v>(?:[0-9]{1,4}[a-z]?[ ])?(?:[A-Z][a-z'’]{2,20}[ ]){1,3}(?:Road|Street|Lane|Avenue|Drive|Close"
    r"|Terrace|Way|Crescent"
    r"|Gardens|Place|Square|Hill|Row|Park|Grove|Court)(?:,[ ][A-Z][a-z]{2,20}(?:[ -][A-Za-z]{2,20}){0,2}){1,2},?"
    r"[ ][A-Z]{1,2}[0-9]{1,2}(?:[ ][0-9][A-Z]{2})?)(?![0-9A-Za-z])"
)
_EMPLOYER = re.compile(
    r"(?<![A-Za-z])(?:[Ee]mployer|[Ww]orks(?= [A-Z])|[Ee]mployed (?:by|at)|[Ww]orks (?:at|for)|[Ww]orked (?:at|for)"
    r"|[Ww]orking (?:at|for)"
    r"|[Tt]eaches at|[Ss]chool|[Cc]ompany|"
    r"[Oo]ccupation [A-Za-z]{3,12} at)[ ]?:?[ ](?:the )?"
    r"(?P<v>[A-Z][A-Za-z'’&-]{1,24}(?:[ ](?:&|of|and|[A-Z][A-Za-z'’&-]{1,24}(?:(?<=Ltd|Inc)\.|(?<= Co)\.)?)){0,5})"
)
_TOWN = re.compile(
    r",[ ](?P<town>[A-Z][a-z]{3,20}(?:[ -][A-Z]?[a-z]{2,20})?)(?=[ ]*(?:[.;()\n:]|,[ ](?:[a-z]"
    r"|[A-Z]{2}\b)|$|[ ][;(]))"
)
_HOSPITAL_EN = re.compile(
    r"(?P<v>(?:[A-Z](?<![A-Za-z][A-Z])(?:[A-Za-z'’&-]{1,24}|(?:t\.|\.))[ ])"
    rf"(?:(?:of|the|and|for|&|de|la)[ ]|{_WORD}[ ]){{0,7}}?{_END_EN}(?:[ ]{_END_EN}){{0,2}}"
    rf"(?:[ ](?:of|at|for)[ ](?:the[ ])?{_WORD}(?:[ ](?:of[ ])?{_WORD}){{0,3}})?"
    r"|(?:Lab[Cc]orp|Quest|NeoGenomics|ARUP|Foundation Medicine|Johns Hopkins|Mayo|Cedars-Sinai|MD Anderson"
    r"|Sloan[ -]Kettering|UCSF|UCLA|NYU Langone)(?:[ ](?:Oncology|Diagnostics|Laboratories))?(?![A-Za-z])"
    rf"|Hospital[ ](?:of|for)[ ](?!Origin)(?:the[ ])?{_WORD}(?:[ ](?:of[ ])?{_WORD}){{0,3}})"
)
_NAMED_BY_THEMSELVES = (
    "Hospital of ", "Hospital for ", "Lab", "Quest", "NeoG", "ARUP", "Foundation", "Johns", "Mayo", "Cedars", "MD ", "Sloan",
    "UC", "NYU",
)  # fmt: skip
_HOSPITAL_EN_NEEDS = (
    "Johns", "Mayo", "Cedars", "MD And", "Sloan", "UCSF", "UCLA", "NYU",
    "orp", "Quest", "NeoG", "ARUP", "Foundation", "ospital", "OSPITAL", "edical", "EDICAL", "linic", "LINIC", "nfirmary",
    "ancer", "ANCER", "ealth", "EALTH", "aborator", "ABORATOR", "athology", "ATHOLOGY", "iagnostics", "nstitute", "NSTITUTE",
    "ospice", "anatorium", "ursing", "rust", "istrict", "ortuary", "ractice", "Ctr", "Hosp", "Labs", "ehab", "oard",
)  # fmt: skip
# Words with which a phrase that ends like a hospital names none: Outside Hospital, Clinical Laboratory.
_GENERIC_EN = frozenset(
    re.findall(
        r"\S+",
        """
        the a an of and for at this that our your outside local referring general community clinical university
        pathology reference surgical department regional state national county city private public central academic
        tertiary teaching main home diagnostic diagnostics medical cancer health laboratory laboratories hospital
        hospitals center centre clinic clinics institute system care group services molecular cytology histology
        anatomic anatomical research special same other another from by to in received sent performed referred consult
        consultation division section children children's women women's memorial breast eye skin heart service
        associates consultants pre post veterans patient patients new old all see note per name date collected
        submitting ordering referral dr if each any no when where specimen specimens slides blocks immunohistochemistry
        genetics cytogenetics flow ihc fish testing test tests methodology food drug improvement clia american college
        amendments healthcare network emergency outpatient inpatient dental veterinary pain wound infusion oncology
        hematology dermatology gastroenterology surgery radiology prior interventional pediatric paediatric cellular
        mammography imaging
        """,
    )
)
_BEFORE_NAMES = _GENERIC_EN - {"university", "children's", "women's", "memorial", "veterans"}
_DEPARTMENTS = tuple(f"{what} Pathology" for what in ("Anatomical", "Anatomic", "Surgical", "Cellular", "Clinical"))
# Which names of hospitals begin with such a word, where somebody goes: admitted to City Hospital.
_OF_A_CITY = frozenset({"general", "city", "central", "children's", "county", "memorial", "community", "university"})
_GONE_TO = re.compile(r"(?<![A-Za-z])(?:at|to|from)[ ]\Z")
_NAMESAKES = frozenset(
    {"mercy", "providence", "trinity", "unity", "bethesda", "samaritan", "lakeside", "riverside", "hillside", "sacred",
     "holy"}
)  # fmt: skip
_MAKERS = frozenset(
    {"roche", "leica", "dako", "ventana", "agilent", "abbott", "philips", "hologic", "biocare", "sakura", "hamamatsu",
     "aperio", "qiagen", "illumina"}
)  # fmt: skip
_BEFORE_ADDRESSES = frozenset(
    {"address", "addr", "lives", "resides", "residing", "found", "letter", "home", "at", "from", "to"}
)  # fmt: skip
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|"
    "SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|"
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|"
    "Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|"
    "Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|"
    "New Mexico|New York|North Carolina|North Dakota|"
    "Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|"
    "Washington|West Virginia|Wisconsin|Wyoming"
)
_REGIONS = "NSW|VIC|QLD|TAS|NT|SA|WA|Vic|Qld|Tas|ON|QC|BC|AB|MB|SK|NS|NB|NL|PEI"
_TOWN_WORD = (
    r"(?!(?:Phone|Tel|Telephone|Fax|DOB|MRN|Mobile|Home|Cell|Email|Dr|Mr|Mrs|Ms|Miss|Patient|GP|NHS|SSN|Next|Report"
    r"|Date)(?![a-z]))"
    r"(?:(?:St|Mt|Ft|Co|Pt|Gt)\.|[A-Z][A-Za-z'’.-]{1,24}(?<!\.))"
)
_TOWNS = (
    rf"(?:,[ ]?(?:Co\.?[ ]|near[ ]|[Tt]he[ ])?{_TOWN_WORD}(?:[ ](?:of[ ]|on[ ]|upon[ ]|le[ ]|the[ ])?{_TOWN_WORD}){{0,2}})"
    r"{0,4}"
)
"""Behind a street."""
_CODES = (
    r"(?:,?[ ](?:[0-9]{5}(?:-[0-9]{4})?|[1-9][0-9]{5}|[A-Z]{1,2}[0-9][A-Z0-9]?[ ][0-9][A-Z]{2}"
    r"|[A-Z][0-9]{1,2}W?[ ][0-9A-Z]{4}"
    r"|[A-Z][0-9][A-Z][ ]?[0-9][A-Z][0-9]|[0-9]{4}(?![0-9])|(?<=Dublin )[0-9]{1,2}W?"
    r"|(?<=London )[NESW][EWC]?[0-9]{1,2}(?![0-9A-Za-z])))?"
)
"""Codes of posts: of the United States, India, the United Kingdom, Ireland, Canada, Australia."""
_CITY_STATE = re.compile(
    rf"(?P<v>(?:[A-Z](?<![A-Za-z][A-Z])[A-Za-z'.-]{{1,20}})(?:[ ][A-Z][A-Za-z'.-]{{1,20}}){{0,3}},?[ ]{{1,2}}(?:{_STATES})"
    rf",?[ ]{{1,3}}[0-9]{{5}}(?:-[0-9]{{4}})?)(?![0-9])"
)
_STREET_EN = re.compile(
    rf"(?P<v>(?:(?:Flat|Apt\.?|Unit|Suite|Room|Lot)[ ][0-9A-Z]{{1,4}},[ ])?"
    rf"[0-9](?<![0-9A-Za-z./-][0-9])(?:[0-9]{{0,3}}/[0-9])?[0-9]{{0,5}}[A-Za-z]?,?[ ](?:[NSEW]\.?[ ]|(?:North"
    rf"|South|East|"
    rf"West)[ ])?(?:(?:[A-Z][A-Za-z'.-]{{0,20}}|[0-9]{{1,3}}(?:st|nd|rd|th))[ ]){{1,4}}?"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Way|Terrace|Circle|Cir|Parkway|"
    r"Pkwy|Highway|Hwy|Square|Sq|Close|Crescent|Cres|Gardens|Trail|Row|Rise|View|Walk|Mews|Hill|Park|Grove|Green|Loop|Pike|"
    r"Parade|Pde|Esplanade|Circuit|Quay|Heights|Meadows?|Villas|Brae|Wynd|Bank|Croft|Fold|Gate|Nagar|Marg|Colony|Layout"
    r"|Path|"
    r"STREET|ST|AVENUE|AVE|ROAD|RD|BOULEVARD|BLVD|DRIVE|LANE|COURT)(?![A-Za-z])"
    r"(?![ ](?:Street|Avenue|Road|Drive|Lane|Court|Place|Way|Terrace|Close|Crescent|Gardens"
    r"|Grove)(?![a-z]))\.?(?:[ ](?:NW|NE|SW|SE)(?![A-Za-z]))?"
    r"(?:,?[ ](?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room|Rm|Bldg|APT|SUITE|#)\.?[ ]?#?[0-9A-Za-z-]{1,6})?"
    rf"{_TOWNS}(?:,?[ ](?:{_STATES}|{_REGIONS}))?{_CODES})(?![0-9])"
)
_ADDRESS_EN = re.compile(
    r"(?:[Aa]ddress|ADDRESS|[Rr]esides at|[Ll]ives at|[Rr]esiding at|[Ll]iving at|[Hh]ome [Aa]ddress|"
    r"[Mm]ailing [Aa]ddress|Home(?=:)|[Aa]ddress on (?:form"
    r"|file))[ ]{0,2}[:=]?[ ]{0,4}(?P<v>[0-9A-Z](?=[^\n]{0,60}[0-9])[^\n;|\ue000]{5,90}?)(?=$|[\n;|]|"
    r"\.(?:[ ]|$)|[ ]{2,}|,? (?:Phone|Tel|DOB|MRN|Fax|Email|phone)|[\u4e00-\u9fff])"
)
_PART = (
    r"(?:[Tt]he[ ])?(?:[0-9]{1,5}[A-Za-z]?(?:/[0-9]{1,4})?,?[ ])?"
    + _TOWN_WORD
    + rf"(?:[ ](?:(?:of|the|on|upon|le|na|de|by|under|[Rr]oad|[Ss]treet|[Ll]ane)[ ]?)?(?:{_TOWN_WORD}"
    rf"|[0-9]{{1,4}}(?![0-9/.-]))?){{0,4}}(?<! )"
)
_PLOT = re.compile(
    r"(?<![A-Za-z])(?:(?:Hse|House|H|Door|Plot|Stand|Erf)[. ]{1,2}No[.:]{0,2}[ ]|(?=(?:Blk|Plot|Stand|Erf|Hse)\.? ))"
    rf"(?P<v>(?:(?:Blk|Plot|Stand|Erf|Hse)\.?[ ])?[A-Z]{{0,2}}[ ]?[0-9]{{1,5}}[A-Z]?(?:[-/][0-9A-Z]{{1,4}}){{0,3}},?"
    rf"(?:[ ]{_TOWN_WORD}){{1,4}}"
    rf"(?:[ ]#[0-9]{{1,3}}-[0-9]{{1,4}})?(?:,[ ]{_PART}){{0,3}}{_CODES}"
    rf"|(?:Plot|Stand|Site|Unit)[ ][0-9]{{1,5}}[A-Z]?,[ ](?:Sector|Phase|Block|Zone"
    rf"|Extension)[ ][0-9A-Z]{{1,4}}(?:,[ ]{_PART}){{0,3}}{_CODES})"
)
_NAMED_BEFORE = re.compile(
    r"(?<![A-Za-z'’])(?:[A-Z][A-Za-z'’]{1,20}[ ]){1,3}(?:Court|House|Residences?|Home|Lodge|Towers?|Apartments|Flats"
    r"|Mansions|Building|"
    r"Cottage|Farm|Manor|Hall|Villas?|Heights|Estate|Park|Village),[ ](?:(?:Unit|Flat|Apt\.?|Room"
    r"|No\.?)[ ][0-9A-Z]{1,4},[ ])?\Z"
)
_ROAD_ALONE = re.compile(
    r"(?<=, )(?P<v>(?:[A-Z][a-z'’]{2,20}[ ]){1,2}(?:Lane|Road|Street|Avenue|Drive|Close|Crescent|Terrace|Row|Way|Rd|St"
    r"|Ave)(?:,[ ]"
    rf"{_TOWN_WORD}(?:[ -]{_TOWN_WORD})?)?)(?=[ ]*(?:[.,;)\n]|\Z))"
)
_LIVES = re.compile(
    r"(?<![A-Za-z])(?:[Ll]iv(?:es|ed|ing)|[Rr]esid(?:es|ed|ing|ent)|[Mm]oved|[Hh]ome(?: is)?|[Ff]arms|[Rr]etired|[Bb]orn"
    r"|[Rr]aised)"
    rf"(?: (?:alone|with|now|back|out|just|together|independently|his|her|their|wife|husband|son|daughter|mum|mother"
    rf"|family)){{0,4}}"
    rf" (?:at|in|on|off|near|to|outside|beside|(?<=esident )of) (?P<v>{_PART}(?:,[ ]{_PART}){{0,4}}{_CODES})"
)
# Abbreviations that are words of reports too: Patient ID 88231, Smith MD 12345. With a comma before them they are states.
_NO_STATE = re.compile(r"[^,][ ]{1,2}(?:ID|IN|OR|ME|OK|HI|PA|MD|CT|MS|DE|CO),?[ ]{1,3}[0-9-]+$")
_ZIP = (
    rf"(?:{_STATES}),?[ ]{{1,2}}[0-9]{{5}}(?:-[0-9]{{4}})?(?![0-9])|(?:NSW|VIC|QLD|TAS|ACT|NT|SA|WA|Vic"
    rf"|Qld)[ ][0-9]{{4}}(?![0-9])"
)
_POSTCODE = (
    r"[A-Z]{1,2}[0-9][A-Z0-9]?[ ][0-9][ABD-HJLNP-UW-Z]{2}(?![0-9A-Za-z])"
    r"|[AC-FHKNPRTV-Y][0-9][0-9W][ ][AC-FHKNPRTV-Y][AC-FHKNPRTV-Y0-9][0-9][0-9](?![0-9A-Za-z])|"
    r"[AC-FHKNPRTV-Y][0-9]{2}[ ][0-9AC-FHKNPRTV-Y]{4}(?![0-9A-Za-z])|[A-Z][0-9][A-Z][ ][0-9][A-Z][0-9](?![0-9A-Za-z])"
)
_PART_OF_ADDRESS = r"(?:[A-Z][A-Za-z'’.-]{0,20}|[0-9]{1,5}[a-zA-Z]?|#[0-9A-Z]{1,6}|near|of|upon|on|le|the|de|la|and),?[ ]"
_TO_ZIP = re.compile(
    rf"(?<![A-Za-z0-9.,/:#-])(?P<v>(?:[0-9]{{1,5}}[A-Za-z]?[ ]|(?:RR|Rte|Rt|HC|Route|Box|PO|P\.O\."
    rf"|Unit|Flat|Apt|The)[ .]{{1,2}})(?:{_PART_OF_ADDRESS}){{1,9}}(?:{_ZIP}))"
)
_TO_POSTCODE = re.compile(
    rf"(?<![A-Za-z0-9./#-])(?P<v>(?:[0-9]{{1,5}}[A-Za-z]?,?[ ]"
    rf"|[A-Z][A-Za-z'’.-]{{1,20}},?[ ])(?:{_PART_OF_ADDRESS}){{0,9}}(?:{_POSTCODE}))"
)
_ROUTE = re.compile(
    r"(?<![A-Za-z])(?P<v>(?:R\.?R\.?|R\.?D\.?|Rte\.?|Rt\.|Route|Rural Route|HC|County Road|CR|Highway|Hwy\.?"
    r"|State Road)[ ]#?[0-9]{1,4}(?:,?[ ]Box[ ][0-9]{1,5})?"
    rf"(?:,[ ][A-Z][a-z]{{2,20}}(?:[ ](?:Co\.|County|[A-Z][a-z]{{2,20}}))?)?(?:,[ ](?:{_STATES}))?"
    rf"(?:[ ][0-9]{{4}}(?![0-9]))?)(?![0-9A-Za-z])"
)
_HOUSE = re.compile(
    r"(?<![A-Za-z'’])(?P<v>(?:The[ ])?(?:[A-Z][a-z'’]{1,20}[ ]){1,3}(?:House|Farm|Cottage|Vicarage|Lodge|Hall|Manor"
    r"|Rectory|Villas?|Grange|Barn|Court|Lane|Cross|Terrace)"
    r"(?:,[ ](?:near[ ])?[A-Z][a-z]{2,20}(?:[ ][A-Z][a-z]{2,20}){0,2}){1,4})(?=[ ]*(?:[.,;)\n]|$|[A-Z]{1,2}[0-9]|by|with))"
)
_STREET_ABROAD = re.compile(
    r"(?<![0-9A-Za-z])(?P<v>[0-9]{1,5}[a-z]?,?[ ](?:Rue|rue|Calle|Avenida|Via|Boulevard|Chemin|Camino|Paseo"
    r"|Place)(?:[ ](?:de|du|des|la|le|del|di))*[ ][A-Z][A-Za-z'’-]{2,20}"
    r"(?:[ ][A-Z][a-z]{2,20})?(?:,[ ][A-Z][a-z]{2,20})?)"
    r"|(?<![0-9A-Za-z])(?P<walk>[0-9]{1,4}[a-z]?,?[ ](?:[A-Z][A-Za-z'’-]{2,20}[ ]){1,2}(?:Walk|Mews|Rise|Hill|Grove"
    r"|View|Park|Green|Bank|Drove|Croft|Wharf|Quay|Parade|Esplanade|Path|"
    r"Loop|Pike|Alley|Plaza|Turnpike|Run|Bend|Cove|Crossing|Trl|Ter|Cres|Gdns"
    r"|Cl)(?:,[ ][A-Z][a-z]{2,20}(?:[ ][A-Z][a-z]{2,20})?){1,3})(?![A-Za-z])"
    r"|(?<![0-9A-Za-z])(?P<town>[0-9]{1,4}[a-z]?[ ](?:[A-Z][A-Za-z'’-]{2,20}[ ]){1,2}(?:Lane|Street|Road|Close|Avenue"
    r"|Drive|Terrace|Crescent|Gardens|Court|Way|Place)"
    r"(?:,[ ](?:near[ ])?[A-Z][a-z]{2,20}(?:[ -][A-Z][a-z]{2,20})?){1,3})(?![A-Za-z])"
)
_BOX = re.compile(r"(?P<v>P\.?[ ]?O\.?[ ]?(?:Box|BOX)[ ][0-9]{1,8})")
_POSTCODE_UK = re.compile(r"(?<=[a-z,]) ?[ ](?P<v>[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-BD-HJLNP-UW-Z]{2})(?![0-9A-Za-z])")


def find_english_places(normal: str) -> Iterator[Removal]:
    """Hospitals, employers and addresses in a text of half width."""
    if _PROSE.search(normal):
        for place in _english_names(normal):
            town = _TOWN.match(normal, place.end) if place.kind is Kind.HOSPITAL or place.rule == "shape.unit_en" else None
            county = _COUNTY.match(normal, place.end) if place.kind is Kind.HOSPITAL else None
            if county:
                yield replace(place, end=county.end())
            is_town = town is not None and not any(is_word(word) or is_given(word) for word in town["town"].lower().split())
            yield replace(place, end=town.end()) if town and is_town else place
        yield from _english_addresses(normal)


def _english_names(normal: str) -> Iterator[Removal]:
    if holds(normal, _HOSPITAL_EN_NEEDS):
        yield from _english_hospitals(normal)
    for match in _WEAK.finditer(normal):
        start = match.start("words") + _generic_before(match["words"])
        words = re.findall("[A-Za-z'’]+", normal[start : match.end("words")].lower())
        bare = [word.removesuffix("'s").removesuffix("’s") for word in words if len(word) > 2]
        if any(not is_word(word) for word in bare) or (not match["unit"] and not _NAMESAKES.isdisjoint(bare)):
            kind = Kind.UNIT if match["unit"] else Kind.HOSPITAL
            end = match.end("v")
            if not match["unit"] and normal.endswith(_DEPARTMENTS, start, end) and normal[start:end].count(" ") > 2:
                # The department is none of its name: Tai Po Valley Hospital Anatomical Pathology.
                end = normal.rindex(" ", start, normal.rindex(" ", start, end))
            yield Removal(start, end, kind, f"shape.{'unit' if match['unit'] else 'practice'}_en")
    yield from _english_shapes(normal)


def _english_shapes(normal: str) -> Iterator[Removal]:
    """Names of hospitals and employers by what stands beside them."""
    for match in _OWNED.finditer(normal):
        group = match.lastgroup or "v"
        if group == "v" or not is_word(match["own"][:-2].lower()):
            yield Removal(*match.span(group), Kind.HOSPITAL, "shape.saint_en")
    for match in _TWIN.finditer(normal):
        if not all(map(is_word, match["v"].lower().split("-"))):
            yield Removal(*match.span("v"), Kind.HOSPITAL, "shape.twin_en")
    for match in _MEETING.finditer(normal):
        word = match["v"].lower()
        if not (is_word(word) or is_given(word) or is_eponym(word)):
            yield Removal(*match.span("v"), Kind.HOSPITAL, "shape.twin_en")
    for match in _LETTERED.finditer(normal):
        yield Removal(*match.span("v"), Kind.HOSPITAL, "shape.lettered_en")
    for match in _UNIT_OF_ARMY.finditer(normal):
        yield Removal(*match.span("v"), Kind.UNIT, "shape.unit_en")
    for match in _EMPLOYER.finditer(normal):
        named = match["v"].removesuffix(" and").removesuffix(" of").removesuffix(" &")
        if not all(map(is_word, re.findall("[a-z]+", named.lower()))):
            yield Removal(match.start("v"), match.start("v") + len(named), Kind.UNIT, "label.employer_en")


def _generic_before(phrase: str, generic: frozenset[str] = _BEFORE_NAMES) -> int:
    """How many signs at the beginning of a phrase are words that belong to no name: all of them if it is ``The Outside``."""
    start = 0
    for word in phrase.split(" "):
        if word.lower().strip(".,:") not in generic:
            break
        start += len(word) + 1
    return start


def _english_hospitals(normal: str) -> Iterator[Removal]:
    for match in _HOSPITAL_EN.finditer(normal):
        start = _generic_before(match["v"])
        words = match["v"][start:].split(" ")
        if match["v"].startswith(_NAMED_BY_THEMSELVES):
            if is_called_after(normal, match.end("v")):
                continue
            yield Removal(*match.span("v"), Kind.HOSPITAL, "shape.hospital_en")
        elif any(word.lower().strip(".,") not in _GENERIC_EN | _MAKERS for word in words if word):
            yield Removal(match.start("v") + start, match.end("v"), Kind.HOSPITAL, "shape.hospital_en")
        elif _is_gone_to(normal, match):
            yield Removal(*match.span("v"), Kind.HOSPITAL, "shape.hospital_en")


def _is_gone_to(normal: str, match: "re.Match[str]") -> bool:
    """Whether words that all are generic name a hospital where somebody went: admitted to City Hospital."""
    first = match["v"].partition(" ")[0]
    start = match.start("v")
    return first.lower() in _OF_A_CITY and _GONE_TO.search(normal, max(0, start - len(" from ")), start) is not None


def _english_addresses(normal: str) -> Iterator[Removal]:
    for pattern, rule in (
        (_ADDRESS_EN, "label.address_en"), (_STREET_EN, "shape.street_en"), (_CITY_STATE, "shape.city_en"),
        (_BOX, "shape.box"),
        (_TO_ZIP, "shape.zip_en"), (_TO_POSTCODE, "shape.postcode_en"), (_ROUTE, "shape.route_en"),
        (_HOUSE, "shape.house_en"),
        (_STREET_ABROAD, "shape.street_town_en"),
        (_POSTCODE_UK, "shape.postcode_uk"),
        (_ROAD_OUTWARD, "shape.street_town_en"), (_LIVES, "label.lives_en"), (_OF_COUNTY, "shape.county_en"),
        (_PLOT, "label.plot_en"),
        (_ROAD_ALONE, "shape.street_town_en"),
    ):  # fmt: skip
        for match in pattern.finditer(normal):
            if pattern is not _CITY_STATE or not _NO_STATE.search(match["v"]):
                group = match.lastgroup or "v"
                start = match.start(group) + _generic_before(match[group], _BEFORE_ADDRESSES)
                flat = _FLAT_BEFORE.search(normal, max(0, start - 24), start)
                start = flat.start() if flat else start
                named = _NAMED_BEFORE.search(normal, max(0, start - 64), start)
                start = named.start() if named else start
                yield Removal(start, match.end(group), Kind.ADDRESS, rule)
