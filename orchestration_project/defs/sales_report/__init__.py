"""What leaves the platform: what is made of the tables for people who do not query them."""
