"""What TensorRT-LLM's loader must find to load a folder right, each rule with its source."""
