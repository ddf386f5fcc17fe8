"""Tables of inputs and answers that several tests walk through."""
