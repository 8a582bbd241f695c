"""The student's ear: log-mel frames, or, for a bridge, an encoder's states, to LLM embeddings."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from aura_core.errors import AuraError
from aura_core.frames import valid_positions

# Whisper's second convolution halves the 100 Hz of the log-mel.
_HALVED_HZ = 50.0
# Five decades below power 1, as Whisper scales it: (log10 + 4) / 4. Samples within -1 and 1 give
# no bin above 10 ** 3, so it is never below Whisper's own floor, eight decades under the loudest.
FIXED_FLOOR = -0.25


class ConvStem(nn.Module):
    """Two convolutions and positions, as in Whisper's encoder: 100 Hz in, 50 Hz out.

    "Robust Speech Recognition via Large-Scale Weak Supervision" (Radford et al., 2022),
    section 2.2. The parameters have the names they have there.
    """

    rate_hz = _HALVED_HZ

    def __init__(self, num_mels: int, width: int, max_frames: int) -> None:
        super().__init__()
        self.num_mels = num_mels
        self.width = width
        self.conv1 = nn.Conv1d(num_mels, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.positional_embedding = nn.Parameter(torch.zeros(max_frames, width))

    def forward(self, log_mel: Tensor, num_mel_frames: Tensor, first_frame: int = 0) -> Tensor:
        """[batch, frames_100hz, num_mels] -> [batch, (frames_100hz + 1) // 2, width].

        `first_frame` is the place in its clip of the first frame that comes out.

        Raises:
            AuraError: if a clip has more frames than there are positions.
        """
        # Zeroed padding is what the convolution would see at the end of a lone clip.
        valid = valid_positions(num_mel_frames, log_mel.shape[1])[:, None]
        x = functional.gelu(self.conv1(log_mel.transpose(1, 2) * valid)) * valid
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        stop, most = first_frame + x.shape[1], len(self.positional_embedding)
        if stop > most:
            raise AuraError(
                f"a clip of {stop / self.rate_hz:g} s: at most {most / self.rate_hz:g} s are "
                "heard, cut it"
            )
        return x + self.positional_embedding[first_frame:stop]

    def num_frames(self, num_mel_frames: Tensor) -> Tensor:
        """Frames that come out for so many of the log-mel, int64 [batch]."""
        return (num_mel_frames + 1) // 2


class MelPairs(nn.Module):
    """No stem at all: two log-mel frames side by side, so that the linear map sees patches."""

    rate_hz = _HALVED_HZ

    def __init__(self, num_mels: int) -> None:
        super().__init__()
        self.num_mels = num_mels
        self.width = 2 * num_mels

    def forward(self, log_mel: Tensor, _num_frames: Tensor, _first_frame: int = 0) -> Tensor:
        """[batch, frames_100hz, num_mels] -> [batch, (frames_100hz + 1) // 2, 2 * num_mels]."""
        whole = functional.pad(log_mel, (0, 0, 0, log_mel.shape[1] % 2))
        return whole.reshape(len(whole), -1, self.width)

    def num_frames(self, num_mel_frames: Tensor) -> Tensor:
        """Frames that come out for so many of the log-mel, int64 [batch]."""
        return (num_mel_frames + 1) // 2


class EncoderFrames(nn.Module):
    """The states of an encoder in series, as they are: the student is then a bridge."""

    def __init__(self, width: int, rate_hz: float) -> None:
        super().__init__()
        self.width = width
        self.rate_hz = rate_hz

    def forward(self, states: Tensor, _num_frames: Tensor) -> Tensor:
        """[batch, frames, width] -> the same."""
        return states

    def num_frames(self, num_frames: Tensor) -> Tensor:
        """Frames that come out for so many, int64 [batch]."""
        return num_frames


Stem = ConvStem | MelPairs | EncoderFrames


class AudioEmbedding(nn.Module):
    """A stem, its frames stacked to the token rate, LayerNorm, a linear map, RMSNorm.

    A bridge has an MLP of two layers in the place of the linear map. With `fixed_floor` no value
    of the log-mel is lower than `FIXED_FLOOR`, whatever is heard later.
    """

    def __init__(
        self, stem: Stem, llm_width: int, token_rate_hz: float, *, fixed_floor: bool = False
    ) -> None:
        super().__init__()
        self.fixed_floor = fixed_floor
        self.stride = round(stem.rate_hz / token_rate_hz)
        self.stem = stem
        width = stem.width * self.stride
        self.norm = nn.LayerNorm(width)
        self.project: nn.Module = (
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, llm_width))
            if isinstance(stem, EncoderFrames)
            else nn.Linear(width, llm_width)
        )
        # Without it the output grows to many times a token's size, and the blocks' own
        # contributions drown in the residual stream.
        self.output_norm = nn.RMSNorm(llm_width)

    def match_scale(self, embedding_rms: float) -> None:
        """Start the output at the root mean square of the LLM's token embeddings."""
        nn.init.constant_(self.output_norm.weight, embedding_rms)

    def num_tokens(self, num_feature_frames: Tensor) -> Tensor:
        """Audio positions of clips with so many frames of features (int64 [batch])."""
        return (self.stem.num_frames(num_feature_frames) + self.stride - 1) // self.stride

    def forward(self, features: Tensor, num_feature_frames: Tensor) -> Tensor:
        """Embed a padded batch.

        Args:
            features: float [batch, frames, channels], zero where padded: log-mel at 100 Hz, or
                a bridge's encoder states.
            num_feature_frames: int64 [batch], the valid frames of each clip.

        Returns:
            float [batch, tokens, llm_width]; a clip's values do not depend on its batch.
        """
        x = self.stem(self.floored(features), num_feature_frames)
        num_frames = self.stem.num_frames(num_feature_frames)
        return self.stacked(x * valid_positions(num_frames, x.shape[1])[:, :, None])

    def floored(self, features: Tensor) -> Tensor:
        """The log-mel (of any shape) as the stem is given it."""
        return features.clamp(min=FIXED_FLOOR) if self.fixed_floor else features

    def stacked(self, frames: Tensor) -> Tensor:
        """Frames of the stem, zero where padded, to positions.

        [batch, frames, stem.width] -> float [batch, ceil(frames / stride), llm_width].
        """
        x = functional.pad(frames, (0, 0, 0, -frames.shape[1] % self.stride))
        x = x.reshape(x.shape[0], x.shape[1] // self.stride, -1)
        return torch.as_tensor(self.output_norm(self.project(self.norm(x)).float()))


def new_stem(kind: str, teacher_stem: Mapping[str, Tensor]) -> ConvStem | MelPairs:
    """Return the stem on log-mel that a config asks for, untrained.

    Args:
        kind: "teacher", "random" or "patch".
        teacher_stem: the encoder's convolutions and positions; their shapes count even where
            their values do not.
    """
    stem = _conv_stem_like(teacher_stem)
    if kind == "patch":
        return MelPairs(stem.num_mels)
    if kind == "teacher":
        stem.load_state_dict({name: tensor.float() for name, tensor in teacher_stem.items()})
    return stem


def stem_like(weights: Mapping[str, Tensor], token_rate_hz: float) -> ConvStem | MelPairs:
    """Return a stem on log-mel that the saved weights of an `AudioEmbedding` fit into."""
    own = {n.removeprefix("stem."): tensor for n, tensor in weights.items() if n[:5] == "stem."}
    if own:
        return _conv_stem_like(own)
    frames = 2 * round(_HALVED_HZ / token_rate_hz)
    return MelPairs(weights["norm.weight"].numel() // frames)


def _conv_stem_like(weights: Mapping[str, Tensor]) -> ConvStem:
    width, num_mels, _ = weights["conv1.weight"].shape
    return ConvStem(num_mels, width, max_frames=weights["positional_embedding"].shape[0])


def random_stem(num_mels: int, width: int, max_mel_frames: int) -> dict[str, Tensor]:
    """A stem for the students of a teacher that has none: always the same random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return dict(ConvStem(num_mels, width, (max_mel_frames + 1) // 2).state_dict())
