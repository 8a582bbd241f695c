import pyarrow.parquet as pq

from aura_core.cache.catalogue import INDEX_SCHEMA, Catalogue
from aura_core.cache.plan import Plan
from aura_core.cache.record import read_record


def test_the_index_has_a_row_for_every_sample_of_every_record(cache_folder):
    table = pq.read_table(cache_folder / "index.parquet")
    assert table.schema == INDEX_SCHEMA
    plan = Plan.model_validate_json((cache_folder / "plan.json").read_text())
    records = [read_record(str(cache_folder), shard.name) for shard in plan.shards]
    expected = [
        {
            "shard": number,
            "offset": member.offset,
            "size_bytes": member.size_bytes,
            "xxh3": member.xxh3,
            **member.entry.model_dump(),
        }
        for number, record in enumerate(records)
        for member in record.members
    ]
    assert table.to_pylist() == expected


def test_the_catalogue_names_the_tars_in_the_order_of_the_plan(cache_folder):
    catalogue = Catalogue.model_validate_json((cache_folder / "shards.json").read_text())
    assert [tar.shard for tar in catalogue.tars] == ["000000", "000001", "000002"]
    assert (catalogue.layers, catalogue.width, catalogue.n_mels) == ((1, 2, 3, 4), 384, 80)
