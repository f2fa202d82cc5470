"""What the Snakefile calls: targets, announcements, damage, clusters, verification."""
