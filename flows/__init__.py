"""The flow and the `aura` command."""
