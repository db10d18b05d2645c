"""The sign page: what a manifest would do, for those who write no code, and signing exactly that.

``talk`` answers the page, ``shown`` puts a summary into words and tables, ``ways`` opens the key, ``widget`` carries the
messages. Everything shown was computed from bytes that were just checked (``steward.approval``), by the same functions that
``steward inspect`` uses. The passphrase comes in one message, is used once, and is kept nowhere.

Left to others: what may be signed and by whom (``steward.signing``), serving the page (``steward.review.page``).
"""
