"""One part of the utterance table: decode or synthesise its items, and say what is left out."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from aura_core.artifacts import store
from aura_core.config.run import DemoCorpusConfig, IngestConfig
from aura_core.config.voices import VOICE
from aura_core.ingest import utterances
from aura_core.ingest.audio import BadAudioError, Clip, decode_file
from aura_core.ingest.ingest_plan import Part
from aura_core.ingest.readers import parquet
from aura_core.ingest.source_item import Rejection, SourceItem, write_rejections
from aura_core.ingest.utterances import Utterance
from aura_core.models.pinned import locate
from aura_core.models.references import parse

if TYPE_CHECKING:
    import torch
    from whisper.model import Whisper


@dataclass(frozen=True)
class PseudoLabel:
    """What was heard, the mean log-probability of its tokens, and whether it was speech at all."""

    text: str
    avg_logprob: float
    no_speech_prob: float


def transcribe(model: "Whisper", audio: NDArray[np.float32]) -> PseudoLabel:
    """Decode one clip greedily, in English.

    Args:
        model: Whisper in float32.
        audio: float32 [samples] at 16 kHz, up to 30 s.
    """
    # Not needed where every utterance has its transcript, and slow to import.
    from whisper.decoding import DecodingOptions, DecodingResult, decode

    from aura_core.models.whisper_encoder import padded_log_mel

    mel = padded_log_mel(audio, model.dims.n_mels).T.to(model.device)
    options = DecodingOptions(language="en", without_timestamps=True, fp16=False)
    result = decode(model, mel, options)
    assert isinstance(result, DecodingResult)
    return PseudoLabel(result.text.strip(), float(result.avg_logprob), float(result.no_speech_prob))


# Durations in manifests are rounded.
_DURATION_SLACK_S = 0.1
# Whisper hears "you" in silence with confidence; its own threshold tells speech from that.
_MAX_NO_SPEECH_PROB = 0.6


def rejections_path(number: int) -> str:
    """Path of a part's own rejections, relative to the artifact."""
    return f"parts/part-{number:05d}.rejected.jsonl"


def make_part(uri: str, part: Part, config: IngestConfig, second_voice: str | None) -> int:
    """Decode or synthesise a part, and publish it.

    Args:
        uri: the artifact.
        part: its share of the plan.
        config: the stage's settings.
        second_voice: who speaks the demo's split `voice`; None for a manifest.

    Returns:
        The number of rows; what is left out is published beside the part.
    """
    rows: list[Utterance] = []
    rejections: list[Rejection] = []
    for item in part.items:
        try:
            rows.append(_utterance(item, config))
        except BadAudioError as error:
            rejections.append(Rejection(item.id, item.audio_uri, error.kind, error.detail))
    if part.sentences and second_voice:
        rows.extend(_speak(part, config.demo, second_voice))
    # The part comes last: where it is, its rejections are.
    write_rejections(store.join(uri, rejections_path(part.number)), rejections)
    utterances.write_part(uri, part.number, rows)
    return len(rows)


def _speak(part: Part, config: DemoCorpusConfig, second_voice: str) -> list[Utterance]:
    from aura_core.ingest.synthesis import Synthesizer

    model = locate(parse(VOICE).name)
    synthesizer = Synthesizer(model, second_voice, config, seed=f"{config.seed}:{part.number}")
    return [synthesizer.speak(utterance) for utterance in part.sentences]


def _utterance(item: SourceItem, config: IngestConfig) -> Utterance:
    clip = _decode(item, config.max_duration_s)
    text, avg_logprob = item.text, None
    if text is None:
        text, avg_logprob = _transcribe(clip, config)
    flac, digest = utterances.encode_audio(clip.audio)
    return Utterance(
        id=item.id,
        text=text,
        instruction=item.instruction,
        response=item.response,
        speaker=item.speaker,
        split=item.split or "train",
        family=None,
        duration_s=clip.duration_s,
        source_sample_rate=clip.source_sample_rate,
        avg_logprob=avg_logprob,
        audio={"bytes": flac, "path": f"{item.id}.flac"},
        digest=digest,
    )


def _decode(item: SourceItem, max_duration_s: float) -> Clip:
    with _open(item) as file:
        clip = decode_file(file, max_duration_s)
    declared = item.declared_duration_s
    if declared is not None and clip.duration_s < declared - max(
        _DURATION_SLACK_S, 0.05 * declared
    ):
        raise BadAudioError(
            "truncated", f"the manifest says {declared:g} s, the file holds {clip.duration_s:.2f} s"
        )
    return clip


@contextmanager
def _open(item: SourceItem) -> Iterator[BinaryIO]:
    if item.parquet_row is not None:
        content = parquet.read_audio(item.audio_uri, item.parquet_row)
        if content is None:
            raise BadAudioError("missing", "the row holds no audio bytes")
        yield io.BytesIO(content)
        return
    fs, path = store.filesystem(item.audio_uri)
    try:
        file = fs.open(path, "rb")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise BadAudioError("missing", "there is no such file") from error
    with file:
        yield cast(BinaryIO, file)


def _transcribe(clip: Clip, config: IngestConfig) -> tuple[str, float]:
    from aura_core.device import device_for

    label = transcribe(_asr(config.asr, device_for(config.runtime)), clip.audio)
    if not label.text or label.no_speech_prob > _MAX_NO_SPEECH_PROB:
        raise BadAudioError(
            "empty pseudo-label", f"the ASR hears no speech ({label.no_speech_prob:.0%} sure)"
        )
    if label.avg_logprob < config.min_avg_logprob:
        raise BadAudioError(
            "weak pseudo-label",
            f"average log-probability {label.avg_logprob:.2f}, at least "
            f"{config.min_avg_logprob:g}: {label.text!r}",
        )
    return label.text, label.avg_logprob


# A worker makes many parts and loads the model once.
@cache
def _asr(reference: str, device: "torch.device") -> "Whisper":
    from aura_core.models.whisper_encoder import load_whisper

    return load_whisper(reference, device)
