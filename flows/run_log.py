"""What a flow run says, for the Prefect server it reports to."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.logging.handlers import APILogHandler

from tasks.output import ECHOED

log = logging.getLogger("aura")


@contextmanager
def run_log() -> Iterator[None]:
    """Send the lines of the logger `aura` to the server, each with its flow or task run.

    For use inside a flow. Prefect gives a level and a handler to its own loggers only: without
    them every line of ours would be below the root logger's level.
    """
    level = log.level
    handler = APILogHandler()
    log.setLevel(logging.INFO)
    for each in (log, ECHOED):
        each.addHandler(handler)
    try:
        yield
    finally:
        for each in (log, ECHOED):
            each.removeHandler(handler)
        log.setLevel(level)
