"""The training of a run in parts: its phases, its data and programs, and what each of its members writes."""
