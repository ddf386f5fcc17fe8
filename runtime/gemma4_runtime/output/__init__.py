"""From sampled token ids to chunks of text: pure logic, no threads, no Triton."""
