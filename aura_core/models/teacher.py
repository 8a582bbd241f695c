"""What a teacher is: a frozen speech encoder whose states a student learns from."""

from collections.abc import Collection, Iterator
from typing import Literal, Protocol, Self

import torch
from torch import Tensor


class Teacher(Protocol):
    """A speech encoder, frozen and in evaluation mode, with 50 states a second of audio."""

    @property
    def hears(self) -> Literal["log_mel", "samples"]:
        """What `states` is given."""

    @property
    def num_mels(self) -> int:
        """Bins of the log-mel that the cache keeps for the student: 80 or 128."""

    @property
    def max_mel_frames(self) -> int:
        """The longest clip it takes, in frames of 10 ms."""

    @property
    def num_layers(self) -> int:
        """Layers there are states of, counted from 1; 0 is what the first of them is given."""

    @property
    def width(self) -> int:
        """Values of a state."""

    @property
    def device(self) -> torch.device:
        """Where its inputs must be."""

    def in_precision(self, dtype: torch.dtype) -> Self:
        """The same encoder multiplying in `dtype`; this one stays as it is."""

    def stem_tensors(self) -> dict[str, Tensor]:
        """Weights of a `ConvStem` that a student's may start from (`random_stem`: of no use)."""

    def states(
        self, inputs: Tensor, lengths: Tensor, layers: Collection[int]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the states after chosen layers for a padded batch, lowest layer first.

        A clip's states must not depend on what it is batched with.

        Args:
            inputs: float32 [batch, frames_100hz, num_mels], or samples at 16 kHz, float32
                [batch, samples].
            lengths: int64 [batch], the valid frames or samples of each clip.
            layers: 1-based; 0: what the first layer is given.

        Yields:
            Layer, and its states, float32 [batch, at least (frames_100hz + 1) // 2, width]. State
            number i stands for 20 ms from i * 20 ms on; the last layer's are taken after the final
            norm, if there is one.
        """
