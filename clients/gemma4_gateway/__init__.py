"""OpenAI-compatible gateway in front of Triton servers that serve the ``gemma4`` model."""
