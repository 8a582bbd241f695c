"""Where the commands print."""

import sys

from rich.console import Console

# A closed standard output is none at all.
_IS_SEEN = sys.stdout is not None and sys.stdout.isatty()
# What is piped onwards must not be folded at the width of a terminal.
out = Console(highlight=False, soft_wrap=True, width=None if _IS_SEEN else 200)
