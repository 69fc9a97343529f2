"""What `slotgen dev` and the tests run in place of Redis and OpenAI; loaded only where it is asked for."""
