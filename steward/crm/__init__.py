"""CRM systems: per system its wire client, its reader and its capability table. Readers read.

Functions that change a CRM live in ``steward.executor.writers`` and nowhere else.
"""
