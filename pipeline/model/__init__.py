"""Model: features, the plain-data artefact, scoring, calibration, evidence."""
