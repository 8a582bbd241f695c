"""The whole road with its artifacts in an object store: a real S3 server, no local root."""

import json
import shutil

import pytest
import s3fs

from aura_core.pipeline import STAGE_INPUTS


@pytest.fixture(scope="module")
def s3_env(tools, quiet_env, tmp_path_factory):
    port = tools.free_port()
    endpoint = f"http://127.0.0.1:{port}"
    env = quiet_env | {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    serve = [shutil.which("moto_server", path=env["PATH"]), "-p", str(port)]
    with tools.background(serve, env, tmp_path_factory.mktemp("s3") / "log"):
        tools.wait_for(lambda: tools.answers(f"{endpoint}/moto-api/"), "the S3 server")
        bucket = s3fs.S3FileSystem(endpoint_url=endpoint, key="test", secret="test")
        bucket.mkdir("lab")
        yield env, bucket


def test_the_whole_road_on_s3(tools, s3_env, small):
    env, bucket = s3_env
    command = ["aura", "run", "--recipe", "smoke", "--root", "s3://lab/aura"]
    command += [part for assignment in small for part in ("--set", assignment)]
    tools.run(command, env)
    manifests = bucket.glob("lab/aura/*/*/manifest.json")
    assert {path.split("/")[2] for path in manifests} >= set(STAGE_INPUTS)
    assert len(bucket.glob("lab/aura/report/*/report.html")) == 1

    assert tools.run(command, env, timeout_s=15).count("hit") == len(STAGE_INPUTS)
    rows = json.loads(tools.run(["aura", "results", "--json", "--root", "s3://lab/aura"], env))
    assert {"aura", "cascade", "text"} <= {row["model"] for row in rows}
