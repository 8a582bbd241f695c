"""Where the commands print."""

import sys

from rich.console import Console

# What is piped onwards must not be folded at the width of a terminal.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
