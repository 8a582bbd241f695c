"""What the end of a driver means, and which Ray it attaches to."""

import logging
import os
from importlib.util import find_spec

import pytest

from aura_core.config.recipes import recipe
from aura_core.errors import AuraError
from aura_core.stages import STAGES, plan
from tasks import stage_driver as output_module
from tasks.stage_driver import (
    ECHOED,
    LineLog,
    StageCrashError,
    StageLostError,
    cluster_address,
    raise_for_exit,
)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="aura")
    return lambda: [record.getMessage() for record in caplog.records]


def test_lines_cut_anywhere_are_logged_whole(lines):
    output = LineLog(echo=None)
    for byte in b"eins\nzwei drei\nvi":
        output.feed(bytes([byte]))
    output.feed("er ü".encode()[:-1])
    output.feed("ü".encode()[-1:])
    output.close()
    assert lines() == ["eins", "zwei drei", "vier ü"]


def test_a_progress_bar_is_logged_when_it_is_done_not_each_time_it_is_drawn(lines):
    output = LineLog(echo=None)
    output.feed(b"0%\r" + b"50%\r" * 500 + b"100%\n")
    output.close()
    assert lines() == ["100%"]


def test_the_error_line_is_kept_for_the_caller_and_not_logged(lines):
    output = LineLog(echo=None)
    output.feed(b"working\nerror: no such file: mend it\n")
    output.close()
    assert output.error_line == "no such file: mend it"
    assert lines() == ["working"]


def test_a_terminal_gets_every_byte_at_once(lines):
    read, write = os.pipe()
    output = LineLog(echo=write)
    output.feed(b"12%\r13%\r")
    assert os.read(read, 100) == b"12%\r13%\r"
    os.close(read)
    os.close(write)
    assert lines() == []


def test_what_a_terminal_has_had_is_kept_by_who_listens_to_it_and_said_by_no_other(
    caplog, monkeypatch
):
    caplog.set_level(logging.INFO, logger="aura")
    heard = {}
    for logger in (logging.getLogger("aura"), ECHOED):
        handler = logging.Handler()
        handler.emit = heard.setdefault(logger.name, []).append
        monkeypatch.setattr(logger, "handlers", [handler])
    read, write = os.pipe()
    output = LineLog(echo=write)
    output.feed(b"planned\ndistil: 100%|####| 4/4 [00:02<00:00, 2.0step/s]\n")
    os.close(read)
    os.close(write)
    said = [record.getMessage() for record in heard["aura.echoed"]]
    assert said == ["planned", "distil: 100% 4/4 [00:02<00:00, 2.0step/s]"]
    assert heard["aura"] == []


def test_a_bar_is_logged_more_seldom_the_longer_it_goes_on_but_told_all_along(lines, monkeypatch):
    now_s, told = [0.0], []
    monkeypatch.setattr(output_module.time, "monotonic", lambda: now_s[0])
    output = LineLog(echo=None, on_progress=lambda *_: told.append(now_s[0]))
    for second in range(86400):
        now_s[0] = float(second)
        output.feed(b"distil:  40%|####      | 12/30 [00:10<00:15, 1.2step/s]\r")
    assert 100 < len(lines()) < 150
    assert len(told) == 86400 // 15 - 1


@pytest.mark.parametrize("on_a_terminal", [True, False])
def test_progress_is_told_now_and_then_and_at_the_end(on_a_terminal):
    told = []
    read, write = os.pipe()
    output = LineLog(write if on_a_terminal else None, lambda *said: told.append(said))
    output.feed(
        b"ingest:   1%|\r" * 500
        + "teacher cache: 100%|██| 3/3 [00:02<00:00, 1.5shard/s]\n".encode()
    )
    os.close(read)
    os.close(write)
    assert told == [(100.0, "3/3 [00:02<00:00, 1.5shard/s]")]


def test_every_stage_has_a_driver():
    assert all(find_spec(f"tasks.jobs.{stage.driver}") for stage in STAGES.values())


def test_a_crash_is_told_from_a_mistake(tmp_path):
    spec = plan(recipe("smoke"), str(tmp_path))["distil"]
    raise_for_exit(spec, 0, None)
    with pytest.raises(AuraError, match="mend this"):
        raise_for_exit(spec, 2, "mend this")
    for exit_code, line in [(1, "mend this"), (2, None)]:
        with pytest.raises(StageCrashError, match="error of its code") as raised:
            raise_for_exit(spec, exit_code, line)
        assert not isinstance(raised.value, StageLostError)
    for exit_code in (75, -9, 137, 143):
        with pytest.raises(StageLostError, match="running again goes on"):
            raise_for_exit(spec, exit_code, None)


@pytest.mark.parametrize(
    ("value", "address"), [("", None), ("http://head:8265", None), ("head:6379", "head:6379")]
)
def test_a_dashboard_is_nothing_to_attach_to(monkeypatch, value, address):
    monkeypatch.setenv("RAY_ADDRESS", value)
    assert cluster_address() == address
