import pytest

from aura_core.evaluation.table import Difference
from aura_core.report.paired import build_lines, build_verdicts


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
