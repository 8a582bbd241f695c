"""Pure code of AuRA: no Prefect, no Ray."""
