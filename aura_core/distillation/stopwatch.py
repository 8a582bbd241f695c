"""Where the time of a step goes."""

import time

import torch

from aura_core.device import synchronise


class Stopwatch:
    """Adds up the seconds of the parts of a step; on a GPU, of the work each part has started."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """What has passed since the lap before goes to `part`."""
        synchronise(self._device)
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now
