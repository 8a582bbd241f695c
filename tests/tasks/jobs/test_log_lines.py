"""A driver's log, as a person and as a log store reads it."""

import json
import os
import subprocess
import sys
from datetime import datetime

import pytest

from aura_core.pipeline import plan
from aura_core.recipes import recipe

JOB = """
import logging
from tasks.jobs import driver

def run(spec):
    logging.getLogger("aura").info("%d shards planned", 3)
    return [], {}, {}

driver.main(run)
"""


@pytest.fixture
def spec(tmp_path):
    spec = plan(recipe("smoke"), str(tmp_path))["report"]
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    return spec


def log_of(tmp_path, **variables):
    command = [sys.executable, "-c", JOB, "--spec", str(tmp_path / "spec.json")]
    result = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=True
    )
    return result.stderr.splitlines()


def test_a_json_line_has_stage_and_fingerprint(spec, tmp_path):
    planned, done = map(json.loads, log_of(tmp_path, AURA_LOG_FORMAT="json"))
    assert planned["message"] == "3 shards planned"
    assert (planned["level"], planned["stage"]) == ("INFO", "report")
    assert planned["fingerprint"] == done["fingerprint"] == spec.fingerprint
    assert datetime.fromisoformat(planned["time"]).tzinfo


def test_a_person_reads_the_time_and_the_message(spec, tmp_path):
    planned, done = log_of(tmp_path, AURA_LOG_FORMAT="")
    assert planned[8:] == " 3 shards planned"
    assert done[8:].startswith(f" report {spec.fingerprint[:12]}: done in ")
