"""`aura bench`: compare with the alternatives on your own machine and your own speech."""

import json
import os
import sys
from typing import Annotated, Any

from cyclopts import Parameter, validators

from aura_core.config.train import Phase
from aura_core.errors import unknown
from aura_core.stages import StageSpec, is_complete
from flows import local_prefect
from flows.options import AsJson, Count, Selection, Several, sub_app

# What benchmarks of a run have in common: its stages, and how they tell what they found.


def made(selection: Selection, stage: str) -> dict[str, StageSpec]:
    """The selected run's stages; `stage` and what it needs are made now if they are not there."""
    specs = selection.plan()
    if not is_complete(specs[stage]):
        local_prefect.run_flow(**selection.flow_parameters, until=stage, launch="local")
    return specs


def tell(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print what was found, on one line if it is for a program."""
    print(json.dumps(result, indent=None if as_json else 2))


# `aura bench latency`, `streaming` and `serve`: what a user waits for.


def latency(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    seconds: Several[float] = (1, 5, 15, 30),
    batches: Several[int] = (1, 8),
    rounds: Count = 10,
    models: Several[str] = (),
    as_json: AsJson = False,
) -> None:
    """Time to the first token, FLOPs, memory: AuRA, a bridge, a cascade and text on one LLM.

    Nothing is trained for it, as time does not depend on what weights say. The speech is the
    selected run's, joined and cut to length; its ingest stage is run if needed. See
    docs/latency.md.

      aura bench latency --seconds 1 5 --batches 1 --rounds 4

    Parameters
    ----------
    seconds:
        Lengths of clips, at most 30.
    batches:
        Clips at once.
    rounds:
        Rounds with other clips each, in which the models take turns.
    models:
        Some of aura_merged, aura_gated, aura_dense, bridge, cascade, text_in.
        [default: all]
    as_json:
        A table; ttft_5s.vs_cascade, .vs_bridge, .vs_text_prefill (AuRA's time over theirs).
    """
    from aura_core.bench.latency import bench_latency, check_settings
    from aura_core.bench.latency_models import MODELS

    names = models or MODELS
    check_settings(seconds, batches, rounds, names)
    ingest = made(selection, "ingest")["ingest"]
    result = bench_latency(
        ingest.uri,
        selection.load(),
        seconds=seconds,
        batches=batches,
        rounds=rounds,
        names=names,
    )
    show(result, as_json)


def streaming(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    seconds: Several[float] = (5, 15, 30),
    chunk_positions: int | None = None,
    rounds: Count = 10,
    as_json: AsJson = False,
) -> None:
    """Time to the first token after the end of speech: heard as it arrives, and all at once.

    Nothing is trained for it, and the speech is that of `bench latency`. See docs/latency.md.

      aura bench streaming --seconds 5 15 --rounds 4

    Parameters
    ----------
    seconds:
        Lengths of clips, at most 30.
    chunk_positions:
        Audio positions of a chunk. [default: those of the config, or 10 where it has none]
    rounds:
        Rounds with other clips each, in which lengths and both ways take turns.
    as_json:
        A table; ttft_30s_vs_5s, whole_ttft_30s_vs_5s, streaming_vs_whole.
    """
    from aura_core.bench.streaming import bench_streaming, check_lengths, streaming_config

    config = selection.load()
    check_lengths(streaming_config(config.distil, chunk_positions), seconds, rounds)
    ingest = made(selection, "ingest")["ingest"]
    result = bench_streaming(
        ingest.uri, config, seconds=seconds, chunk_positions=chunk_positions, rounds=rounds
    )
    show(result, as_json)


def serve(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    seconds: Several[float] = (1, 5, 15, 30),
    rounds: Count = 20,
    as_json: AsJson = False,
) -> None:
    """Time to the first token through the endpoint of `aura serve`, beside the library call.

    One untrained student, asked in turns. The speech is the selected run's, joined and cut to
    length; its ingest stage is run if needed. See docs/serving.md.

      aura bench serve --seconds 1 5 --rounds 4

    Parameters
    ----------
    seconds:
        Lengths of clips, at most 30.
    rounds:
        Rounds of each length, with another clip each.
    as_json:
        ttft_vs_library (the largest of all lengths), and a table.
    """
    from aura_core.bench.latency import AURA, check_settings

    check_settings(seconds, [1], rounds, [AURA])
    ingest = made(selection, "ingest")["ingest"]
    from aura_core.bench.serving import bench_serve

    show(bench_serve(ingest.uri, selection.load(), seconds=seconds, rounds=rounds), as_json)


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
