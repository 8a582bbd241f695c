"""Ask the advisory database about every installed package: `make audit`.

pip-audit counts a package that its service does not know as skipped, and calls that a
success: without a network, or behind a mirror of the registry, it would find nothing and say
nothing. Exit code 1 names what is vulnerable; 0 says what was audited, or that nothing was.
"""

import json
import subprocess
import sys
from typing import Any

COMMAND = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off"]
_LIMIT_S = 300


def main() -> int:
    """Print the outcome; return the exit code."""
    try:
        result = subprocess.run(
            [*COMMAND, "--timeout", "10", "--format", "json"],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        packages = json.loads(result.stdout)["dependencies"]
    except (ValueError, KeyError, subprocess.TimeoutExpired):
        packages = []
    lines, exit_code = judge(packages)
    print("\n".join(lines))
    return exit_code


def judge(packages: list[dict[str, Any]]) -> tuple[list[str], int]:
    """Return what to say of pip-audit's findings, and the exit code."""
    audited = [package for package in packages if "skip_reason" not in package]
    if not audited:
        return ["audit: not done, no advisory database is in reach from here"], 0
    bad = [package for package in audited if package["vulns"]]
    lines = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no release yet'}"
        for package in bad
        for vulnerability in package["vulns"]
    ]
    lines.append(
        f"audit: {len(bad)} of {len(audited)} packages with a known vulnerability, "
        f"{len(packages) - len(audited)} unknown to the database"
    )
    return lines, 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
