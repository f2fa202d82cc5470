"""Which route a suite should take: samples, rewards, and the report."""
