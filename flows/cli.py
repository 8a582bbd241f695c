"""The `aura` command: its groups, and what makes a run."""

import json
import logging
import os
import warnings
from importlib import metadata
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape

from aura_core.artifacts import store
from aura_core.artifacts.manifest import read_manifest
from aura_core.artifacts.newest import newest_artifact
from aura_core.errors import AuraError
from aura_core.evaluation.table import read_table
from aura_core.explain import explain as explain_stages
from aura_core.pipeline import is_complete
from aura_core.recipes import RECIPES
from flows import (
    bench_cli,
    bench_data_cli,
    cache_cli,
    chat_cli,
    compare_cli,
    display,
    export_cli,
    local_prefect,
    serve_cli,
    server_cli,
    speak_cli,
)
from flows.options import Selection
from flows.request import choose_stages, require_inputs, resolve_root
from flows.summary import closing_lines
from flows.terminal import out

err = Console(stderr=True, highlight=False, soft_wrap=True)
log = logging.getLogger("aura")

HELP = """Teach a text LLM to hear: speech in, a LoRA-adapted LLM, its table and a report out.
Finished stages are never run again.

  aura run --recipe smoke           the whole road in minutes, learning nothing
  aura run --recipe demo            a small assistant that hears
  aura run --manifest my.jsonl      on your own speech
  aura run --dry-run                what is a hit, and what there is to do
  aura explain --set distil.seed=1  what that change would run again, and why
  aura results                      the newest table
  aura compare RUN RUN              two evaluations side by side
  aura export --to my-model         a folder that transformers loads
  aura transcribe talk.wav          what is said; `aura ask FILE QUESTION` for anything else
  aura chat                         talk to a model in turns, by text and audio files
  aura serve                        OpenAI's chat completions; `aura demo` is a page on this machine
  aura cache ls                     teacher caches; also stats, verify, gc
  aura up                           a Prefect server, its UI and a worker; also status, down
  aura bench teacher                ours against a naive loop, on this machine; also train
  aura bench-data list              spoken benchmarks to evaluate on; also get, check
"""

app = App(
    name="aura",
    help=HELP,
    help_format="plaintext",
    version=lambda: metadata.version("aura"),
    version_flags=["--version"],
)
app.command(cache_cli.app)
app.command(bench_cli.app)
app.command(bench_data_cli.app)
app.command(compare_cli.compare)
app.command(server_cli.up)
app.command(server_cli.down)
app.command(server_cli.status)
app.command(export_cli.export)
app.command(speak_cli.transcribe)
app.command(speak_cli.ask)
app.command(chat_cli.chat)
app.command(serve_cli.serve)
app.command(serve_cli.demo)


@app.command
def run(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    until: str | None = None,
    only: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    launch: str = "local",
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Run the pipeline: ingest, teacher_cache, text_lora, distil, benchmark, evaluate, report.

    A stage whose artifact is there is a hit and does no work, so running the same
    command again goes on where the last one stopped. Needs no server and no network. The last
    three lines say what it reached, where that is, and what to do next.

      aura run --recipe demo --until teacher_cache
      aura run --manifest calls.jsonl --pseudo-label --set distil.seed=1
      aura run --only evaluate --benchmark spoken_choice
      aura run --root s3://bucket/aura --launch http://ray-head:8265

    Parameters
    ----------
    until:
        Stop after this stage.
    only:
        Run this stage and no other, any number of times; what it reads must be there.
    launch:
        `local`, or the address of a Ray cluster's dashboard to submit the stages to.
    dry_run:
        Only show what is a hit and what there is to do: shards, steps, clips, audio positions,
        memory.
    """
    specs = selection.plan()
    stages = choose_stages(until, only)
    wanted = {name: spec for name, spec in specs.items() if spec.stage in stages}
    if not wanted:
        raise AuraError(f"this config makes nothing of {', '.join(stages)}")
    if dry_run:
        # Imports transformers, which nothing else here needs.
        from aura_core.forecast import forecast
        from aura_core.models.llm_shape import llm_shape

        config = selection.load()
        ingest = read_manifest(specs["ingest"].uri)
        work = forecast(config, ingest, llm_shape(config.distil.llm))
        out.print(display.work_table(explain_stages(wanted), work))
        return
    # The flow asks for them too, when it has a server.
    require_inputs(specs, stages)
    with display.stage_lines(err):
        if all(map(is_complete, wanted.values())):
            for name, spec in wanted.items():
                log.info("hit  %s %s", name, spec.fingerprint[:12])
        else:
            parameters = {**selection.flow_parameters, "until": until, "only": list(only) or None}
            local_prefect.run_flow(**parameters, launch=launch)
    rest = [*selection.arguments, *(() if launch == "local" else ("--launch", launch))]
    for line in closing_lines(specs, list(wanted.values())[-1], rest):
        print(line)


@app.command
def explain(*, selection: Selection = Selection()) -> None:  # noqa: B008 - frozen
    """Show, per stage, hit or miss, and what differs from the nearest artifact on a miss.

    aura explain --recipe demo --set distil.lora.rank=32
    """
    out.print(display.status_table(explain_stages(selection.plan())))


@app.command
def results(
    *,
    root: str | None = None,
    slices: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter("--json")] = False,
) -> None:
    """Print the table of the newest evaluation.

      aura results --slices
      aura results --json

    Parameters
    ----------
    root:
        Folder or s3:// URI of all artifacts. [default: $AURA_ROOT, else ./runs]
    slices:
        Also by noise, speech rate, voice, family of sentences, length.
    as_json:
        All rows, slices too: {model, task, metric, value, ci_low, ci_high, n, slice?, by_seed?}.
    """
    uri = newest_artifact(resolve_root(root), "evaluate")
    found = read_table(uri)
    rows = found.rows
    if as_json:
        print(json.dumps([row.model_dump(exclude_none=True) for row in rows], indent=2))
    else:
        shown = rows if slices else [row for row in rows if row.slice is None]
        out.print(display.result_table(shown, title=store.join(uri, "results.json")))
        if found.note:
            out.print(escape(found.note))


@app.command
def recipes() -> None:
    """List the recipes."""
    for name, make in RECIPES.items():
        out.print(f"[bold]{name:12}[/] {(make.__doc__ or '').strip().splitlines()[0]}")


def start() -> None:
    """Run the command that the arguments name; `flows.main` says how what it raises is told."""
    local_prefect.set_environment(os.environ)
    # What libraries say to those who call them, in the midst of a user's answers.
    warnings.simplefilter("ignore", FutureWarning)
    app(exit_on_error=False, print_error=False)
