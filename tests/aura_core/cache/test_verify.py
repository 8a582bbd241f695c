import pytest

from aura_core.artifacts import store
from aura_core.cache.index import open_cache
from aura_core.cache.verify import Problem, repair_cache, total_bytes, verify_cache
from aura_core.errors import AuraError

from .conftest import tar_paths


def problems(folder):
    return [problem for _, _, problem in verify_cache(str(folder)) if problem]


def test_a_sound_cache_is_read_whole_and_has_no_problem(cache_folder):
    checked = list(verify_cache(str(cache_folder)))
    assert {path for path, _, _ in checked} >= {*tar_paths(cache_folder), "index.parquet"}
    assert [problem for _, _, problem in checked if problem] == []
    assert sum(size for _, size, _ in checked) == total_bytes(str(cache_folder))


def test_every_kind_of_damage_is_named(copied):
    first, second, third = tar_paths(copied)
    data = bytearray((copied / first).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / first).write_bytes(data)
    size = (copied / second).stat().st_size
    (copied / second).write_bytes((copied / second).read_bytes()[:-1])
    (copied / third).unlink()
    assert problems(copied) == [
        Problem(first, "damaged"),
        Problem(second, f"{size - 1} bytes, expected {size}"),
        Problem(third, "missing"),
    ]


def test_a_repair_makes_only_the_damaged_files_again(copied, make_cache):
    first, *others = tar_paths(copied)
    whole = (copied / first).read_bytes()
    (copied / first).write_bytes(whole[:-1] + b"x")
    before = {path: (copied / path).stat().st_mtime_ns for path in others}
    repair_cache(str(copied), problems(copied))
    with pytest.raises(AuraError, match=r"no manifest\.json"):
        open_cache(str(copied))
    make_cache(str(copied))
    assert (copied / first).read_bytes() == whole
    assert {path: (copied / path).stat().st_mtime_ns for path in others} == before
    assert problems(copied) == []


def test_it_works_on_s3(cache_folder, s3_folder):
    store.upload_folder(cache_folder, s3_folder)
    first, second, _ = tar_paths(cache_folder)
    store.write_bytes(f"{s3_folder}/{first}", b"short")
    store.remove(f"{s3_folder}/{second}")
    assert [problem.path for problem in problems(s3_folder)] == [first, second]


def test_an_unfinished_cache_is_refused(copied):
    (copied / "manifest.json").unlink()
    with pytest.raises(AuraError, match=r"no manifest\.json"):
        problems(copied)
