"""What is left of a run: files, a page, a comparison."""
