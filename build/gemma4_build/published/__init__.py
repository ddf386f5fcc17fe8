"""Engine folders from a GGUF file that somebody else made of the model.

Its tensors are taken as they are, once they are proven to be this model's. Its keys are only
compared: what the engine folder gets is the head that our own builds write.
"""

from __future__ import annotations
