"""A layout of our own, for a benchmark of yours: `SUBSET.jsonl`, a JSON object an item.

`audio_filepath` (from the folder on), `text` (what is said) and `references` (a list of accepted
answers) are needed; `id`, `prompt_text` (where the catalogue has none), `choices` (letter -> text)
and `extra` (what results are cut by, and what a scorer reads) are not.
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from aura_core.benchmarks.item import BenchmarkItem
from aura_core.benchmarks.layouts.layout import Entries, find_path, with_audio
from aura_core.config.benchmarks import Benchmark
from aura_core.ingest.source_item import Rejection, id_from_path, read_utf8


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    audio_filepath: str = Field(min_length=1)
    text: str
    references: tuple[str, ...] = Field(min_length=1)
    id: str | None = None
    prompt_text: str = ""
    choices: dict[str, str] | None = None
    extra: dict[str, JsonValue] = {}


def read_jsonl(folder: Path, benchmark: Benchmark) -> Entries:
    """Yield the items of a file, and its lines that are none. Raises AuraError if it is missing."""
    name = f"{benchmark.subset}.jsonl"
    table = find_path(folder, name, benchmark, f"{name} with an item a line")
    for number, text in _lines(table):
        try:
            line = _Line.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            detail = f"line {number}: {where}: {first['msg']}"
            yield Rejection(f"line {number}", str(table), "bad line", detail)
            continue
        yield _entry(line, table, benchmark)


def _lines(table: Path) -> Iterator[tuple[int, str]]:
    # Not splitlines: JSON leaves line separators such as U+2028 inside strings as they are.
    numbered = enumerate(read_utf8(str(table)).split("\n"), start=1)
    return ((number, text) for number, text in numbered if text.strip())


def _entry(line: _Line, table: Path, benchmark: Benchmark) -> BenchmarkItem | Rejection:
    id_ = line.id or id_from_path(line.audio_filepath)
    prompt = line.prompt_text if benchmark.prompt_text is None else benchmark.prompt_text

    def make(audio: bytes) -> BenchmarkItem:
        return BenchmarkItem(
            id_, line.text, prompt, line.references, audio, line.choices, {**line.extra}
        )

    return with_audio(table.parent / line.audio_filepath, id_, make)
