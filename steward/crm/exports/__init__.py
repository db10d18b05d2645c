"""What the export files of four vendors look like, and which mapping reads them: no file is opened here, no word of it changed.

A vendor is one TOML file beside this one: its objects, the headers it is told by in every language, and which column means
what. Headers are compared without regard to case, width, spaces and marks such as （必填）; values are never looked at to tell
a vendor. ``layouts`` reads these files, ``recognise`` compares, ``propose`` makes the mapping, ``dates`` chooses date formats.

Left to others: opening files (``steward.store.peek``), loading them (``steward.store.exports``), the words of a mapping
(``steward.crm.mapping``).
"""
