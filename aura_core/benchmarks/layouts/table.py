"""Every layout by its name."""

from aura_core.benchmarks.layouts.layout import Layout

LAYOUTS: dict[str, Layout] = {}
