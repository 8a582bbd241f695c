"""What a run has to work with. Of a real cluster: test_ray_cluster.py."""

import psutil

from flows.machines import Machines, read_machines, total


def test_this_machine_is_measured():
    found = read_machines("local")
    assert found.resources == {"CPU": psutil.cpu_count()}
    assert found.memory_bytes == psutil.virtual_memory().total
    assert 0 <= found.busy <= 1


def test_nodes_are_added_up_without_rays_own_marks():
    head = {"CPU": 4.0, "memory": 1e9, "object_store_memory": 5e8, "node:10.0.0.1": 1.0}
    worker = {"CPU": 8.0, "GPU": 1.0, "fast_disk": 2.0, "memory": 2e9, "accelerator_type:A100": 1.0}
    found = total("http://head:8265", [head, worker])
    assert found == Machines(
        "http://head:8265", 2, {"CPU": 12.0, "GPU": 1.0, "fast_disk": 2.0}, 3_000_000_000
    )


def test_a_cluster_that_does_not_answer_is_none():
    assert read_machines("http://127.0.0.1:9") is None
