"""The answer of ``gemma4 plan capacity`` as one HTML file that needs nothing else."""
