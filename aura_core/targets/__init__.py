"""What the text LLM says to a transcript: answers for the student to learn, and its logits."""
