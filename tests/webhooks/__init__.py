"""What webhooks are held to: published deliveries, the senders' own libraries, and headers that nobody signed."""
