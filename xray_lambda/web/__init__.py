"""The doors of servers: each makes a segment of a request; they share `_arrival`, `_door` and `_exchange`."""
