import pytest

from aura_core.cache.plan import ShardPlan, Slice, make_plan
from aura_core.cache.utterances import list_parts, read_utterances
from aura_core.corpus.table import write_part
from aura_core.errors import AuraError


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
