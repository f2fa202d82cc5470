"""Parts without knowledge of benchmarks: errors, paths, safe files, YAML, statistics, Markdown."""
