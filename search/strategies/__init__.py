"""Strategies: random search, evolution, OP-NAS."""
