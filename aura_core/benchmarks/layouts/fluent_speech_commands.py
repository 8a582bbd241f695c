"""Fluent Speech Commands (arXiv 1904.03670): `data/test_data.csv` and `wavs/` beside `data/`.

The table has an unnamed index and `path` (wavs/speakers/ID/NAME.wav), `speakerId`,
`transcription`, `action`, `object`, `location`. The three slots together are the intent.
"""

from pathlib import Path, PurePosixPath

from aura_core.benchmarks.benchmark import Benchmark
from aura_core.benchmarks.item import BenchmarkItem
from aura_core.benchmarks.layouts.files import find_path, numbered, read_rows, with_audio
from aura_core.benchmarks.layouts.layout import Entries
from aura_core.corpus.source_item import Rejection

_SLOTS = ("action", "object", "location")
_COLUMNS = ("path", "speakerId", "transcription", *_SLOTS)


def read(folder: Path, benchmark: Benchmark) -> Entries:
    """Yield the utterances of the test set; every one is told all intents of it."""
    name = f"{benchmark.subset}_data.csv"
    table = find_path(folder, name, benchmark, f"data/{name} and wavs/ beside data/")
    rows = read_rows(table, _COLUMNS)
    labels = sorted({_intent(row) for row in rows if _is_labelled(row)})
    prompt = (benchmark.prompt_text or "").format(labels=", ".join(labels))
    for number, row in numbered(rows):
        yield _entry(row, number, table, prompt)


def _entry(row: dict[str, str], number: int, table: Path, prompt: str) -> BenchmarkItem | Rejection:
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
