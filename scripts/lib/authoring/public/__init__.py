"""Public benchmarks, one module per family: rows as published become questions."""
