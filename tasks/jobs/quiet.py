"""Settings of a driver's libraries, from before they are imported."""

import os

# Read by Ray, its workers and the hub client when they start.
QUIET = {
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Nobody scrapes them here, and gathering them takes CPU time from the step.
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning",
}


def set_quiet() -> None:
    """Turn telemetry and warnings off, unless the user chose otherwise."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
