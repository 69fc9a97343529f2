"""One job, from the message to its result: decide, generate, accept, record."""
