"""OpenAI's parameters -> the inputs of the ``gemma4`` model. Pure."""
