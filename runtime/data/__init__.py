"""Text for pre-training: sources, documents, sentences, tokens, BERT's pairs and masks.

In order: `sources` names text, `reading` and `embedded` give its documents, `sentences` cuts them, `vocabulary` trains
a tokenizer on them, `corpus` tokenises them once, `packing` plans pairs, `examples` serves them, `masking` masks them.
`packages` gathers text and labelled data out of packages, for experiments without a network.
"""
