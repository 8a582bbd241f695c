"""One run in every tracker, on this machine alone, read back by what each of them brings."""

import json
import sqlite3
import struct
import time
from importlib.util import find_spec
from typing import get_args

import pytest
from tensorboardX.proto.event_pb2 import Event

from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.config.stage import TrackerName
from aura_core.distil import trackers
from aura_core.distil.trackers import TRACKERS, Trackers, require_packages
from aura_core.errors import AuraError
from aura_core.stages import plan

RUN = "distil-0123456789ab"
SETTINGS = {"seed": 7, "lora": {"rank": 128}}
CURVES = {
    "loss": [(1, 1.0), (2, 0.5), (3, 0.25)],
    "distil_blocks/4": [(1, 0.5), (2, 0.25), (3, 0.125)],
}


def read_tensorboard(folder):
    """Every scalar of a folder's event files: length, checksum, event, checksum, ..."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted((folder / RUN).glob("events.*")):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + size])
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
                else:
                    assert b"lora.rank: 128" in value.tensor.string_val[0]
            data = data[16 + size :]
    return found


def read_wandb(folder):
    """Every number of the offline runs' files: a header, then checksum, length, type, record."""
    from wandb.proto.wandb_internal_pb2 import Record

    found: dict[str, list[tuple[int, float]]] = {}
    configs = {}
    for path in folder.glob(f"wandb/offline-run-*/run-{RUN}.wandb"):
        data = path.read_bytes()[7:]
        while data:
            (size,) = struct.unpack("<H", data[4:6])
            record = Record.FromString(data[7 : 7 + size])
            configs |= {each.key: each.value_json for each in record.run.config.update}
            items = {"/".join(i.nested_key) or i.key: i.value_json for i in record.history.item}
            for name in items.keys() & CURVES.keys():
                found.setdefault(name, []).append((int(items["_step"]), float(items[name])))
            data = data[7 + size :]
    assert json.loads(configs["lora"]) == {"rank": 128}
    return found


def read_mlflow(uri):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("aura").experiment_id
    [run] = client.search_runs([experiment])
    assert (run.info.run_name, run.info.status) == (RUN, "FINISHED")
    assert run.data.params == {"seed": "7", "lora.rank": "128"}
    return {
        name: [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }


def read_trackio(folder):
    found: dict[str, list[tuple[int, float]]] = {}
    with sqlite3.connect(folder / "speech.db") as database:
        for step, text in database.execute("SELECT step, metrics FROM metrics ORDER BY step"):
            for name, value in json.loads(text).items():
                found.setdefault(name, []).append((step, value))
        [(config,)] = database.execute("SELECT config FROM configs")
        assert json.loads(config)["lora"] == {"rank": 128}
    return found


@pytest.mark.parametrize("name", TRACKERS)
def test_a_run_that_is_gone_on_with_is_one_run_with_its_curves_and_settings(
    tmp_path, monkeypatch, name
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))  # read when it is imported
    pytest.importorskip(TRACKERS[name].module)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    where = {"tensorboard": str(tmp_path), "mlflow": uri}.get(name, "speech")
    for steps in ([1, 2], [3]):
        run = Trackers({name: where}, RUN, SETTINGS)
        for step in steps:
            values = {"loss": 2.0 / 2**step, "distil_blocks": {"4": 1.0 / 2**step}}
            run.write({"step": step, "phase": "align", **values})
        run.close()
        if name == "tensorboard":
            time.sleep(1)  # its files are named by the second
    read = {
        "tensorboard": read_tensorboard,
        "wandb": read_wandb,
        "mlflow": lambda _: read_mlflow(uri),
        "trackio": read_trackio,
    }
    found = read[name](tmp_path)
    assert {each: sorted(points) for each, points in found.items()} == CURVES


def test_the_setting_knows_the_trackers_of_the_table_and_is_no_part_of_the_result(tmp_path):
    assert set(TRACKERS) == set(get_args(TrackerName))
    tracked = override(recipe("smoke"), ["distil.runtime.trackers={wandb: me/speech}"])
    specs, bare = plan(tracked, str(tmp_path)), plan(recipe("smoke"), str(tmp_path))
    assert specs["distil"].runtime.trackers == {"wandb": "me/speech"}
    assert specs["distil"].fingerprint == bare["distil"].fingerprint


@pytest.mark.parametrize(
    ("tracker", "problem"),
    [
        ("{aim: x}", "'tensorboard', 'wandb', 'mlflow' or 'trackio'"),
        ("{tensorboard: runs/board}", "not an absolute folder"),
        ("{mlflow: mlruns}", "is not http://"),
        ("{mlflow: 'sqlite:///mlflow.db'}", "is not http://"),
    ],
)
def test_a_tracker_that_is_unknown_or_has_no_place_is_refused(tracker, problem):
    with pytest.raises(AuraError, match=problem):
        override(recipe("smoke"), [f"distil.runtime.trackers={tracker}"])


@pytest.mark.parametrize("where", ["http://h:5000", "sqlite:////a/b.db", "postgresql://u@h/db"])
def test_an_mlflow_server_or_database_is_taken(where):
    config = override(recipe("smoke"), [f"distil.runtime.trackers={{mlflow: '{where}'}}"])
    assert config.distil.runtime.trackers == {"mlflow": where}


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(
        trackers, "find_spec", lambda module: None if module == "mlflow" else find_spec(module)
    )
    require_packages(["tensorboard"])
    with pytest.raises(AuraError, match="mlflow-skinny is not installed: pip install mlflow-sk"):
        require_packages(["tensorboard", "mlflow"])


def test_a_tracker_that_cannot_be_opened_is_a_mistake_and_one_that_fails_later_is_left_out(
    tmp_path, caplog
):
    with pytest.raises(AuraError, match="tracker tensorboard at /proc/nowhere: "):
        Trackers({"tensorboard": "/proc/nowhere"}, RUN, SETTINGS)
    run = Trackers({"tensorboard": str(tmp_path)}, RUN, SETTINGS)
    run._open["tensorboard"]._writer.close()
    run._open["tensorboard"]._writer = None
    for step in (1, 2):
        run.write({"step": step, "loss": 1.0})
    run.close()
    assert [record.args[0] for record in caplog.records] == ["tensorboard"]
