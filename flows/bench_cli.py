"""`aura bench`: compare with the alternatives on your own machine and your own speech."""

import json
import os
import sys
from typing import Annotated, Any

from cyclopts import App, Parameter

from aura_core.pipeline import StageSpec, is_complete
from aura_core.train_config import Phase
from flows import local_prefect
from flows.options import AsJson, Selection

app = App(name="bench", help="Compare with the alternatives, on this machine, in one run.",
          help_format="plaintext")  # fmt: skip

# `--seconds 1 5` as well as `--seconds 1 --seconds 5`.
_SEVERAL = Parameter(consume_multiple=True, negative=())


@app.command
def teacher(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    clips: int = 512,
    rounds: int = 3,
    as_json: AsJson = False,
) -> None:
    """Teacher states per second: a naive loop, ours from audio to shard, the encoder alone.

    The clips are training utterances of the selected run; its ingest stage is run if needed.

    Parameters
    ----------
    clips:
        How many.
    rounds:
        How often each is timed, in turns; medians count.
    as_json:
        Audio seconds per second of each, ratio_vs_naive, ratio_vs_limit.
    """
    ingest = _made(selection, "ingest")["ingest"]
    import torch

    from aura_core.bench.teacher import bench_teacher

    result = bench_teacher(
        ingest.uri,
        selection.load().teacher_cache,
        clips=clips,
        rounds=rounds,
        workers=_cpus(),
        device="cuda" if torch.cuda.is_available() else "cpu",
        tell=_tell,
    )
    _show(result, as_json)


@app.command
def cache(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    settings: tuple[str, ...] = (),
    clips: int | None = None,
    steps: int = 150,
    seeds: int = 3,
    as_json: AsJson = False,
) -> None:
    """Ways to store teacher states: bytes, errors, and the student each one makes.

    Parameters
    ----------
    settings:
        Which ones; all by default.
    clips:
        Training utterances; all by default.
    steps:
        Of each student.
    seeds:
        Students per setting.
    as_json:
        Per setting: bytes_ratio, storage_error, wer with its interval; and `default`.
    """
    ingest = _made(selection, "ingest")["ingest"]
    from aura_core.bench.cache import SETTINGS, bench_cache
    from aura_core.errors import AuraError

    if unknown := set(settings) - set(SETTINGS):
        raise AuraError(f"no setting {sorted(unknown)[0]!r}: choose from {', '.join(SETTINGS)}")
    config = selection.load()
    align = Phase.model_validate({**config.distil.phases[0].model_dump(), "steps": steps})
    result = bench_cache(
        ingest.uri,
        config.teacher_cache,
        config.distil.model_copy(update={"phases": (align,)}),
        names=list(settings or SETTINGS),
        clips=clips,
        seeds=seeds,
        tell=_tell,
    )
    _show(result, as_json)


@app.command
def train(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    steps: int = 10,
    as_json: AsJson = False,
) -> None:
    """Training steps per second: a loop a user would write, ours, the student alone.

    The clips are those of the selected run; its teacher cache is made if needed.

    Parameters
    ----------
    steps:
        Timed steps of each; the median counts.
    as_json:
        Clips per second of each, ratio_vs_user_loop, ratio_vs_limit, data_wait_share.
    """
    made = _made(selection, "teacher_cache")
    from aura_core.bench.train import bench_train

    config = selection.load()
    result = bench_train(
        made["ingest"].uri,
        made["teacher_cache"].uri,
        config.teacher_cache,
        config.distil,
        steps=steps,
        tell=_tell,
    )
    _show(result, as_json)


@app.command
def latency(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    seconds: Annotated[tuple[float, ...], _SEVERAL] = (1, 5, 15, 30),
    batches: Annotated[tuple[int, ...], _SEVERAL] = (1, 8),
    repeats: int = 10,
    models: Annotated[tuple[str, ...], _SEVERAL] = (),
    as_json: AsJson = False,
) -> None:
    """Time to the first token, FLOPs, memory: AuRA, a bridge, a cascade and text on one LLM.

    Nothing is trained for it, as time does not depend on what weights say. The speech is the
    selected run's, joined and cut to length; its ingest stage is run if needed. See
    docs/latency.md.

    Parameters
    ----------
    seconds:
        Lengths of clips, at most 30.
    batches:
        Clips at once.
    repeats:
        Rounds with other clips each, in which the models take turns.
    models:
        Some of aura_merged, aura_gated, bridge, cascade, text_in; all by default.
    as_json:
        A table; ttft_5s.vs_cascade, .vs_bridge, .vs_text_prefill (AuRA's time over theirs).
    """
    from aura_core.bench.latency import bench_latency, check_settings
    from aura_core.bench.latency_models import MODELS

    names = models or MODELS
    check_settings(seconds, batches, repeats, names)
    ingest = _made(selection, "ingest")["ingest"]
    result = bench_latency(
        ingest.uri,
        selection.load(),
        seconds=seconds,
        batches=batches,
        repeats=repeats,
        names=names,
    )
    _show(result, as_json)


@app.command
def overhead(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    rounds: int = 1,
    as_json: AsJson = False,
) -> None:
    """What orchestration costs: the whole recipe by the flow, and by plain function calls.

    Everything is made from nothing, twice a round, in temporary folders: `--recipe smoke` takes
    minutes, `--recipe demo` half an hour.

    Parameters
    ----------
    rounds:
        How often each is run, in turns; medians count.
    as_json:
        seconds, share (of the run by the flow); flow_s and plain_s of each round.
    """
    from flows.bench_overhead import bench_overhead

    _show(bench_overhead(selection, rounds=rounds, tell=_tell), as_json)


@app.command
def streaming(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    seconds: Annotated[tuple[float, ...], _SEVERAL] = (5, 15, 30),
    chunk_positions: int | None = None,
    repeats: int = 10,
    as_json: AsJson = False,
) -> None:
    """Time to the first token after the end of speech: heard as it arrives, and all at once.

    Nothing is trained for it, and the speech is that of `bench latency`. See docs/latency.md.

    Parameters
    ----------
    seconds:
        Lengths of clips, at most 30.
    chunk_positions:
        Audio positions of a chunk. [default: those of the config, or 10 where it has none]
    repeats:
        Rounds with other clips each, in which lengths and both ways take turns.
    as_json:
        A table; ttft_30s_vs_5s, whole_ttft_30s_vs_5s, streaming_vs_whole.
    """
    from aura_core.bench.streaming import bench_streaming, check_lengths, streaming_config

    config = selection.load()
    check_lengths(streaming_config(config.distil, chunk_positions), seconds, repeats)
    ingest = _made(selection, "ingest")["ingest"]
    result = bench_streaming(
        ingest.uri, config, seconds=seconds, chunk_positions=chunk_positions, repeats=repeats
    )
    _show(result, as_json)


@app.command
def scale(*, utterances: int = 1_000_000, as_json: AsJson = False) -> None:
    """Bookkeeping of a very large cache: planning, resuming, listing, opening. No audio at all.

    Parameters
    ----------
    utterances:
        How many; a tenth of them is measured as well.
    as_json:
        Seconds of each, peak memory in MB, shards.
    """
    from aura_core.bench.scale import bench_scale

    _show(bench_scale(utterances, _tell), as_json)


def _made(selection: Selection, stage: str) -> dict[str, StageSpec]:
    """The selected run's stages; `stage` and what it needs are made now if they are not there."""
    specs = selection.plan()
    if not is_complete(specs[stage]):
        local_prefect.run_flow(**selection.flow_parameters, until=stage, launch="local")
    return specs


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(result: dict[str, Any], as_json: bool) -> None:
    print(json.dumps(result, indent=None if as_json else 2))
