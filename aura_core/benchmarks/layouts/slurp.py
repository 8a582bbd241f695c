"""SLURP (arXiv 2011.13205): `dataset/slurp/test.jsonl` and `slurp_real/*.flac`.

A line is a sentence: `sentence`, `scenario`, `action`, `tokens` with their `surface`, `entities`
with a `type` and the `span` of their tokens, and `recordings`, each with a `file`; a name that
ends in `-headset` is the near microphone. Each recording is an item. The intent is
`scenario_action`, as the set's own scorer has it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aura_core.benchmarks.benchmark import Benchmark
from aura_core.benchmarks.item import BenchmarkItem
from aura_core.benchmarks.layouts.files import find_path, with_audio
from aura_core.benchmarks.layouts.layout import Entries
from aura_core.corpus.source_item import Rejection, clean, read_utf8

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


def read(folder: Path, benchmark: Benchmark) -> Entries:
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
