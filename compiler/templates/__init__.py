"""Jinja2 templates of the emitted files."""
