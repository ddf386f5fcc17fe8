"""Engines: token ids in, token ids out, one small interface (:mod:`.base`)."""
