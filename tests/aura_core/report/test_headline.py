import pytest

from aura_core.evaluation.results import Difference, Results, Row
from aura_core.report.headline import (
    build_line,
    build_lines,
    build_sentences,
    build_verdict,
    build_verdicts,
)


def difference(other, value, p_value, metric="wer", task="transcribe/heldout"):
    return Difference(
        model="aura", other=other, task=task, metric=metric, value=value,
        ci_low=value - 0.05, ci_high=value + 0.05, p_value=p_value, n=80,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "p_value", "metric", "end"),
    [
        (0.3, 0.01, "wer", "loses"),
        (-0.3, 0.01, "wer", "wins"),
        (0.3, 0.01, "exact_match", "wins"),
        (-0.3, 0.01, "exact_match", "loses"),
        (0.3, 0.05, "wer", "open"),
        (0.0, 0.01, "wer", "open"),
        (0.3, None, "wer", "few"),
    ],
)
def test_who_wins_depends_on_the_metric_and_on_chance(value, p_value, metric, end):
    verdict = build_verdicts([difference("cascade", value, p_value, metric)])[0]
    ends = {name: len(getattr(verdict, name)) for name in ("wins", "loses", "open", "few")}
    assert ends == {**dict.fromkeys(ends, 0), end: 1}


def test_a_loss_is_said_with_its_figure():
    duel = build_verdicts([difference("cascade", 0.278, 2 / 1001)])[0].loses[0]
    assert (duel.what, duel.value, duel.unit) == ("word error rate on heldout", "+27.8", "points")
    assert duel.interval == "+22.8 to +32.8"
    assert duel.p == "p < 0.002"


def test_lines_and_rivals_are_in_the_order_of_the_table():
    found = [
        difference("text", 0.1, 0.1, "acc", "spoken_choice"),
        difference("text", 0.1, 0.1),
        difference("bridge", 0.1, 0.1),
    ]
    lines = build_lines(found)
    assert [line.where for line in lines] == ["heldout", "Embedded: multiple choice"]
    assert lines[0].by_rival.keys() == {"bridge", "text"}
    assert [verdict.rival.name for verdict in build_verdicts(found)] == ["bridge", "text"]


def test_nothing_to_compare():
    assert build_lines([]) == build_verdicts([]) == []


def test_too_few_utterances_have_no_p():
    assert build_lines([difference("cascade", 0.3, None)])[0].by_rival["cascade"].p == ""


def row(model, metric, value, task, n=80):
    return Row(
        model=model, task=task, metric=metric, value=value, ci_low=0.8 * value,
        ci_high=1.2 * value, n=n,
    )  # fmt: skip


def minus_cascade(value, p_value, task="transcribe/heldout", metric="wer", n=80):
    return Difference(
        model="aura", other="cascade", task=task, metric=metric, value=value,
        ci_low=value - 0.05, ci_high=value + 0.05, p_value=p_value, n=n,
    )  # fmt: skip


def heard(aura, cascade, p_value, n=80):
    rows = [
        row("aura", "wer", aura, "transcribe/heldout", n),
        row("cascade", "wer", cascade, "transcribe/heldout", n),
    ]
    return Results(rows=rows, differences=[minus_cascade(aura - cascade, p_value, n=n)])


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
DIFFERENCES = [
    minus_cascade(0.125, 0.01),
    minus_cascade(-0.6875, 0.01, "respond/heldout", "exact_match"),
    minus_cascade(-0.2, 0.01, "transcribe/a"),
    minus_cascade(-0.2, 0.01, "transcribe/b"),
    minus_cascade(-0.2, 0.5, "transcribe/c"),
    minus_cascade(-0.2, None, "transcribe/d", n=4),
    minus_cascade(0.2, 0.01, "spoken_choice", "acc"),
]
ALL = Results(rows=[*HEARD, *UNDERSTOOD, *TIMED], differences=DIFFERENCES)


@pytest.mark.parametrize(
    ("aura", "cascade", "p_value", "verdict"),
    [
        (0.07, 0.11, 0.01, "AuRA hears better than the cascade: word error rate 7.0% against "
         "11.0%, a difference of \N{MINUS SIGN}4.0 points "
         "(95% interval \N{MINUS SIGN}9.0 to +1.0)."),
        (0.25, 0.05, 0.01, "AuRA hears worse than the cascade: word error rate 25.0% against "
         "5.0%, a difference of +20.0 points (95% interval +15.0 to +25.0)."),
        (0.07, 0.08, 0.4, "AuRA and the cascade cannot be told apart: word error rate 7.0% "
         "against 8.0%, a difference of \N{MINUS SIGN}1.0 points "
         "(95% interval \N{MINUS SIGN}6.0 to +4.0)."),
        (6.4, 0.05, 0.01, "AuRA hears worse than the cascade: word error rate 6.40 against 0.05, "
         "a difference of +6.35 (95% interval +6.30 to +6.40)."),
    ],
)  # fmt: skip
def test_the_verdict_is_what_the_paired_difference_allows(aura, cascade, p_value, verdict):
    assert build_verdict(heard(aura, cascade, p_value)) == f"On 80 held-out clips {verdict}"


def test_nine_clips_allow_no_verdict_and_no_pace():
    few = heard(6.4, 0.05, None, n=9)
    assert build_verdict(few) == (
        "On 9 held-out clips AuRA's word error rate is 6.40, the cascade's 0.05: too few clips to "
        "compare them."
    )
    assert build_line(few) == (
        "AuRA on 9 held-out clips: WER 6.40 (cascade 0.05); too few clips to compare"
    )
    timed = [each.model_copy(update={"n": 9}) for each in TIMED]
    assert build_sentences(Results(rows=[*few.rows, *timed])) == []


def test_what_stands_below_the_verdict():
    assert build_sentences(ALL) == [
        "On the same clips AuRA answers worse than the cascade: share of exact meanings 1.2% "
        "against 70.0%, a difference of \N{MINUS SIGN}68.8 points (95% interval "
        "\N{MINUS SIGN}73.8 to \N{MINUS SIGN}63.7).",
        "Hearing on the other splits: better on a and b, not told apart on c.",
        "Its first token comes 2.5 times sooner than the cascade's.",
    ]


def test_the_line_holds_the_figures():
    assert build_line(ALL) == (
        "AuRA on 80 held-out clips: WER 25.0% (cascade 12.5%), "
        "intent accuracy 50.0% (cascade 75.0%), exact meaning 1.2% (cascade 70.0%)"
    )


def test_what_was_not_asked_is_left_out():
    alone = Results(rows=[HEARD[0]])
    assert build_line(alone) == "AuRA on 80 held-out clips: WER 25.0%"
    assert build_verdict(alone) == (
        "On 80 held-out clips AuRA's word error rate is 25.0% (95% interval 20.0% to 30.0%)."
    )
    assert build_sentences(alone) == []
    free_text = Results(rows=[row("aura", "exact_match", 0.5, "respond/heldout")])
    assert build_verdict(free_text).startswith(
        "On 80 held-out clips AuRA's share of exact answers is 50.0%"
    )
    bridge = row("bridge", "wer", 0.05, "transcribe/heldout")
    assert "(bridge 5.0%, cascade 12.5%)" in build_line(Results(rows=[*HEARD, bridge]))


def test_a_split_is_called_by_its_name():
    only = Results(rows=[row("aura", "wer", 0.9, "transcribe/another", n=1)])
    assert build_line(only) == "AuRA on 1 clip of another: WER 90.0%; too few clips to compare"


def test_an_asr_that_wrote_the_references_is_named():
    found = Results(
        rows=[HEARD[0]], pseudo_labelled={"transcribe/heldout": "pinned:whisper-tiny.en"}
    )
    for text in (build_verdict(found), build_line(found)):
        assert "against" in text
        assert "transcripts of pinned:whisper-tiny.en" in text
    assert "the cascade, which is given its transcripts, is left out" in found.note


def test_a_slower_student_is_called_later():
    rows = [
        row("aura", "ttft_ms_p50", 500, "latency"),
        row("cascade", "ttft_ms_p50", 250, "latency"),
    ]
    assert build_sentences(Results(rows=rows)) == [
        "Its first token comes 2.0 times later than the cascade's."
    ]


@pytest.mark.parametrize("rows", [[], HEARD[1:4], UNDERSTOOD[1:2]])
def test_without_aura_nothing_is_said(rows):
    results = Results(rows=rows)
    assert (build_line(results), build_verdict(results), build_sentences(results)) == ("", "", [])


def test_slices_are_not_taken_for_the_whole():
    noisy = row("aura", "wer", 1.0, "transcribe/heldout").model_copy(update={"slice": "snr_db=5"})
    assert build_line(Results(rows=[*HEARD, noisy])) == build_line(Results(rows=HEARD))
