"""Ray drivers, one a stage: `python -m tasks.jobs.X --spec URI`."""
