"""What a job reads and writes in Redis from start to end."""
