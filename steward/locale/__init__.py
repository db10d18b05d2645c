"""Catalogues of sentences: ``de`` and ``zh_CN``; English is the language of the source.

``steward.messages`` looks sentences up; ``steward.locale.build`` collects and compiles them.
"""
