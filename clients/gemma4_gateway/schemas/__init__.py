"""The bodies of requests. Unknown and unsupported parameters are refused by name."""
