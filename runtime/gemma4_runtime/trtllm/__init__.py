"""What is known of TensorRT-LLM: GPUs, versions, what goes together, memory, arguments."""
