"""One scorer a module: from the predictions of one model to its metrics."""
