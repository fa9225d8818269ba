"""Search of any directory for the identifiers that the catalog knows: what ``deid verify`` proves with.

:mod:`~pathcurate.leaksearch.known` takes them from the catalog, :mod:`~pathcurate.leaksearch.identifiers` finds millions of
them in a text, :mod:`~pathcurate.leaksearch.passes` reads bytes in every encoding in which a text may stand,
:mod:`~pathcurate.leaksearch.contents` opens what is packed, and :mod:`~pathcurate.leaksearch.search` walks a directory.
Nothing of it ever says what was found, only where and of what kind.
"""
