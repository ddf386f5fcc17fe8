"""Open answers: from the tokens of an engine to the chunks that leave the server."""
