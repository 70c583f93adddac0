"""Results that a paper reports, as (task, dataset, metric, score) with the place where each score stands.

`agent.researcher.results.extraction` is the entry. Rules only: it abstains where a part has no evidence of its own.
"""
