"""From a published set, fetched if need be, or the texts kept here, to items and their card."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from aura_core.artifacts import store
from aura_core.artifacts.store import require_writable
from aura_core.benchmarks.embedded_texts import texts_of
from aura_core.benchmarks.item import BenchmarkItem, WrittenItems, write_items
from aura_core.benchmarks.layouts.jsonl import read_jsonl
from aura_core.benchmarks.layouts.layout import Layout
from aura_core.benchmarks.layouts.question_answering import read_spoken_qa, read_spoken_squad
from aura_core.benchmarks.layouts.transcription import read_covost2, read_librispeech
from aura_core.benchmarks.layouts.understanding import read_fluent_speech_commands, read_slurp
from aura_core.benchmarks.layouts.voicebench import read_voicebench
from aura_core.config.benchmarks import (
    BENCHMARKS,
    EMBEDDED,
    SCORER_VERSIONS,
    Benchmark,
    HubSource,
    benchmark_mistake,
    is_text_task,
)
from aura_core.errors import AuraError
from aura_core.ingest.source_item import REJECTED_NAME, Rejection, count_kinds, write_report

# Every layout by its name.

LAYOUTS: dict[str, Layout] = {
    "librispeech": read_librispeech,
    "voicebench": read_voicebench,
    "spoken_qa": read_spoken_qa,
    "spoken_squad": read_spoken_squad,
    "slurp": read_slurp,
    "fluent_speech_commands": read_fluent_speech_commands,
    "covost2": read_covost2,
    "jsonl": read_jsonl,
}


# A published set from the Hugging Face hub, at one commit.

_TIMEOUT_S = 10


def download(benchmark: Benchmark, folder: Path) -> str:
    """Download what a benchmark needs into a folder; what is there already is kept.

    Returns:
        The commit.

    Raises:
        AuraError: if it is made here, must be got by hand, the folder cannot be written to, or
            the hub cannot be reached.
    """
    if benchmark.layout == EMBEDDED:
        raise AuraError(f"{benchmark.name} is made here: aura run --benchmark {benchmark.name}")
    if benchmark.hub is None:
        raise AuraError(f"{benchmark.title} must be got by hand: {_by_hand(benchmark)}")
    require_writable(str(folder))
    try:
        return _fetch(benchmark.hub, folder)
    except Exception as error:  # the hub client's HTTP library is its own affair
        reason = str(error).strip().split("\n")[0]
        raise AuraError(
            f"{benchmark.hub.repo} cannot be downloaded from the Hugging Face hub ({reason}): "
            f"run the same command again, or get it by hand: {_by_hand(benchmark)}"
        ) from error


def _fetch(source: HubSource, folder: Path) -> str:
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi().dataset_info(source.repo, revision=source.revision, timeout=_TIMEOUT_S)
    if info.sha is None:
        raise ValueError("the hub names no commit")
    snapshot_download(
        source.repo,
        repo_type="dataset",
        revision=info.sha,
        allow_patterns=list(source.files),
        local_dir=folder,
    )
    return info.sha


def _by_hand(benchmark: Benchmark) -> str:
    return (
        f"{benchmark.homepage}; then aura bench-data check {benchmark.name} FOLDER, and "
        f"aura run --benchmark {benchmark.name}=FOLDER"
    )


# `card.json`: what the items of a benchmark are, where they come from and what was left out.

NAME = "card.json"


class Card(BaseModel):
    """Of one item table."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int = Field(description="of the benchmark in the catalogue")
    source: str = Field(description="folder it was read from, or `embedded`")
    revision: dict[str, str] = Field(description="digests of what the items are made from")
    licence: str
    scorer: str
    scorer_version: int = Field(description="when the items were made")
    sha256: str = Field(description="of the items, audio included")
    counts: dict[str, int] = Field(description="items, rejected, expected where it is known")
    rejected: dict[str, int] = Field({}, description="reason -> items left out")


def write_card(uri: str, card: Card) -> str:
    """Publish the card; returns its path relative to `uri`."""
    store.write_text(store.join(uri, NAME), card.model_dump_json(indent=2) + "\n")
    return NAME


MAX_REJECTED_SHARE = 0.1
_SHOWN = 5


def prepare(
    name: str, source: str, uri: str, pinned: Mapping[str, str]
) -> tuple[list[str], dict[str, int]]:
    """Publish the items of a benchmark, their card and what was rejected.

    Args:
        name: of the benchmark.
        source: its folder or s3:// URI, in the set's public layout, or `embedded`.
        uri: the artifact.
        pinned: digests of what it is made from (`aura_core.stages`).

    Returns:
        The files, relative to `uri`, and the counts: `items`, `rejected`, and `rejected.<reason>`.

    Raises:
        AuraError: if the folder is not in the set's layout, or more than a tenth is rejected.
    """
    benchmark = find_benchmark(name, source)
    if is_text_task(name):
        written = write_items(uri, _read(name))
    elif source == EMBEDDED:
        written = write_items(uri, _spoken(name, pinned["second_voice"]))
    else:
        with store.local_folder(source) as folder:
            written = write_items(uri, read_folder(benchmark, folder))
    check_rejected(name, written.num_items, written.rejections)
    rejected = count_kinds(written.rejections)
    report = store.join(uri, REJECTED_NAME)
    write_report(report, written.rejections)
    card = write_card(uri, _card(benchmark, source, pinned, written))
    counts = {"items": written.num_items, "rejected": len(written.rejections)}
    by_reason = {f"rejected.{kind}": number for kind, number in rejected.items()}
    return [*written.files, card, REJECTED_NAME], counts | by_reason


def read_folder(benchmark: Benchmark, folder: Path) -> Iterator[BenchmarkItem | Rejection]:
    """Yield what a local folder in the benchmark's public layout holds.

    Raises:
        AuraError: if there is no such folder, or it is in another layout.
    """
    if not folder.is_dir():
        raise AuraError(
            f"{folder} is not a folder: give the one that holds {benchmark.title} "
            f"({benchmark.homepage})"
        )
    return LAYOUTS[benchmark.layout](folder, benchmark)


def find_benchmark(name: str, source: str) -> Benchmark:
    """The benchmark of a name. Raises AuraError if it cannot be had from the source."""
    if mistake := benchmark_mistake(name, source):
        raise AuraError(f"benchmark {name}: {mistake}")
    return BENCHMARKS[name]


def check_rejected(name: str, num_items: int, rejections: Iterable[Rejection]) -> None:
    """Raise AuraError if too much of a benchmark is rejected, or nothing is left."""
    listed = list(rejections)
    total = num_items + len(listed)
    if num_items and len(listed) <= MAX_REJECTED_SHARE * total:
        return
    if not total:
        raise AuraError(f"benchmark {name}: the folder names no item")
    kinds = Counter(each.kind for each in listed).most_common(3)
    reasons = ", ".join(f"{kind} ({number})" for kind, number in kinds)
    named = "; ".join(f"{each.id}: {each.reason}" for each in listed[:_SHOWN])
    raise AuraError(
        f"benchmark {name}: {len(listed)} of {total} items ({len(listed) / total:.1%}) are "
        f"rejected, more than {MAX_REJECTED_SHARE:.0%}: {reasons}; first: {named}; "
        "get the set again, or give the folder that holds all of it"
    )


def _read(name: str) -> Iterator[BenchmarkItem]:
    for text in texts_of(name):
        yield BenchmarkItem(**vars(text), audio=None)


def _spoken(name: str, second_voice: str) -> Iterator[BenchmarkItem]:
    # The synthesisers are loaded where something is spoken.
    from aura_core.benchmarks.embedded_speech import speak_items

    return speak_items(name, second_voice)


def _card(
    benchmark: Benchmark, source: str, pinned: Mapping[str, str], written: WrittenItems
) -> Card:
    expected = {} if benchmark.num_items is None else {"expected": benchmark.num_items}
    return Card(
        name=benchmark.name,
        version=benchmark.version,
        source=source,
        revision=dict(pinned),
        licence=benchmark.licence,
        scorer=benchmark.scorer,
        scorer_version=SCORER_VERSIONS[benchmark.scorer],
        sha256=written.sha256,
        counts={"items": written.num_items, "rejected": len(written.rejections)} | expected,
        rejected=count_kinds(written.rejections),
    )
