"""The tables and figures of Gao et al. (AAAI 2022), made again at a chosen scale, beside the paper's numbers.

`paper` has the paper's numbers, `backbones` the architectures, `scales` how much is trained; `entry` says what a
reproduction is, `registry` finds them in `entries`, a file each; `tasks` and `runs` train and score, once for all of
them; `reasons` says why numbers differ, and `page` writes it all as one page of Markdown.
"""
