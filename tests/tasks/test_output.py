"""What is kept and shown of a driver's output."""

import logging
import os

import pytest

from tasks.output import LineLog


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
