"""All rules of ``validate``. An identifier is stable: the rule behind it may become sharper, but never another one."""

from collections.abc import Mapping
from types import MappingProxyType

from pathcurate.errors import DigestMismatchError, DisclosureRefusedError, ExpiredError, RecipeError, VersionError
from pathcurate.model.finding import Severity
from pathcurate.model.validation import NOT_RUN, Rule, Subject

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO
_RELEASE: tuple[Subject, ...] = ("release",)
_TABLES: tuple[Subject, ...] = ("release", "table")
_EVERY: tuple[Subject, ...] = ("release", "table", "recipe", "workspace", "registry")
_FORMAL, _WHOLE, _EXACT, _AGREE, _TIMELY, _OPEN = (
    "GB/T 36344 规范性", "GB/T 36344 完整性", "GB/T 36344 准确性", "GB/T 36344 一致性", "GB/T 36344 时效性",
    "GB/T 36344 可访问性",
)  # fmt: skip
_RESTORE = "Restore the release from a copy, or raise `version` in the recipe and build anew."
_RECIPE = "Correct the recipe, raise its version and build again."
_BUILD = "Build the release again with this version of pathcurate; do not edit what it has written."
_SAY = "Write it into products/NAME.yaml and build the next version."
_SCAN = "Correct it at its source, import or scan that again, and build the next version."
_RENEW = "Renew the document, write its number and last day into products/NAME.yaml, and build the next version."
_SETTINGS = "Correct pathcurate.yaml, or bring back what it names."
_DIGEST, _DISCLOSED, _EXPIRED = DigestMismatchError.exit_code, DisclosureRefusedError.exit_code, ExpiredError.exit_code

_ALL: tuple[Rule, ...] = (
    # Digests
    Rule("PC-DIG-001", _E, "Every file has the bytes that the list of checksums vouches for.", _RESTORE, _RELEASE,
         ("TC609-0202", _EXACT), _DIGEST),
    Rule("PC-DIG-002", _E, "Every listed file is there.", _RESTORE, _RELEASE, ("TC609-0204", _WHOLE), _DIGEST),
    Rule("PC-DIG-003", _E, "There is no file that the list does not name.",
         "Take the file out; a release is never added to.", _RELEASE, ("TC609-0204", _AGREE), _DIGEST),
    Rule("PC-DIG-004", _E, "What MANIFEST.json says of tables, rows, counts and digests is true.", _RESTORE, _RELEASE,
         ("TC609-0206", _EXACT), _DIGEST),
    Rule("PC-DIG-005", _E, "The list of SM3 digests names the files that the list of SHA-256 digests names.", _RESTORE,
         _RELEASE, ("TC609-0202", _AGREE), _DIGEST),
    # Schema
    Rule("PC-SCH-001", _E, "Every column is declared, and there once.", _BUILD, _TABLES, ("TC609-0201", _FORMAL)),
    Rule("PC-SCH-002", _E, "Every table can be read, and every column has its declared type.", _BUILD, _TABLES,
         ("TC609-0207", _FORMAL)),
    Rule("PC-SCH-003", _E, "A required column has a value in every row.", _SCAN, _TABLES, ("TC609-0204", _WHOLE)),
    Rule("PC-SCH-004", _E, "Text is of the column's closed set.", _SCAN, _TABLES, ("TC609-0201", _FORMAL)),
    Rule("PC-SCH-005", _E, "No two rows have the same key.", _SCAN, _TABLES, ("TC609-0206", _EXACT)),
    Rule("PC-SCH-006", _E, "MANIFEST.json is of its schema.", _RESTORE, _RELEASE, ("TC609-0201", _FORMAL)),
    Rule("PC-SCH-007", _E, "There are only the files and notes that releases have.", _BUILD, _RELEASE,
         ("TC609-0208", _FORMAL)),
    # Links
    Rule("PC-LNK-001", _E, "Every row of another table belongs to a patient or case of the unit's table.", _BUILD, _RELEASE,
         ("TC609-0206", _AGREE)),
    Rule("PC-LNK-002", _E, "A slide, case or patient has the same case, patient, group and site in every table and row.",
         "Mend what `pathcurate findings list` says of these cases, link again, and build the next version.", _RELEASE,
         ("TC609-0206", _AGREE)),
    Rule("PC-LNK-003", _E, "Every link has a tier that the recipe allows.", _RECIPE, _RELEASE, ("TC609-0205", _EXACT)),
    Rule("PC-LNK-004", _E, "A slide whose tier is a link has a case, and one without a link has none.", _BUILD, _TABLES,
         ("TC609-0206", _AGREE)),
    Rule("PC-LNK-005", _W, "Every linked slide has a report in the release, where it holds all reports of its units.",
         "Import the missing reports and link again, or say in `limitations` of products/NAME.yaml that they are missing.",
         _RELEASE, ("TC609-0204", _WHOLE)),
    Rule("PC-LNK-006", _E, "Every slide has one commitment to its source, and no other slide has one.", _BUILD, _RELEASE,
         ("TC609-0206", _AGREE)),
    # Splits
    Rule("PC-SPL-001", _E, "No patient, group of possibly one person, or case is on two sides of the split.",
         "Build the release again: `split` in the recipe keeps patients together. Do not edit the column.", _TABLES,
         ("TC609-0305", _AGREE)),
    Rule("PC-SPL-002", _W, "A table with a split says whose its rows are, so that the split can be checked.",
         "Add group_id or patient_id to the recipe's columns.", _TABLES, ("TC609-0305",)),
    Rule("PC-SPL-003", _E, "No slides with the same pixels are on two sides of the split.",
         "Build the release again: `split` in the recipe keeps scan groups together.", _TABLES, ("TC609-0305", _AGREE)),
    Rule("PC-SPL-004", _W, "The sides have the shares of the groups that the recipe asks for, but for what chance explains.",
         "Look whether `hold_out`, `keep_from` or a few large groups explain it; then say so in `limitations`.", _RELEASE,
         ("TC609-0305",)),
    Rule("PC-SPL-005", _W, "Every row has a side, and every side that the recipe names has rows.", _RECIPE, _RELEASE,
         ("TC609-0305", _WHOLE)),
    Rule("PC-SPL-010", _E, "A sealed evaluation says what is asked, commits to its labels, shares nobody with other "
         "products of its holder, and shows no label.", _BUILD, _RELEASE, ("TC609-0305", _AGREE)),
    # Privacy
    Rule("PC-PRIV-001", _E, "No column is a direct identifier or a true value for criteria only.", _RECIPE, _TABLES,
         ("TC609-0202", "GB/T 37964-2019", "HIPAA 164.514(b)(2)")),
    Rule("PC-PRIV-002", _E, "No age is above 90, which stands for all above.", _BUILD, _TABLES,
         ("TC609-0202", "HIPAA 164.514(b)(2)(i)(C)")),
    Rule("PC-PRIV-003", _E, "Identifiers are pseudonyms of their kind.", _BUILD, _TABLES, ("TC609-0202", "ISO 25237")),
    Rule("PC-PRIV-004", _W, "The release was built with a permission list.",
         "Configure `permissions:` in pathcurate.yaml and build again.", _RELEASE, ("TC609-0202", "GB/T 35273")),
    Rule("PC-PRIV-005", _E, "Every class has at least as many persons as the profile asks for (k).", _RECIPE, _RELEASE,
         ("TC609-0202", "GB/T 42460-2023"), _DISCLOSED),
    Rule("PC-PRIV-006", _E, "The evaluation is there, and says what the table shows.", _BUILD, _RELEASE,
         ("TC609-0202", "GB/T 42460-2023")),
    Rule("PC-PRIV-007", _W, "No class of a published table has one value only in a sensitive column that varies (l = 1).",
         "Make quasi-identifiers coarser, or leave the sensitive column out.", _RELEASE, ("TC609-0202", "GB/T 42460-2023")),
    Rule("PC-PRIV-008", _E, "No value has the shape of an identity card's number, a mobile number or a mail address.",
         "Find out where it comes from, scrub or drop it, and build anew; take the release back if it went out.", _TABLES,
         ("TC609-0202", "GB/T 37964-2019")),
    Rule("PC-PRIV-009", _E, "No count beside the tables is small enough to point at somebody.", _BUILD, _RELEASE,
         ("TC609-0202", "GB/T 37964-2019"), _DISCLOSED),
    Rule("PC-PRIV-010", _E, "Only columns have values that the profile shows, dates above all.",
         "De-identify by the profile that the release names, and build anew.", _RELEASE, ("TC609-0202", "GB/T 37964-2019"),
         _DISCLOSED),
    Rule("PC-PRIV-011", _E, "No table shows both a moved day and its true year: together they tell by how much days moved.",
         "De-identify again by one profile, and build anew.", _TABLES, ("TC609-0202",), _DISCLOSED),
    # Quality
    Rule("PC-QLT-001", _W, "A column that the recipe asks for has values.",
         "Leave the column out, or import what fills it.", _RELEASE, ("TC609-0302", _WHOLE)),
    Rule("PC-QLT-002", _W, "No slide is there twice: a release holds one of several scans of the same pixels.",
         "Exclude duplicates in the recipe (`duplicate_of: {missing: true}`).", _TABLES, ("TC609-0208", _EXACT)),
    Rule("PC-QLT-003", _W, "Resolution and lens are those of a microscope, and mpp is the mean of mpp_x and mpp_y.", _SCAN,
         _TABLES, ("TC609-0205", _EXACT)),
    Rule("PC-QLT-004", _W, "Slides and cases agree in number.", "Link again, de-identify again, and build the next version.",
         _RELEASE, ("TC609-0206", _AGREE)),
    Rule("PC-QLT-005", _W, "Years are such as laboratories have archived, and none is after the release.", _SCAN, _TABLES,
         ("TC609-0303", _TIMELY)),
    Rule("PC-QLT-006", _W, "Labels were reviewed, and no more than one in ten of a class can be wrong.",
         "Review labels (`pathcurate labels review export`), or make the label's rule stricter.", _RELEASE,
         ("TC609-0304", "TC609-0203", _EXACT)),
    Rule("PC-QLT-007", _W, "Every slide can be read, and quality control has nothing against it.",
         "Exclude such slides in the recipe (`status: ok`, `qc: ok`).", _TABLES, ("TC609-0208", _EXACT)),
    Rule("PC-QLT-008", _W, "Sizes and counts are positive, shares are between 0 and 1, levels are as many as are counted.",
         _SCAN, _TABLES, ("TC609-0205", _EXACT)),
    # Documentation
    Rule("PC-DOC-001", _W, "Both datasheets are there with all four sections of TC609-5-04.", _BUILD, _RELEASE,
         ("TC609-0101", "TC609-0102", "TC609-0103", "TC609-0104")),
    Rule("PC-DOC-002", _W, "The dictionary describes every column of every table in English and Chinese.", _BUILD, _RELEASE,
         ("TC609-0102", _OPEN)),
    Rule("PC-DOC-003", _W, "product.yaml is there and of its form, and of this product.", _SAY, _RELEASE,
         ("TC609-0101", _FORMAL)),
    Rule("PC-DOC-004", _W, "product.yaml says title, description, holder, contact, scenarios, limitations and keywords.",
         _SAY, _RELEASE, ("TC609-0101", "TC609-0104", _WHOLE)),
    Rule("PC-DOC-005", _W, "The page, the SQL of each table and the scorecard are there.", _BUILD, _RELEASE,
         ("TC609-0103",)),
    # Policy
    Rule("PC-POL-001", _E, "Every IRI of the policy is absolute: a relative one means nothing to a connector, or too much.",
         _BUILD, _RELEASE, ("ODRL 2.2",)),
    Rule("PC-POL-002", _E, "The policy is an ODRL Offer with a permission, and of this release.", _BUILD, _RELEASE,
         ("ODRL 2.2",)),
    Rule("PC-POL-003", _E, "The data use terms (DUO) agree with one another and with the price.", _SAY, _RELEASE, ("DUO",)),
    Rule("PC-POL-004", _E, "The policy forbids what product.yaml forbids, and nothing that it does not.", _BUILD, _RELEASE,
         ("ODRL 2.2", _AGREE)),
    Rule("PC-POL-005", _E, "The policy forbids transfer across the border, unless product.yaml declares it.", _SAY, _RELEASE,
         ("PIPL 38",)),
    # Registration
    Rule("PC-REG-001", _W, "The registration dossier is there and of its form.", _BUILD, _RELEASE, ("TC609-0101", _FORMAL)),
    Rule("PC-REG-002", _W, "The dossier has what each form asks for.", _SAY, _RELEASE, ("TC609-0101", _WHOLE)),
    Rule("PC-REG-003", _E, "The dossier agrees with the release in rows, cases, fields, and the digest of its recipe.",
         _BUILD, _RELEASE, (_AGREE,)),
    Rule("PC-REG-004", _E, "Sample rows are shown only if product.yaml allows them, and no more than it allows.", _BUILD,
         _RELEASE, ("TC609-0202",)),
    Rule("PC-REG-005", _E, "The holder's unified social credit code has the check character that its others demand.", _SAY,
         _RELEASE, ("GB 32100-2015",)),
    # Human genetic resources
    Rule("PC-HGR-001", _E, "No column, label, concept or criterion tells of genes or variants.",
         "Have the committee decide whether it is human genetic resource information; then leave it out, or declare it.",
         ("release", "table", "recipe"), ("人类遗传资源管理条例实施细则",)),
    Rule("PC-HGR-002", _E, "No text of a molecular section goes out.",
         "Leave `molecular` out of `texts` in the recipe, unless the committee has approved it.",
         ("release", "table", "recipe"), ("人类遗传资源管理条例实施细则",)),
    # Expiry
    Rule("PC-EXP-001", _E, "The ethics approval is valid.", _RENEW, _RELEASE, (_TIMELY,), _EXPIRED),
    Rule("PC-EXP-002", _E, "The certificate of registration is valid.", _RENEW, _RELEASE, (_TIMELY,), _EXPIRED),
    Rule("PC-EXP-003", _E, "The authorisation to operate the data is valid.", _RENEW, ("release", "workspace"), (_TIMELY,),
         _EXPIRED),
    Rule("PC-EXP-004", _E, "The policy allows use today.", _SAY, _RELEASE, (_TIMELY,), _EXPIRED),
    Rule("PC-EXP-005", _E, "Assessments of personal information and of risk, and the notarisation, are valid.", _RENEW,
         _RELEASE, (_TIMELY,), _EXPIRED),
    Rule("PC-EXP-006", _W, "Nothing of these ends within 30 days.", _RENEW, ("release", "workspace"), (_TIMELY,)),
    # Workspace
    Rule("PC-WSP-001", _E, "The root of every archive is a directory.", _SETTINGS, ("workspace",)),
    Rule("PC-WSP-002", _E, "Every report and event source matches a file.", _SETTINGS, ("workspace",)),
    Rule("PC-WSP-003", _E, "Every permission list is there.", _SETTINGS, ("workspace",)),
    Rule("PC-WSP-004", _W, "A permission list is configured.", "Configure `permissions:` in pathcurate.yaml.",
         ("workspace",)),
    Rule("PC-WSP-005", _E, "Every mapping is there.", _SETTINGS, ("workspace",)),
    Rule("PC-WSP-006", _E, "Every file below products/ is of its form, and named as its product.",
         "Correct the file; `pathcurate validate` shows where.", ("workspace",)),
    Rule("PC-WSP-007", _E, "Where sites name their rights, the document that authorises each of them is there.", _SETTINGS,
         ("workspace",)),
    # Recipe
    Rule("PC-RCP-001", _E, "The recipe can be read: form, columns, values.", "Correct the recipe where it says.",
         ("recipe", "workspace"), (), RecipeError.exit_code),
    Rule("PC-RCP-002", _E, "The linter finds nothing that is allowed and hardly meant.",
         "See `pathcurate recipe check RECIPE` for each, with advice.", ("recipe",)),
    Rule("PC-RCP-003", _W, "The recipe given with --recipe is the one that the release was built from.",
         "Give the recipe as it was when the release was built; lines are those of the file given.", _RELEASE),
    # Registry
    Rule("PC-RGY-001", _E, "The chain of events is whole, and every entry is as its events made it.",
         "Restore the registry from a copy, and compare its head with the audit trail.", ("registry",), (), _DIGEST),
    # Metadata
    Rule("PC-META-001", _E, "Every document beside the data is there, and of its kind.", _BUILD, _RELEASE,
         ("TC609-0204", _FORMAL)),
    Rule("PC-META-002", _E, "Croissant agrees with the manifest in version, files, digests, tables and columns.", _BUILD,
         _RELEASE, ("Croissant 1.1", _AGREE)),
    Rule("PC-META-003", _E, "DCAT agrees with the manifest in version and digests.", _BUILD, _RELEASE, ("DCAT 3", _AGREE)),
    Rule("PC-META-004", _E, "The data contract agrees with the manifest in version, tables and columns.", _BUILD, _RELEASE,
         ("ODCS 3.1", _AGREE)),
    Rule("PC-META-005", _E, "Provenance names the digests of the recipe and of the content.", _BUILD, _RELEASE,
         ("PROV-O", _AGREE)),
    Rule("PC-META-006", _E, "The version is at least the step that the manifest says the changes demand.",
         "Raise `version` in the recipe and build anew.", _RELEASE, (), VersionError.exit_code),
    Rule("PC-META-007", _E, "No waiver has expired.", "Mend what it covered, or have its owner decide anew.", _EVERY),
    Rule("PC-META-008", _W, "Every waiver covers something.", "Take it out of the file.", _EVERY),
    Rule(NOT_RUN, _W, "Every rule that should be checked was.", "See why; a rule that was not checked is not kept.", _EVERY),
)  # fmt: skip

RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _ALL})
"""By identifier, in the order in which they are listed."""
EXPIRED_WAIVER, UNUSED_WAIVER = "PC-META-007", "PC-META-008"


def breaks_at(rule: str) -> Severity:
    """The severity of what breaks a rule."""
    return RULES[rule].severity
