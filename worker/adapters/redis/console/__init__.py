"""What operators' commands read and write in Redis."""
