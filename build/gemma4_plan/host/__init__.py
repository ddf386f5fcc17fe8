"""What streaming costs beside the GPUs: cores of Triton and the gateway, and bytes on the wire."""
