"""One worker process: what it is made of, and how it starts, runs and ends."""
