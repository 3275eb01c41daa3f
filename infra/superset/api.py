"""Superset's API, as one user: signed in, with the token that changes need besides."""

import json
from urllib.parse import quote

import requests

# An import asks each database for its catalogs, and a first question through Trino takes some seconds.
SECONDS = 120


class Refused(Exception):
    def __init__(self, answer):
        self.status = answer.status_code
        super().__init__(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:1000]}")


class Superset:
    def __init__(self, url, user, password):
        self.url = url.rstrip("/")
        self.session = requests.Session()
        # Without it, what fails is told by a page for people.
        self.session.headers["Accept"] = "application/json"
        # A proxy of the environment is for other machines.
        self.session.trust_env = False
        answer = self.ask(
            "POST", "security/login", json={"username": user, "password": password, "provider": "db", "refresh": False}
        )
        self.session.headers["Authorization"] = f"Bearer {answer['access_token']}"
        self.session.headers["X-CSRFToken"] = self.ask("GET", "security/csrf_token/")["result"]
        self.session.headers["Referer"] = self.url

    def ask(self, method, path, **options):
        answer = self.session.request(method, f"{self.url}/api/v1/{path}", timeout=SECONDS, **options)
        if not answer.ok:
            raise Refused(answer)
        return answer.json()

    def all(self, path):
        """Everything of a list, page by page."""
        found, page = [], 0
        while True:
            rison = quote(f"(page:{page},page_size:100)")
            answer = self.ask("GET", f"{path}?q={rison}")
            found += answer["result"]
            page += 1
            if len(found) >= answer["count"] or not answer["result"]:
                return found

    def import_bundle(self, archive, passwords):
        self.ask(
            "POST",
            "assets/import/",
            files={"bundle": ("weather.zip", archive, "application/zip")},
            data={"passwords": json.dumps(passwords)},
        )
