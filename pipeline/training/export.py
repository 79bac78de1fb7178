"""The heads as a scikit-learn pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..model.artefact import SEVERITY_HEADS, Artefact


def to_sklearn(artefact: Artefact) -> dict[str, Any]:
    """``vectorizer`` (turns ``{feature key: 1}`` of a window into a row) and one ``LogisticRegression`` a head.

    Feature keys come from :func:`pipeline.model.features.feature_keys`.
    """
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    keys = sorted(artefact.vocabulary)
    vectorizer = DictVectorizer()
    vectorizer.fit([dict.fromkeys(keys, 1.0)])
    order = [artefact.vocabulary[k] for k in vectorizer.get_feature_names_out()]
    weights = np.frombuffer(artefact.weights.tobytes(), dtype="<f4").reshape(len(keys), len(artefact.heads))[order]
    heads = {}
    for column, head in enumerate(artefact.heads):
        model = LogisticRegression()
        model.classes_ = np.array([False, True])
        model.coef_ = weights[:, column][None, :].astype(np.float64)
        model.intercept_ = np.array([artefact.bias[column]])
        model.n_features_in_ = len(keys)
        heads[head] = model
    return {"vectorizer": vectorizer, "heads": heads, "deciding": SEVERITY_HEADS[1], "version": artefact.version}
