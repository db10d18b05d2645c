"""Pictures: what the tables say, drawn. Each is a scene of a few shapes with a text and a table that say the same.

``scene`` is what a picture is made of and how it becomes SVG; the front paints the same scenes in a panel. ``scores``
(scores and where to cut), ``waterfall`` (one pair), ``heat`` (silence by value), ``related`` (what hangs on one
customer), ``stand`` (a snapshot and the trend) and ``execution`` (before and after) each count and then draw.

Nothing is loaded from anywhere: no chart library, no font, no address. Left to others: scoring, the page of the
scorecard (``steward.scorecard``), the widget (``steward.review.pictures.widget``).
"""
