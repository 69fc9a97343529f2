"""What `slotgen dev` and the tests run in place of Redis and OpenAI; imported only on demand."""
