"""Edits of programs and of layers."""
