import pytest

from aura_core.bench.serving import bench_serve
from aura_core.config.recipes import recipe
from aura_core.errors import AuraError


@pytest.fixture(scope="module")
def config(tiny_llm):
    demo = recipe("demo")
    changes = {"llm": str(tiny_llm), "precision": "fp32"}
    lora = demo.distil.lora.model_copy(update={"blocks": 1})
    distil = demo.distil.model_copy(update={**changes, "lora": lora})
    return demo.model_copy(update={"distil": distil})


def test_both_ways_are_timed_at_every_length(ingest_uri, config):
    result = bench_serve(ingest_uri, config, seconds=(1, 2), rounds=2)
    assert [row["seconds"] for row in result["table"]] == [1, 2]
    for row in result["table"]:
        assert 0 < row["library_p50_ms"] < row["endpoint_p50_ms"]
    assert result["ttft_vs_library"] == max(row["vs_library"] for row in result["table"])
    assert result["ttft_vs_library"] > 1


def test_what_cannot_be_measured_is_refused(ingest_uri, config):
    with pytest.raises(AuraError, match="at most 30 seconds"):
        bench_serve(ingest_uri, config, seconds=(31,), rounds=1)
