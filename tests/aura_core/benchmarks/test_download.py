from types import SimpleNamespace

import huggingface_hub
import pytest

from aura_core.benchmarks.download import download
from aura_core.config.benchmarks import BENCHMARKS
from aura_core.errors import AuraError


@pytest.fixture
def hub(monkeypatch):
    """A hub that knows one commit; what it was asked for is kept."""
    asked = []

    def dataset_info(self, repo, revision, timeout):
        asked.append((repo, revision))
        return SimpleNamespace(sha="c0ffee")

    def snapshot_download(repo, **options):
        asked.append((repo, options))

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_the_commit_is_resolved_first_and_only_what_is_needed_is_fetched(hub, tmp_path):
    assert download(BENCHMARKS["voicebench_ifeval"], tmp_path) == "c0ffee"
    (_, (repo, options)) = hub
    assert repo == "hlt-lab/voicebench"
    assert (options["revision"], options["repo_type"]) == ("c0ffee", "dataset")
    assert options["allow_patterns"] == ["ifeval/*.parquet"]
    assert options["local_dir"] == tmp_path


def test_a_hub_out_of_reach_is_told_in_one_line(monkeypatch, tmp_path):
    def fail(*_args, **_options):
        raise OSError("no route to host\nand much more")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", fail)
    with pytest.raises(AuraError, match=r"\(no route to host\).*by hand: https://") as caught:
        download(BENCHMARKS["voicebench_ifeval"], tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_not_on_the_hub_says_where_it_is(tmp_path):
    with pytest.raises(AuraError, match=r"by hand: https://www\.openslr\.org/12"):
        download(BENCHMARKS["librispeech_test_clean"], tmp_path)
    with pytest.raises(AuraError, match="is made here"):
        download(BENCHMARKS["spoken_facts"], tmp_path)
