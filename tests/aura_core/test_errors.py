import errno

import pytest

from aura_core.errors import system_error_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.ENOSPC, "full", "/x"),
            "No space left on device: /x; make room and run again",
        ),
        (OSError(errno.ENOENT, "gone", "/x"), "No such file or directory: /x"),
        (OSError(errno.EIO, "broken"), "Input/output error"),
        (OSError("a library\nsays so"), "a library says so"),
        (OSError("a text", "where a number is due"), "[Errno a text] where a number is due"),
        (OSError(), "OSError"),
    ],
)
def test_what_the_system_refuses_is_one_line(error, line):
    assert system_error_line(error) == line


def test_a_place_that_is_named_better_wins():
    line = system_error_line(PermissionError(errno.EACCES, "no", "/tmp/x7a"), "/root")
    assert line.startswith("Permission denied: /root; ")
