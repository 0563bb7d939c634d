"""Reproductions of the paper's tables and figures that need a search: a file each, with `ENTRIES`.

`autobertc reproduce` finds them here; one of the same name takes the place of an entry of
`autobertc.runtime.reproduction.entries`.
"""
