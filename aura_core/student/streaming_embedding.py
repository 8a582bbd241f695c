"""Audio positions of log-mel frames that are still arriving."""

import torch
from torch import Tensor

from aura_core.student.audio_embedding import AudioEmbedding, EncoderFrames

# Log-mel frames that the stem's convolutions see before their first new one, and after the last.
_BEFORE, _AFTER = 2, 1


class StreamingEmbedding:
    """Embeds a position as soon as all it sees is there; the convolutions see 10 ms beyond it.

    Together the positions are those of `AudioEmbedding` on the whole clip.
    """

    def __init__(self, embedding: AudioEmbedding) -> None:
        assert not isinstance(embedding.stem, EncoderFrames), "an encoder sees whole clips"
        self._embedding = embedding
        self._stem = embedding.stem
        # Past frames only where there are some: before a clip a convolution sees zeros.
        self._num_past = 0
        self._log_mel = torch.zeros(0, embedding.stem.num_mels)
        self._num_positions = 0

    def push(self, log_mel: Tensor) -> Tensor:
        """Take float32 [frames, num_mels]; return float [new positions, llm_width]."""
        self._log_mel = torch.cat([self._log_mel, log_mel])
        frames = 2 * self._embedding.stride
        count = (len(self._log_mel) - self._num_past - _AFTER) // frames
        if count < 1:
            return self._embed(self._log_mel[:0], 0)
        used = self._num_past + count * frames
        embedded = self._embed(self._log_mel[: used + _AFTER], count)
        self._log_mel = self._log_mel[used - _BEFORE :]
        self._num_past = _BEFORE
        self._num_positions += count
        return embedded

    def finish(self) -> Tensor:
        """Return the positions at the end of the clip, the last one perhaps filled in part."""
        rest = len(self._log_mel) - self._num_past
        return self._embed(self._log_mel if rest else self._log_mel[:0], None)

    def _embed(self, log_mel: Tensor, count: int | None) -> Tensor:
        weight = self._embedding.output_norm.weight
        if not len(log_mel):
            return weight.new_zeros(0, len(weight))
        stride, past = self._embedding.stride, self._num_past // 2
        heard = self._embedding.floored(log_mel).to(weight.device)[None]
        first = self._num_positions * stride - past
        frames = self._stem(heard, torch.tensor([len(log_mel)], device=weight.device), first)
        stop = None if count is None else past + count * stride
        return self._embedding.stacked(frames[:, past:stop])[0]
