"""Users for locust. ``load_tests/locustfile.py`` is what ``locust -f`` is given."""
