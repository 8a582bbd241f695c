import pytest

from aura_core.errors import AuraError
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.slices import positions


def spoken(*extras):
    return [
        Prediction(id=f"u{i}", references=("a",), prediction="a", extra=extra)
        for i, extra in enumerate(extras)
    ]


def test_numbers_come_in_their_order_and_the_unknown_last():
    predictions = spoken({"snr_db": 10}, {}, {"snr_db": -5.0}, {"snr_db": 10.0}, {"snr_db": None})
    found = positions(predictions, "snr_db")
    assert list(found.items()) == [
        ("snr_db=-5", [2]),
        ("snr_db=10", [0, 3]),
        ("snr_db=unknown", [1, 4]),
    ]


def test_texts_and_truth_values_are_slices_too():
    found = positions(spoken({"v": "joe"}, {"v": True}, {"v": "amy"}), "v")
    assert found == {"v=amy": [2], "v=joe": [0], "v=true": [1]}


def test_a_key_that_nothing_has_makes_no_slice():
    assert positions(spoken({}, {"voice": "joe"}), "snr_db") == {}


def test_durations_are_put_into_ranges():
    durations = (0.5, 2, 4.99, 5, 15, 15.1)
    found = positions(spoken(*({"duration_s": d} for d in durations)), "length")
    assert list(found.items()) == [
        ("length=<2 s", [0]),
        ("length=2-5 s", [1, 2]),
        ("length=5-15 s", [3, 4]),
        ("length=>15 s", [5]),
    ]


@pytest.mark.parametrize(("key", "value"), [("tags", ["a"]), ("length", "long"), ("length", True)])
def test_what_cannot_be_sliced_is_named(key, value):
    name = "duration_s" if key == "length" else key
    with pytest.raises(AuraError, match=rf"cannot slice by .*{key}.*u1"):
        positions(spoken({}, {name: value}), key)
