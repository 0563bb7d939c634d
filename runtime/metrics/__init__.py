"""Scores: accuracy, F1 and correlations (`scores`), SQuAD's (`squad`), GLUE's average (`glue`)."""
