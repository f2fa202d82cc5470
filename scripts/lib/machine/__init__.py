"""The machine: hardware profiles, pinning, preflight, bandwidth, locks, environment records."""
