"""``python -m pathcurate`` and the ``pathcurate`` command."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line and leave with its exit code; what a scheduler ends (SIGTERM) ends as if by the user."""
    from pathcurate.cli.main import run

    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(sys.argv[1:]))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
