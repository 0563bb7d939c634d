"""A file for each table and figure, with its entries in `ENTRIES`."""
