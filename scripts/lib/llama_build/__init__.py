"""The one build of llama.cpp: compiled, identified, and checked before it is used."""
