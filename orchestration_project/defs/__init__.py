"""What the code location consists of: a folder for each feed, and the tables that are made from them."""
