"""Mutated requests over each protocol of Triton."""
