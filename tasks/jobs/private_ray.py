"""A Ray of this machine alone, for the drivers of one run.

python -m tasks.jobs.private_ray NODE_SIZE

Prints the environment by which a driver finds it, as JSON, and ends when its standard input does.
"""

import json
import logging
import os
import secrets
import sys

import ray

from aura_core.config.stage import NodeSize
from tasks.stage_driver import HIDE_GPUS, turn_telemetry_off


def start(size: NodeSize) -> None:
    """Start a Ray that ends with this process; a machine smaller than `size` is slow, not stuck."""
    # Ray's default of 15 lets any other process stop one of a step's threads, and so the step.
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.update(HIDE_GPUS)
    # Its ports listen on every address of the machine, whatever address it is given. A token of
    # its own, which Ray then asks of everyone: without one it writes a token file into the home.
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    ray.init(
        address="local",
        num_cpus=max(len(os.sched_getaffinity(0)), size.cpus),
        # Names tell nodes apart, and here there is one.
        resources=size.resources,
        include_dashboard=False,
        logging_level=logging.WARNING,
        # Progress is the driver's; the workers' own lines stay in Ray's session folder.
        log_to_driver=False,
    )


if __name__ == "__main__":
    turn_telemetry_off()
    start(NodeSize.model_validate_json(sys.argv[1]))
    address = ray.get_runtime_context().gcs_address
    found_by = {"RAY_ADDRESS": address, "RAY_AUTH_TOKEN": os.environ["RAY_AUTH_TOKEN"]}
    print(json.dumps(found_by), flush=True)
    sys.stdin.read()
    ray.shutdown()
