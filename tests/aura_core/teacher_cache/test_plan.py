import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_core.errors import AuraError
from aura_core.ingest.utterances import safe_key, write_part
from aura_core.teacher_cache.plan import (
    Part,
    ShardPlan,
    Slice,
    list_parts,
    make_plan,
    read_utterances,
)


def part(name, durations, wanted=None):
    wanted = [True] * len(durations) if wanted is None else wanted
    return Part(name=name, duration_s=np.array(durations), wanted=np.array(wanted, dtype=bool))


@given(
    st.lists(st.lists(st.tuples(st.floats(0.1, 30), st.booleans()), max_size=40), max_size=4),
    st.integers(1, 9),
)
def test_every_wanted_row_is_planned_once(table, size):
    parts = [
        part(str(i), [d for d, _ in rows], [w for _, w in rows]) for i, rows in enumerate(table)
    ]
    wanted = [(str(i), row) for i, rows in enumerate(table) for row, (_, w) in enumerate(rows) if w]
    if not wanted:
        with pytest.raises(AuraError, match="no utterance"):
            make_plan(parts, size)
        return
    plan = make_plan(parts, size)
    planned = []
    for shard in plan.shards:
        rows = [
            (name, row)
            for piece in shard.slices
            for name, row in wanted
            if name == piece.part and piece.start <= row < piece.stop
        ]
        assert 1 <= len(rows) == shard.utterances <= size
        seconds = sum(table[int(name)][row][0] for name, row in rows)
        assert shard.duration_s == pytest.approx(seconds)
        planned += rows
    assert planned == wanted
    assert plan == make_plan(parts, size)


def test_shards_are_of_one_size_and_reach_over_parts():
    plan = make_plan([part("a", [1.0] * 100), part("b", [1.0] * 50)], 60)
    assert [shard.utterances for shard in plan.shards] == [50, 50, 50]
    plan = make_plan([part("a", [1.0] * 40), part("b", [1.0] * 50)], 60)
    assert [(s.part, s.start, s.stop) for s in plan.shards[0].slices] == [("a", 0, 40), ("b", 0, 5)]
    assert [shard.name for shard in plan.shards] == ["000000", "000001"]


@given(st.text(max_size=300))
def test_keys_are_safe_member_names(utterance_id):
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,88}", safe_key(utterance_id))


def test_keys_stay_unique():
    ids = ["", "a.b", "a/b", "a_b", "ä", "ö", *("x" * n for n in (71, 72, 73, 300))]
    ids += ["/" * n for n in (70, 71, 72, 300)]
    assert len({safe_key(name) for name in ids}) == len(ids)


def test_the_keys_of_caches_that_could_be_made_before_stay_as_they_are():
    for plain in ("plain-id_1", "x" * 72):
        assert safe_key(plain) == plain
    assert safe_key("a/b.c") == "a_b_c-46eaa14d87d67c45"
    # The longest whose member's name fitted into a tar's header.
    assert safe_key("/" * 71) == "_" * 71 + "-fa44f1275f18859f"


def shard(start, stop, utterances):
    piece = Slice(part="part-00000.parquet", start=start, stop=stop)
    return ShardPlan(name="000000", slices=(piece,), utterances=utterances, duration_s=1.0)


def test_parts_say_which_rows_are_wanted(ingest_uri, rows):
    (part,) = list_parts(ingest_uri, ("heldout",))
    assert part.name == "part-00000.parquet"
    assert part.wanted.tolist() == [False] * 8 + [True]
    assert part.duration_s.tolist() == [row["duration_s"] for row in rows]


def test_a_shard_reads_its_rows_and_no_other_split(ingest_uri, rows):
    read = read_utterances(ingest_uri, shard(6, 9, 2), ("train",))
    assert [row["id"] for row in read] == ["clip-6", "clip-7"]
    assert read[1]["audio"]["bytes"] == rows[7]["audio"]["bytes"]


def test_rows_are_found_in_whichever_row_group_they_are(rows, tmp_path):
    many = [{**rows[0], "id": f"row-{i}"} for i in range(330)]
    write_part(str(tmp_path), 0, many[:250])
    write_part(str(tmp_path), 1, many[250:])
    read = []
    for planned in make_plan(list_parts(str(tmp_path), ("train",)), 60).shards:
        read += read_utterances(str(tmp_path), planned, ("train",))
    assert [row["id"] for row in read] == [row["id"] for row in many]


@pytest.mark.parametrize(("start", "stop", "utterances"), [(0, 3, 4), (8, 20, 12), (50, 60, 10)])
def test_a_changed_table_is_refused(ingest_uri, start, stop, utterances):
    with pytest.raises(AuraError, match=r"part-00000\.parquet was changed after planning"):
        read_utterances(ingest_uri, shard(start, stop, utterances), ("train",))


def test_an_unknown_split_lists_the_known_ones(ingest_uri):
    with pytest.raises(AuraError, match=r"\['heldout', 'train'\]"):
        list(list_parts(ingest_uri, ("test",)))


def test_no_table_is_refused(tmp_path):
    with pytest.raises(AuraError, match="run the ingest stage first"):
        list(list_parts(str(tmp_path), ("train",)))
