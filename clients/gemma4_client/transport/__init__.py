"""How requests travel: gRPC or HTTP, blocking or asyncio, behind one interface."""
