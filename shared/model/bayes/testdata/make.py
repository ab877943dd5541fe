"""Makes diabetes.json beside this script: a Bayesian ridge regression by scikit-learn, and what shap says its features
contributed to its mean.

    pip install scikit-learn==1.9.1 shap==0.51.0 numpy==2.4.6
    python make.py
"""
import json
import pathlib

import shap
from sklearn.datasets import load_diabetes
from sklearn.linear_model import BayesianRidge

x, y = load_diabetes(return_X_y=True, scaled=False)
model = BayesianRidge().fit(x, y)
explainer = shap.LinearExplainer(model, shap.maskers.Independent(x, max_samples=len(x)))
rows = x[::40]
values = explainer.shap_values(rows)
pathlib.Path(__file__).with_name("diabetes.json").write_text(json.dumps({
    "center": x.mean(axis=0).tolist(), "coefficients": model.coef_.tolist(), "base": float(model.predict(x.mean(axis=0)[None])[0]),
    "rows": rows.tolist(), "means": model.predict(rows).tolist(),
    "contributions": [v.tolist() + [float(explainer.expected_value)] for v in values],
}) + "\n")
