"""The smoke recipe up to its end, by the flow and by plain calls."""

import pytest

from aura_core.errors import AuraError
from flows.bench_overhead import bench_overhead
from flows.options import Selection

pytestmark = pytest.mark.slow


def test_both_ways_make_every_stage():
    told: list[str] = []
    result = bench_overhead(Selection(recipe="smoke"), rounds=1, tell=told.append)
    (flow_s,), (plain_s,) = result["flow_s"], result["plain_s"]
    assert result["seconds"] == pytest.approx(flow_s - plain_s)
    assert result["share"] == pytest.approx((flow_s - plain_s) / flow_s)
    assert len(told) == 2


def test_a_run_that_fails_says_why(tmp_path):
    manifest = tmp_path / "speech.jsonl"
    manifest.write_text('{"audio_filepath": "lost.wav", "text": "go home"}\n')
    selection = Selection(recipe="smoke", manifest=str(manifest))
    with pytest.raises(AuraError, match=r"the run \(flow\) failed:\n[\s\S]*rejected"):
        bench_overhead(selection, rounds=1, tell=lambda _: None)
