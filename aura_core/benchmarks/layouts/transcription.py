"""Published sets of read speech with transcripts or translations: LibriSpeech and CoVoST 2."""

import csv
from pathlib import Path, PurePosixPath

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
from aura_core.ingest.readers import librispeech
from aura_core.ingest.source_item import Rejection, SourceItem

# LibriSpeech (openslr.org/12): SUBSET/SPEAKER/CHAPTER/*.flac beside SPEAKER-CHAPTER.trans.txt.
#
# The folder is the whole corpus, or the one subset. A line of a transcript file is
# `SPEAKER-CHAPTER-NUMBER TEXT IN CAPITALS`.


def read_librispeech(folder: Path, benchmark: Benchmark) -> Entries:
    """Yield the utterances of the benchmark's subset."""
    subset = folder if folder.name == benchmark.subset else _find(folder, benchmark)
    if not librispeech.matches(str(subset)):
        raise wrong_folder(folder, benchmark, "SPEAKER/CHAPTER/*.trans.txt")
    for each in librispeech.read(str(subset), {}):
        yield each if isinstance(each, Rejection) else _item(each, benchmark)


def _find(folder: Path, benchmark: Benchmark) -> Path:
    for candidate in (folder / benchmark.subset, folder / "LibriSpeech" / benchmark.subset):
        if candidate.is_dir():
            return candidate
    raise wrong_folder(folder, benchmark, f"{benchmark.subset}/SPEAKER/CHAPTER/*.trans.txt")


def _item(source: SourceItem, benchmark: Benchmark) -> BenchmarkItem | Rejection:
    text = source.text or ""

    def make(audio: bytes) -> BenchmarkItem:
        extra = {"speaker": source.speaker}
        return BenchmarkItem(
            source.id, text, benchmark.prompt_text or "", (text,), audio, extra={**extra}
        )

    return with_audio(Path(source.audio_uri), source.id, make)


# CoVoST 2 (arXiv 2007.10310) from English: tables of text beside the clips of Common Voice 4.
#
# `clips/*.mp3`, and `covost_v2.en_de.test.tsv` with `path`, `sentence`, `translation`, which the
# set's own script makes. Or what is published as it is: `covost_v2.en_de.tsv` with `path`,
# `translation`, `split`, and Common Voice's `validated.tsv` with `path`, `sentence`. Cells are
# not quoted.


class _Unquoted(csv.excel_tab):
    """Cells between tabs, in which a quotation mark is a quotation mark."""

    quoting = csv.QUOTE_NONE


def read_covost2(folder: Path, benchmark: Benchmark) -> Entries:
    """Yield the test set of the benchmark's language pair."""
    table, rows = _rows(folder, benchmark)
    clips = find_path(folder, "clips", benchmark, "clips/*.mp3")
    for number, row in numbered(rows):
        yield _entry(row, number, table, clips, benchmark)


def _rows(folder: Path, benchmark: Benchmark) -> tuple[Path, list[dict[str, str]]]:
    """The test set's rows, with their sentences."""
    whole = f"covost_v2.{benchmark.subset}.tsv"
    split = f"covost_v2.{benchmark.subset}.test.tsv"
    if made := sorted(folder.rglob(split)):
        return made[0], read_rows(made[0], ("path", "sentence", "translation"), _Unquoted)
    expected = f"{split}, or {whole} with validated.tsv, and clips/*.mp3"
    table = find_path(folder, whole, benchmark, expected)
    spoken = find_path(folder, "validated.tsv", benchmark, expected)
    sentences = {
        row["path"]: row["sentence"] for row in read_rows(spoken, ("path", "sentence"), _Unquoted)
    }
    rows = read_rows(table, ("path", "translation", "split"), _Unquoted)
    tests = [row for row in rows if row["split"] == "test"]
    return table, [{**row, "sentence": sentences.get(row["path"], "")} for row in tests]


def _entry(
    row: dict[str, str], number: int, table: Path, clips: Path, benchmark: Benchmark
) -> BenchmarkItem | Rejection:
    name = row["path"].strip()
    if not name:
        return Rejection(f"row {number}", str(table), "bad row", f"row {number} has no path")
    id_ = PurePosixPath(name).stem
    # Common Voice's first releases leave the suffix out.
    file = clips / (name if name.endswith(".mp3") else f"{name}.mp3")
    language = benchmark.subset.partition("_")[2]
    return with_audio(
        file,
        id_,
        lambda audio: BenchmarkItem(
            id_,
            row["sentence"].strip(),
            benchmark.prompt_text or "",
            (row["translation"].strip(),),
            audio,
            extra={"target_language": language},
        ),
    )
