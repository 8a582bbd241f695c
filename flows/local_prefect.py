"""Prefect without a server of the user's: quiet, offline, in a home of its own."""

import os
from collections.abc import MutableMapping
from typing import Any

from aura_core.models.file_digest import cache_folder

# Read when Prefect and Ray are imported, so they are set before.
OFFLINE = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
QUIET = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "aura",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
}


def set_environment(environment: MutableMapping[str, str]) -> None:
    """Turn telemetry off and give Prefect its quiet home, unless the user chose otherwise."""
    home = {"PREFECT_HOME": str(cache_folder() / "prefect")}
    for name, value in (OFFLINE | QUIET | home).items():
        environment.setdefault(name, value)


def run_flow(**parameters: Any) -> None:
    """Run the flow in this process; without PREFECT_API_URL it gets a temporary server.

    Raises:
        AuraError: a mistake the user can mend.
    """
    set_environment(os.environ)
    from flows.aura import aura

    aura(**parameters)
