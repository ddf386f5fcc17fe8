"""JSON schemas: checked, bounded, and rewritten into what every compiler of guides enforces."""
