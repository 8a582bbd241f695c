import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_core.cache.plan import WINDOW_UTTERANCES, Candidate, make_plan, safe_key
from aura_core.errors import AuraError


def candidates(durations):
    return [
        Candidate(f"u{i}", duration_s, f"part-{i // 1000:05d}.parquet")
        for i, duration_s in enumerate(durations)
    ]


@given(st.lists(st.floats(0.1, 30), min_size=1, max_size=60), st.integers(1, 9))
def test_every_utterance_is_planned_once_and_shards_are_ordered_by_length(durations, size):
    items = candidates(durations)
    plan = make_plan(items, size)
    ids = [utterance for shard in plan.shards for utterance in shard.ids]
    length = {item.id: item.duration_s for item in items}
    assert sorted(ids) == sorted(length)
    assert [length[name] for name in ids] == sorted(durations)
    assert all(len(shard.ids) <= size for shard in plan.shards)
    assert sum(shard.duration_s for shard in plan.shards) == pytest.approx(sum(durations))
    assert plan == make_plan(items, size)


def test_a_shard_reads_only_the_parts_of_its_window():
    plan = make_plan(candidates([float(i * 7919 % 29) for i in range(5000)]), 128)
    first_of_second_window = WINDOW_UTTERANCES // 128
    assert plan.shards[0].parts == tuple(f"part-{i:05d}.parquet" for i in range(3))
    assert plan.shards[first_of_second_window].parts == tuple(
        f"part-{i:05d}.parquet" for i in (2, 3, 4)
    )


def test_an_id_that_occurs_twice_is_refused():
    with pytest.raises(AuraError, match="twice"):
        make_plan([Candidate("a", 1, "p"), Candidate("a", 2, "p")], 4)


def test_nothing_to_plan_is_refused():
    with pytest.raises(AuraError, match="no utterance"):
        make_plan([], 4)


@given(st.text(max_size=200))
def test_keys_are_safe_member_names(utterance_id):
    assert re.fullmatch(r"[A-Za-z0-9_-]{0,90}", safe_key(utterance_id))


def test_keys_stay_unique_and_plain_ids_stay_as_they_are():
    ids = ["a.b", "a/b", "a_b", "ä", "x" * 100, "x" * 101, "plain-id_1"]
    assert len({safe_key(name) for name in ids}) == len(ids)
    assert safe_key("plain-id_1") == "plain-id_1"
