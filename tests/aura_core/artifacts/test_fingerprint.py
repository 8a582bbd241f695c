import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_core.artifacts.fingerprint import canonical_json, fingerprint
from aura_core.errors import AuraError

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_the_order_of_keys_does_not_matter(value):
    assert canonical_json(value) == canonical_json(dict(reversed(list(value.items()))))


@given(values, values)
def test_encodings_are_equal_only_for_what_json_cannot_tell_apart(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_json(one) == canonical_json(other)) == same


def test_the_fingerprint_of_a_known_payload_never_changes():
    value = fingerprint("distil", 1, {"seed": 0, "rate": 0.5, "name": "ä"}, {"cache": "abc"})
    assert value == ("8232c0b6109d6f69ddde57b13195a57d4736049114396f3c84f7254c4832ae89")


def test_every_part_counts():
    base = fingerprint("a", 1, {"x": 1}, {"i": "1"})
    others = {
        fingerprint("b", 1, {"x": 1}, {"i": "1"}),
        fingerprint("a", 2, {"x": 1}, {"i": "1"}),
        fingerprint("a", 1, {"x": 2}, {"i": "1"}),
        fingerprint("a", 1, {"x": 1}, {"i": "2"}),
        fingerprint("a", 1, {"x": 1}, {"j": "1"}),
    }
    assert base not in others
    assert len(others) == 5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [print]}, r"\$\.a\[0\]: builtin_function_or_method"),
        ({"a": object()}, r"\$\.a: object"),
        ({"a": math.nan}, r"\$\.a: nan is not a finite"),
        ({1: "a"}, "key 1 is not a string"),
        ({"a": {1, 2}}, "set has no canonical"),
    ],
)
def test_what_has_no_stable_encoding_is_refused(value, message):
    with pytest.raises(AuraError, match=message):
        canonical_json(value)
