"""Mechanistic tasks: small synthetic problems that tell backbones apart in seconds, no text needed.

In the manner of MAD (Poli et al. 2024) and Zoology (Arora et al. 2023), made for encoders that see both sides: what is
asked for is masked. `tasks` makes batches, `training` trains a model on them and scores it.
"""
