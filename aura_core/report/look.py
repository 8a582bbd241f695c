"""The look that the report and the page of `aura demo` share: one stylesheet, light and dark."""

from pathlib import Path

BASE_CSS = Path(__file__).with_name("base.css")
