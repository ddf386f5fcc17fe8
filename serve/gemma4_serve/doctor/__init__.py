"""``gemma4 doctor``: what this machine has, what of it fits, and a trial of a built engine."""
