"""The executor: the only part of steward that changes a CRM, and the only write path there is.

It applies what was signed, or refuses; it decides nothing. Installs from the base package alone, has its own command
(``steward-executor``), and nothing else imports it. ``runner.Executor`` is the library behind the command.
"""
