"""What a run has to work with: the nodes of a Ray cluster, or this machine."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

# Ray's own marks of a node, beside what work can ask for.
_MARKS = ("node:", "accelerator_type:")
_MEMORY = ("memory", "object_store_memory")
_TIMEOUT_S = 5


@dataclass(frozen=True)
class Machines:
    """Resources by Ray's names; `busy` is the share of this machine's CPUs at work, 0 to 1."""

    where: str
    nodes: int
    resources: dict[str, float]
    memory_bytes: int
    busy: float | None = None


def read_machines(launch: str) -> Machines | None:
    """Look at where a run works: `local`, or a cluster's address; None if it does not answer."""
    return _this_machine() if launch == "local" else _cluster(launch)


def _this_machine() -> Machines:
    return Machines(
        where="this machine",
        nodes=1,
        resources={"CPU": float(psutil.cpu_count() or 1)},
        memory_bytes=psutil.virtual_memory().total,
        # Over a moment: the first answer without one would be meaningless.
        busy=psutil.cpu_percent(interval=0.1) / 100,
    )


def _cluster(address: str) -> Machines | None:
    from ray.exceptions import RayError
    from ray.util.state import list_nodes
    from ray.util.state.exception import RayStateApiException

    try:
        nodes = list_nodes(
            address=address, filters=[("state", "=", "ALIVE")], timeout=_TIMEOUT_S, detail=True
        )
    except (RayStateApiException, RayError, OSError) as error:
        logging.getLogger("aura").debug("%s: %s", address, error)
        return None
    return total(address, [dict(node.resources_total or {}) for node in nodes])


def total(where: str, nodes: Sequence[dict[str, Any]]) -> Machines:
    """Add up the resources of nodes, as Ray lists them."""
    resources: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.items():
            if name not in _MEMORY and not name.startswith(_MARKS):
                resources[name] = resources.get(name, 0) + amount
    memory_bytes = sum(int(node.get("memory", 0)) for node in nodes)
    return Machines(where, len(nodes), resources, memory_bytes)
