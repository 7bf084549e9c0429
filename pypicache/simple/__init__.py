"""The Simple Repository API as data: pure functions from bytes to values and back.

Nothing here awaits, opens a file, asks the clock or logs; a test reads the imports and holds that.
"""
