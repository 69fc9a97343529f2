"""A night of an operator on a real system, each of its screens as a person sees it."""
