"""The version of every scorer; light, since it is part of an evaluation's identity."""

# Raised by hand when a rule changes: evaluations are scored anew, without asking a model.
SCORER_VERSIONS = {
    "wer": 1,
    "meaning": 1,
    "choice": 1,
    "exist_match": 1,
    "squad": 1,
    "instructions": 1,
    "refusal": 1,
    "bbh": 1,
    "bleu": 1,
    "intent": 1,
    "slu_f1": 1,
    "pedant": 1,
    "judge": 1,
    "perplexity": 1,
}
