"""Benchmarks anyone can run: each compares with an alternative in the same run."""
