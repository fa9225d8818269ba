"""Code lists: their codes from files, and the form of every code. No message repeats what a file holds."""

import csv
import io
from collections.abc import Iterator

from pathcurate.codelists import form_words, has_descendants, is_code, nearest_code
from pathcurate.model.recipe import Codelist, Recipe
from pathcurate.recipefile.extending import Files
from pathcurate.recipefile.faults import Fault
from pathcurate.recipefile.merged import Merged
from pathcurate.text.encodings import decode
from pathcurate.yamlsource import KeyPath, did_you_mean

MOST_CODES = 50_000
MOST_BYTES = 10_000_000
_SEPARATORS = (",", "\t", ";", "|")
_MOST_ROWS_NAMED = 3


def resolve_codelists(recipe: Recipe, merged: Merged, files: Files) -> tuple[Recipe, list[Fault]]:
    """The recipe with the codes of its lists instead of their files, and what is wrong with the lists.

    Args:
        recipe: the recipe as it was written.
        merged: says beside which file a list's file is looked for.
        files: what may be read; gains what was read.
    """
    faults: list[Fault] = []
    lists = dict(recipe.codelists or {})
    for name, codelist in lists.items():
        path: KeyPath = ("codelists", name)
        if codelist.match == "descendants" and not has_descendants(codelist.system):
            message = f"codes of {codelist.system} do not begin like those above them: list every code, and match exactly"
            faults.append(Fault((*path, "match"), message))
        faults += _inline_faults(codelist, path)
        if codelist.file is not None:
            read = _read(codelist, merged, files, path)
            if isinstance(read, Codelist):
                lists[name] = read
            else:
                faults += read
    return (recipe.model_copy(update={"codelists": lists}) if lists else recipe), faults


def _inline_faults(codelist: Codelist, path: KeyPath) -> Iterator[Fault]:
    for key, codes in (("codes", codelist.codes), ("without", codelist.without)):
        for index, code in enumerate(codes or ()):
            if not is_code(codelist.system, code):
                near = nearest_code(codelist.system, code)
                guess = f"; did you mean `{near}`?" if near else ""
                yield Fault((*path, key, index), f"`{code}` is no {form_words(codelist.system)}{guess}")


def _read(codelist: Codelist, merged: Merged, files: Files, path: KeyPath) -> Codelist | list[Fault]:
    at = (*path, "file")
    target = files.find(codelist.file or "", files.beside(merged.place(at)[0]))
    if isinstance(target, str):
        return [Fault(at, target)]
    try:
        with target.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as failure:
        return [Fault(at, f"the file cannot be read: {failure.strerror}")]
    if len(content) > MOST_BYTES:
        return [Fault(at, f"the file is larger than {MOST_BYTES} bytes")]
    digest = files.note(files.name(target), content)
    if codelist.sha256 is not None and not digest.startswith(codelist.sha256):
        message = f"the file has another digest: {digest}; if it was meant to change, put that here"
        return [Fault((*path, "sha256"), message)]
    codes = _codes(content, codelist)
    if isinstance(codes, str):
        return [Fault((*path, "column") if codelist.column and "column" in codes else at, codes)]
    return codelist.model_copy(update={"codes": codes, "file": None, "column": None, "sha256": digest})


def _codes(content: bytes, codelist: Codelist) -> tuple[str, ...] | str:
    """The codes of a file, each once in file order, or what is wrong with it."""
    text = decode(content)
    if text is None or "\0" in text:
        return "the file is no text in UTF-8 or GB18030; save it as CSV"
    column = codelist.column or "code"
    separator = _separator(text.partition("\n")[0], column)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    codes: dict[str, None] = {}
    wrong: list[int] = []
    try:
        place = _place([head.strip() for head in next(rows, [])], column)
        if isinstance(place, str):
            return place
        for row in rows:
            code = row[place].strip() if place < len(row) else ""
            if not code and (place < len(row) or not any(row)):
                continue
            if not is_code(codelist.system, code):
                wrong.append(rows.line_num)
            codes[code] = None
            if len(codes) > MOST_CODES:
                return f"the file has more than {MOST_CODES} codes"
    except csv.Error:
        return f"line {rows.line_num} of the file cannot be read: check its quotes"
    if wrong:
        named = ", ".join(map(str, wrong[:_MOST_ROWS_NAMED])) + (" and others" if len(wrong) > _MOST_ROWS_NAMED else "")
        what = "line" if len(wrong) == 1 else "lines"
        hint = "; look for small letters, full width and missing dots"
        return f"{what} {named} of the file: column `{column}` has no {form_words(codelist.system)}{hint}"
    return tuple(codes) or f"the file has no code in column `{column}`"


def _place(heads: list[str], column: str) -> int | str:
    if heads.count(column) == 1:
        return heads.index(column)
    if column in heads:
        return f"the file has several columns `{column}`"
    return f"the file has no column `{column}` in its first row{did_you_mean(column, heads)}"


def _separator(line: str, column: str) -> str:
    """What separates the cells of the first row such that the column is one of them."""
    for sign in _SEPARATORS:
        cells = [cell.strip().strip('"').strip() for cell in line.strip().split(sign)]
        if column in cells and len(cells) > 1:
            return sign
    return max(_SEPARATORS, key=line.count)
