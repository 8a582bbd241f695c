"""Spoken question answering as in OpenAudioBench (`baichuan-inc/OpenAudioBench` on the hub).

`eval_datas/SET/SET.csv` beside `eval_datas/SET/audios/`. Every row has `audio_filename`; the
question and its answers stand in columns of other names in each set:

- llama_questions: `Questions`, `Answer`;
- web_questions: `question`, `answers`, several of them between semicolons;
- trivia_qa: `question`, `answer_normalized_value`, `answer_normalized_aliases`, between commas.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aura_core.benchmarks.benchmark import Benchmark
from aura_core.benchmarks.item import BenchmarkItem
from aura_core.benchmarks.layouts.files import (
    numbered,
    read_rows,
    with_audio,
    wrong_folder,
)
from aura_core.benchmarks.layouts.layout import Entries
from aura_core.corpus.source_item import Rejection

_AUDIO = "audio_filename"


@dataclass(frozen=True)
class _Columns:
    """Column of the question; column -> what its answers stand between, None: it holds one."""

    question: str
    answers: dict[str, str | None]


SETS: dict[str, _Columns] = {
    "llama_questions": _Columns("Questions", {"Answer": None}),
    "web_questions": _Columns("question", {"answers": ";"}),
    "trivia_qa": _Columns(
        "question", {"answer_normalized_value": None, "answer_normalized_aliases": ","}
    ),
}


def read(folder: Path, benchmark: Benchmark) -> Entries:
    """Yield the questions of the benchmark's set, in the order of its table."""
    table = _find(folder, benchmark)
    columns = SETS[benchmark.subset]
    wanted = (_AUDIO, columns.question, *columns.answers)
    for number, row in numbered(read_rows(table, wanted)):
        yield _entry(row, number, table, columns, benchmark)


def _find(folder: Path, benchmark: Benchmark) -> Path:
    name = benchmark.subset
    for root in (folder, folder / name, folder / "eval_datas" / name):
        if (root / f"{name}.csv").is_file():
            return root / f"{name}.csv"
    raise wrong_folder(folder, benchmark, f"eval_datas/{name}/{name}.csv and audios/ beside it")


def _entry(
    row: dict[str, str], number: int, table: Path, columns: _Columns, benchmark: Benchmark
) -> BenchmarkItem | Rejection:
    file = row[_AUDIO].strip()
    if not file:
        return Rejection(f"row {number}", str(table), "bad row", f"row {number} has no {_AUDIO}")
    id_ = PurePosixPath(file).stem
    references = tuple(
        dict.fromkeys(
            answer.strip()
            for name, separator in columns.answers.items()
            for answer in (row[name].split(separator) if separator else [row[name]])
            if answer.strip()
        )
    )
    text, prompt = row[columns.question].strip(), benchmark.prompt_text or ""
    return with_audio(
        table.parent / "audios" / file,
        id_,
        lambda audio: BenchmarkItem(id_, text, prompt, references, audio),
    )
