"""What surrounds a measured shard: the record of the run, probes, the launch command."""
