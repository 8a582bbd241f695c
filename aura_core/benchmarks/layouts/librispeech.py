"""LibriSpeech (openslr.org/12): SUBSET/SPEAKER/CHAPTER/*.flac beside SPEAKER-CHAPTER.trans.txt.

The folder is the whole corpus, or the one subset. A line of a transcript file is
`SPEAKER-CHAPTER-NUMBER TEXT IN CAPITALS`.
"""

from pathlib import Path

from aura_core.benchmarks.benchmark import Benchmark
from aura_core.benchmarks.item import BenchmarkItem
from aura_core.benchmarks.layouts.files import with_audio, wrong_folder
from aura_core.benchmarks.layouts.layout import Entries
from aura_core.corpus.readers import librispeech
from aura_core.corpus.source_item import Rejection, SourceItem


def read(folder: Path, benchmark: Benchmark) -> Entries:
    """Yield the utterances of the benchmark's subset."""
    subset = folder if folder.name == benchmark.subset else _find(folder, benchmark)
    if not librispeech.matches(str(subset)):
        raise wrong_folder(folder, benchmark, "SPEAKER/CHAPTER/*.trans.txt")
    for each in librispeech.read(str(subset)):
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
