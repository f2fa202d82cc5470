"""Fidelity: how far quantisation, fewer experts and KV types move a model's distributions."""
