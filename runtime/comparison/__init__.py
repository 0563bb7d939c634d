"""Several backbones trained on the same data in the same steps from the same seeds, and compared in pairs.

In order: `settings` says what is compared, `runs` trains and scores, `statistics` has intervals and curves, `summary`
makes numbers and conclusions of the runs, `report` tables and figures, `compare` all of it.
"""
