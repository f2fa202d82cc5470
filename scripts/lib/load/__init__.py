"""Several requests at once: sends them, keeps the time of every token, and sums them up."""
