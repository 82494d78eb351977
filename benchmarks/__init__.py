"""How fast the platform is, against a hand-written script, the stock way and other tools, in the same session."""
