"""The moderation service: HTTP API, keys, store, webhooks, model activation."""
