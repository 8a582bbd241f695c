import json
import subprocess
import sys

from aura_core.config.stage import NodeSize


def test_it_ends_with_its_standard_input():
    result = subprocess.run(
        [sys.executable, "-m", "tasks.jobs.private_ray", NodeSize(cpus=1).model_dump_json()],
        input="", capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    host, port = json.loads(result.stdout)["RAY_ADDRESS"].split(":")
    assert host
    assert int(port)
