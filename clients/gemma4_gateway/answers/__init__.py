"""Chunks of the engine -> bodies and events in OpenAI's forms."""
