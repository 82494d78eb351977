"""One load of a feed: what lies in landing becomes rows, in one transaction. Only here do files and tables meet."""
