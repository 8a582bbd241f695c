"""Utterances to listen to, with what each model made of them: drawn at random, most disputed."""

import base64
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from aura_core.benchmarks.item import find_items
from aura_core.config.benchmarks import is_text_task
from aura_core.config.instructions import TRANSCRIBE
from aura_core.evaluation.items import BENCHMARK, CORPUS, TRANSCRIPTION
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scoring import Answers, benchmark_names
from aura_core.ingest.utterances import SAMPLE_RATE, decode_audio, read_table
from aura_core.report.answers import Answer, build_answer, disagreements
from aura_core.report.labels import benchmark_title, preferred_split

# Audio inside the page: a small MP3 as a data URI, and the picture of its loudness.

WAVEFORM_BARS = 44


def audio_data_uri(audio: NDArray[np.float32]) -> str:
    """Encode float32 [samples] at 16 kHz as an MP3, which every browser plays."""
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        audio,
        SAMPLE_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=0.6,
    )
    return "data:audio/mpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def waveform(audio: NDArray[np.float32], bars: int = WAVEFORM_BARS) -> list[float]:
    """Loudness of `bars` equal stretches of float32 [samples], the loudest being 1."""
    if audio.size == 0:
        return [0.0] * bars
    edges = np.linspace(0, audio.size, bars + 1).astype(int)
    squares = np.concatenate([[0.0], np.cumsum(np.square(audio, dtype=np.float64))])
    power = np.diff(squares[edges]) / np.maximum(np.diff(edges), 1)
    # A square root of the level keeps quiet speech visible beside loud vowels.
    level = np.sqrt(np.sqrt(np.maximum(power, 0)))
    peak = level.max()
    return [round(float(value), 3) for value in (level / peak if peak > 0 else level)]


# Of either kind above the table: enough to hear how models do, few enough to be heard.
FIRST = 5
# Of the draw. Fixed, so that nobody can try others until the clips please.
SEED = 0
# A page is not the place for minutes of audio.
MAX_SHOWN_S = 60.0
# One in so many samples is one where the models agree most.
_AGREEING = 4
# Below it the models are said to agree.
AGREEMENT = 0.05


@dataclass(frozen=True)
class Clip:
    """What was said, from the corpus or a benchmark."""

    id: str
    text: str
    asked: str
    speaker: str | None
    duration_s: float
    flac: bytes | None


@dataclass(frozen=True)
class Sample:
    """One utterance of the page; `where` is its split or benchmark."""

    id: str
    where: str
    facts: list[str]
    duration_s: float
    shown_s: float
    spoken: str | None  # None where a task shows it as its reference
    disagreement: float
    audio_uri: str
    waveform: list[float]
    answers: list[Answer]

    @property
    def agrees(self) -> bool:
        """Whether the models say much the same."""
        return self.disagreement < AGREEMENT


@dataclass(frozen=True)
class Samples:
    """The utterances of a page: drawn from a split, the most disputed of all, and others.

    `drawn_from` counts the utterances of that split.
    """

    drawn: list[Sample]
    drawn_from: int
    disputed: list[Sample]
    further: list[Sample]


def build_samples(inputs: Mapping[str, str], answers: Answers, wanted: int) -> Samples:
    """Build the samples of a page.

    `FIRST` are drawn at random from the split that says most, whatever came of it. Of what is left
    come the `FIRST` on which the models disagree most. Then splits and benchmarks take turns up to
    `wanted`: of each those on which the models disagree most, and one in four on which they agree
    most; in that order.
    """
    places = _places(answers, benchmark_names(inputs))
    told = {place: _disagreements(tasks, answers) for place, tasks in places.items()}

    def build(place: str, ids: Sequence[str]) -> list[Sample]:
        clips = {clip.id: clip for clip in _read_clips(inputs, place, ids)}
        return [
            _sample(clips[i], place, told[place][i], places[place], answers)
            for i in ids
            if i in clips
        ]

    def by_disagreement(chosen: Mapping[str, Sequence[str]]) -> list[Sample]:
        found = [sample for place, ids in chosen.items() for sample in build(place, ids)]
        return sorted(found, key=lambda sample: -sample.disagreement)

    splits = [place for place in places if not place.startswith(BENCHMARK)]
    if not splits:
        return Samples([], 0, [], [])
    shown = preferred_split(splits)
    drawn = draw(list(told[shown]))
    left = {**told, shown: {i: value for i, value in told[shown].items() if i not in drawn}}
    most = most_disputed(left)
    left = {
        place: {i: value for i, value in found.items() if i not in most.get(place, ())}
        for place, found in left.items()
    }
    counts = share_places({place: len(found) for place, found in left.items()}, wanted)
    further = {place: choose_ids(left[place], count) for place, count in counts.items()}
    return Samples(
        build(shown, drawn), len(told[shown]), by_disagreement(most), by_disagreement(further)
    )


def draw(ids: Sequence[str]) -> list[str]:
    """Draw up to `FIRST` ids at random by `SEED`, whatever order they come in."""
    return random.Random(SEED).sample(sorted(ids), min(FIRST, len(ids)))


def most_disputed(told: Mapping[str, Mapping[str, float]]) -> dict[str, list[str]]:
    """The `FIRST` ids on which the models disagree most, by place; none on which they agree."""
    ranked = sorted(
        (-value, place, id_)
        for place, found in told.items()
        for id_, value in found.items()
        if value >= AGREEMENT
    )
    most: dict[str, list[str]] = {}
    for _, place, id_ in ranked[:FIRST]:
        most.setdefault(place, []).append(id_)
    return most


def share_places(sizes: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Share `wanted` places; a small set leaves its places to the others."""
    places = dict.fromkeys(sorted(sizes), 0)
    left = wanted
    while left > 0:
        open_sets = [name for name in places if places[name] < sizes[name]]
        if not open_sets:
            break
        for name in open_sets[:left]:
            places[name] += 1
        left -= len(open_sets[:left])
    return {name: count for name, count in places.items() if count}


def choose_ids(told: Mapping[str, float], count: int) -> list[str]:
    """The most disputed ids, and a quarter of the least disputed, spaced over equals."""
    ordered = sorted(told, key=lambda i: (-told[i], i))
    agreeing = [i for i in ordered if told[i] < AGREEMENT]
    wanted = min(count // _AGREEING, len(agreeing))
    quiet = [agreeing[place * len(agreeing) // wanted] for place in range(wanted)]
    loud = [i for i in ordered if i not in quiet][: count - wanted]
    return [*loud, *quiet]


def _places(answers: Answers, benchmarks: Sequence[str]) -> dict[str, list[str]]:
    """A split or `benchmark.<name>` -> the tasks that are asked of its utterances."""
    places: dict[str, list[str]] = {}
    for task in answers:
        _, _, split = task.partition("/")
        # What an ASR hears of a benchmark stands beside the cascade's answer anyway, and a text
        # makes no sound.
        if split not in benchmarks and not is_text_task(task):
            places.setdefault(split or f"{BENCHMARK}{task}", []).append(task)
    # First what was said, then what was answered.
    return {place: sorted(tasks, reverse=True) for place, tasks in places.items()}


def _disagreements(tasks: Sequence[str], answers: Answers) -> dict[str, float]:
    """Utterance -> mean over the tasks that were asked of it."""
    found: dict[str, list[float]] = {}
    for task in tasks:
        by_model = {model: seeds[0] for model, seeds in answers[task].items()}
        for id_, value in disagreements(task, by_model).items():
            found.setdefault(id_, []).append(value)
    return {id_: float(np.mean(values)) for id_, values in found.items()}


def _read_clips(inputs: Mapping[str, str], place: str, ids: Sequence[str]) -> list[Clip]:
    if place.startswith(BENCHMARK):
        items = find_items(inputs[place], ids)
        return [
            Clip(item.id, item.text, item.prompt_text, None, item.duration_s, item.audio)
            for item in items
        ]
    rows = read_table(inputs[CORPUS], splits=[place]).to_pylist()
    return [
        Clip(
            id=row["id"],
            text=row["text"],
            asked=row["instruction"] or "",
            speaker=row["speaker"],
            duration_s=row["duration_s"],
            flac=row["audio"]["bytes"],
        )
        for row in rows
        if row["id"] in ids
    ]


def _sample(
    clip: Clip, place: str, disagreement: float, tasks: Sequence[str], answers: Answers
) -> Sample:
    assert clip.flac is not None, "only what is heard is shown"
    audio: NDArray[np.float32] = decode_audio(clip.flac)[: int(MAX_SHOWN_S * SAMPLE_RATE)]
    asked = {task: _asked(task, clip.id, answers) for task in tasks}
    shown = {task: by_model for task, by_model in asked.items() if by_model}
    first = next(iter(next(iter(shown.values())).values()))
    wanted = {p.references[0] for by_model in shown.values() for p in by_model.values()}
    return Sample(
        id=clip.id,
        where=benchmark_title(place.removeprefix(BENCHMARK))
        if place.startswith(BENCHMARK)
        else place,
        facts=[clip.speaker] if clip.speaker else _facts(first),
        duration_s=clip.duration_s,
        shown_s=len(audio) / SAMPLE_RATE,
        spoken=None if clip.text in wanted else clip.text,
        disagreement=disagreement,
        audio_uri=audio_data_uri(audio),
        waveform=waveform(audio),
        answers=[
            build_answer(task, _instruction(task, clip), by_model)
            for task, by_model in shown.items()
        ],
    )


def _instruction(task: str, clip: Clip) -> str:
    return TRANSCRIBE if task.startswith(f"{TRANSCRIPTION}/") else clip.asked


def _asked(task: str, id_: str, answers: Answers) -> dict[str, Prediction]:
    """Each model's prediction; of several seeds the first one's."""
    return {model: seeds[0][id_] for model, seeds in answers[task].items() if id_ in seeds[0]}


def _facts(prediction: Prediction) -> list[str]:
    """How it was spoken, where the item says so."""
    return [
        str(prediction.extra[key]) for key in ("condition", "speaker") if key in prediction.extra
    ]
