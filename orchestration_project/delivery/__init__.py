"""Deliveries: tables of the warehouse go to where they are used, provably complete.

    source    what a table has now: its columns as they are delivered, its parts, and copies of them on disk
    model     what travels between source and target, the protocol of targets, and the plan, a pure function
    deliver   one delivery: read what the target has, plan, copy, hand over; and the comparison afterwards
    targets   which target an URL means
    files     a target of files in an object store, whose `manifest` says which of them count
    postgres  a target of tables in PostgreSQL; the modules of that name have types, statements, connections, the order
    dlt_...   a target of whatever dlt has a destination for

A new kind of target is a module with a class that has the methods of `model.Target`, and a row in `targets`.
"""
