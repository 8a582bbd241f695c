"""`aura bench`: compare with the alternatives on your own machine and your own speech."""

import os
from typing import Annotated

from cyclopts import Parameter, validators

from aura_core.suggestions import unknown
from aura_core.train_config import Phase
from flows.bench_latency_cli import latency, serve, streaming
from flows.bench_runs import made, show, tell
from flows.help import sub_app
from flows.options import AsJson, Count, Selection, Several

HELP = """Compare with the alternatives, on this machine, in one run.

Each prints JSON; what it needs of a run is made first, if it is not there.

  aura bench teacher
"""
app = sub_app("bench", HELP)

app.command(latency)
app.command(streaming)
app.command(serve)


@app.command
def teacher(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    clips: Count = 512,
    rounds: Count = 3,
    as_json: AsJson = False,
) -> None:
    """Teacher states per second: a naive loop, ours from audio to shard, the encoder alone.

    The clips are training utterances of the selected run; its ingest stage is run if needed.

      aura bench teacher --recipe smoke --clips 16

    Parameters
    ----------
    clips:
        How many.
    rounds:
        How often each is timed, in turns; medians count.
    as_json:
        Audio seconds per second of each, ratio_vs_naive, ratio_vs_limit.
    """
    ingest = made(selection, "ingest")["ingest"]
    from aura_core.bench.teacher import bench_teacher

    result = bench_teacher(
        ingest.uri,
        selection.load().teacher_cache,
        clips=clips,
        rounds=rounds,
        workers=len(os.sched_getaffinity(0)),
        tell=tell,
    )
    show(result, as_json)


@app.command
def cache(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    settings: Several[str] = (),
    clips: Count | None = None,
    steps: Count = 150,
    seeds: Count = 3,
    as_json: AsJson = False,
) -> None:
    """Ways to store teacher states: bytes, errors, and the student each one makes.

    A student is trained for every setting and seed.

      aura bench cache --settings exact int8_frame --clips 400

    Parameters
    ----------
    settings:
        Which ones. [default: all]
    clips:
        Training utterances. [default: all]
    steps:
        Of each student.
    seeds:
        Students per setting.
    as_json:
        Per setting: bytes_ratio, storage_error, wer with its interval; and `default`.
    """
    from aura_core.bench.cache import SETTINGS, bench_cache

    for name in set(settings) - set(SETTINGS):
        raise unknown("setting", name, SETTINGS)
    ingest = made(selection, "ingest")["ingest"]
    config = selection.load()
    align = Phase.model_validate({**config.distil.phases[0].model_dump(), "steps": steps})
    result = bench_cache(
        ingest.uri,
        config.teacher_cache,
        config.distil.model_copy(update={"phases": (align,)}),
        names=list(settings or SETTINGS),
        clips=clips,
        seeds=seeds,
        tell=tell,
    )
    show(result, as_json)


@app.command
def train(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    steps: Count = 10,
    as_json: AsJson = False,
) -> None:
    """Training steps per second: a loop a user would write, ours, the student alone.

    The clips are those of the selected run; its teacher cache is made if needed.

      aura bench train --recipe smoke --steps 3

    Parameters
    ----------
    steps:
        Timed steps of each; the median counts.
    as_json:
        Clips per second of each, ratio_vs_user_loop, ratio_vs_limit, data_wait_share.
    """
    stages = made(selection, "teacher_cache")
    from aura_core.bench.train import bench_train

    config = selection.load()
    result = bench_train(
        stages["ingest"].uri,
        stages["teacher_cache"].uri,
        config.teacher_cache,
        config.distil,
        steps=steps,
        tell=tell,
    )
    show(result, as_json)


@app.command
def overhead(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    rounds: Count = 1,
    as_json: AsJson = False,
) -> None:
    """What orchestration costs: the whole recipe by the flow, and by plain function calls.

    Everything is made from nothing, twice a round, in temporary folders: `--recipe smoke` takes
    minutes, `--recipe demo` half an hour.

      aura bench overhead --recipe smoke

    Parameters
    ----------
    rounds:
        How often each is run, in turns; medians count.
    as_json:
        seconds, share (of the run by the flow); flow_s and plain_s of each round.
    """
    from flows.bench_overhead import bench_overhead

    show(bench_overhead(selection, rounds=rounds, tell=tell), as_json)


@app.command
def scale(
    *,
    utterances: Annotated[int, Parameter(validator=validators.Number(gte=10))] = 1_000_000,
    as_json: AsJson = False,
) -> None:
    """Bookkeeping of a very large cache: planning, resuming, listing, opening. No audio at all.

    It writes an empty cache of that size into a temporary folder and times each step on it.

      aura bench scale --utterances 20000

    Parameters
    ----------
    utterances:
        How many; a tenth of them is measured as well.
    as_json:
        Seconds of each, peak memory in MB, shards.
    """
    from aura_core.bench.scale import bench_scale

    show(bench_scale(utterances, tell), as_json)
