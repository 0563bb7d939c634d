"""Bi-branch weight sharing: the super-net, what a candidate takes from it and gives back."""
