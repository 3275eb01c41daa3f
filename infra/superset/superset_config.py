"""Settings of Superset, named by SUPERSET_CONFIG_PATH. What is not said here is as Superset has it, protection against forged
requests included."""

import os

# Signs sessions and encrypts the databases' passwords: `openssl rand -base64 42`, kept, and the same at each start.
SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
# Superset's own tables: users, charts, encrypted passwords.
SQLALCHEMY_DATABASE_URI = os.environ["SUPERSET_METADATA"]

# Pages load nothing from other machines: Superset's own list has a counter of visits and a map service on it.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        # The page's styles are made as it runs.
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    # TLS is the proxy's, as its header for browsers is.
    "force_https": False,
    "session_cookie_secure": False,
}
# Rows of one question, by a chart or in SQL Lab.
SQL_MAX_ROW = 100000
# Seconds for one question in SQL Lab; charts end with the server's own time.
SQLLAB_TIMEOUT = 60
