"""What a layout is: how the files of a published set are found, read and become items."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from aura_core.benchmarks.item import BenchmarkItem
from aura_core.config.benchmarks import Benchmark
from aura_core.errors import AuraError
from aura_core.ingest.source_item import Rejection, read_utf8

Entries = Iterator[BenchmarkItem | Rejection]
# From a local folder, and the benchmark that is wanted of it, to its items and what cannot be
# one. Raises AuraError, which says what was expected and found, if the folder is something else.
Layout = Callable[[Path, Benchmark], Entries]


# Files of a published set: found, read, and said plainly when they are not what they should be.

_SHOWN = 6
# A cell may hold a whole passage; the module's own limit is 128 KiB.
csv.field_size_limit(1 << 24)


def wrong_folder(folder: Path, benchmark: Benchmark, expected: str) -> AuraError:
    """The error for a folder in another layout: what was expected and what is there."""
    names = sorted(each.name + ("/" if each.is_dir() else "") for each in folder.iterdir())
    found = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return AuraError(
        f"{folder} is not {benchmark.title}: expected {expected}, found {found or 'nothing'}; "
        f"get it from {benchmark.homepage}"
    )


def find_path(folder: Path, name: str, benchmark: Benchmark, expected: str) -> Path:
    """The first file or folder of a name, here or below, the nearest one first.

    Raises:
        AuraError: if there is none.
    """
    found = sorted(folder.rglob(name), key=lambda path: (len(path.parts), str(path)))
    if not found:
        raise wrong_folder(folder, benchmark, expected)
    return found[0]


def read_rows(
    path: Path, columns: Sequence[str], dialect: type[csv.Dialect] = csv.excel
) -> list[dict[str, str]]:
    """Read a table with a header; a row that is short has empty cells.

    Args:
        path: of the table, UTF-8.
        columns: that must be there.
        dialect: how its cells are separated and quoted.

    Raises:
        AuraError: if a column is missing, or the file is not UTF-8.
    """
    text = io.StringIO(read_utf8(str(path)), newline="")
    reader = csv.DictReader(text, restval="", dialect=dialect)
    check_columns(path, reader.fieldnames or (), columns)
    return list(reader)


def check_columns(path: Path, found: Iterable[str], columns: Sequence[str]) -> None:
    """Raise AuraError if a table lacks a column."""
    names = list(found)
    if missing := [name for name in columns if name not in names]:
        raise AuraError(
            f"{path} has no column {missing[0]}: expected {', '.join(columns)}; "
            f"found {', '.join(names) or 'none'}"
        )


def with_audio(
    path: Path, id_: str, make: Callable[[bytes], BenchmarkItem]
) -> BenchmarkItem | Rejection:
    """The item of an audio file; a rejection where there is no such file."""
    try:
        return make(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return Rejection(id_, str(path), "missing", "there is no such file")


def numbered(rows: Iterable[dict[str, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table with the number a reader sees beside them, the header being 1."""
    return enumerate(rows, start=2)
