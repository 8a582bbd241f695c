"""One part of the utterance table: decode or synthesise its items, and say what is left out."""

import io
import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from aura_core.artifacts import store
from aura_core.config.run import DemoCorpusConfig, IngestConfig
from aura_core.config.voices import VOICE
from aura_core.errors import AuraError
from aura_core.ingest import utterances
from aura_core.ingest.audio import BadAudioError, Clip, decode_by_ffmpeg, decode_file
from aura_core.ingest.ingest_plan import Part
from aura_core.ingest.readers import parquet
from aura_core.ingest.source_item import (
    Rejection,
    SourceItem,
    needs_ffmpeg,
    write_rejections,
)
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


def transcribe(
    model: "Whisper", audio: NDArray[np.float32], language: str | None = None
) -> PseudoLabel:
    """Decode one clip greedily.

    Args:
        model: Whisper in float32.
        audio: float32 [samples] at 16 kHz, up to 30 s.
        language: of what is said; None: what the model detects, or the one that it knows.
    """
    # Not needed where every utterance has its transcript, and slow to import.
    from whisper.decoding import DecodingOptions, DecodingResult, decode

    from aura_core.models.whisper_encoder import padded_log_mel

    mel = padded_log_mel(audio, model.dims.n_mels).T.to(model.device)
    known = language if model.is_multilingual else "en"
    options = DecodingOptions(language=known, without_timestamps=True, fp16=False)
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
    clip = _decode(item, config)
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


def _decode(item: SourceItem, config: IngestConfig) -> Clip:
    declared, longest = item.declared_duration_s, config.max_duration_s
    part = (item.offset_s or 0.0, None if item.offset_s is None else declared)
    with _open(item, config) as (file, name):
        if needs_ffmpeg(name):
            with _on_disk(file, name) as path:
                return _as_declared(decode_by_ffmpeg(path, longest, *part), declared)
        return _as_declared(decode_file(file, longest, *part), declared)


def _as_declared(clip: Clip, declared_s: float | None) -> Clip:
    """Raise BadAudioError if a clip is not as long as its manifest says."""
    if declared_s is None:
        return clip
    slack_s = max(_DURATION_SLACK_S, 0.05 * declared_s)
    lengths = f"the manifest says {declared_s:g} s, the file holds {clip.duration_s:.2f} s"
    if clip.duration_s < declared_s - slack_s:
        raise BadAudioError("truncated", lengths)
    if clip.duration_s > declared_s + slack_s:
        raise BadAudioError("longer than stated", f"{lengths}: a part of it needs an offset")
    return clip


@contextmanager
def _open(item: SourceItem, config: IngestConfig) -> Iterator[tuple[BinaryIO, str]]:
    """The item's audio file, and its name."""
    if item.parquet_row is not None:
        column = parquet.audio_column(config.columns)
        content, name = parquet.read_audio(item.audio_uri, item.parquet_row, column)
        if content is None:
            raise BadAudioError("missing", "the row holds no audio bytes")
        yield io.BytesIO(content), name
        return
    fs, path = store.filesystem(item.audio_uri)
    try:
        file = fs.open(path, "rb")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise BadAudioError("missing", "there is no such file") from error
    with file:
        yield cast(BinaryIO, file), path


@contextmanager
def _on_disk(file: BinaryIO, name: str) -> Iterator[Path]:
    """The file as one of this machine's, which other programs can open."""
    if Path(name).is_absolute() and Path(name).is_file():
        yield Path(name)
        return
    with tempfile.NamedTemporaryFile(suffix=posixpath.splitext(name)[1]) as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield Path(copy.name)


def _transcribe(clip: Clip, config: IngestConfig) -> tuple[str, float]:
    from aura_core.device import device_for

    asr = _asr(config.asr, device_for(config.runtime))
    if config.language not in (None, "en") and not asr.is_multilingual:
        raise AuraError(
            f"ingest.language is {config.language}, and {config.asr} knows English only: name a "
            "multilingual Whisper as ingest.asr"
        )
    label = transcribe(asr, clip.audio, config.language)
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
