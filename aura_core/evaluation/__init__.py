"""Predictions, scores, intervals and latency of the compared models."""
