"""How the platform itself fares: its runs, feeds, sizes and disk, measured every hour.

It reads what Dagster, the ledger and the folders know already, and changes none of it.
"""
