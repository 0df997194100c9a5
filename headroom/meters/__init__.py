"""Where building meters are read: brokers that are listened to, registers that are polled, files that are imported."""
