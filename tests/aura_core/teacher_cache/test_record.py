import pyarrow.parquet as pq
import pytest

from aura_core.errors import AuraError
from aura_core.teacher_cache.plan import Plan
from aura_core.teacher_cache.record import (
    INDEX_SCHEMA,
    Catalogue,
    read_members,
    read_record,
    shard_of,
)


def test_the_index_has_a_row_for_every_sample_of_every_record(cache_folder):
    table = pq.read_table(cache_folder / "index.parquet")
    assert table.schema == INDEX_SCHEMA
    plan = Plan.model_validate_json((cache_folder / "plan.json").read_text())
    records = [read_record(str(cache_folder), shard.name) for shard in plan.shards]
    expected = [
        {"shard": number, **row}
        for number, record in enumerate(records)
        for row in read_members(str(cache_folder), record).to_pylist()
    ]
    assert table.to_pylist() == expected
    assert [row["id"] for row in expected] != sorted(row["id"] for row in expected)


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_damaged_part_of_the_index_is_refused_by_name(cache_folder, tmp_path, damage):
    record = read_record(str(cache_folder), "000001")
    path = tmp_path / record.members.path
    path.parent.mkdir()
    data = bytearray((cache_folder / record.members.path).read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "flip":
        path.write_bytes(data)
    with pytest.raises(AuraError, match=r"shards/000001\.parquet is missing or damaged"):
        read_members(str(tmp_path), record)


def test_the_catalogue_names_the_tars_in_the_order_of_the_plan(cache_folder):
    catalogue = Catalogue.model_validate_json((cache_folder / "shards.json").read_text())
    assert [shard_of(tar) for tar in catalogue.tars] == ["000000", "000001", "000002"]
    assert (catalogue.layers, catalogue.width, catalogue.n_mels) == ((1, 2, 3, 4), 384, 80)
