"""Scoring: a snapshot in, evidence out.

``duplicates`` finds records of the same customer, staleness and validity find records without use. Each writes its
evidence through :class:`steward.store.Workspace` and decides nothing.
"""
