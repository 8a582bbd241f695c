"""Speech and text in: audio files, manifests, the demo corpus, the utterance table."""
