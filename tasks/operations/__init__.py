"""The operator's use cases: what a change of a dial would do, whether it is allowed, and what came of it."""
