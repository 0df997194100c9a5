"""OCPP-J without I/O: texts and commands in, effects out."""
