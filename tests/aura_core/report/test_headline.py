from aura_core.evaluation.table import Row
from aura_core.report.headline import build_cards, build_sentence


def row(model, metric, value, task):
    return Row(model=model, task=task, metric=metric, value=value, ci_low=value, ci_high=value, n=4)


ROWS = [
    row("aura", "wer", 0.25, "transcribe/heldout"),
    row("cascade", "wer", 0.125, "transcribe/heldout"),
    row("asr", "wer", 0.1, "transcribe/heldout"),
    row("aura", "wer", 0.9, "transcribe/another"),
    row("aura", "ttft_ms_p50", 200, "latency"),
    row("cascade", "ttft_ms_p50", 500, "latency"),
]


def test_the_sentence_says_also_where_aura_loses():
    assert build_sentence(ROWS) == (
        "AuRA gets 25.0% of the words wrong on heldout, the cascade 12.5%; "
        "its first token comes 2.5 times faster than the cascade's."
    )


def test_a_slower_student_is_called_slower():
    rows = [
        row("aura", "ttft_ms_p50", 500, "latency"),
        row("cascade", "ttft_ms_p50", 250, "latency"),
    ]
    assert "2.0 times slower" in build_sentence(rows)


def test_cards_compare_the_rivals_on_the_telling_split():
    wer, ttft = build_cards(ROWS)
    assert (wer.where, wer.value, ttft.value) == ("heldout", "25.0", "200")
    assert [(bar.model.name, bar.share) for bar in wer.bars] == [("aura", 1.0), ("cascade", 0.5)]


def test_nothing_measured_says_nothing():
    assert build_sentence([]) == ""
    assert build_cards([]) == []


def test_slices_are_not_taken_for_the_whole():
    noisy = row("aura", "wer", 1.0, "transcribe/heldout").model_copy(update={"slice": "snr_db=5"})
    assert build_cards([*ROWS, noisy]) == build_cards(ROWS)
