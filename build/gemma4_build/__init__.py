"""From a Hugging Face checkpoint to a verified engine folder."""
