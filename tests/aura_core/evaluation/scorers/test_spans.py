import pytest

from aura_core.evaluation.scorers.spans import holds


@pytest.mark.parametrize(
    ("tokens", "part", "found"),
    [
        ("a b c", "b c", True),
        ("a b c", "a b c", True),
        ("a b c", "a c", False),
        ("a b", "a b c", False),
        ("a b", "", False),
        ("", "", False),
    ],
)
def test_a_part_is_held_without_a_gap(tokens, part, found):
    assert holds(tokens.split(), part.split()) == found
    assert holds(tuple(tokens.split()), tuple(part.split())) == found
