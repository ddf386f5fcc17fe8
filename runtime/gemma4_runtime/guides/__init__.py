"""Guided decoding: forms of an answer, read, bounded, rewritten, compiled and enforced."""
