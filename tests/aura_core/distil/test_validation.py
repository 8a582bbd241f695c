import pytest
import torch

from aura_core.config.train import ValidationConfig
from aura_core.distil.run import train
from aura_core.distil.setup import new_trainer
from aura_core.distil.validation import has_stalled, split_off, word_error_rate
from aura_core.errors import AuraError
from aura_core.report.history import read_history
from aura_core.teacher_cache.index import open_cache

CPU = torch.device("cpu")

# Those of the cache, which are longer one by one.
TEXTS = ["turn on the lamp", "turn off the fan", "what time is it", "call anna", "stop", "go home"]


def test_what_is_kept_out_is_not_trained_on_and_nothing_is_lost():
    trained, kept_out = split_off(20, 5, seed=1)
    assert len(kept_out) == 5
    assert sorted([*trained, *kept_out]) == list(range(20))
    assert split_off(20, 5, seed=1) == (trained, kept_out)
    assert split_off(20, 5, seed=2)[1] != kept_out
    assert split_off(4, 0, seed=0) == ([0, 1, 2, 3], [])


@pytest.mark.parametrize(
    ("losses", "patience", "stalled"),
    [
        ([3.0, 2.0, 1.0], 1, False),
        ([1.0, 2.0], 1, True),
        ([1.0, 2.0], 2, False),
        ([1.0, 2.0, 0.9], 2, False),
        ([1.0, 2.0, 1.0], 2, True),
        ([1.0, 2.0, 3.0, 4.0], None, False),
        ([], 1, False),
    ],
)
def test_a_run_has_stalled_after_so_many_evaluations_without_a_lower_loss(
    losses, patience, stalled
):
    assert has_stalled(losses, patience) == stalled


@pytest.fixture
def validated(either_config):
    def build(**settings):
        validation = ValidationConfig(utterances=2, **settings)
        return either_config.model_copy(update={"validation": validation})

    return build


def test_clips_kept_out_are_evaluated_and_never_trained_on(validated, cache_uri):
    trainer = new_trainer(validated(every_steps=2), open_cache(cache_uri), CPU)
    seen: list[str] = []
    update = trainer.update

    def spy(batches, *arguments, **options):
        seen.extend(key for batch in batches for key in batch.keys)
        return update(batches, *arguments, **options)

    trainer.update = spy
    records = list(trainer.run())
    assert [record["step"] for record in records if "validation" in record] == [2, 4]
    assert records[1]["validation"]["ctc"] > 0
    assert records[3]["validation"]["ce"] > 0
    keys = trainer.data.cache.column("key")
    assert len(set(seen)) == len(keys) - 2


def test_what_the_kept_out_clips_say_is_written_down_in_phases_with_answers(validated, cache_uri):
    trainer = new_trainer(validated(every_steps=1, wer=True), open_cache(cache_uri), CPU)
    records = list(trainer.run())
    assert ["wer" in record["validation"] for record in records] == [False] * 3 + [True] * 2


@pytest.mark.parametrize(("said", "wer"), [(True, 0.0), (False, 1.0)])
def test_the_word_error_rate_is_that_of_all_clips(validated, cache_uri, monkeypatch, said, wer):
    trainer = new_trainer(validated(), open_cache(cache_uri), CPU)
    data = trainer.data
    texts = iter(sorted(data.cache.column("text"), key=TEXTS.index))
    monkeypatch.setattr(
        "aura_core.student.inference.Responder.generate",
        lambda _self, prompts, _limit: [next(texts) if said else "" for _ in prompts],
    )
    assert word_error_rate(trainer.objective.student, data, range(len(TEXTS))) == wer


def test_a_phase_that_has_stalled_ends_and_the_next_begins(
    validated, cache_uri, tmp_path, monkeypatch
):
    monkeypatch.setattr("aura_core.distil.trainer.has_stalled", lambda *_: True)
    config = validated(every_steps=2, patience=1)
    uris = {"cache_uri": cache_uri, "output_uri": str(tmp_path)}
    train(config, device=CPU, **uris, on_step=lambda _: None)
    phases = [record["phase"] for record in read_history(str(tmp_path)).records]
    # Of three steps the first phase took two; of two the second both.
    assert phases == ["align", "align", "learn", "learn"]


def test_a_clip_in_which_nothing_is_said_counts_what_is_heard_in_it(
    validated, cache_uri, monkeypatch
):
    trainer = new_trainer(validated(), open_cache(cache_uri), CPU)
    heard = [(torch.zeros(40, 80), text) for text in ("", "stop it", "")]
    monkeypatch.setattr(trainer.data, "extract_features", lambda _: heard)
    said = iter(["", "stop it", "the cat"])
    monkeypatch.setattr(
        "aura_core.student.inference.Responder.generate",
        lambda _self, prompts, _limit: [next(said) for _ in prompts],
    )
    assert word_error_rate(trainer.objective.student, trainer.data, range(3)) == 1.0


def test_a_cache_too_small_to_keep_clips_out_is_an_error(train_config, cache_uri):
    config = train_config.model_copy(update={"validation": ValidationConfig(utterances=6)})
    with pytest.raises(AuraError, match=r"validation\.utterances is 6, but the cache has 6"):
        new_trainer(config, open_cache(cache_uri), CPU)


def test_a_resumed_run_remembers_what_ended_early(validated, cache_uri, tmp_path, monkeypatch):
    monkeypatch.setattr("aura_core.distil.trainer.has_stalled", lambda *_: True)
    config = validated(every_steps=2, patience=1)
    uris = {"cache_uri": cache_uri, "output_uri": str(tmp_path)}

    class Killed(BaseException):
        """Stands for a machine that is gone."""

    def die(record):
        if record["step"] == 3:
            raise Killed

    with pytest.raises(Killed):
        train(config, device=CPU, **uris, on_step=die)
    train(config, device=CPU, **uris, on_step=lambda _: None)
    phases = [record["phase"] for record in read_history(str(tmp_path)).records]
    assert phases == ["align", "align", "learn", "learn"]
