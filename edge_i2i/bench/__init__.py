"""Bundles under test: verified, and timed."""
