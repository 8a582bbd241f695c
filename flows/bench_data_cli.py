"""`aura bench-data`: which spoken benchmarks there are, and their published data."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table
from tqdm import tqdm

from aura_core.artifacts import store
from aura_core.config.benchmarks import BENCHMARKS, EMBEDDED, Benchmark
from aura_core.errors import AuraError, unknown
from aura_core.ingest.source_item import Rejection, count_kinds
from flows import options
from flows.display import out
from flows.interrupt import interrupt
from flows.options import AsJson, sub_app

_SHOWN = 10

HELP = """Spoken benchmarks: which there are, and their published data.

`aura run --benchmark NAME` evaluates on them.

  aura bench-data list
"""
app = sub_app("bench-data", HELP)

Name = Annotated[
    str,
    Parameter(
        help="Of the benchmark, as in `aura bench-data list`.", completer=options.benchmark_names
    ),
]


@app.command(name="list")
def list_(*, as_json: AsJson = False) -> None:
    """List the benchmarks: items, scorer, licence, and where to get them.

    Those that are made here need no folder, the others do:
    `aura run --benchmark spoken_choice --benchmark librispeech_test_clean=/data/LibriSpeech`.

      aura bench-data list
      aura bench-data list --json

    Parameters
    ----------
    as_json:
        The same as rows, with title, version and description.
    """
    if as_json:
        print(json.dumps([_row(each) for each in BENCHMARKS.values()], indent=2))
        return
    table = Table("benchmark", "items", "scorer", "licence", "where", box=None)
    for row in map(_row, BENCHMARKS.values()):
        table.add_row(
            row["name"], str(row["items"] or ""), row["scorer"], row["licence"], row["where"]
        )
    out.print(table)


@app.command
def get(name: Name, /, *, to: Path | None = None) -> None:
    """Download a benchmark's data from the Hugging Face hub.

    Run again, it goes on where it stopped. Sets that are not on the hub have to be got by hand:
    it says where.

      aura bench-data get voicebench_openbookqa --to /data/voicebench

    Parameters
    ----------
    to:
        Folder to write to. [default: ./bench-data/NAME]
    """
    from aura_core.benchmarks.preparation import download

    benchmark = _find(name)
    folder = (to or Path("bench-data", name)).expanduser().absolute()
    with interrupt.resumable():
        commit = download(benchmark, folder)
    out.print(f"{benchmark.title} at {commit}: {folder}")
    out.print(f"evaluate on it: aura run --benchmark {name}={folder}")


@app.command
def check(name: Name, folder: str, /) -> None:
    """Read a folder in the benchmark's public layout: how many items, what is rejected and why.

    Exit code 2 if it is another layout, or more than a tenth is rejected.

      aura bench-data check librispeech_test_clean /data/LibriSpeech

    Parameters
    ----------
    folder:
        Folder or s3:// URI.
    """
    benchmark = _find(name)
    if benchmark.layout == EMBEDDED:
        raise AuraError(f"{name} is made here and takes no folder")
    # Pulls in the audio libraries, which `list` does without.
    from aura_core.benchmarks.item import accepted_rows
    from aura_core.benchmarks.preparation import check_rejected, read_folder

    rejections: list[Rejection] = []
    with store.local_folder(folder) as local:
        entries = read_folder(benchmark, local)
        # None: a bar on a terminal alone.
        progress = tqdm(entries, desc=name, total=benchmark.num_items, unit="item", disable=None)
        num_items = sum(1 for _ in accepted_rows(progress, rejections))
    published = f" of {benchmark.num_items} published" if benchmark.num_items else ""
    out.print(f"{num_items} items{published}, {len(rejections)} rejected")
    for kind, number in count_kinds(rejections).items():
        out.print(f"  {number} {kind}")
    for each in rejections[:_SHOWN]:
        out.print(f"  {each.id} ({each.path}): {each.reason}", markup=False)
    check_rejected(name, num_items, rejections)


def _find(name: str) -> Benchmark:
    if name not in BENCHMARKS:
        raise unknown("benchmark", name, BENCHMARKS, "`aura bench-data list` lists them")
    return BENCHMARKS[name]


def _where(benchmark: Benchmark) -> str:
    if benchmark.layout == EMBEDDED:
        return "made here"
    return f"hub {benchmark.hub.repo}" if benchmark.hub else benchmark.homepage


def _row(benchmark: Benchmark) -> dict[str, str | int | None]:
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "version": benchmark.version,
        "items": benchmark.num_items,
        "scorer": benchmark.scorer,
        "licence": benchmark.licence,
        "where": _where(benchmark),
        "description": benchmark.description,
    }
