"""The sales report: what a business wants to read of the marts, and whether the feeds behind it can be trusted.

Queries give a plain model, a template makes one HTML page of it. Nothing here knows the orchestrator.
"""
