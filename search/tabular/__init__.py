"""The tabular benchmark: genomes scored once, searched a thousand times."""
