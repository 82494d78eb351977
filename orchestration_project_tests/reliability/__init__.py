"""The promise under faults: kills, floods, hostile input, full disks. `make torture` runs the long form."""
