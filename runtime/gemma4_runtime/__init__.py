"""The logic that the four models of the repository share. Imports nothing from Triton."""
