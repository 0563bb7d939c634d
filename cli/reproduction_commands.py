"""The command that reproduces the paper's tables and figures."""
