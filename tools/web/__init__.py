"""The web, fetched politely and safely: what leaderboards, papers, feeds and citations share.

`addresses` says which addresses may be asked, `transfer` is one request, `fetching` a request with retries, robots.txt
and a cache, `courtesy` the distance between requests to one site.
"""
