import pytest

from aura_core.distillation.schedule import Position, Schedule, rate_share
from aura_core.train_config import Phase

ALIGN = Phase(name="align", steps=3, ce=0)
LEARN = Phase(name="learn", steps=2)


def test_a_step_stands_in_its_phase():
    schedule = Schedule([ALIGN, LEARN])
    assert schedule.total_steps == 5
    assert schedule.position(0) == Position(0, ALIGN, 0)
    assert schedule.position(2) == Position(0, ALIGN, 2)
    assert schedule.position(3) == Position(1, LEARN, 0)
    assert schedule.position(5).phase_index == 2


def test_what_follows_a_phase_that_ends_early_begins_early():
    schedule = Schedule([ALIGN, LEARN])
    schedule.phase_steps[0] = 1
    assert schedule.first_step(1) == 1
    assert schedule.position(1) == Position(1, LEARN, 0)
    assert schedule.total_steps == 3


def test_a_rate_rises_in_warm_up_and_ends_at_a_small_share():
    phase = Phase(name="learn", steps=110, warmup_steps=10)
    shares = [rate_share(phase, step) for step in range(110)]
    assert shares[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert shares[10] == pytest.approx(1)
    assert shares[60] == pytest.approx(0.525)
    assert shares[-1] == pytest.approx(0.05, abs=1e-3)
