"""`aura compare` as a user meets it."""

import json
from functools import partial

import pytest

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.evaluation.results import Row, write_results
from aura_core.evaluation.scorers.scorer import Prediction, write_predictions
from flows.compare_cli import compare
from tests.aura_command import run_aura

aura = partial(run_aura, timeout_s=60)


@pytest.fixture
def root(tmp_path):
    """Two evaluations of ten utterances, of which five and two are wrong."""
    for name, wrong in (("aaa0" * 3, 5), ("bbb0" * 3, 2)):
        uri = f"{tmp_path}/evaluate/{name}"
        said = [
            Prediction(id=str(i), references=("yes",), prediction="no" if i < wrong else "yes")
            for i in range(10)
        ]
        write_predictions(f"{uri}/predictions/aura.heldout.transcribe.jsonl", said)
        wer = Row(
            model="aura", task="transcribe/heldout", metric="wer", value=wrong / 10, ci_low=0,
            ci_high=0.9, n=10,
        )  # fmt: skip
        ttft = wer.model_copy(update={"task": "latency", "metric": "ttft_ms_p50", "value": 70.0})
        write_results(uri, [wer, *([ttft] if wrong == 5 else [])])
        manifest = Manifest(
            stage="evaluate", stage_version=1, fingerprint=name, identity={}, inputs={}, files=[]
        )
        write_manifest(uri, manifest)
    return str(tmp_path)


def test_two_fingerprints_are_compared(root):
    done = aura("compare", "aaa", "bbb", "--root", root, "--json")
    assert done.returncode == 0, done.stderr
    latency, wer = json.loads(done.stdout)
    assert (wer["model"], wer["task"], wer["metric"]) == ("aura", "transcribe/heldout", "wer")
    assert (wer["first"]["value"], wer["second"]["value"]) == (0.5, 0.2)
    assert wer["change"]["value"] == pytest.approx(-0.3)
    assert wer["change"]["n"] == 10
    assert (latency["second"], latency["change"]) == (None, None)


def test_the_table_says_what_is_compared(root):
    done = aura("compare", f"{root}/evaluate/{'aaa0' * 3}", "bbb", "--root", root)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith("aaa0aaa0aaa0")
    assert lines[1].endswith("bbb0bbb0bbb0")
    (wer,) = (line for line in lines if " wer " in line)
    assert wer.split()[3:6] == ["0.500", "0.200", "-0.300"]
    assert "in one of them only" in done.stdout


@pytest.mark.parametrize(("utterances", "p"), [(9, None), (10, "<")])
def test_a_p_value_needs_ten_utterances_and_is_never_smaller_than_its_bootstrap_can_say(
    tmp_path, capsys, utterances, p
):
    for name, said in (("aaa0", "no"), ("bbb0", "yes")):
        uri = f"{tmp_path}/evaluate/{name}"
        answers = [
            Prediction(id=str(i), references=("yes",), prediction=said) for i in range(utterances)
        ]
        write_predictions(f"{uri}/predictions/aura.heldout.transcribe.jsonl", answers)
        wer = Row(
            model="aura", task="transcribe/heldout", metric="wer", value=float(said == "no"),
            ci_low=0, ci_high=1, n=utterances,
        )  # fmt: skip
        write_results(uri, [wer], (), {"transcribe/heldout": "whisper:small"})
        write_manifest(
            uri,
            Manifest(stage="evaluate", stage_version=1, fingerprint=name, identity={}, inputs={},
                     files=[]),
        )  # fmt: skip
    compare("aaa0", "bbb0", root=str(tmp_path))
    told = capsys.readouterr().out
    assert ("< 0.002" in told) == (p is not None)
    assert ("no p-value below n = 10" in told) == (p is None)
    assert told.count("written by the ASR whisper:small, not by people") == 1
    compare("aaa0", "bbb0", root=str(tmp_path), as_json=True)
    [figure] = json.loads(capsys.readouterr().out)
    assert (figure["change"]["p_value"] is None) == (p is None)


def test_a_mistake_is_one_line_and_exit_code_2(root):
    done = aura("compare", "aaa", "ccc", "--root", root)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: no finished evaluation or report below")


def test_help_teaches_by_example():
    done = aura("compare", "--help")
    assert done.returncode == 0
    assert "aura compare " in done.stdout
