"""TensorRT-LLM in worker processes, one for each set of GPUs."""
