"""Whisper's log-mel of audio that is still arriving."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from whisper.audio import HOP_LENGTH, N_FFT

from aura_core.models.whisper_encoder import unfloored_log_mel

# Windows stand in the middle of their frame, so the first one begins before the clip does.
_HALF = N_FFT // 2


class StreamingLogMel:
    """Log-mel frames as soon as their windows are full, each of them once.

    Together they are `whisper_encoder.log_mel` of the whole clip, but for its floor eight decades
    below the clip's loudest bin, which only the end of the clip tells.
    """

    def __init__(self, n_mels: int) -> None:
        self._n_mels = n_mels
        self._num_samples = 0
        self._mirrored = False
        self._wave = torch.zeros(0)  # from the next frame's window on

    def push(self, samples: NDArray[np.float32]) -> Tensor:
        """Take samples at 16 kHz, float32 [samples]; return float32 [new frames, n_mels]."""
        self._num_samples += len(samples)
        self._wave = torch.cat([self._wave, torch.from_numpy(np.array(samples, np.float32))])
        if not self._mirrored:
            if len(self._wave) <= _HALF:
                return torch.zeros(0, self._n_mels)
            self._wave = torch.cat([self._wave[1 : _HALF + 1].flip(0), self._wave])
            self._mirrored = True
        return self._whole_windows()

    def finish(self) -> Tensor:
        """Return the frames that reach beyond the end of the clip: float32 [frames, n_mels]."""
        missing = max(0, N_FFT - self._num_samples)
        silence = self.push(np.zeros(missing, dtype=np.float32))
        self._wave = torch.cat([self._wave, self._wave[-_HALF - 1 : -1].flip(0)])
        # Whisper drops the last one, which stands at the very end.
        return torch.cat([silence, self._whole_windows()[:-1]])

    def _whole_windows(self) -> Tensor:
        if len(self._wave) < N_FFT:
            return torch.zeros(0, self._n_mels)
        frames = unfloored_log_mel(self._wave, self._n_mels)
        self._wave = self._wave[len(frames) * HOP_LENGTH :]
        return frames
