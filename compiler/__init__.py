"""From a checked program to a Hugging Face model: canonical form, plan, backends, emission."""
