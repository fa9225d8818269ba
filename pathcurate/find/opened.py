"""What questions are answered from: the catalog's rows, the sites' patterns, cohorts and releases."""

from pathcurate.find.case import gather
from pathcurate.find.facts import Found
from pathcurate.find.numbers import Numbers, Spellings
from pathcurate.find.standing import HeldFiles, ReadFiles, Standing, stamp
from pathcurate.lookup import Lookup
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace


class Opened:
    """A workspace opened for questions, one at a time.

    Args:
        workspace: the workspace.
        key: the vault's key.
        stays_open: whether it will be asked again and again, see :meth:`refresh`.
    """

    def __init__(self, workspace: Workspace, key: bytes, *, stays_open: bool = False) -> None:
        self.workspace = workspace
        self._key = key
        self._catalog = Catalog(workspace.catalog)
        self._lookup = Lookup(self._catalog, shortens=True, watched=workspace.catalog if stays_open else None)
        self._spellings = Spellings({site.code: site.accession.patterns for site in workspace.sites})
        self._files = HeldFiles() if stays_open else ReadFiles()
        self._stamp: object = None
        self._standing: Standing | None = None
        self._read: tuple[object, bool] | None = None

    def is_of(self, workspace: Workspace, key: bytes) -> bool:
        """Whether it is this workspace, with this key, that is open."""
        own = self.workspace
        is_same = workspace is own or (workspace.root, workspace.settings) == (own.root, own.settings)
        return is_same and key == self._key

    def refresh(self) -> None:
        """Take notice of what has changed on disk."""
        self._lookup.refresh()
        now = stamp(self.workspace)
        if now != self._stamp:
            self._stamp, self._standing = now, None

    def answer(self, text: str, *, makes_codes: bool = True) -> Found | None:
        """All that is known of what a text names.

        Args:
            text: a number, a code or a name.
            makes_codes: whether to find out what a pseudonym stands for, which takes long; without that None is given for
                what may be one.

        Raises:
            InputOutputError: the catalog cannot be read.
        """
        standing = self._said()
        numbers = Numbers(self._catalog, self._lookup, self._spellings, is_read=self._is_read())
        sought = numbers.look(standing, text.strip(), makes_codes=makes_codes)
        return None if sought is None else gather(self._lookup, numbers, standing, sought)

    def _said(self) -> Standing:
        if self._standing is None:
            self._standing = Standing(self.workspace, self._key, self._files)
            if isinstance(self._files, HeldFiles):
                self._files.keep_only(self._standing.paths)
        return self._standing

    def _is_read(self) -> bool:
        """Whether the names of all slides have been read for numbers since the last of them came."""
        state = self._lookup.state(SLIDES), self._lookup.state(SLIDE_KEYS)
        if self._read is None or self._read[0] != state or None in state:
            of, _, _ = (self._catalog.made_of(SLIDE_KEYS) or "").partition(" ")
            self._read = state, of == self._catalog.state(SLIDES)
        return self._read[1]
