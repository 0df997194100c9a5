"""Telling others: webhooks and MQTT, of alarms and of state."""
