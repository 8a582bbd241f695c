from aura_core.evaluation.table import Row
from aura_core.report.charts.ladder import ladder_chart
from aura_core.report.labels import metric_of
from aura_core.report.slice_tables import Ladder


def step(**values):
    return {
        model: Row(model=model, task="t", metric="wer", value=v, ci_low=v, ci_high=v + 0.1, n=5)
        for model, v in values.items()
    }


def test_every_step_and_model_is_drawn_even_where_one_has_no_figure():
    ladder = Ladder(
        "noise", ["clean", "20", "0"],
        [step(aura=0.1, cascade=0.2), step(aura=0.3), step(aura=0.9, cascade=0.8)],
        metric_of("wer"),
    )  # fmt: skip
    svg = ladder_chart(ladder, "noise")
    assert all(f">{name}<" in svg for name in ladder.steps)
    assert "var(--aura)" in svg
    assert "var(--cascade)" in svg
