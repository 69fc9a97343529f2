"""Compares two allowlists: which jobs one admits and the other does not."""
