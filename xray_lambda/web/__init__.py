"""The doors of servers: each turns a request into a segment; what they share stands in `_arrival`, `_door`, `_exchange`."""
