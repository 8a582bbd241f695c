"""How a driver's log lines look: for a person, or one JSON object each for a log store."""

import logging
import os
import sys

from pythonjsonlogger.json import JsonFormatter

from aura_core.pipeline import StageSpec

FORMAT = "AURA_LOG_FORMAT"


def start_logging(spec: StageSpec) -> None:
    """Send log lines to stderr; with $AURA_LOG_FORMAT=json as JSON with stage and fingerprint."""
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get(FORMAT) == "json":
        handler.setFormatter(
            JsonFormatter(
                "{asctime}{levelname}{message}",
                style="{",
                datefmt="%Y-%m-%dT%H:%M:%S%z",
                rename_fields={"asctime": "time", "levelname": "level"},
                static_fields={"stage": spec.name, "fingerprint": spec.fingerprint},
            )
        )
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
