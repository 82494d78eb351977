"""What leaves the platform: what is made of the tables for people who do not query them."""

NEWEST = "index.html"
"""Name of the newest report's file."""
