"""Pages of docs/ that are made from the code, so that they cannot say anything else.

`python -m orchestration_project.reference` writes them; a test compares them with what the code says.
"""
