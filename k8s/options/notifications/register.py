"""Has the console tell a webhook of ended runs, unless it does so already. Run by the Job beside this file.

From the environment: CONSOLE (its address), TOKEN_FILE, WEBHOOK_URL, WEBHOOK_SECRET (may be empty), MOMENT (`failed` or
`ended`). Exit: 0 the receiver is there, 1 it could not be added.
"""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx


def main() -> None:
    """Adds the receiver if no receiver has its scheme and host, which is all of it that the console shows."""
    url = os.environ["WEBHOOK_URL"].strip()
    host = f"{urlsplit(url).scheme}://{urlsplit(url).hostname}"
    token = Path(os.environ["TOKEN_FILE"]).read_text(encoding="utf-8").strip()
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    with httpx.Client(base_url=os.environ["CONSOLE"], headers=headers, timeout=30.0) as console:
        shown = console.get("/notifications").raise_for_status().json()["receivers"]
        if any(receiver["url"].startswith(host) for receiver in shown):
            print(f"{host} is told already; to change it, remove it in the console first")
            return
        given = {"url": url, "moment": os.environ["MOMENT"], "secret": os.environ.get("WEBHOOK_SECRET", "").strip()}
        answer = console.post("/notifications", data=given)
        if answer.is_error:
            sys.exit(f"{host} was not added: {answer.json().get('problem') or answer.json().get('message')}")
        print(f"{host} is told of runs that have {given['moment']}")


if __name__ == "__main__":
    try:
        main()
    except httpx.HTTPError as error:
        sys.exit(f"{os.environ['CONSOLE']} did not answer as expected: {error}")
