"""What runs a compiled model, and what is told about one."""
