"""GGUF files: headers, fingerprints, chat templates, and weights that a rule can make."""
