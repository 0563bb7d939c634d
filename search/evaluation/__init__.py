"""Evaluation of a candidate: checks, training, proxies, hurdles."""
