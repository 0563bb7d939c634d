"""Reproductions of the paper's tables and figures that need a search: a file each, with `ENTRIES`."""
