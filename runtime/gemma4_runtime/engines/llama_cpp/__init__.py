"""llama.cpp in the engine model's own process."""
