"""A run's records as TensorBoard event files; `metrics.jsonl` stays the truth."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter


class TensorBoard:
    """Writes the records of one run below `folder`, each at its step."""

    def __init__(self, folder: str, run_name: str) -> None:
        self._writer = SummaryWriter(str(Path(folder).expanduser() / run_name))

    def write(self, record: Mapping[str, Any]) -> None:
        """Add every number of a step's record; those in a mapping get its name in front."""
        for name, value in _numbers(record):
            self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Flush what is not yet on disk."""
        self._writer.close()


def _numbers(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "step":
            yield prefix + name, float(value)
