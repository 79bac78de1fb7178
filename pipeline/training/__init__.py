"""Training: corpus, splits, augmentation, and the fit of the heads (needs the ``train`` extra)."""
