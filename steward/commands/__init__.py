"""The verbs of ``steward``: one module each with ``EXAMPLE``, ``configure(parser)`` and ``run(args, screen)``.

A verb reads its words, calls a room, and says what came of it. What it does stands in the rooms.
"""
