"""The use case: a spec of jobs goes in, one result for each job comes out."""
