"""Every layout by its name."""

from aura_core.benchmarks.layouts import (
    covost2,
    fluent_speech_commands,
    jsonl,
    librispeech,
    slurp,
    spoken_qa,
    spoken_squad,
    voicebench,
)
from aura_core.benchmarks.layouts.layout import Layout

LAYOUTS: dict[str, Layout] = {
    "librispeech": librispeech.read,
    "voicebench": voicebench.read,
    "spoken_qa": spoken_qa.read,
    "spoken_squad": spoken_squad.read,
    "slurp": slurp.read,
    "fluent_speech_commands": fluent_speech_commands.read,
    "covost2": covost2.read,
    "jsonl": jsonl.read,
}
