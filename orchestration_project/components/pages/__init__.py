"""Pages for people: one HTML file each, that needs no network and works without a script.

Belongs here: the skeleton and the look that all pages share, and the pages about the platform itself. Does not belong
here: pages about what the data says; they are where that data is made.
"""
