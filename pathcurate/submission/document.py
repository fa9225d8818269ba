"""Word templates: placeholders and loops of docxtpl, filled by a Jinja that knows nothing but names, ``for`` and ``if``."""

import io
import re
from typing import Any

from docx.opc.constants import CONTENT_TYPE
from docx.opc.exceptions import OpcError
from docx.oxml import parse_xml
from docxtpl import DocxTemplate
from jinja2 import TemplateError, meta, nodes
from jinja2.ext import Extension
from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from pathcurate.errors import UsageError
from pathcurate.model.finding import Severity
from pathcurate.submission.container import Parts, packed, placeholders_outside, read_parts
from pathcurate.submission.filled import Filled
from pathcurate.submission.names import UNKNOWN, Notes, Place, Values

_ALL = "本表"
"""The name by which a template reaches every other one, also those that are none of Jinja's: ``本表["数据规模（条）"]``."""
_FILLED = re.compile(r"word/(?:document|header\d*|footer\d*|footnotes)\.xml")
_NAMES = re.compile(r"\{\{\s*([^{}%|\"'\[\]()<>]+?)\s*\}\}")
_RAW = re.compile(r"\{\{(?:r|p|tr|tc)\s|\{%\s*(?:colspan|cellbg|hm|vm)\b")
_MARK = re.compile(r"\{[{%]")
_TAG = re.compile(r"<[^>]*>")
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.For,
    nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Filter,
)  # fmt: skip
_FILTERS = frozenset({"join", "length"})
_OF_LOOPS = frozenset({"index", "index0", "first", "last", "length"})
_MOST_TEXT = 64 << 20
# docxtpl writes these in place of signs that Jinja would take for its own; a value may hold them as they are.
_ESCAPES = {"{_{": "{&#95;{", "}_}": "}&#95;}", "{_%": "{&#95;%", "%_}": "%&#95;}"}
_BROKEN = (OpcError, SyntaxError, KeyError, ValueError, AttributeError, TypeError, IndexError, RecursionError)


def fill_docx(template: bytes, values: Values, name: str = "template.docx") -> Filled:
    """Fill a Word template.

    ``{{ 数据名称 }}`` is a value; ``{{ 登记主体.名称 }}`` one inside of another. ``{%tr for 表 in 结构规模.数据表 %}`` to
    ``{%tr endfor %}`` repeats rows of a table, ``{%p if 关键词 %}`` to ``{%p endif %}`` keeps paragraphs or leaves them out.
    Names are those of ``values``, and ``本表`` for all of them. Nothing else of Jinja is there: no calls, no arithmetic, no
    attributes of Python.

    Args:
        template: the file.
        values: what its names stand for; they are text, whatever they hold.
        name: of the file, for messages.

    Returns:
        The filled file, with the same bytes each time; and what is unknown, not given, or stands where nothing is filled.

    Raises:
        UsageError: the file is no template that may be filled, see :func:`~pathcurate.submission.container.read_parts`, or
            uses more of Jinja.
    """
    parts = read_parts(template, name)
    notes = Notes(name)
    _look(parts, notes)
    try:
        document = _Document(io.BytesIO(template))
        environment = _Environment(notes, values)
        document.render(environment.tops(), environment, autoescape=True)
        out = io.BytesIO()
        document.save(out)
    except TemplateError as error:
        raise _refused(name, (error.message or type(error).__name__)[:200]) from None
    except _BROKEN as error:
        raise _refused(name, type(error).__name__) from None
    return Filled(packed(out.getvalue(), parts), notes.findings)


def _refused(name: str, why: str) -> UsageError:
    return UsageError(f"{name} cannot be filled: {why}", "Correct the placeholder in the template, or type it anew.")


def _look(parts: Parts, notes: Notes) -> None:
    """Notes what of a template is not filled, and refuses what would put a value where only markup may stand."""
    has_any = False
    for part, content in parts.items():
        if _FILLED.fullmatch(part):
            said = _TAG.sub("", content.decode("utf-8", "replace"))
            has_any = has_any or _MARK.search(said) is not None
            if mark := _RAW.search(said):
                raise _refused(notes.template, f"`{mark[0].strip()}` would write markup; write {{{{ name }}}}")
    if not has_any:
        notes.add("no_placeholder", Severity.WARNING, notes.template, "has no placeholder; it goes out as it is")
    for part in placeholders_outside(parts, _FILLED):
        notes.add("not_filled_there", Severity.ERROR, part, "holds a placeholder, and is not filled; move it into the text")


class _Document(DocxTemplate):  # type: ignore[misc]  # docxtpl has no types
    """docxtpl, but nothing is dropped that is not well-formed, escaped twice, or rendered twice."""

    def fix_tables(self, xml: str) -> Any:
        parse_xml(xml)
        return super().fix_tables(xml)

    def render_properties(self, context: Any, jinja_env: Any = None) -> None:
        """The properties of the file stay those of the template."""

    def render_footnotes(self, context: Any, jinja_env: Any = None) -> None:
        """Once, and not again for each section: what a value holds must not be read as a template."""
        for part in self.docx.part.package.parts:
            if part.content_type == CONTENT_TYPE.WML_FOOTNOTES:
                text = self.render_xml_part(self.patch_xml(part.blob.decode()), part, context, jinja_env)
                part._blob = text.encode()  # noqa: SLF001  python-docx has no other way


class _Names(Extension):
    """Names that Jinja could not read, such as ``数据规模（条）``, are looked up as texts."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return _NAMES.sub(_readable, source)


def _readable(match: re.Match[str]) -> str:
    steps = [step.strip() for step in match[1].split(".")]
    if all(step.isidentifier() for step in steps):
        return match[0]
    first, rest = (steps[0], steps[1:]) if steps[0].isidentifier() else (_ALL, steps)
    return "".join(("{{ ", first, *(f'["{step}"]' for step in rest), " }}"))


class _Environment(SandboxedEnvironment):
    """A Jinja in which a template reaches names of values, and nothing of Python."""

    def __init__(self, notes: Notes, values: Values) -> None:
        self._notes = notes
        self._values = values
        self._root = values.root(notes)
        self._written = 0
        super().__init__(autoescape=True, extensions=[_Names], finalize=self._shown, cache_size=0)
        self.globals.clear()
        self.filters = {name: filter_ for name, filter_ in self.filters.items() if name in _FILTERS}
        self.tests = {}

    def tops(self) -> dict[str, Place]:
        """The names at the top."""
        return {**{name: self._root.child(name) for name in self._values.names}, _ALL: self._root}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for node in tree.find_all(nodes.Node):
            is_filter = isinstance(node, nodes.Filter)
            if not isinstance(node, _ALLOWED) or (is_filter and getattr(node, "name", "") not in _FILTERS):
                kind = getattr(node, "name", "") if is_filter else type(node).__name__.lower()
                raise _refused(self._notes.template, f"a template may not use `{kind}`")
            if isinstance(node, nodes.For) and node.recursive:
                raise _refused(self._notes.template, "a template may not use `recursive`")
        for unknown in sorted(meta.find_undeclared_variables(tree) - self._values.names - {_ALL}):
            self._note_unknown(unknown)
        return tree

    def _note_unknown(self, name: str) -> None:
        self._notes.add("unknown_name", Severity.ERROR, name, UNKNOWN)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._step(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self._step(obj, argument)

    def _step(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, Place) and isinstance(name, str):
            return obj.child(name)
        if isinstance(obj, LoopContext) and name in _OF_LOOPS:
            return getattr(obj, name)
        self._note_unknown(str(name))
        return self.undefined(obj=obj, name=str(name))

    def _shown(self, value: Any) -> Any:
        """What a placeholder becomes."""
        if isinstance(value, Markup):
            return value  # the text of the template itself
        if isinstance(value, Undefined):
            return ""
        text = str(value)
        self._written += len(text)
        if self._written > _MOST_TEXT:
            raise _refused(self._notes.template, "it becomes longer than 64 MB")
        return _escaped(text)


def _escaped(text: str) -> Markup:
    escaped = str(escape(text))
    for sign, instead in _ESCAPES.items():
        # Twice: signs can overlap.
        escaped = escaped.replace(sign, instead).replace(sign, instead)
    return Markup(escaped)  # noqa: S704  escaped above
