"""The copy as it is written: runs of bytes of the source, other bytes between them, and lengths that are set right later."""

import os
from pathlib import Path
from typing import Final

from pathcurate.scrubbers.dicom.structure import Window

_PIECE: Final = 1 << 20
_AT_ONCE: Final = 1 << 30


class Copy:
    """One copy, or the measure of one.

    Args:
        window: of the source.
        target: the file to write, which does not exist; None to count only.

    Attributes:
        muted: while it is not zero, nothing is written.
        held: while it is not zero, what was written last can be taken back.
    """

    __slots__ = ("_buffer", "_file", "_flushed", "_original", "_start", "_stop", "_window", "held", "muted")

    def __init__(self, window: Window, target: Path | None) -> None:
        self._window = window
        self._file = None if target is None else os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._original: int | None = None
        self._buffer = bytearray()
        self._flushed = self._start = self._stop = 0
        self.muted = self.held = 0

    @property
    def position(self) -> int:
        """Bytes so far."""
        return self._flushed + len(self._buffer) + self._stop - self._start

    def keep(self, start: int, stop: int) -> None:
        """Copy these bytes of the source."""
        if self.muted:
            return
        if start != self._stop:
            self._settle()
            self._start = start
        self._stop = stop

    def write(self, data: bytes) -> None:
        """Write other bytes."""
        if self.muted:
            return
        self._settle()
        if self._file is None:
            self._flushed += len(data)
        else:
            self._buffer += data

    def patch(self, position: int, data: bytes) -> None:
        """Write over what was written."""
        if self.muted or self._file is None:
            return
        self._settle()
        offset = position - self._flushed
        if offset >= 0:
            self._buffer[offset : offset + len(data)] = data
        else:
            os.pwrite(self._file, data, position)

    def cut(self, position: int) -> None:
        """Take back what was written from here on, while it is held."""
        if self.muted:
            return
        self._settle()
        if self._file is None:
            self._flushed = position
        else:
            del self._buffer[position - self._flushed :]

    def finish(self) -> None:
        """Write what is left."""
        self._settle()
        self._flush()

    def close(self) -> None:
        """Close the files, whatever was written."""
        for handle in (self._file, self._original):
            if handle is not None:
                os.close(handle)

    def _settle(self) -> None:
        start, stop = self._start, self._stop
        self._start = stop
        if start == stop:
            return
        if self._file is None:
            self._flushed += stop - start
            return
        window = self._window
        if window.base <= start and stop <= window.base + len(window.data):
            self._buffer += window.data[start - window.base : stop - window.base]
        elif stop - start <= _PIECE:
            self._buffer += self._read(start, stop - start)
        else:
            self._flush()
            self._stream(start, stop)
        if len(self._buffer) > _PIECE and not self.held:
            self._flush()

    def _flush(self) -> None:
        if self._file is not None:
            view = memoryview(self._buffer)
            while view:
                done = os.pwrite(self._file, view, self._flushed)
                self._flushed += done
                view = view[done:]
            view.release()
            self._buffer = bytearray()

    def _read(self, start: int, length: int) -> bytes:
        data = self._window.source.read_at(start, length)
        if len(data) < length:
            raise OSError("the file became shorter while it was read")
        return data

    def _stream(self, start: int, stop: int) -> None:
        """Copy a long run, inside the kernel where it can."""
        start = self._in_kernel(start, stop)
        while start < stop:
            self._buffer += self._read(start, min(_PIECE, stop - start))
            start += len(self._buffer)
            self._flush()

    def _in_kernel(self, start: int, stop: int) -> int:
        path = self._window.source.local_path
        if path is None or self._file is None:
            return start
        if self._original is None:
            self._original = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        while start < stop:
            try:
                done = os.copy_file_range(self._original, self._file, min(stop - start, _AT_ONCE), start, self._flushed)
            except OSError:
                # Not between these file systems; reading says what is wrong if anything else is.
                return start
            if done == 0:
                return start
            start += done
            self._flushed += done
        return start
