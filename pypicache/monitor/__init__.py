"""What the daemon knows of itself: it counts what happens, and tells it as metrics and as a status.

Counting is cheap, since it is done for every request: integers in dicts. All else is worked out when somebody asks.
"""
