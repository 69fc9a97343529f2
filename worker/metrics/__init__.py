"""What feeds the metrics table."""
