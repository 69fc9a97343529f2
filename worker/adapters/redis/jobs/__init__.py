"""What a job reads and writes in Redis on its way."""
