"""The state of a server and its runs, for a terminal."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flows.server_status import RunStatus, ServerStatus, StageStatus

_COLOURS = {"completed": "green", "running": "cyan", "failed": "red", "crashed": "red"}


def panel(status: ServerStatus) -> RenderableType:
    """Return the server, the worker, the runs at work, and else how the last one ended."""
    if status.server is None:
        return Text("server   not running: start one with `aura up`")
    worker = "online" if status.worker else "none: runs wait until `aura up` starts one"
    limit = "any number of runs" if status.limit is None else f"at most {status.limit}"
    waiting = ", ".join(status.waiting) or "none"
    parts: list[RenderableType] = [
        Text(f"server   {status.server.removesuffix('/api')}"),
        Text(f"worker   {worker} ({limit} at once)"),
        Text(f"waiting  {waiting}"),
    ]
    if status.paused:
        parts.append(Text("paused   no run is started: `aura up` goes on"))
    shown = status.active or ([status.last] if status.last else [])
    for run in shown:
        parts += [Text(""), _headline(run)]
        if run in status.active:
            parts.append(Text(f"on       {_machines(run)}"))
        parts.append(_stage_table(run))
    if not shown:
        parts.append(Text("no run yet: prefect deployment run aura/full-pipeline"))
    return Group(*parts)


def duration(seconds: float | None) -> str:
    """Return `M:SS` or `H:MM:SS`; nothing for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _headline(run: RunStatus) -> Text:
    line = Text.from_markup(
        f"run      {escape(run.name)} {_coloured(run.state)} {duration(run.elapsed_s)}"
    )
    if run.state != "completed" and run.message:
        line.append(f"  {run.message}")
    return line


def _machines(run: RunStatus) -> str:
    found = run.machines
    if found is None:
        return f"{run.parameters.get('launch')}, which does not answer"
    parts = [f"{amount:g} {name}" for name, amount in sorted(found.resources.items())]
    parts.append(f"{found.memory_bytes / 1e9:.0f} GB")
    if found.busy is not None:
        parts.append(f"CPUs {found.busy:.0%} busy")
    nodes = "" if found.nodes == 1 else f" ({found.nodes} nodes)"
    return f"{found.where}{nodes}: {', '.join(parts)}"


def _stage_table(run: RunStatus) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("  stage", "state"):
        table.add_column(name)
    for name in ("time", "done", "rate", "left"):
        table.add_column(name, justify="right")
    for stage in run.stages:
        table.add_row(
            f"  {escape(stage.name)}",
            _coloured(stage.state),
            duration(stage.elapsed_s),
            "" if stage.percent is None else f"{stage.percent:.0f}%",
            escape(stage.rate or ""),
            _left(stage),
        )
    return table


def _left(stage: StageStatus) -> str:
    if stage.stalled_s is None:
        return duration(stage.eta_s)
    return f"[red]stalled: no progress for {duration(stage.stalled_s)}[/]"


def _coloured(state: str) -> str:
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state
