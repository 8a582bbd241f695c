"""What a layout is: how the files of a published set become items."""

from collections.abc import Callable, Iterator
from pathlib import Path

from aura_core.benchmarks.benchmark import Benchmark
from aura_core.benchmarks.item import BenchmarkItem
from aura_core.corpus.source_item import Rejection

Entries = Iterator[BenchmarkItem | Rejection]
# From a local folder, and the benchmark that is wanted of it, to its items and what cannot be
# one. Raises AuraError, which says what was expected and found, if the folder is something else.
Layout = Callable[[Path, Benchmark], Entries]
