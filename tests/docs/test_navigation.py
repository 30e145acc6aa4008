# SPDX-License-Identifier: Apache-2.0
"""Within two clicks from the index, a reader finds the answer to a question: a page, and a section of it."""

from __future__ import annotations

import re

import pytest

from tests.support.pages import ROOT, anchors, headings, links

DOCS = ROOT / "docs"
INDEX = DOCS / "index.md"

QUESTIONS = {
    "How do I try it without an account?": "start.md",
    "How do I install it into my Airflow?": "install.md#into-an-existing-airflow",
    "How do I wait for a trim that another system submitted?": "waiting.md",
    "How do I cut a clip?": "submitting.md",
    "How do I wait for a hundred trims?": "many.md",
    "How do I share the quota between triggerers?": "share-quota.md",
    "How do I learn of a finished trim within a second?": "callbacks.md",
    "How do I save the workers that a wait starts?": "without-workers.md",
    "How do I change the token without a restart?": "rotate-credentials.md",
    "How do I test my DAG?": "testing.md",
    "How do I replace my HttpSensor?": "migration.md#from-httpsensor",
    "How do I run it on Kubernetes?": "kubernetes.md",
    "Which parameters has the sensor?": "tasks.md#parameters-of-a-wait",
    "What does a task push to XCom?": "tasks.md#xcoms",
    "What does HTTP 403 or code 1603 mean for my task?": "outcomes.md#what-a-response-means",
    "Which authentication schemes and extras has the connection?": "connection.md#authentication",
    "Can I use it with pools, callbacks and mapped tasks?": "combinations.md",
    "What does this line of the log mean?": "logs.md",
    "How do I query a trim at night, from a shell?": "cli.md",
    "Where do I see what waits?": "ui.md",
    "Which versions of Airflow and Python are supported?": "compatibility.md#supported-versions",
    "Why was this trim polled now and that one not?": "architecture.md#the-policy-which-trim-is-polled-next",
    "Why is a trim not submitted twice?": "idempotent-submission.md#the-derived-transno",
    "How many trims can an account wait for?": "quota.md#what-it-does-to-waiting",
    "What does 'deferred for ever' mean?": "troubleshooting.md",
    "What happens if the service is down for an hour?": "reliability.md#long-outages",
    "What happens while Redis is unreachable?": "share-quota.md#while-redis-is-unreachable",
    "What should I alert on?": "production.md#alerts-worth-setting",
    "Which metrics are there?": "metrics.md",
    "Who can read my token?": "security.md#threats-and-measures",
    "Does it work behind our proxy?": "network.md#ways-to-the-service",
    "How was it tested?": "verification.md",
}


def contents() -> dict[str, list[str]]:
    """Pages of the index, by the caption that they stand under."""
    trees = re.findall(r"```\{toctree\}\n:caption: (.+)\n:maxdepth: 1\n\n([^`]+)```", INDEX.read_text(encoding="utf-8"))
    return {
        caption: [f"{line}.md" for line in lines.split("\n") if line and "<" not in line] for caption, lines in trees
    }


@pytest.mark.parametrize(("question", "answer"), QUESTIONS.items(), ids=QUESTIONS)
def test_two_clicks(question: str, answer: str) -> None:
    page, _, section = answer.partition("#")
    assert page in [name for names in contents().values() for name in names]  # the first click
    assert not section or section in anchors(DOCS / page)  # the second


def test_each_page_is_in_the_contents_once() -> None:
    listed = [name for names in contents().values() for name in names]
    assert sorted(listed) == sorted(set(listed))
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if "_build" not in path.parts}
    assert set(listed) == pages - {INDEX.name}


def test_readme_leads_to_every_page() -> None:
    linked = {link.partition("#")[0] for link in links(ROOT / "README.md")}
    for names in contents().values():
        for name in names:
            assert name == "changelog.md" or f"docs/{name}" in linked


@pytest.mark.parametrize("name", contents()["How-to guides"])
def test_guides_have_imperative_titles(name: str) -> None:
    verbs = ("Cut", "Install", "Migrate", "Receive", "Rotate", "Run", "Share", "Submit", "Test", "Wait")
    assert headings(DOCS / name)[0].startswith(verbs)
