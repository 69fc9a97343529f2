"""What holds requests back: the brake, the rate limiter, and the guard that halts after bad answers."""
