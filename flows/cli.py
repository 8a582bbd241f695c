"""The `aura` command: its groups, what there is to choose from, and what makes a run."""

import json
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Annotated

import yaml
from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aura_core.artifacts import store
from aura_core.artifacts.manifest import newest_artifact, read_manifest
from aura_core.config.overrides import as_data, settings, unknown_setting
from aura_core.config.recipes import RECIPES, recipe, summary
from aura_core.errors import AuraError, unknown
from aura_core.evaluation.results import RESULTS_NAME, read_table
from aura_core.explain import explain as explain_stages
from aura_core.stages import StageSpec, is_complete
from flows import (
    bench_cli,
    bench_data_cli,
    cache_cli,
    chat_cli,
    compare_cli,
    display,
    export_cli,
    local_prefect,
    options,
    serve_cli,
    server_cli,
    speak_cli,
)
from flows.display import closing_lines, out
from flows.options import OPTION, AsJson, Selection, command_groups
from flows.request import choose_stages, require_inputs, resolve_root

# `aura recipes` and `aura settings`: what there is to choose from, before a run.


def recipes(
    name: Annotated[str | None, Parameter(completer=options.recipe_names)] = None, /
) -> None:
    """List the recipes, or print one with all its settings.

    What it prints of one is a file for `--config`: change it, then `aura run --config mine.yaml`.

      aura recipes
      aura recipes demo
      aura recipes demo > mine.yaml

    Parameters
    ----------
    name:
        The recipe to print. [default: list them all]
    """
    if name is None:
        for each in RECIPES:
            out.print(f"[bold]{each:21}[/] {summary(each)}")
    else:
        print(yaml.safe_dump(as_data(recipe(name)), sort_keys=False, width=100), end="")


def settings_(
    prefix: Annotated[str, Parameter(completer=options.setting_names)] = "",
    /,
    *,
    name: Annotated[
        str, Parameter(name="--recipe", completer=options.recipe_names)
    ] = options.DEFAULT_RECIPE,
    as_json: AsJson = False,
) -> None:
    """List what `--set` can change: name, type, value in the recipe, meaning.

    A change runs its stage again, and what depends on it; one of a `runtime` runs nothing again.

      aura settings
      aura settings distil.lora
      aura settings evaluate --recipe smoke --json

    Parameters
    ----------
    prefix:
        Only this setting, or those of this stage or group: `distil`, `distil.lora`.
    name:
        Whose values to show.
    as_json:
        Rows of {name, type, value, description}.
    """
    config = recipe(name)
    found = [
        each
        for each in settings(config)
        if f"{each.name}.".startswith(f"{prefix}." if prefix else "")
    ]
    if not found:
        raise AuraError(unknown_setting(prefix, as_data(config)))
    rows = [(each.name, each.kind, json.dumps(each.value), each.description) for each in found]
    if as_json:
        keys = ("name", "type", "value", "description")
        values = ((each.name, each.kind, each.value, each.description) for each in found)
        print(json.dumps([dict(zip(keys, each, strict=True)) for each in values], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("setting", "type", f"in {name}", "meaning"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)


err = Console(stderr=True, highlight=False, soft_wrap=True)
log = logging.getLogger("aura")

HELP = """Teach a text LLM to hear: from speech to a LoRA-adapted LLM, its figures and a report.
Start with the first command under Make; `aura COMMAND --help` has more examples and every option.
"""
_MAKE, _USE, _LOOK, _SERVE, _MEASURE, _ABOUT = command_groups(
    lambda: app, "Make", "Use", "Look", "Serve", "Measure", "Help"
)

app = App(
    name="aura",
    help=HELP,
    help_format="plaintext",
    version=lambda: metadata.version("aura"),
    version_flags=["--version"],
    default_parameter=OPTION,
    group_commands=_ABOUT,
)
app.command(export_cli.export, group=_MAKE)
app.command(speak_cli.transcribe, group=_USE)
app.command(speak_cli.ask, group=_USE)
app.command(chat_cli.chat, group=_USE)
app.command(compare_cli.compare, group=_LOOK)
app.command(recipes, group=_LOOK)
app.command(settings_, name="settings", group=_LOOK)
app.command(serve_cli.serve, group=_SERVE)
app.command(serve_cli.demo, group=_SERVE)
app.command(server_cli.up, group=_SERVE)
app.command(server_cli.status, group=_SERVE)
app.command(server_cli.down, group=_SERVE)
for group, subapp in (
    (_LOOK, cache_cli.app),
    (_MEASURE, bench_cli.app),
    (_MEASURE, bench_data_cli.app),
):
    subapp.group = group
    app.command(subapp)
app.register_install_completion_command(
    help="""Let the shell complete commands, options, settings and names on <TAB>.

    It writes a script for the shell and has the shell's start-up file read it.

      aura --install-completion
      aura --install-completion --shell zsh
    """
)

Stage = Annotated[str | None, Parameter(completer=options.stage_names)]
Stages = Annotated[tuple[str, ...], Parameter(completer=options.stage_names)]


@app.command(name="help")
def help_(*command: str) -> None:
    """Show the help of a command, as `--help` and `-h` after it do.

    For example:
      aura help run
      aura help cache verify

    Parameters
    ----------
    command:
        Which one. [default: what `aura --help` shows]
    """
    _, _, unused = app.parse_commands(command)
    if unused:
        named = command[: len(command) - len(unused)]
        known = [name for name in _app_of(named) if not name.startswith("-")]
        raise unknown("command", " ".join(command), [" ".join((*named, each)) for each in known])
    app.help_print(command)


def _app_of(tokens: Sequence[str]) -> App:
    found = app
    for token in tokens:
        found = found[token]
    return found


@app.command(group=_MAKE, sort_key=0)
def run(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    until: Stage = None,
    only: Stages = (),
    launch: str = "local",
    dry_run: bool = False,
) -> None:
    """Run the pipeline: ingest, teacher_cache, text_lora, distil, benchmark, evaluate, report.

    A stage that has been run is not run again, so the same command goes on where the last one
    stopped. Needs no server and no network. The last three lines say what it reached, where that
    is, and what to do next.

      aura run --recipe demo
      aura run --recipe demo --until teacher_cache
      aura run --recipe demo --dry-run
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
        Only try the models, the root and the manifest, and show what there is to do.
    """
    specs = selection.plan()
    stages = choose_stages(until, only)
    wanted = {name: spec for name, spec in specs.items() if spec.stage in stages}
    if not wanted:
        raise AuraError(f"this config makes nothing of {', '.join(stages)}")
    if dry_run:
        _show_work(selection, specs["ingest"], wanted)
        return
    # The flow asks for them too, when it has a server.
    require_inputs(specs, stages)
    with display.stage_lines(err):
        if all(map(is_complete, wanted.values())):
            for name, spec in wanted.items():
                log.info("kept %s %s", name, spec.fingerprint[:12])
        else:
            parameters = {**selection.flow_parameters, "until": until, "only": list(only) or None}
            local_prefect.run_flow(**parameters, launch=launch)
    rest = [*selection.arguments, *(() if launch == "local" else ("--launch", launch))]
    for line in closing_lines(specs, list(wanted.values())[-1], rest):
        print(line)


def _show_work(selection: Selection, ingest: StageSpec, wanted: Mapping[str, StageSpec]) -> None:
    # Imports transformers, which nothing else here needs.
    from aura_core.forecast import forecast, llm_shape
    from aura_core.preflight import check_model, preflight

    config = selection.load()
    checks = preflight(config, ingest.root)
    llm = config.distil.llm
    shape = llm_shape(llm) if check_model(llm, is_llm=True).certain else None
    work = forecast(config, read_manifest(ingest.uri), shape)
    out.print(display.work_table(explain_stages(wanted), work))
    out.print()
    out.print(display.check_table(checks))


@app.command(group=_MAKE)
def explain(*, selection: Selection = Selection()) -> None:  # noqa: B008 - frozen
    """Show which stages a run would do, and the changed setting that makes each of them needed.

    A stage is compared with the finished one below the root that is most like it.

      aura explain --recipe demo --set distil.lora.rank=32
    """
    out.print(display.status_table(explain_stages(selection.plan())))


@app.command(group=_LOOK, sort_key=0)
def results(*, root: str | None = None, slices: bool = False, as_json: AsJson = False) -> None:
    """Print the table of the newest evaluation.

    Every figure has its 95% interval and its number of clips.

      aura results
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
        out.print(display.result_table(shown, title=store.join(uri, RESULTS_NAME)))
        if found.note:
            out.print(escape(found.note))


def start() -> None:
    """Run the command that the arguments name; `flows.main` says how what it raises is told."""
    local_prefect.set_environment(os.environ)
    # What libraries say to those who call them, in the midst of a user's answers.
    warnings.simplefilter("ignore", FutureWarning)
    app(exit_on_error=False, print_error=False)
