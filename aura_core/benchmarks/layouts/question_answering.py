"""Published sets of spoken questions: OpenAudioBench and Spoken-SQuAD."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import soundfile

from aura_core.benchmarks.item import BenchmarkItem
from aura_core.benchmarks.layouts.layout import (
    Entries,
    find_path,
    numbered,
    read_rows,
    with_audio,
    wrong_folder,
)
from aura_core.config.benchmarks import Benchmark
from aura_core.errors import AuraError
from aura_core.ingest.source_item import Rejection, read_utf8

# Spoken question answering as in OpenAudioBench (`baichuan-inc/OpenAudioBench` on the hub).
#
# `eval_datas/SET/SET.csv` beside `eval_datas/SET/audios/`. Every row has `audio_filename`; the
# question and its answers stand in columns of other names in each set:
#
# - llama_questions: `Questions`, `Answer`;
# - web_questions: `question`, `answers`, several of them between semicolons;
# - trivia_qa: `question`, `answer_normalized_value`, `answer_normalized_aliases`, between commas.

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


def read_spoken_qa(folder: Path, benchmark: Benchmark) -> Entries:
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


# Spoken-SQuAD (arXiv 1804.00320): questions in `spoken_test-v1.1.json`, passages in `dev_wav/`.
#
# The JSON is SQuAD's: `data` -> `paragraphs` -> `qas` with `id`, `question`, `answers`; its
# `context` is what an ASR heard. A passage is spoken sentence by sentence,
# `ARTICLE_PARAGRAPH_SENTENCE.wav`, counted from zero; the sentences are joined. What was said in
# truth stands in SQuAD's own `dev-v1.1.json`, which must lie beside it: the text-input bound reads
# that.

_SPOKEN, _WRITTEN, _WAVS = "spoken_test-v1.1.json", "dev-v1.1.json", "dev_wav"
_EXPECTED = f"{_SPOKEN}, SQuAD's {_WRITTEN} and {_WAVS}/*.wav"


class _BadPassageError(Exception):
    """A passage whose audio cannot be put together. `kind` is counted."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


def read_spoken_squad(folder: Path, benchmark: Benchmark) -> Entries:
    """Yield a question at a time, with its whole passage as audio."""
    spoken = find_path(folder, _SPOKEN, benchmark, _EXPECTED)
    written = find_path(folder, _WRITTEN, benchmark, _EXPECTED)
    sentences = _sentences(find_path(folder, _WAVS, benchmark, _EXPECTED))
    passages = {
        qa["id"]: paragraph["context"]
        for _, paragraph in _paragraphs(written)
        for qa in paragraph["qas"]
    }
    for place, paragraph in _paragraphs(spoken):
        try:
            audio: bytes | _BadPassageError = _join(sentences.get(place, {}))
        except _BadPassageError as error:
            audio = error
        for qa in paragraph["qas"]:
            yield _passage_question(qa, place, audio, passages)


def _passage_question(
    qa: dict[str, Any],
    place: tuple[int, int],
    audio: bytes | _BadPassageError,
    passages: dict[str, str],
) -> BenchmarkItem | Rejection:
    id_, name = str(qa["id"]), "_".join(map(str, place))
    if isinstance(audio, _BadPassageError):
        return Rejection(id_, name, audio.kind, audio.detail)
    if id_ not in passages:
        return Rejection(id_, name, "no transcript", f"{_WRITTEN} has no such question")
    references = tuple(dict.fromkeys(str(answer["text"]).strip() for answer in qa["answers"]))
    return BenchmarkItem(
        id_,
        passages[id_],
        f"{qa['question'].strip()} Answer with words of the passage.",
        references,
        audio,
        extra={"passage": name},
    )


def _paragraphs(path: Path) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    """(article, paragraph), and what SQuAD has of it. Raises AuraError if it is not SQuAD."""
    try:
        articles = json.loads(read_utf8(str(path)))["data"]
        found = [
            ((article_number, number), paragraph)
            for article_number, article in enumerate(articles)
            for number, paragraph in enumerate(article["paragraphs"])
        ]
        for _, paragraph in found:
            _check(paragraph)
    except (ValueError, KeyError, TypeError) as error:
        raise AuraError(
            f"{path} is not in SQuAD's form, data -> paragraphs -> qas ({error!r}): get it again"
        ) from error
    yield from found


def _check(paragraph: dict[str, Any]) -> None:
    """Raise KeyError or TypeError if a paragraph lacks something."""
    _ = paragraph["context"] + ""
    for qa in paragraph["qas"]:
        _ = (qa["id"], qa["question"] + "", [answer["text"] for answer in qa["answers"]])


def _sentences(folder: Path) -> dict[tuple[int, int], dict[int, Path]]:
    """(article, paragraph) -> the files of its sentences by their numbers."""
    found: dict[tuple[int, int], dict[int, Path]] = {}
    for path in folder.glob("*.wav"):
        numbers = path.stem.split("_")
        if len(numbers) == 3 and all(number.isdecimal() for number in numbers):
            article, paragraph, sentence = map(int, numbers)
            found.setdefault((article, paragraph), {})[sentence] = path
    return found


def _join(sentences: dict[int, Path]) -> bytes:
    """The passage as one WAV file."""
    if not sentences:
        raise _BadPassageError("missing", "no sentence of the passage is there")
    if gaps := set(range(max(sentences))) - set(sentences):
        raise _BadPassageError("missing", f"sentence {min(gaps)} of the passage is not there")
    clips, rates = [], set()
    for _, path in sorted(sentences.items()):
        try:
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise _BadPassageError("not audio", f"{path.name}: {error.error_string}") from error
        clips.append(audio.mean(axis=1))
        rates.add(rate)
    if len(rates) != 1:
        raise _BadPassageError("mixed rates", f"sentences at {sorted(rates)} Hz")
    buffer = io.BytesIO()
    soundfile.write(buffer, np.concatenate(clips), rates.pop(), format="WAV", subtype="PCM_16")
    return buffer.getvalue()
