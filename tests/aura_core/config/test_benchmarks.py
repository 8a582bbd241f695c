import pytest

from aura_core.benchmarks.embedded_texts import TEXTS
from aura_core.benchmarks.layouts import question_answering, voicebench
from aura_core.benchmarks.preparation import LAYOUTS
from aura_core.config.benchmarks import BENCHMARKS, EMBEDDED, benchmark_mistake
from aura_core.evaluation.scoring import SCORERS


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=BENCHMARKS)
def test_a_benchmark_is_whole(benchmark):
    assert BENCHMARKS[benchmark.name] is benchmark
    assert benchmark.version >= 1
    assert benchmark.scorer in SCORERS
    assert benchmark.layout in {EMBEDDED, *LAYOUTS}
    assert benchmark.max_new_tokens >= 1
    assert benchmark.num_items is None or benchmark.num_items >= 1
    assert benchmark.description.endswith(".")
    assert benchmark.title
    assert benchmark.licence


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=BENCHMARKS)
def test_it_says_where_to_get_it_unless_it_is_kept_here(benchmark):
    kept_here = benchmark.layout == EMBEDDED
    assert kept_here == (benchmark.name in TEXTS)
    assert benchmark.homepage.startswith("https://") != kept_here
    assert not (kept_here and benchmark.hub)
    assert kept_here or benchmark.text_task is None
    if benchmark.hub:
        assert benchmark.hub.repo in benchmark.homepage
        assert all(benchmark.subset in pattern for pattern in benchmark.hub.files)


def test_every_layout_is_used_and_knows_its_subsets():
    # `jsonl` waits for a benchmark of the user's own.
    assert {each.layout for each in BENCHMARKS.values()} | {"jsonl"} == {EMBEDDED, *LAYOUTS}
    subsets = {
        layout: {each.subset for each in BENCHMARKS.values() if each.layout == layout}
        for layout in ("voicebench", "spoken_qa")
    }
    assert subsets["voicebench"] == voicebench.SUBSETS.keys()
    assert subsets["spoken_qa"] == question_answering.SETS.keys()


@pytest.mark.parametrize(
    ("name", "source", "mistake"),
    [
        ("spoken_choice", EMBEDDED, None),
        ("trivia_qa", "s3://a/b", None),
        ("spoken_choice", "/data", "takes no folder"),
        ("trivia_qa", EMBEDDED, "--benchmark trivia_qa=FOLDER"),
        ("nonsense", "/data", "`aura bench-data list` lists them"),
        ("spoken_choise", EMBEDDED, "did you mean spoken_choice?"),
    ],
)
def test_a_mistake_says_what_to_do(name, source, mistake):
    found = benchmark_mistake(name, source)
    assert found == mistake or mistake in found
