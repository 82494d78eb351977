"""What becomes of old files: reports and refused files are deleted, files of the archive are moved to the cold archive.

Nothing happens unless a setting says so. The archive itself is never deleted.
"""
