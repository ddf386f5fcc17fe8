#!/bin/sh
# As that of NVIDIA's images: it says something and becomes the command.
echo "stand-in of the base's entry point"
exec "$@"
