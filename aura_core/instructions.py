"""What is asked of an utterance in writing where the corpus asks nothing itself."""

TRANSCRIBE = "Transcribe."
