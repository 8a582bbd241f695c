"""The teacher cache: planned, sharded, verified encoder states."""
