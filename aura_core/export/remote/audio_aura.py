"""What a model hears with: log-mel to LLM embeddings, and states to slots.

Copied into the model folder: imports nothing of this project but its neighbours.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .configuration_aura import AuraConfig


class ConvStem(nn.Module):
    """Whisper's two convolutions and positions: log-mel at 100 Hz in, 50 Hz out."""

    def __init__(self, num_mels: int, width: int, max_frames: int) -> None:
        super().__init__()
        self.width = width
        self.conv1 = nn.Conv1d(num_mels, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.positional_embedding = nn.Parameter(torch.zeros(max_frames, width))

    def forward(self, log_mel: Tensor, valid: Tensor) -> Tensor:
        """[clips, frames, mels], bool [clips, frames] -> [clips, (frames + 1) // 2, width]."""
        x = functional.gelu(self.conv1((log_mel * valid[:, :, None]).transpose(1, 2)))
        x = functional.gelu(self.conv2(x * valid[:, None])).transpose(1, 2)
        if x.shape[1] > len(self.positional_embedding):
            raise ValueError(
                f"a clip of {x.shape[1] / 50:.1f} s: at most "
                f"{len(self.positional_embedding) / 50:g} s fit, cut it"
            )
        return x + self.positional_embedding[: x.shape[1]]


class PatchStem(nn.Module):
    """Two log-mel frames side by side."""

    def __init__(self, num_mels: int) -> None:
        super().__init__()
        self.width = 2 * num_mels

    def forward(self, log_mel: Tensor, _valid: Tensor) -> Tensor:
        """[clips, frames, mels] -> [clips, (frames + 1) // 2, 2 * mels]."""
        whole = functional.pad(log_mel, (0, 0, 0, log_mel.shape[1] % 2))
        return whole.reshape(len(whole), -1, self.width)


class AudioEmbedding(nn.Module):
    """A stem, its frames stacked, LayerNorm, a linear map, RMSNorm."""

    def __init__(self, config: AuraConfig) -> None:
        super().__init__()
        self.stride = config.stride
        self.log_mel_floor = config.log_mel_floor
        self.stem: ConvStem | PatchStem = (
            PatchStem(config.num_mel_bins)
            if config.stem == "patch"
            else ConvStem(config.num_mel_bins, config.stem_width, config.max_stem_frames)
        )
        width = self.stem.width * config.stride
        llm_width = config.text_config.hidden_size
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, llm_width)
        self.output_norm = nn.RMSNorm(llm_width)

    def forward(self, log_mel: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Embed clips.

        Args:
            log_mel: float [clips, frames, mels] at 100 Hz.
            valid: bool [clips, frames], False where padded.

        Returns:
            float32 [clips, positions, llm_width], and int64 [clips]: valid positions of each.
        """
        if self.log_mel_floor is not None:
            log_mel = log_mel.clamp(min=self.log_mel_floor)
        num_frames = (valid.sum(dim=1) + 1) // 2
        x = self.stem(log_mel, valid)
        x = x * (torch.arange(x.shape[1], device=x.device) < num_frames[:, None])[:, :, None]
        x = functional.pad(x, (0, 0, 0, -x.shape[1] % self.stride))
        x = x.reshape(x.shape[0], x.shape[1] // self.stride, -1)
        embedded = self.output_norm(self.project(self.norm(x)).float())
        return embedded, (num_frames + self.stride - 1) // self.stride


class Handover(nn.Module):
    """Makes slots of audio states: one for each run of positions with the same CTC label.

    A slot is the mean of the states that the LLM has for tokens, by CTC's probabilities squared,
    and a linear map of the audio states in the run.
    """

    rows: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, width: int, num_tokens: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(num_tokens, width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.scale = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(1 + num_tokens))
        self.blank = nn.Linear(width, 1)
        self.residual = nn.Linear(width, width, bias=False)
        self.silence = nn.Parameter(torch.zeros(width))

    def forward(self, states: Tensor, num_positions: Tensor) -> tuple[Tensor, Tensor]:
        """Float32 [clips, positions, width] -> [clips, slots, width], and int64 [clips] counts."""
        states = (states - self.mean) / self.std
        scores = [self.blank(states), self.scale * (states @ self.rows.T)]
        logits = torch.cat(scores, dim=-1) + self.bias
        labels = logits.argmax(dim=-1)
        index = torch.arange(labels.shape[1], device=labels.device)
        said = (index < num_positions[:, None]) & (labels != 0)
        starts = said & (labels != functional.pad(labels, (1, 0))[:, :-1])
        counts = starts.sum(dim=1)
        run = torch.arange(max(1, int(counts.max())), device=labels.device)
        spans = said[:, None] & ((starts.cumsum(dim=1) - 1)[:, None] == run[:, None])
        probabilities = logits.softmax(dim=-1)
        weights = spans * probabilities.gather(-1, labels[:, :, None])[:, None, :, 0]
        weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-6)
        likely = (weights @ probabilities[:, :, 1:]).clamp(min=1e-6).square()
        likely = likely / likely.sum(dim=-1, keepdim=True)
        slots = likely @ self.rows + self.residual(weights @ states)
        # A clip without a word is one slot.
        slots = torch.where((counts == 0)[:, None, None], self.silence, slots)
        return slots * self.std + self.mean, counts.clamp(min=1)
