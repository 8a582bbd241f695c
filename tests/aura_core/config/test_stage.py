"""The machine that stages fit on."""

from aura_core.config.stage import NodeSize, Runtime, single_node


def test_a_machine_is_large_enough_for_the_largest_stage():
    runtimes = [
        Runtime(workers=3, cpus_per_worker=0.5),
        Runtime(workers=2, cpus_per_worker=2, resources_per_worker={"disk": 1}),
        Runtime(workers=1, cpus_per_worker=1, resources_per_worker={"disk": 1.5, "a100": 1}),
    ]
    assert single_node(runtimes) == NodeSize(cpus=4, resources={"disk": 2, "a100": 1})
    assert single_node(runtimes[:1]).cpus == 2
    assert single_node([]) == NodeSize(cpus=1)
