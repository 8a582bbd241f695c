"""Speech in, cache samples out: log-mel and chosen teacher states of each utterance."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aura_core.artifacts.store import read_ahead
from aura_core.config.run import TeacherCacheConfig
from aura_core.errors import AuraError
from aura_core.ingest.utterances import DESCRIPTION_SCHEMA, SAMPLE_RATE, decode_audio, safe_key
from aura_core.models.teachers import Teacher
from aura_core.models.whisper_encoder import log_mel, padded_log_mel
from aura_core.teacher_cache.codec import Codec, Encoded
from aura_core.teacher_cache.record import Entry, layer_name

# Frames of 10 ms, padding included. A constant and no setting: the composition of a
# batch may move the last bit of a state, and bytes must not depend on the machine's size.
_BATCH_MEL_FRAMES = 6000
_LONGEST_BATCH = 64
_MEL_HZ = 100


@dataclass(frozen=True)
class Clip:
    """An utterance, ready for the teacher."""

    row: Mapping[str, Any]
    stored_mel: Tensor  # float32 [frames_100hz, n_mels], at its own length
    heard: Tensor  # log-mel or samples [samples], and the silence the teacher hears after them
    heard_mel_frames: int  # how long that is, in frames of 10 ms

    @property
    def num_frames(self) -> int:
        """States at 50 Hz that belong to the clip."""
        return (len(self.stored_mel) + 1) // 2


@dataclass(frozen=True)
class StorageError:
    """Stored against exact states of one clip and layer, both standardised."""

    cosine_sum: float
    positions: int
    max_abs: float


@dataclass(frozen=True)
class EncodedSample:
    """One utterance: its entry, its tensors as they are stored, and what storing them cost."""

    entry: Entry
    tensors: dict[str, Tensor]  # log_mel, layer_01, layer_01.scale, ...
    errors: dict[int, StorageError]


def chosen_layers(config: TeacherCacheConfig, num_layers: int) -> tuple[int, ...]:
    """Return the layers to keep, ascending. Raises AuraError for a layer the teacher lacks."""
    layers = tuple(range(1, num_layers + 1)) if config.layers is None else config.layers
    if not layers or not set(layers) <= set(range(num_layers + 1)):
        raise AuraError(
            f"teacher_cache.layers {list(layers)}: {config.teacher} has layers 1 to {num_layers}, "
            "and 0, what the first of them is given"
        )
    return tuple(sorted(set(layers)))


def encode(
    teacher: Teacher, codec: Codec, rows: Sequence[Mapping[str, Any]], config: TeacherCacheConfig
) -> Iterator[EncodedSample]:
    """Encode rows of the utterance table, shortest clips first.

    Decoding and log-mel run in threads ahead of the encoder.

    Raises:
        AuraError: if a clip is longer than the teacher's window, or its states are not finite.
    """
    for clips in batches(teacher, rows, config):
        yield from _store_batch(clips, teacher_states(teacher, clips, config), codec)


def batches(
    teacher: Teacher, rows: Sequence[Mapping[str, Any]], config: TeacherCacheConfig
) -> Iterator[list[Clip]]:
    """Cut rows, sorted by length, into batches of about one size with padding."""
    ordered = sorted(rows, key=lambda row: (row["duration_s"], row["id"]))
    clips = read_ahead(
        ordered,
        lambda row: prepare(row, teacher, config),
        # As many as the worker may use for anything else.
        threads=torch.get_num_threads(),
        depth=_LONGEST_BATCH,
    )
    batch: list[Clip] = []
    for clip in clips:
        longest = max(each.heard_mel_frames for each in (*batch[-1:], clip))
        if batch and (
            len(batch) == _LONGEST_BATCH or (len(batch) + 1) * longest > _BATCH_MEL_FRAMES
        ):
            yield batch
            batch = []
        batch.append(clip)
    if batch:
        yield batch


def prepare(row: Mapping[str, Any], teacher: Teacher, config: TeacherCacheConfig) -> Clip:
    """Decode a row's audio and make its log-mel."""
    return clip_of(decode_audio(row["audio"]["bytes"]), row, teacher, config)


def clip_of(
    audio: NDArray[np.float32],
    row: Mapping[str, Any],
    teacher: Teacher,
    config: TeacherCacheConfig,
) -> Clip:
    """Make the log-mel of samples at 16 kHz.

    Raises:
        AuraError: naming the row's id, if they are longer than the teacher's window.
    """
    mel = log_mel(audio, teacher.num_mels)
    window = teacher.max_mel_frames
    if len(mel) > window:
        raise AuraError(
            f"utterance {row['id']}: {len(mel) / 100:.1f} s is longer than the teacher's "
            f"{window / 100:.0f} s; lower ingest.max_duration_s"
        )
    frames = min(window, len(mel) + round(config.silence_s * _MEL_HZ))
    if teacher.input == "samples":
        samples = frames * SAMPLE_RATE // _MEL_HZ
        heard = np.pad(audio, (0, max(0, samples - len(audio)))) if config.silence_s else audio
        return Clip(row, mel, torch.from_numpy(heard), frames)
    if not config.silence_s:
        return Clip(row, mel, mel, frames)
    padded = padded_log_mel(audio, teacher.num_mels, config.silence_s)
    return Clip(row, mel, padded, len(padded))


@torch.inference_mode()
def teacher_states(
    teacher: Teacher, clips: Sequence[Clip], config: TeacherCacheConfig
) -> Iterator[tuple[int, Tensor]]:
    """Run the encoder on a batch, and yield each chosen layer and its states.

    They are float32 [batch, frames_50hz, width]; those beyond a clip's own frames mean nothing.
    """
    layers = chosen_layers(config, teacher.num_layers)
    longest = int(num_frames(clips).max())
    for layer, states in teacher.states(*ready_batch(teacher, clips), layers):
        yield layer, states[:, :longest]


def num_frames(clips: Sequence[Clip]) -> Tensor:
    """States at 50 Hz of each clip: int64 [batch]."""
    return torch.tensor([clip.num_frames for clip in clips])


def ready_batch(teacher: Teacher, clips: Sequence[Clip]) -> tuple[Tensor, Tensor]:
    """Pad a batch for the teacher: what it hears and int64 [batch], as `Teacher.states` takes."""
    heard = pad_sequence([clip.heard for clip in clips], batch_first=True)
    lengths = torch.tensor([len(clip.heard) for clip in clips])
    return heard.to(teacher.device), lengths.to(teacher.device)


def _store_batch(
    clips: Sequence[Clip], states: Iterable[tuple[int, Tensor]], codec: Codec
) -> Iterator[EncodedSample]:
    lengths = num_frames(clips)
    counts = codec.num_rows(lengths).tolist()
    stored: dict[str, Sequence[Tensor]] = {}
    errors: dict[int, list[StorageError]] = {}
    for layer, value in states:
        encoded = codec.encode(layer, value, lengths.to(value.device))
        stored[layer_name(layer)] = torch.split(encoded.stored.cpu(), counts)
        if encoded.steps is not None:
            stored[f"{layer_name(layer)}.scale"] = torch.split(encoded.steps.cpu(), counts)
        errors[layer] = _errors(encoded, clips, counts)
    for i, clip in enumerate(clips):
        tensors = {"log_mel": clip.stored_mel.half()}
        tensors |= {name: parts[i] for name, parts in stored.items()}
        yield EncodedSample(_entry(clip), tensors, {k: found[i] for k, found in errors.items()})


def _errors(encoded: Encoded, clips: Sequence[Clip], counts: list[int]) -> list[StorageError]:
    """Sum up each clip's errors.

    Raises:
        AuraError: naming a clip whose states are not finite.
    """
    owner = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    cosine, largest = torch.zeros(2, len(counts), dtype=torch.float64)
    positions = torch.zeros(len(counts), dtype=torch.long)
    cosine.index_add_(0, owner, encoded.cosine.cpu().double().sum(dim=1))
    positions.index_add_(0, owner, encoded.valid.cpu().sum(dim=1))
    largest.scatter_reduce_(0, owner, encoded.max_abs.cpu().double().amax(dim=1), "amax")
    if not bool((cosine + largest).isfinite().all()):
        bad = int((cosine + largest).isfinite().logical_not().int().argmax())
        raise AuraError(
            f"utterance {clips[bad].row['id']}: teacher states are not finite; "
            "set teacher_cache.precision=fp32 or look at its audio"
        )
    found = zip(cosine.tolist(), positions.tolist(), largest.tolist(), strict=True)
    return [StorageError(*each) for each in found]


def _entry(clip: Clip) -> Entry:
    return Entry(
        key=safe_key(clip.row["id"]),
        num_mel_frames=len(clip.stored_mel),
        num_frames=clip.num_frames,
        **{name: clip.row[name] for name in DESCRIPTION_SCHEMA.names},
    )
