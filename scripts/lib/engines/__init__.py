"""The two ways to run llama.cpp: inside this process, and as a llama-server."""
