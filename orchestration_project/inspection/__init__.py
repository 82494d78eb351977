"""Ask and change nothing: explain a file, tell the status, verify, draft a feed."""
