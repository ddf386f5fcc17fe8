"""What another program predicts for the same question, beside our own estimate."""
