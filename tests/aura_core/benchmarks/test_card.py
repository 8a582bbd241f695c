import pytest

from aura_core.benchmarks.card import Card, read_card, write_card
from aura_core.errors import AuraError

CARD = Card(
    name="trivia_qa", version=1, source="/data", revision={"content": "xxh3:1"}, licence="x",
    scorer="exist_match", scorer_version=1, sha256="0" * 64, counts={"items": 2, "rejected": 0},
)  # fmt: skip


def test_a_card_comes_back(tmp_path):
    assert write_card(str(tmp_path), CARD) == "card.json"
    assert read_card(str(tmp_path)) == CARD


def test_a_missing_or_damaged_card_is_a_mistake(tmp_path):
    with pytest.raises(AuraError, match=r"has no card\.json"):
        read_card(str(tmp_path))
    (tmp_path / "card.json").write_text('{"name": "x"}')
    with pytest.raises(AuraError, match="is damaged"):
        read_card(str(tmp_path))
