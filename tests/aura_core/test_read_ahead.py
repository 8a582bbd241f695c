from threading import Event

import pytest

from aura_core.read_ahead import read_ahead


def test_results_come_in_order_however_long_each_takes():
    slow = Event()

    def read(item):
        if item == 0:
            slow.wait(10)
        else:
            slow.set()
        return item * 2

    assert list(read_ahead(range(5), read, threads=2, depth=3)) == [0, 2, 4, 6, 8]


def test_it_runs_no_further_ahead_than_asked():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = read_ahead(items(), lambda item: item, threads=1, depth=2)
    assert taken == []
    assert next(results) == 0
    assert taken == [0, 1, 2]
    results.close()
    assert taken == [0, 1, 2]


def test_an_error_comes_where_its_result_would_have():
    def read(item):
        if item == 2:
            raise OSError("gone")
        return item

    results = read_ahead(range(5), read, threads=2, depth=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="gone"):
        next(results)
