"""What people do with whole files and feeds: rebuild a feed from its archive, withdraw a file, drop a feed.

All of it goes through the stages of a load, or moves folders; what a kill leaves half done is finished or undone by
`ingest.batching` before the next load.
"""
