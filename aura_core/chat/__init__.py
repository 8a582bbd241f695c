"""Conversations with a model: turns of text and audio in, pieces of text out as they come."""
