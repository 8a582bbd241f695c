"""Speech in, cache samples out: log-mel and chosen teacher states of each utterance."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from whisper.model import Whisper

from aura_core.cache.plan import safe_key
from aura_core.cache.record import Entry, layer_name
from aura_core.config import TeacherCacheConfig
from aura_core.corpus.table import decode_audio
from aura_core.errors import AuraError
from aura_core.models.whisper_encoder import encoder_states, log_mel, padded_log_mel

# Frames of 10 ms, padding included. A constant and no setting: the composition
# of a batch may move the last bit of a state, and bytes must not depend on the machine's size.
_BATCH_MEL_FRAMES = 6000


@dataclass(frozen=True)
class EncodedSample:
    """One utterance: its entry, its exact states, and the tensors as they are stored."""

    entry: Entry
    exact: dict[int, Tensor]  # layer -> float32 [frames_50hz, width]
    tensors: dict[str, Tensor]  # log_mel, layer_01, ...

    def stored(self, layer: int) -> Tensor:
        """Return a layer's states as they are stored."""
        return self.tensors[layer_name(layer)]


def chosen_layers(config: TeacherCacheConfig, num_layers: int) -> tuple[int, ...]:
    """Return the layers to keep, ascending. Raises AuraError for a layer the teacher lacks."""
    layers = tuple(range(1, num_layers + 1)) if config.layers is None else config.layers
    if not layers or not set(layers) <= set(range(1, num_layers + 1)):
        raise AuraError(
            f"teacher_cache.layers {list(layers)}: {config.teacher} has layers 1 to {num_layers}"
        )
    return tuple(sorted(set(layers)))


def encode(
    teacher: Whisper, rows: Iterable[Mapping[str, Any]], config: TeacherCacheConfig
) -> Iterator[EncodedSample]:
    """Encode rows of the utterance table, in their order, in batches of similar length.

    Raises:
        AuraError: if a clip is longer than the teacher's window, or its states do not
            fit the stored dtype.
    """
    layers = chosen_layers(config, teacher.dims.n_audio_layer)
    batch: list[_Clip] = []
    for row in rows:
        clip = _prepare(teacher, row, config)
        if (
            batch
            and (len(batch) + 1) * max(len(each.mel) for each in (*batch, clip)) > _BATCH_MEL_FRAMES
        ):
            yield from _encode_batch(teacher, batch, layers, config)
            batch = []
        batch.append(clip)
    if batch:
        yield from _encode_batch(teacher, batch, layers, config)


@dataclass(frozen=True)
class _Clip:
    row: Mapping[str, Any]
    stored_mel: Tensor  # at its own length
    mel: Tensor  # as the teacher hears it


def _prepare(teacher: Whisper, row: Mapping[str, Any], config: TeacherCacheConfig) -> _Clip:
    audio: NDArray[Any] = decode_audio(row["audio"]["bytes"])
    mel = log_mel(audio, teacher.dims.n_mels)
    window = 2 * teacher.dims.n_audio_ctx
    if len(mel) > window:
        raise AuraError(
            f"utterance {row['id']}: {len(mel) / 100:.1f} s is longer than the teacher's "
            f"{window / 100:.0f} s; lower ingest.max_duration_s"
        )
    heard = mel if config.padding == "trim" else padded_log_mel(audio, teacher.dims.n_mels)
    return _Clip(row, mel, heard)


def _encode_batch(
    teacher: Whisper, clips: Sequence[_Clip], layers: Sequence[int], config: TeacherCacheConfig
) -> Iterator[EncodedSample]:
    device = teacher.device
    mel = pad_sequence([clip.mel for clip in clips], batch_first=True).to(device)
    lengths = torch.tensor([len(clip.mel) for clip in clips], device=device)
    states = {k: v.cpu() for k, v in encoder_states(teacher, mel, lengths, layers).items()}
    for i, clip in enumerate(clips):
        entry = _entry(clip)
        # Clones: a view would keep the whole batch alive.
        exact = {layer: states[layer][i, : entry.num_frames].clone() for layer in layers}
        stored = {layer_name(k): _stored(v, entry.id, config) for k, v in exact.items()}
        yield EncodedSample(entry, exact, {"log_mel": clip.stored_mel.half(), **stored})


def _stored(states: Tensor, utterance_id: str, config: TeacherCacheConfig) -> Tensor:
    stored = states.to(getattr(torch, config.dtype))
    if not bool(stored.isfinite().all()):
        raise AuraError(
            f"utterance {utterance_id}: teacher states do not fit {config.dtype}; "
            "set teacher_cache.dtype=float32"
        )
    return stored


def _entry(clip: _Clip) -> Entry:
    num_mel_frames = len(clip.stored_mel)
    names = ("id", "text", "instruction", "response", "speaker", "split", "family", "duration_s")
    return Entry(
        key=safe_key(clip.row["id"]),
        num_mel_frames=num_mel_frames,
        num_frames=(num_mel_frames + 1) // 2,
        **{name: clip.row[name] for name in names},
    )


def frame_cosine(left: Tensor, right: Tensor) -> Tensor:
    """Return the cosine of each frame's stored and exact state, float64 [frames]."""
    return functional.cosine_similarity(left.double(), right.double(), dim=-1)
