"""What the tests and the benches share: real servers, fakes and doubles, engine folders, tables of
cases, and waits. Editable installs have it; no wheel has it."""
