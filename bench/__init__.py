"""Measurements that people can repeat: ``python -m bench.NAME [--size N] [--json]``.

Each measures ours and a rival or limit on the same input in one run, prints a table, and last one line
``NAME: <figure> (goal <goal>) met|missed``. It exits 0 only where the goal is met. ``python -m bench`` runs them all and
writes ``docs/figures.md`` from what came out.
"""
