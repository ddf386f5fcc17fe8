"""The preparation process: from checked input tensors to token ids, apart from whom it could delay.

Parsing, checking, rendering and tokenizing a large request takes up to seconds and holds Python's
interpreter lock. So one process of its own does it for all models of a server: small requests at
once, every other in a child process that can be killed and has limits of time and memory.
"""
