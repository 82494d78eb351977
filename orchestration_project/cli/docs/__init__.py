"""Pages of docs/ that are made from the code, so that they cannot say anything else.

`python -m orchestration_project.cli.docs` writes them; a test compares them with what the code says.
"""
