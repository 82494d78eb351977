"""One load of a feed: what lies in landing becomes rows, in one transaction. The only place where files and tables meet."""
