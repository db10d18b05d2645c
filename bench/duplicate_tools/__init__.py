"""One script per tool that ``bench.duplicates`` runs as a process of its own, most in a virtual environment of their own.

Each is called ``SCRIPT SPEC OUT``: SPEC is a JSON file naming the table, fields, blocking keys and thresholds; into the
folder OUT it writes ``pairs.csv`` (left, right, probability), ``clusters.csv`` (record, cluster) and ``run.json`` with its
own peak memory. The scripts import nothing from each other, since no environment holds more than its tool.
"""
