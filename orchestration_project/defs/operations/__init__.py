"""What keeps watch over the platform itself."""
