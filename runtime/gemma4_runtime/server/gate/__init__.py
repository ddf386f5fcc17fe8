"""The quality gate: recorded prompts are replayed, and their answers compared."""
