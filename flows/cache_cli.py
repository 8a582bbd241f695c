"""`aura cache`: look at teacher caches, check them, clear away what is left over."""

import json
import time
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.teacher_cache import inventory
from aura_core.teacher_cache.inventory import (
    CacheState,
    Problem,
    repair_cache,
    total_bytes,
    verify_cache,
)
from flows.options import AsJson, sub_app
from flows.request import resolve_root

# Teacher caches as a table.


def as_row(cache: CacheState) -> dict[str, Any]:
    """Return one cache as plain values; figures are None while it is not finished."""
    found = cache.manifest
    row = {
        "name": cache.name,
        "uri": cache.uri,
        "finished": found is not None,
        "shards_done": cache.shards_done,
        "shards_planned": cache.shards_planned,
    }
    if found is None:
        return {**row, "utterances": None, "audio_hours": None, "size_bytes": None, "teacher": None}
    return {
        **row,
        "utterances": found.counts["utterances"],
        "audio_hours": found.metrics["duration_s"] / 3600,
        "size_bytes": found.counts["size_bytes"],
        "teacher": found.identity.get("teacher"),
    }


def cache_table(caches: Sequence[CacheState]) -> Table:
    """Return one line a cache."""
    table = Table(box=None, pad_edge=False)
    for name in ("cache", "state", "teacher"):
        table.add_column(name)
    for name in ("utterances", "hours", "MB"):
        table.add_column(name, justify="right")
    for row in map(as_row, caches):
        planned = "?" if row["shards_planned"] is None else row["shards_planned"]
        state = "finished" if row["finished"] else f"{row['shards_done']} of {planned} shards"
        figures = ("", "", "", "")
        if row["finished"]:
            figures = (
                str(row["teacher"]),
                f"{row['utterances']:,}",
                f"{row['audio_hours']:.2f}",
                f"{row['size_bytes'] / 1e6:,.1f}",
            )
        table.add_row(row["name"], state, *figures)
    return table


# A running stage writes files that no manifest refers to yet.
_LIVE_S = 3600

out = Console(highlight=False, soft_wrap=True)
HELP = """Look at teacher caches, check them, clear away what is left over.

Only `gc --yes` and `verify --repair` change anything.

  aura cache ls
"""
app = sub_app("cache", HELP)

Root = Annotated[str | None, Parameter(help="Folder or s3:// URI of all artifacts. [default: "
                                       "$AURA_ROOT, else ./runs]")]  # fmt: skip
Name = Annotated[str | None, Parameter(help="First digits of a cache's fingerprint, as in `aura "
                                       "cache ls`; without it: every finished one.")]  # fmt: skip


@app.command
def ls(*, root: Root = None, as_json: AsJson = False) -> None:
    """List the teacher caches below a root, finished or not.

    For each: its state, its teacher, utterances, hours and MB.

      aura cache ls
      aura cache ls --root s3://bucket/aura

    Parameters
    ----------
    as_json:
        The same as rows.
    """
    caches = inventory.list_caches(resolve_root(root))
    if as_json:
        print(json.dumps([as_row(cache) for cache in caches], indent=2))
    elif caches:
        out.print(cache_table(caches))
    else:
        out.print(f"no teacher cache below {resolve_root(root)}")


@app.command
def stats(name: Name = None, /, *, root: Root = None) -> None:
    """Print a cache's figures as JSON: hours, bytes per hour, errors of storage, settings.

    The errors are those of the kept states against the teacher's own.

      aura cache stats
      aura cache stats 3781a99d5e69
    """
    found = [
        inventory.statistics(cache.uri, cache.manifest)
        for cache in _finished(root, name)
        if cache.manifest
    ]
    print(json.dumps(found, indent=2))


@app.command
def verify(
    name: Name = None,
    /,
    *,
    root: Root = None,
    repair: bool = False,
) -> None:
    """Read every byte of the caches and compare it with the digests; exit code 1 names the bad.

    It reads all of a cache: on S3 that is a download.

      aura cache verify
      aura cache verify --repair

    Parameters
    ----------
    repair:
        Take damaged files away and mark the cache unfinished, so that the next run of the
        teacher_cache stage makes just those again.
    """
    bad = 0
    for cache in _finished(root, name):
        problems = _verify(cache)
        bad += len(problems)
        for problem in problems:
            print(f"{store.join(cache.uri, problem.path)}: {problem.reason}")
        if problems and repair:
            repair_cache(cache.uri, problems)
            print(f"{cache.uri}: run the teacher_cache stage again to make these files anew")
        if not problems:
            print(f"{cache.uri}: sound")
    if bad:
        raise SystemExit(1)


@app.command
def gc(*, root: Root = None, yes: bool = False) -> None:
    """List files of teacher caches that no manifest refers to; delete them with --yes.

    Files younger than an hour may belong to a run that is at work: they are listed, not deleted.

      aura cache gc
      aura cache gc --yes

    Parameters
    ----------
    yes:
        Delete them.
    """
    freed = 0
    for item in inventory.list_garbage(resolve_root(root)):
        live = time.time() - item.modified_s < _LIVE_S
        print(f"{item.uri}  {item.size_bytes}  {item.reason}{', in use perhaps' if live else ''}")
        if yes and not live:
            store.remove(item.uri)
        freed += 0 if live else item.size_bytes
    print(f"{freed} bytes {'deleted' if yes else 'could be deleted: add --yes'}")


def _finished(root: str | None, name: str | None) -> list[CacheState]:
    where = resolve_root(root)
    finished = [cache for cache in inventory.list_caches(where) if cache.manifest]
    chosen = [cache for cache in finished if name is None or cache.name.startswith(name)]
    if not chosen:
        wanted = f"{name}..." if name else "any"
        raise AuraError(f"no finished teacher cache {wanted} below {where}: see `aura cache ls`")
    return chosen


def _verify(cache: CacheState) -> list[Problem]:
    problems = []
    with tqdm(total=total_bytes(cache.uri), desc=cache.name, unit="B", unit_scale=True) as bar:
        for _, size_bytes, problem in verify_cache(cache.uri):
            bar.update(size_bytes)
            if problem:
                problems.append(problem)
    return problems
