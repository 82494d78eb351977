"""Who is told of what: the conditions that a person must act upon, what of them was told, and how it is sent.

Belongs here: alarms and their state, messages, the outbox, the targets and the process that sends. Does not belong
here: Dagster's definitions, which are in `components/`, and the warehouse, which nothing in here opens. Dagster's
history is asked in `observe` alone.
"""
