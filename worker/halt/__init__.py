"""The kill switch as a process sees it: how a change is noticed, and how it reaches the calls in flight."""
