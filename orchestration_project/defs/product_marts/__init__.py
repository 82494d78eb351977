"""Tables that business people read, made from the cleaned tables of several feeds."""
