"""Paired measurements of audiogen against its peers: `python -m benchmarks`."""
