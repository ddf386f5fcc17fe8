"""The form of what ``--json`` prints: types, of which docs/reference/plan_schema.json is made."""
