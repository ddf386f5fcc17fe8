"""From input tensors to one validated, tokenized request: pure logic, no Triton."""
