"""The versioned prompts: one file for each kind of job."""
