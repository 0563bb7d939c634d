"""A study: its storage, its workers, its loop."""
