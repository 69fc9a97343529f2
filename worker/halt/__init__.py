"""The kill switch from the outside: what follows it, and how a change reaches the calls in flight."""
