import xml.etree.ElementTree as ET

from aura_core.report.charts.latency import latency_chart


def test_the_latency_chart_names_the_models_and_shows_the_median():
    svg = latency_chart({"aura": [100, 300, 1200], "qwen_audio": [7]}, "ttft")
    ET.fromstring(svg)
    assert "300 ms" in svg
    assert "AuRA" in svg
    assert "qwen_audio" in svg
    assert "var(--aura)" in svg
