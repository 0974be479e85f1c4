"""`make demo`: three hospitals, one federated average, on a real cluster with a real vantage6 server."""
