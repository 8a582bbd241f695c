import pytest

from aura_core.evaluation.table import Row
from aura_core.report.headline import build_line, build_sentences


def row(model, metric, value, task, n=80):
    return Row(model=model, task=task, metric=metric, value=value, ci_low=value, ci_high=value, n=n)


HEARD = [
    row("aura", "wer", 0.25, "transcribe/heldout"),
    row("cascade", "wer", 0.125, "transcribe/heldout"),
    row("asr", "wer", 0.1, "transcribe/heldout"),
    row("text", "wer", 0.0, "transcribe/heldout"),
    row("aura", "wer", 0.9, "transcribe/another"),
]
UNDERSTOOD = [
    row("aura", "intent_accuracy", 0.5, "respond/heldout"),
    row("cascade", "intent_accuracy", 0.75, "respond/heldout"),
    row("aura", "exact_match", 0.0125, "respond/heldout"),
    row("cascade", "exact_match", 0.7, "respond/heldout"),
]
TIMED = [
    row("aura", "ttft_ms_p50", 200, "latency", 12),
    row("cascade", "ttft_ms_p50", 500, "latency", 12),
]


def test_the_sentences_say_also_where_aura_loses():
    assert build_sentences([*HEARD, *UNDERSTOOD, *TIMED]) == [
        "On 80 held-out clips AuRA's word error rate is 25.0%, the cascade's 12.5%.",
        "It gets the intent right in 50.0%, the cascade in 75.0%, "
        "and the exact meaning in 1.2%, the cascade in 70.0%.",
        "Its first token comes 2.5 times sooner than the cascade's.",
    ]


def test_the_line_holds_the_same_figures():
    assert build_line([*HEARD, *UNDERSTOOD, *TIMED]) == (
        "AuRA on 80 held-out clips: WER 25.0% (cascade 12.5%), "
        "intent accuracy 50.0% (cascade 75.0%), exact meaning 1.2% (cascade 70.0%)"
    )


def test_what_was_not_asked_is_left_out():
    assert build_line([HEARD[0]]) == "AuRA on 80 held-out clips: WER 25.0%"
    assert len(build_sentences(HEARD)) == 1
    free_text = row("aura", "exact_match", 0.5, "respond/heldout")
    assert build_sentences([free_text]) == ["It gets the exact answer in 50.0%."]
    bridge = row("bridge", "wer", 0.05, "transcribe/heldout")
    assert "(bridge 5.0%, cascade 12.5%)" in build_line([*HEARD, bridge])


def test_a_split_is_called_by_its_name():
    only = row("aura", "wer", 0.9, "transcribe/another", n=1)
    assert build_line([only]) == "AuRA on 1 clip of another: WER 90.0%"


def test_a_slower_student_is_called_later():
    rows = [
        row("aura", "ttft_ms_p50", 500, "latency"),
        row("cascade", "ttft_ms_p50", 250, "latency"),
    ]
    assert build_sentences(rows) == ["Its first token comes 2.0 times later than the cascade's."]


@pytest.mark.parametrize("rows", [[], HEARD[1:4], UNDERSTOOD[1:2]])
def test_without_aura_nothing_is_said(rows):
    assert build_line(rows) == ""
    assert build_sentences(rows) == []


def test_slices_are_not_taken_for_the_whole():
    noisy = row("aura", "wer", 1.0, "transcribe/heldout").model_copy(update={"slice": "snr_db=5"})
    assert build_line([*HEARD, noisy]) == build_line(HEARD)
