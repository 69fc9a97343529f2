"""The operator's use cases: what a change of a dial would do, whether it may be made, and what came of it."""
