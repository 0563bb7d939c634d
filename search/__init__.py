"""The search over genomes (none of it is written yet)."""
