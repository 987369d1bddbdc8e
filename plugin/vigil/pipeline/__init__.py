"""The durable workflows that compose the other rooms."""
