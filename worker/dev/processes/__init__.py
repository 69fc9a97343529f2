"""Child processes that end when their parent does, and the ports they listen on."""
