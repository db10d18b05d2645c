"""The only code that changes a CRM: one module per system, all behind :class:`steward.executor.ports.Writer`."""
