"""Published sets of spoken commands with their meanings: SLURP and Fluent Speech Commands."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from aura_core.benchmarks.item import BenchmarkItem
from aura_core.benchmarks.layouts.layout import Entries, find_path, numbered, read_rows, with_audio
from aura_core.config.benchmarks import Benchmark
from aura_core.ingest.source_item import Rejection, clean, read_utf8

# SLURP (arXiv 2011.13205): `dataset/slurp/test.jsonl` and `slurp_real/*.flac`.
#
# A line is a sentence: `sentence`, `scenario`, `action`, `tokens` with their `surface`,
# `entities` with a `type` and the `span` of their tokens, and `recordings`, each with a `file`; a
# name that ends in `-headset` is the near microphone. Each recording is an item. The intent is
# `scenario_action`, as the set's own scorer has it.

_HEADSET = "-headset"


@dataclass(frozen=True)
class _Sentence:
    """One line, understood; `entities` are pairs of type and value."""

    text: str
    scenario: str
    intent: str
    entities: tuple[tuple[str, str], ...]
    recordings: tuple[str, ...]

    @property
    def meaning(self) -> str:
        """`intent; type=value; ...`."""
        return "; ".join([self.intent, *(f"{kind}={value}" for kind, value in self.entities)])


def read_slurp(folder: Path, benchmark: Benchmark) -> Entries:
    """Yield every recording of the test set; each is told all labels of it."""
    name = f"{benchmark.subset}.jsonl"
    expected = f"dataset/slurp/{name} and slurp_real/*.flac"
    table = find_path(folder, name, benchmark, expected)
    audio = find_path(folder, "slurp_real", benchmark, expected)
    parsed = list(_parse(table))
    sentences = [each for each in parsed if isinstance(each, _Sentence)]
    labels = sorted({each.intent for each in sentences})
    types = sorted({kind for each in sentences for kind, _ in each.entities})
    prompt = (benchmark.prompt_text or "").format(labels=", ".join(labels), types=", ".join(types))
    for each in parsed:
        if isinstance(each, Rejection):
            yield each
            continue
        for recording in each.recordings:
            yield _entry(each, audio / recording, prompt, benchmark)


def _entry(
    sentence: _Sentence, path: Path, prompt: str, benchmark: Benchmark
) -> BenchmarkItem | Rejection:
    reference = sentence.intent if benchmark.scorer == "intent" else sentence.meaning
    microphone = "near" if path.stem.endswith(_HEADSET) else "far"

    def make(audio: bytes) -> BenchmarkItem:
        extra = {"microphone": microphone, "scenario": sentence.scenario}
        return BenchmarkItem(path.stem, sentence.text, prompt, (reference,), audio, extra={**extra})

    return with_audio(path, path.stem, make)


def _parse(table: Path) -> Iterator[_Sentence | Rejection]:
    # Not splitlines: JSON leaves line separators such as U+2028 inside strings as they are.
    for number, line in enumerate(read_utf8(str(table)).split("\n"), start=1):
        if line.strip():
            where = f"line {number}"
            try:
                yield _sentence(json.loads(line))
            except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
                detail = f"{where} is not a sentence of SLURP ({error!r})"
                yield Rejection(where, str(table), "bad line", detail)


def _sentence(data: dict[str, Any]) -> _Sentence:
    """Raises KeyError, TypeError, IndexError or ValueError if a line lacks something."""
    words = [str(token["surface"]) for token in data["tokens"]]
    entities = tuple((str(each["type"]), _value(words, each["span"])) for each in data["entities"])
    recordings = tuple(str(each["file"]) for each in data["recordings"])
    if not recordings:
        raise ValueError("no recordings")
    return _Sentence(
        text=clean(data["sentence"]) or "",
        scenario=str(data["scenario"]),
        intent=f"{data['scenario']}_{data['action']}",
        entities=entities,
        recordings=recordings,
    )


def _value(words: list[str], span: list[int]) -> str:
    # A meaning is divided at these.
    value = " ".join(words[place] for place in span)
    return value.lower().replace(";", ",").replace("=", " ")


# Fluent Speech Commands (arXiv 1904.03670): `data/test_data.csv` and `wavs/` beside `data/`.
#
# The table has an unnamed index and `path` (wavs/speakers/ID/NAME.wav), `speakerId`,
# `transcription`, `action`, `object`, `location`. The three slots together are the intent.

_SLOTS = ("action", "object", "location")
_COLUMNS = ("path", "speakerId", "transcription", *_SLOTS)


def read_fluent_speech_commands(folder: Path, benchmark: Benchmark) -> Entries:
    """Yield the utterances of the test set; every one is told all intents of it."""
    name = f"{benchmark.subset}_data.csv"
    table = find_path(folder, name, benchmark, f"data/{name} and wavs/ beside data/")
    rows = read_rows(table, _COLUMNS)
    labels = sorted({_intent(row) for row in rows if _is_labelled(row)})
    prompt = (benchmark.prompt_text or "").format(labels=", ".join(labels))
    for number, row in numbered(rows):
        yield _command(row, number, table, prompt)


def _command(
    row: dict[str, str], number: int, table: Path, prompt: str
) -> BenchmarkItem | Rejection:
    where = f"row {number}"
    if not row["path"].strip():
        return Rejection(where, str(table), "bad row", f"{where} has no path")
    id_ = PurePosixPath(row["path"].strip()).stem
    if not _is_labelled(row):
        return Rejection(id_, str(table), "no reference", f"{where} lacks a slot of its intent")

    def make(audio: bytes) -> BenchmarkItem:
        extra = {"speaker": row["speakerId"], **{name: row[name] for name in _SLOTS}}
        text = row["transcription"].strip()
        return BenchmarkItem(id_, text, prompt, (_intent(row),), audio, extra={**extra})

    return with_audio(table.parent.parent / row["path"].strip(), id_, make)


def _is_labelled(row: dict[str, str]) -> bool:
    return all(row[name].strip() for name in _SLOTS)


def _intent(row: dict[str, str]) -> str:
    """`activate_lights_kitchen`: one word, as intents are written elsewhere."""
    return "_".join(row[name].strip() for name in _SLOTS).replace(" ", "_")
