import pytest

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.report.history import History, PhaseSpan, read_history


def test_a_run_is_read_back(report_inputs):
    history = read_history(report_inputs["distil"])
    assert history.phases() == [PhaseSpan("align", 0, 19), PhaseSpan("learn", 20, 39)]
    assert list(history.blocks()) == [2, 4]
    assert history.series("ce")[0] == (0, 2.0)
    assert history.series("ctc") == []
    assert history.facts() == {
        "align": "20 steps", "learn": "20 steps",
        "median speed": "8.0 utterances/s", "time": "1 min 18 s",
    }  # fmt: skip


def test_a_profile_says_where_the_time_of_a_phase_went():
    records = [
        {"step": i, "phase": "align", "seconds": {"data_wait": 0.0, "forward": 1.0, "backward": b}}
        for i, b in enumerate((2.0, 4.0))
    ]
    shares = {"data_wait": "0.0 %", "forward": "25.0 %", "backward": "75.0 %"}
    assert History(records).profile() == {"align": shares}
    assert History([{"step": 0, "phase": "align"}]).profile() == {}


def test_word_errors_are_told_with_the_clips_and_the_time_they_took():
    records = [
        {"step": 1, "clips": 4, "elapsed_s": 1.0},
        {"step": 2, "clips": 3, "elapsed_s": 2.5, "validation": {"loss": 1.0, "wer": 0.5}},
        {"step": 3, "clips": 4, "elapsed_s": 3.0, "validation": {"loss": 1.0}},
    ]
    assert History(records).wer() == [(7, 2.5, 0.5)]


def test_blocks_are_ordered_as_numbers():
    record = {"step": 0, "phase": "p", "distil_blocks": {"10": 0.1, "9": 0.2}}
    assert list(History([record]).blocks()) == [9, 10]


def test_no_metrics_is_an_empty_history(tmp_path):
    assert read_history(str(tmp_path)) == History([])


def test_a_damaged_line_is_named(tmp_path):
    store.write_text(f"{tmp_path}/metrics.jsonl", '{"step": 0,\n')
    with pytest.raises(AuraError, match=r"metrics\.jsonl is damaged"):
        read_history(str(tmp_path))
