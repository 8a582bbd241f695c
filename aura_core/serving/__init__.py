"""Models behind HTTP: an OpenAI-compatible endpoint, and a page."""
