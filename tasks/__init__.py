"""Prefect tasks: one per stage, and the ways to launch its Ray driver."""
