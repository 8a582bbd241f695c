"""The student's ear: log-mel frames to LLM embeddings."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from aura_core.padding import valid_positions

# Whisper's second convolution halves the 100 Hz of the log-mel.
STEM_RATE_HZ = 50.0


class AudioEmbedding(nn.Module):
    """Conv stem as in Whisper, its positions, stacking to the token rate, a linear map, RMSNorm.

    The stem's shape follows "Robust Speech Recognition via Large-Scale Weak
    Supervision" (Radford et al., 2022), section 2.2.
    """

    def __init__(
        self, num_mels: int, stem_width: int, llm_width: int, max_frames: int, token_rate_hz: float
    ) -> None:
        super().__init__()
        self.stride = round(STEM_RATE_HZ / token_rate_hz)
        self.conv1 = nn.Conv1d(num_mels, stem_width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(stem_width, stem_width, kernel_size=3, stride=2, padding=1)
        self.positional_embedding = nn.Parameter(torch.zeros(max_frames, stem_width))
        self.norm = nn.LayerNorm(stem_width * self.stride)
        self.project = nn.Linear(stem_width * self.stride, llm_width)
        # Without it the output grows to many times a token's size, and the blocks' own
        # contributions drown in the residual stream.
        self.output_norm = nn.RMSNorm(llm_width)

    def load_stem(self, stem: Mapping[str, Tensor]) -> None:
        """Start from the teacher's convolutions and positions (names as in Whisper's encoder)."""
        self.load_state_dict({**self.state_dict(), **stem})

    def match_scale(self, embedding_rms: float) -> None:
        """Start the output at the root mean square of the LLM's token embeddings."""
        nn.init.constant_(self.output_norm.weight, embedding_rms)

    def num_tokens(self, num_mel_frames: Tensor) -> Tensor:
        """Audio positions of clips with so many log-mel frames (int64 [batch])."""
        num_frames = (num_mel_frames + 1) // 2
        return (num_frames + self.stride - 1) // self.stride

    def forward(self, log_mel: Tensor, num_mel_frames: Tensor) -> Tensor:
        """Embed a padded batch.

        Args:
            log_mel: float [batch, frames_100hz, num_mels], zero where padded.
            num_mel_frames: int64 [batch], the valid frames of each clip.

        Returns:
            float [batch, tokens, llm_width]; a clip's values do not depend on its batch.
        """
        # Zeroed padding is what the convolution would see at the end of a lone clip.
        valid = valid_positions(num_mel_frames, log_mel.shape[1])[:, None]
        x = functional.gelu(self.conv1(log_mel.transpose(1, 2) * valid)) * valid
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positional_embedding[: x.shape[1]]
        x = x * valid_positions((num_mel_frames + 1) // 2, x.shape[1])[:, :, None]
        x = functional.pad(x, (0, 0, 0, -x.shape[1] % self.stride))
        x = x.reshape(x.shape[0], x.shape[1] // self.stride, -1)
        return torch.as_tensor(self.output_norm(self.project(self.norm(x)).float()))
