"""Evaluation: metrics, attacks, peers, reports, pinned floors."""
