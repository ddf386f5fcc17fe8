"""Start, watch, drain and stop a Triton server that runs our model repository."""
