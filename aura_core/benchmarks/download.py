"""A published set from the Hugging Face hub, at one commit."""

from pathlib import Path

from aura_core.artifacts.store import require_writable
from aura_core.config.benchmarks import EMBEDDED, Benchmark, HubSource
from aura_core.errors import AuraError

_TIMEOUT_S = 10


def download(benchmark: Benchmark, folder: Path) -> str:
    """Download what a benchmark needs into a folder; what is there already is kept.

    Returns:
        The commit.

    Raises:
        AuraError: if it is made here, must be got by hand, the folder cannot be written to, or
            the hub cannot be reached.
    """
    if benchmark.layout == EMBEDDED:
        raise AuraError(f"{benchmark.name} is made here: aura run --benchmark {benchmark.name}")
    if benchmark.hub is None:
        raise AuraError(f"{benchmark.title} must be got by hand: {_by_hand(benchmark)}")
    require_writable(str(folder))
    try:
        return _fetch(benchmark.hub, folder)
    except Exception as error:  # the hub client's HTTP library is its own affair
        reason = str(error).strip().split("\n")[0]
        raise AuraError(
            f"{benchmark.hub.repo} cannot be downloaded from the Hugging Face hub ({reason}): "
            f"run the same command again, or get it by hand: {_by_hand(benchmark)}"
        ) from error


def _fetch(source: HubSource, folder: Path) -> str:
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi().dataset_info(source.repo, revision=source.revision, timeout=_TIMEOUT_S)
    if info.sha is None:
        raise ValueError("the hub names no commit")
    snapshot_download(
        source.repo,
        repo_type="dataset",
        revision=info.sha,
        allow_patterns=list(source.files),
        local_dir=folder,
    )
    return info.sha


def _by_hand(benchmark: Benchmark) -> str:
    return (
        f"{benchmark.homepage}; then aura bench-data check {benchmark.name} FOLDER, and "
        f"aura run --benchmark {benchmark.name}=FOLDER"
    )
