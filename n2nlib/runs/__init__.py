"""Trained runs: the store, and the sweep that trains what is missing, here or on a cluster."""
