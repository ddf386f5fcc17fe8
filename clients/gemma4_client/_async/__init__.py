"""The asyncio client; ``scripts/unasync.py`` makes the blocking one from these files."""
# sync: """The blocking client, made from :mod:`gemma4_client._async`."""
