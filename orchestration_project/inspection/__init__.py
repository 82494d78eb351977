"""What asks and changes nothing: explain a file, show the status, verify, draft a feed from samples."""
