import pytest

from aura_core.benchmarks.pinning import folder_digest, pinned_benchmark
from aura_core.config.run import BenchmarkConfig
from aura_core.errors import AuraError


def test_a_folder_s_digest_is_that_of_its_names_and_contents(tmp_path):
    def digest(name, **files):
        for file, content in files.items():
            (tmp_path / name / "deep").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "deep" / file).write_text(content)
        return folder_digest(str(tmp_path / name))

    first = digest("first", a="1", b="2")
    assert digest("moved", a="1", b="2") == first
    assert (
        len({first, digest("c", a="1", b="3"), digest("d", a="1", c="2"), digest("e", a="1")}) == 4
    )


def test_no_folder_is_a_mistake(tmp_path):
    with pytest.raises(AuraError, match="does not exist or is empty"):
        folder_digest(str(tmp_path / "none"))


def test_texts_that_are_read_do_not_depend_on_a_voice():
    read, spoken = (
        pinned_benchmark(BenchmarkConfig(name=name)) for name in ("text_choice", "spoken_choice")
    )
    assert read.keys() == {"version", "texts"}
    assert spoken.keys() > read.keys()
