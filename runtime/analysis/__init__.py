"""What is inside models, side by side.

`uniformity` is how alike tokens become with depth, `maps` what attention looks at, `receptive` how far a token's
surroundings reach it, `latency` and `memory` what a batch costs beside BERT; `report` measures models by all of them
and writes the folder. `agreement` compares two tables of results. `loading`, `timing` and `figures` are theirs.
"""
